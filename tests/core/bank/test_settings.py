"""What a campaign's settings may not be, and what stands in them when nobody says anything."""

import msgspec
import pytest

from gateway.core.bank.settings import faults
from gateway.core.rules.campaign import BUCKET_SIZES, CampaignSettings, Wording
from gateway.core.rules.hours import CampaignHours
from gateway.core.rules.registration import Registration
from gateway.core.sending.pool_policy import PoolPolicy
from gateway.core.sending.purchases import ANYWHERE, BuyOne, BuyReason, Purchases


def fields(settings: CampaignSettings) -> list[str]:
    return [field for field, _ in faults(settings)]


def test_what_nobody_set() -> None:
    """F029 F100 F180 F215: hours of an office day, words for a missing name, buckets of a hundred."""
    settings = CampaignSettings()
    assert fields(settings) == []
    assert settings.hours == CampaignHours(9 * 60, 17 * 60, "America/New_York")
    assert (settings.wording.contact_fallback, settings.wording.sender_fallback) == ("friend", "a volunteer")
    assert settings.bucket_size == 100
    assert not settings.wording.opt_out_suffix


@pytest.mark.parametrize("size", [*BUCKET_SIZES, 1, 500])
def test_a_bucket_of_any_size_up_to_five_hundred(size: int) -> None:
    """F180: the sizes of the page, and any other by the API (C13)."""
    assert msgspec.json.decode(f'{{"bucket_size": {size}}}', type=CampaignSettings).bucket_size == size


@pytest.mark.parametrize("size", [0, -1, 501])
def test_no_bucket_is_empty_or_larger(size: int) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(f'{{"bucket_size": {size}}}', type=CampaignSettings)


@pytest.mark.parametrize(
    ("codes", "most", "expected"),
    [
        ((), 4, []),
        (("267", "215", "412", "717"), 4, []),
        (("267", "215", "412", "717", "570"), 4, ["pool.preferred_area_codes"]),
        (("267", "215", "412", "717", "570"), 5, []),
        (("267", "000"), 4, ["pool.preferred_area_codes[1]"]),
        (("26", "²67", "٢٦٧"), 4, [f"pool.preferred_area_codes[{nth}]" for nth in range(3)]),
    ],
)  # fmt: skip
def test_area_codes_are_those_of_the_us_and_as_many_as_were_granted(
    codes: tuple[str, ...], most: int, expected: list[str]
) -> None:
    """F025: four, or more on request."""
    settings = CampaignSettings(
        pool=PoolPolicy(preferred_area_codes=codes), registration=Registration(most_area_codes=most)
    )
    assert fields(settings) == expected


def test_every_fault_is_told_at_once() -> None:
    settings = CampaignSettings(
        registration=Registration(score=101, most_area_codes=-1),
        wording=Wording(contact_fallback="my\nfriend", sender_fallback="a\rvolunteer"),
    )
    assert fields(settings) == [
        "registration.score",
        "registration.most_area_codes",
        "pool.preferred_area_codes",
        "wording.contact_fallback",
        "wording.sender_fallback",
    ]


def test_without_preferred_codes_any_number_will_do() -> None:
    """F027."""
    purchases = Purchases(restock_s=60, retry_anywhere_s=60)
    wanted = purchases.propose(0.0, BuyReason.CAPACITY, "215", CampaignSettings().pool.preferred_area_codes)
    assert wanted == BuyOne((ANYWHERE,), BuyReason.CAPACITY)
