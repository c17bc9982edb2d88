"""The provider's clock, read from the Date of its answers, and what is asked by it."""

import math
from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import time_of_day
from gateway.providers.base import Found
from gateway.providers.twilio.skew import UNKNOWN_S, Skew, unix_time
from tests.providers.conftest import MakeProvider, no_phones, outbound
from tests.providers.fake_twilio import FakeTwilio, Says
from tests.providers.payloads import message, page

NOW = 1_773_241_200.0


def date(at: float) -> str:
    return formatdate(math.floor(at), usegmt=True)


def test_nothing_is_known_at_first() -> None:
    skew = Skew()
    assert (skew.is_known, skew.middle_s) == (False, None)
    assert (skew.earliest(NOW), skew.latest(NOW), skew.ours(NOW)) == (NOW - UNKNOWN_S, NOW + UNKNOWN_S, NOW)


@given(
    true_s=st.floats(-1e6, 1e6),
    answers=st.lists(
        st.tuples(st.floats(0, 3600), st.floats(0, 10), st.floats(0, 1)), min_size=1, max_size=20
    ),
)
def test_the_bounds_hold_the_truth(true_s: float, answers: list[tuple[float, float, float]]) -> None:
    """Asked at any moment, heard after any time, answered at any moment between."""
    skew = Skew()
    for after_s, takes_s, share in answers:
        asked_at = NOW + after_s
        skew.saw(date(asked_at + share * takes_s + true_s), asked_at, asked_at + takes_s)
    slack_s = 1e-3  # of floats
    assert skew.low_s - slack_s <= true_s <= skew.high_s + slack_s
    assert skew.earliest(NOW) - slack_s <= NOW + true_s <= skew.latest(NOW) + slack_s


def test_many_answers_know_it_better_than_a_second() -> None:
    skew = Skew()
    for nth in range(50):
        asked_at = NOW + nth * 1.37
        skew.saw(date(asked_at + 0.01 - 120.4), asked_at, asked_at + 0.02)
    assert skew.high_s - skew.low_s < 0.2
    assert skew.middle_s == pytest.approx(-120.4, abs=0.1)


@pytest.mark.parametrize("set_by_s", [3600.0, -3600.0, 5.0, -5.0])
def test_a_clock_that_was_set_is_learned_anew(set_by_s: float) -> None:
    skew = Skew()
    skew.saw(date(NOW), NOW, NOW + 0.1)
    skew.saw(date(NOW + 10 + set_by_s), NOW + 10, NOW + 10.1)
    assert skew.middle_s == pytest.approx(set_by_s, abs=1.1)


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "yesterday",
        "Thu, 99 Aug 2023 05:01:45 GMT",
        "0",
        "Thu, 24 Aug 99999999 05:01:45 +9999",
        "\x00" * 9,
    ],
)
def test_a_date_that_is_none_is_none(odd: str) -> None:
    skew = Skew()
    skew.saw(odd, NOW, NOW)
    assert not skew.is_known


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_dates(text: str) -> None:
    unix_time(text)


@pytest.mark.parametrize("skew_s", [-7200.0, -120.0, -30.0, 0.0, 30.0, 120.0, 7200.0])
@pytest.mark.parametrize("process", ["as it was", "a new one"])
async def test_a_lost_answer_is_found_whatever_the_clocks_say(
    twilio: FakeTwilio, make_provider: MakeProvider, skew_s: float, process: str
) -> None:
    """Handed over now by our clock, created now by the provider's; a new process learns it from the very answer."""
    now = time_of_day()
    record = message(date_created=formatdate(now + skew_s))
    provider = make_provider()
    if process == "as it was":
        twilio.says(Says(200, page(), {"Date": date(now + skew_s)}))
        assert await provider.find(outbound(), now - 30) is None
    twilio.says(Says(200, page(record), {"Date": date(now + skew_s)}))
    assert await provider.find(outbound(), now - 30) == Found(str(record["sid"]), "queued", None)
    assert provider.skew_s == pytest.approx(skew_s, abs=2)


@pytest.mark.parametrize("skew_s", [-120.0, 120.0])
async def test_lists_are_asked_for_by_the_providers_clock(
    twilio: FakeTwilio, make_provider: MakeProvider, skew_s: float
) -> None:
    """A new process asks first what time it is there; what it hears is in our time."""
    now = time_of_day()
    heard = message(direction="inbound", status="received", date_sent=formatdate(now + skew_s))
    provider = make_provider()
    headers = {"Date": date(now + skew_s)}
    twilio.says(Says(200, "{}", headers), Says(200, page(heard), headers))
    [text] = [text async for text in provider.inbound_since(now - 60, now, no_phones)]
    assert text.at == pytest.approx(now, abs=2)
    assert text.at <= time_of_day()
    asked = dict(twilio.asked[1].query)
    since, until = (read(asked[name]) for name in ("DateSent>", "DateSent<"))
    assert now - 63 <= since - skew_s <= now - 60
    assert now <= until - skew_s <= now + 3


def read(instant: str) -> float:
    return datetime.strptime(instant, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
