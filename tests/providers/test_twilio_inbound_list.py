"""People's texts of a stretch of time: one request for a quiet account, each number's own list on a busy night."""

from base64 import b64encode
from email.utils import formatdate

import pytest

from gateway.clock import time_of_day
from gateway.providers.base import AnswerLost, InboundText, OurPhones
from gateway.providers.twilio.provider import TwilioProvider
from tests.providers.conftest import no_phones
from tests.providers.fake_twilio import API, FakeTwilio, Says
from tests.providers.payloads import OURS, THEIRS, message, page

STRETCH_S = 180.0
NEXT = f"{API}/Messages.json?PageSize=1000&Page=1"


def heard(nth: int, ago_s: float, to: str = OURS) -> dict[str, object]:
    at = formatdate(time_of_day() - ago_s)
    return message(
        f"SM{nth:032x}",
        direction="inbound",
        status="received",
        from_=THEIRS,
        to=to,
        date_created=at,
        date_sent=at,
    )


def ours(nth: int, ago_s: float) -> dict[str, object]:
    at = formatdate(time_of_day() - ago_s)
    return message(f"SM{nth:032x}", date_created=at, date_sent=at)


def with_numbers(count: int) -> OurPhones:
    async def our_phones() -> list[str]:
        return [f"+1512555{nth:04d}" for nth in range(count)]

    return our_phones


async def read(provider: TwilioProvider, our_phones: OurPhones) -> list[int]:
    since = time_of_day() - STRETCH_S
    texts: list[InboundText] = [text async for text in provider.inbound_since(since, None, our_phones)]
    return sorted(int(text.provider_sid.removeprefix("SM"), 16) for text in texts)


async def test_a_quiet_account_is_asked_once(twilio: FakeTwilio, provider: TwilioProvider) -> None:
    twilio.says("{}", page(heard(2, 10), ours(3, 20), heard(1, 100)))
    assert await read(provider, no_phones) == [1, 2]
    assert len(twilio.asked) == 2


async def test_a_text_in_base64_is_read_as_what_it_encodes(
    twilio: FakeTwilio, provider: TwilioProvider
) -> None:
    encoded = b64encode(b"STOP, and don't write again").decode()
    twilio.says("{}", page({**heard(1, 10), "body": encoded}))
    texts = [text async for text in provider.inbound_since(time_of_day() - STRETCH_S, None, no_phones)]
    assert [text.body for text in texts] == ["STOP, and don't write again"]


async def test_a_busy_account_is_asked_number_by_number(twilio: FakeTwilio, provider: TwilioProvider) -> None:
    """The first page is 10 seconds of our own texts: about 18 pages, and three numbers."""
    first = page(ours(9, 1), heard(2, 5), ours(8, 11), next_page_uri=NEXT)
    twilio.says("{}", first, page(heard(2, 5), heard(1, 100)), page(), page(heard(4, 150)))
    assert await read(provider, with_numbers(3)) == [1, 2, 4]
    assert [dict(asked.query).get("To") for asked in twilio.asked[2:]] == [
        "+15125550000",
        "+15125550001",
        "+15125550002",
    ]


async def test_very_many_numbers_are_not_asked_one_by_one(
    twilio: FakeTwilio, provider: TwilioProvider
) -> None:
    first = page(ours(9, 1), heard(2, 90), next_page_uri=NEXT)
    twilio.says("{}", first, first, page(heard(1, 170)))
    assert await read(provider, with_numbers(5000)) == [1, 2]
    assert [dict(asked.query).get("To") for asked in twilio.asked] == [None] * 4


@pytest.mark.parametrize("failing", [1, 2, 3])
async def test_a_part_that_fails_is_not_an_empty_one(
    twilio: FakeTwilio, provider: TwilioProvider, failing: int
) -> None:
    answers = [
        Says(body="{}"),
        Says(body=page(ours(9, 1), ours(8, 11), next_page_uri=NEXT)),
        *[Says(body=page())] * 2,
    ]
    answers[failing] = Says(503)
    twilio.says(*answers)
    with pytest.raises(AnswerLost):
        await read(provider, with_numbers(2))
