"""The verdict of the carrier's ledger: each of the four wrongs is seen, and what is right is not taken for one."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from loadtests.ledger import Ledger, Verdict, judged
from loadtests.people import MOST, ZONES, contacts, zone_of

NOON = datetime(2026, 11, 3, 12, tzinfo=ZoneInfo("America/New_York")).timestamp()
MARIA, BOB = 17175550101, 13125550102  # in Pennsylvania and in Chicago
CAMPAIGN, OURS, THEIRS = 1000, 12155550199, 12155550198


def text(
    n: int, message_id: int, *, to: int = MARIA, at: float = 10.0, campaign_id: int = CAMPAIGN
) -> dict[str, Any]:
    return {
        "n": n,
        "to": to,
        "arrived_at": at,
        "message_id": message_id,
        "campaign_id": campaign_id,
        "sender": OURS,
    }


def verdict(
    *texts: dict[str, Any],
    shown: tuple[int, ...] = (),
    said: tuple[tuple[int, str, float, float | None], ...] = (),
    start_at: float = NOON,
    acknowledged: tuple[int, ...] = (),
    states: dict[int, str] | None = None,
    to: int = OURS,
) -> Verdict:
    """`shown`: the n of texts on a phone. `said`: (person, words, when, when acknowledged)."""
    ledger = Ledger(
        start_at=start_at,
        cost_usd=0.5,
        submissions=list(texts),
        arrivals=[{"n": n, "at": 11.0, "shown": 1} for n in shown],
        inbound=[{"person": who, "text": words, "at": at, "number": to} for who, words, at, _ in said],
        inbound_acknowledged=[{"n": n, "at": at} for n, (*_, at) in enumerate(said) if at is not None],
        finals=[],
    )
    return judged(ledger, CAMPAIGN, acknowledged, lambda each: (states or {}).get(each, "queued"))


def test_a_text_that_nobody_has_is_lost_unless_it_was_not_sent_or_waits() -> None:
    """And what the gateway says is sent, but the carrier never saw, is lost too."""
    states = {2: "", 3: "failed", 4: "queued", 5: "sending", 6: "delivered"}
    found = verdict(text(0, 1), shown=(0,), acknowledged=(1, 2, 3, 4, 5, 6), states=states)
    assert (found.lost, found.unsent, found.waiting, found.acknowledged) == (2, 1, 2, 6)
    assert not found.held


def test_a_text_that_came_on_a_phone_twice_is_seen() -> None:
    twice = verdict(text(0, 1), text(1, 1), shown=(0, 1), acknowledged=(1,))
    assert (twice.twice, twice.held) == (1, False)
    tried_again = verdict(text(0, 1), text(1, 1), shown=(1,), acknowledged=(1,))
    assert (tried_again.twice, tried_again.held) == (0, True)


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ([(MARIA, " stop ", 1.0, 5.0)], 1),
        ([(MARIA, "STOP", 1.0, 9.5)], 0),  # it may have been on the wire
        ([(MARIA, "STOP", 1.0, None)], 0),  # the gateway never had it
        ([(MARIA, "Please stop by", 1.0, 5.0)], 0),
        ([(BOB, "STOP", 1.0, 5.0)], 0),
        ([(MARIA, "STOP", 1.0, 5.0), (MARIA, "START", 8.0, 8.1)], 0),
        ([(MARIA, "STOP", 1.0, 5.0), (MARIA, "START", 12.0, 12.1)], 1),
        ([(MARIA, "STOP", 1.0, 5.0), (MARIA, "START", 6.0, 6.1), (MARIA, "QUIT", 7.0, 7.1)], 1),
    ],
)
def test_a_text_after_a_stop_is_seen(said: list[tuple[int, str, float, float | None]], wrong: int) -> None:
    assert verdict(text(0, 1), said=tuple(said), acknowledged=(1,)).after_stop == wrong


def test_a_stop_to_another_campaign_is_none_of_ours() -> None:
    """A calibration just before texts the same people."""
    theirs = verdict(text(0, 1), said=((MARIA, "STOP", 1.0, 5.0),), acknowledged=(1,), to=THEIRS)
    assert (theirs.after_stop, theirs.opt_outs) == (0, 0)


@pytest.mark.parametrize(
    ("to", "moved_h", "wrong"),
    [(MARIA, 0, 0), (MARIA, 8.9, 0), (MARIA, 9.0, 1), (BOB, 9.0, 0), (BOB, 10.0, 1), (BOB, -2.5, 1)],
)
def test_hours_are_those_where_the_person_is(to: int, moved_h: float, wrong: int) -> None:
    assert verdict(text(0, 1, to=to), start_at=NOON + moved_h * 3600).outside_hours == wrong


def test_other_campaigns_are_not_judged() -> None:
    found = verdict(text(0, 1, campaign_id=7), said=((MARIA, "STOP", 1.0, 2.0),), acknowledged=())
    assert (found.handed_over, found.after_stop, found.held) == (0, 0, True)


def test_people_are_as_many_as_promised_each_once_and_in_a_known_zone() -> None:
    phones = [row["phone"] for row in contacts(250_000)]
    assert len(set(phones)) == 250_000 <= MOST
    assert {zone_of(int(phone[1:])) for phone in phones[: len(ZONES)]} == set(ZONES.values())
    with pytest.raises(ValueError, match="take fewer contacts"):
        next(contacts(MOST + 1))
