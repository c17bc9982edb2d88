"""Each rule about messages, its safeguard switched off: the auditor sees it (invariants 3, 4, 5, 7 and 8)."""

import pytest
from msgspec.structs import replace

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.lifecycle import State
from gateway.core.sending.pacing import DailyCap, Pacer
from gateway.metrics import Metrics
from gateway.pipeline import answers
from gateway.pipeline.admission import StraightOn
from gateway.pipeline.lease import Held
from gateway.pipeline.recent_durations import RecentDurations
from gateway.pipeline.road import CampaignRoad
from gateway.store import claims, messages, receipts
from simulator.model.faults import FaultParameters
from simulator.model.scenario import Scenario
from simulator.rehearsal import run as rehearsal
from simulator.rehearsal.provider import SimulatedProvider
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.planted_bugs import (
    Plant,
    World,
    assert_clean,
    assert_named,
    longer_waits,
    rewrite,
)
from tests.rehearsal.small_worlds import (
    A_DAY,
    ELECTION_DAY,
    SMALL_TOWN,
    UNRELIABLE_WEBHOOKS,
    campaign,
    known_at_once,
    limited,
    small,
    told,
)

Patch = pytest.MonkeyPatch

_LOST = FaultParameters(answers_lost_after_share=0.10, errors_after_share=0.05)


def in_a_rush(scenario: Scenario) -> Scenario:
    """All volunteers come at once."""
    return replace(scenario, volunteers=replace(scenario.volunteers, late_at_most_s=5.0))


def a_slow_database(patch: Patch, answer_s: float) -> None:
    patch.setattr(rehearsal, "ANSWER_S", answer_s)
    longer_waits(patch, dispatch={"horizon_s": 2 * answer_s, "look_valid_s": 1.5 * answer_s})


WORLDS = {
    "a day": World(A_DAY),
    "answers are lost": World(replace(A_DAY, faults=_LOST)),
    "answers and callbacks are lost": World(
        replace(A_DAY, faults=_LOST, webhooks=replace(UNRELIABLE_WEBHOOKS, lost_share=0.5))
    ),
    "the provider says slow down": World(replace(A_DAY, faults=FaultParameters(throttled_share=0.2))),
    "many numbers": World(campaign(A_DAY, rotate_after=15)),
    "a rush": World(
        limited(known_at_once(in_a_rush(small(ELECTION_DAY, hours=0.2, volunteers=30))), total_per_s=2.0),
        lambda patch: a_slow_database(patch, answer_s=8.0),
    ),
    "a low rate": World(limited(A_DAY, total_per_s=0.05)),
    "a low cap": World(limited(small(SMALL_TOWN, hours=1.5, volunteers=8), tmobile_daily_segments=30)),
}


# ---- 3: accepted at most once


def a_lost_answer_is_sent_again(patch: Patch) -> None:
    patch.setattr(answers, "lost", answers.not_sent)


def recovery_believes_nothing_was_sent(patch: Patch) -> None:
    async def never(*_: object, **_k: object) -> None:
        return None

    patch.setattr(SimulatedProvider, "find", never)


def every_tenth_is_sent_twice(patch: Patch) -> None:
    send = SimulatedProvider.send

    async def twice(self: SimulatedProvider, text: object) -> object:
        answer = await send(self, text)
        if text.message_id % 10 == 0:
            await send(self, text)
        return answer

    patch.setattr(SimulatedProvider, "send", twice)


# ---- 4: the books balance


def every_tenth_request_is_dropped(patch: Patch) -> None:
    admit = messages.admit

    async def dropping(
        connection: object,
        key: CampaignKey,
        scope: int,
        rows: list[messages.Admission],
        ask_at: float,
        *more: object,
        **named: object,
    ) -> set[int]:
        kept = [row for row in rows if row.message_id % 10]
        await admit(connection, key, scope, kept, ask_at, *more, **named)
        return {row.message_id for row in rows}

    patch.setattr(messages, "admit", dropping)


def receipts_are_not_believed(patch: Patch) -> None:
    _without(patch, "sent>delivered")


def a_final_state_may_change(patch: Patch) -> None:
    patch.setattr(receipts, "LEGAL_MOVES", [f"{before}>{after}" for before in State for after in State])
    patch.setattr(Metrics, "transition", lambda *_: None)  # it would raise at such a move


# ---- 5: what the carrier accepted is stored


def the_intent_is_not_written(patch: Patch) -> None:
    looked_at: set[int] = set()

    async def only_look(
        connection: object, key: CampaignKey, _scope: int, rows: list[claims.Claim], **_times: float
    ) -> dict[int, int]:
        new = [
            row.message_id for row in rows if row.message_id not in looked_at
        ]  # once each, lest it never ends
        looked_at.update(new)
        found = await connection.fetch(
            "SELECT message_id, attempt + 1 FROM messages"
            " WHERE campaign_id = $1 AND message_id = ANY ($2::bigint[]) ORDER BY message_id",
            key.campaign_id,
            new,
        )
        return {row[0]: row[1] for row in found}

    patch.setattr(claims, "claim", only_look)
    patch.setattr(CampaignRoad, "straight_on", lambda *_: None)


