"""The documented tiers, and the combinations that no carrier grants."""

import math

import pytest

from gateway.core.rules.errors import BadInput
from gateway.core.rules.registration import (
    BadRegistration,
    BrandKind,
    CampaignKind,
    Registration,
    SenderKind,
    limits,
)

STANDARD, DECLARED = BrandKind.STANDARD, CampaignKind.DECLARED


@pytest.mark.parametrize(
    ("brand", "use", "score", "expected"),
    [
        (STANDARD, DECLARED, 100, (225, 75, 75, 8, 200_000)),
        (STANDARD, DECLARED, 75, (225, 75, 75, 8, 200_000)),
        (STANDARD, CampaignKind.MIXED, 74, (120, 40, 40, 8, 40_000)),
        (STANDARD, DECLARED, 50, (120, 40, 40, 8, 40_000)),
        (STANDARD, DECLARED, 49, (12, 4, 4, 4, 10_000)),
        (STANDARD, DECLARED, 25, (12, 4, 4, 4, 10_000)),
        (STANDARD, DECLARED, 24, (12, 4, 4, 4, 2_000)),
        (STANDARD, DECLARED, None, (12, 4, 4, 4, 2_000)),
        (BrandKind.LOW_VOLUME, DECLARED, None, (12, 4, 4, 4, 2_000)),
        (BrandKind.LOW_VOLUME, CampaignKind.LOW_VOLUME_MIXED, None, (3.75, 1.25, 1.25, 1.25, 2_000)),
        (STANDARD, CampaignKind.LOW_VOLUME_MIXED, 80, (3.75, 1.25, 1.25, 1.25, 2_000)),
        (BrandKind.SOLE_PROPRIETOR, CampaignKind.SOLE_PROPRIETOR, None, (2.25, 0.25, 1, 1, 1_000)),
        (BrandKind.POLITICAL_527, CampaignKind.POLITICAL, None, (225, 75, 75, 8, None)),
        (BrandKind.NONPROFIT, CampaignKind.POLITICAL, 30, (12, 4, 4, 4, 10_000)),
        (BrandKind.CHARITY, CampaignKind.CHARITY, 60, (120, 40, 40, 8, 40_000)),
        (BrandKind.GOVERNMENT, DECLARED, 80, (225, 75, 75, 8, None)),
        (BrandKind.RUSSELL_3000, DECLARED, None, (225, 75, 75, 8, 200_000)),
    ],
)
def test_long_code_tiers(
    brand: BrandKind, use: CampaignKind, score: int | None, expected: tuple[float, ...]
) -> None:
    total, att, tmobile, uscellular, daily = expected
    granted = limits(Registration(brand_kind=brand, campaign_kind=use, score=score))
    assert granted.total_per_s == total
    assert granted.number_per_s == total
    rates = {"att": att, "tmobile": tmobile, "verizon": tmobile, "uscellular": uscellular}
    assert dict(granted.carrier_per_s) == rates
    assert granted.small_carrier_number_per_s == 1.0
    assert granted.tmobile_daily_segments == daily
    assert granted.max_numbers == (1 if brand is BrandKind.SOLE_PROPRIETOR else 49)


@pytest.mark.parametrize(("sender", "rate"), [(SenderKind.TOLL_FREE, 3.0), (SenderKind.SHORT_CODE, 100.0)])
def test_other_senders_have_one_rate_and_no_caps(sender: SenderKind, rate: float) -> None:
    granted = limits(Registration(sender=sender))
    assert (granted.total_per_s, granted.number_per_s, dict(granted.carrier_per_s)) == (rate, rate, {})
    assert granted.small_carrier_number_per_s == math.inf
    assert granted.tmobile_daily_segments is None


def test_what_was_granted_beyond_the_tables_wins() -> None:
    granted = limits(Registration(total_per_s=30.0, number_per_s=1.0, tmobile_daily_cap=0, max_numbers=400))
    assert (granted.total_per_s, granted.number_per_s) == (30.0, 1.0)
    assert (granted.tmobile_daily_segments, granted.max_numbers) == (0, 400)
    assert limits(Registration(total_per_s=30.0)).number_per_s == 30.0
    granted = limits(Registration(carrier_per_s={"att": 5.0}, small_carrier_number_per_s=0.5))
    assert (dict(granted.carrier_per_s), granted.small_carrier_number_per_s) == ({"att": 5.0}, 0.5)


@pytest.mark.parametrize(
    ("registration", "says"),
    [
        (
            Registration(brand_kind=BrandKind.SOLE_PROPRIETOR),
            "sole_proprietor brand can't register a political",
        ),
        (Registration(brand_kind=BrandKind.LOW_VOLUME), "low_volume brand can't register a political"),
        (Registration(brand_kind=BrandKind.CHARITY), "charity brand can't register a political"),
        (Registration(verified=False), "Campaign Verify"),
        (Registration(brand_kind=STANDARD, campaign_kind=CampaignKind.CHARITY), "501"),
        (Registration(brand_kind=STANDARD, campaign_kind=CampaignKind.SOLE_PROPRIETOR), "sole_proprietor"),
        (Registration(brand_kind=BrandKind.SOLE_PROPRIETOR, campaign_kind=DECLARED), "sole_proprietor"),
        (Registration(sender=SenderKind.TOLL_FREE, verified=False), "toll-free verification"),
        (Registration(score=101), "101 is no brand score"),
        (Registration(total_per_s=0), "registration.total_per_s"),
        (Registration(number_per_s=math.nan), "registration.number_per_s"),
        (Registration(max_numbers=0), "registration.max_numbers"),
        (Registration(carrier_per_s={"att": 0.0}), "registration.carrier_per_s.att"),
        (Registration(tmobile_daily_cap=-1), "registration.tmobile_daily_cap"),
    ],
)
def test_what_no_carrier_grants_is_refused_in_one_line(registration: Registration, says: str) -> None:
    with pytest.raises(BadRegistration) as refusal:
        limits(registration)
    assert says in str(refusal.value)
    assert isinstance(refusal.value, BadInput)
    assert isinstance(refusal.value, ValueError)