def another_number_is_used(patch: Patch) -> None:
    go = CampaignRoad.go

    def astray(road: CampaignRoad, message: messages.Queued, to: StraightOn) -> None:
        others = sorted(road.pool.numbers)
        shift = message.message_id % 10 == 0
        go(road, message, replace(to, number_id=others[(others.index(to.number_id) + shift) % len(others)]))

    patch.setattr(CampaignRoad, "go", astray)


# ---- 7: rates and caps


def nobody_paces(patch: Patch) -> None:
    patch.setattr(Pacer, "earliest", lambda _pacer, now, *_: now)


def missed_slots_are_made_up_for(patch: Patch) -> None:
    """A text whose slot passed while it was written goes at once, on top of those whose slot has come."""
    patch.setattr(Held, "take_new_slot", lambda _held, _now: None)
    patch.setattr(RecentDurations, "longest_s", 0.0)


def the_cap_is_no_cap(patch: Patch) -> None:
    patch.setattr(DailyCap, "clear_at", lambda _cap, at, _segments: at)


# ---- 8: legal moves


def answers_are_not_believed(patch: Patch) -> None:
    """Nor is what the provider says when it is asked about them."""
    _without(patch, "sending>sent", "unknown>sent")


def past_attempts_are_not_kept(patch: Patch) -> None:
    rewrite(patch, receipts, "_REQUEUE", r"JOIN messages m ON ", "JOIN messages m ON false AND ")


def _without(patch: Patch, *moves: str) -> None:
    assert set(moves) <= set(messages.LEGAL_MOVES)
    patch.setattr(receipts, "LEGAL_MOVES", [legal for legal in messages.LEGAL_MOVES if legal not in moves])


_TWICE = "accepted_once"
_BOOKS = "books_balance"
_STORED = "accepted_is_stored"
_RATES = "rates_and_caps"
_MOVES = "legal_moves"
PLANTS = {
    # a receipt that comes with the wrong word that nothing was sent is not believed
    "a lost answer is sent again": Plant(
        a_lost_answer_is_sent_again, "answers are lost", _TWICE, frozenset({_BOOKS, _MOVES})
    ),
    # what goes back to the queue may meet a STOP there: blocked although its attempt arrived
    "recovery believes nothing was sent": Plant(
        recovery_believes_nothing_was_sent, "answers and callbacks are lost", _TWICE, frozenset({_MOVES})
    ),
    # the second text of a message ends in its own way, so that the books differ from the ledger
    "every tenth is sent twice": Plant(every_tenth_is_sent_twice, "a day", _TWICE, frozenset({_BOOKS})),
    # some of the dropped were handed over already, and a reply to such a text opens no conversation of an action
    "every tenth request is dropped": Plant(
        every_tenth_request_is_dropped,
        "a day",
        _BOOKS,
        frozenset({_STORED, "replies_shown", "one_first_text"}),
    ),
    "receipts are not believed": Plant(receipts_are_not_believed, "a day", _BOOKS),
    "a final state may change": Plant(a_final_state_may_change, "a day", _BOOKS, frozenset({_MOVES})),
    # the books then say `queued` of what was delivered, and an attempt is missing
    "the intent is not written": Plant(
        the_intent_is_not_written, "a day", _STORED, frozenset({_BOOKS, _MOVES, "nothing_idles"})
    ),
    "another number is used": Plant(
        another_number_is_used, "many numbers", _STORED, frozenset({"one_number_a_contact"})
    ),
    "nobody paces": Plant(nobody_paces, "a low rate", _RATES),
    "missed slots are made up for": Plant(missed_slots_are_made_up_for, "a rush", _RATES),
    "the cap is no cap": Plant(the_cap_is_no_cap, "a low cap", _RATES),
    "answers are not believed": Plant(answers_are_not_believed, "a day", _MOVES),
    "past attempts are not kept": Plant(past_attempts_are_not_kept, "the provider says slow down", _MOVES),
}


@pytest.mark.parametrize("name", WORLDS)
def test_without_the_bug_the_world_is_in_order(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_clean(rehearse, monkeypatch, WORLDS[name])


@pytest.mark.parametrize("name", PLANTS)
def test_the_auditor_sees(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_named(rehearse, monkeypatch, WORLDS, PLANTS[name])


def test_a_request_that_is_gone_has_a_story(rehearse: Rehearse, monkeypatch: Patch) -> None:
    """At least who was told what, when, and of whom."""
    every_tenth_request_is_dropped(monkeypatch)
    done = rehearse(WORLDS["a day"].scenario, contacts=150, seed=3)
    gone = [each for each in done.violations if each.what == "acknowledged, and not in the store"]
    assert gone
    for each in gone:
        assert any(f"is told: message {each.message_id} to +1" in line for line in each.story), told(done)


def test_a_press_that_ends_in_an_error_is_told(rehearse: Rehearse, monkeypatch: Patch) -> None:
    async def broken_admission(*_: object, **__: object) -> set[int]:
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr(messages, "admit", broken_admission)
    done = rehearse(WORLDS["a day"].scenario, contacts=30, seed=3)
    assert done.result.verdict == "NO-GO"
    assert any(
        "presses of Send ended in an error" in reason and "the disk is on fire" in reason
        for reason in done.result.verdict_reasons
    ), done.result.verdict_reasons
