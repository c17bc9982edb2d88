"""Bugs that a second and a third outsider thought of and that no rule named at first, each in a world in which it does
harm; and more of the kind for the rule that came of them."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from gateway.core.bank import results
from gateway.core.bank.results import FigureName
from gateway.core.rules import retry
from gateway.core.rules.errors import Box
from gateway.core.rules.lifecycle import State
from gateway.core.sending.numbers import NumberPool
from gateway.pipeline import decision, delivery
from gateway.store import buckets, chores, conversations, counts
from gateway.upkeep import inbound_poll
from gateway.upkeep.inbound_poll import InboundPoll
from gateway.upkeep.recovery import Recovery
from simulator.model.faults import CarrierFailure, FaultParameters, NumberBan
from simulator.model.scenario import BreakerParameters
from simulator.model.volunteers import Shift
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.planted_bugs import (
    Plant,
    World,
    assert_clean,
    assert_named,
    people_change_their_minds,
    rewrite,
)
from tests.rehearsal.small_worlds import (
    ELECTION_DAY,
    NEARLY_SHUT,
    TALKATIVE,
    WINDOW_CLOSE,
    campaign,
    chaotic,
    known_at_once,
    small,
    starting,
)
from tests.rehearsal.test_bugs_of_shared_opt_outs import together

Patch = pytest.MonkeyPatch

_CALM = small(ELECTION_DAY, hours=1.5, volunteers=8, people=TALKATIVE)
_SLOWED = replace(_CALM, faults=FaultParameters(throttled_share=0.04))
_UNSURE = replace(_CALM, carriers=replace(ELECTION_DAY.carriers, unknown_error_share=0.15))
_FAILS = replace(
    _CALM,
    faults=FaultParameters(
        carrier_failures=tuple(
            CarrierFailure(600.0, 900.0, carrier, 30017, 0.5) for carrier in ("att", "verizon", "tmobile")
        )
    ),
)
_CRASHES = replace(
    _CALM,
    people=replace(TALKATIVE, reply_share=0.6, opt_out_share=0.05, hostile_share=0.02),
    volunteers=replace(_CALM.volunteers, count=16, desk_share=0.5, desk_every_s=20.0),
    faults=FaultParameters(gateway_crashes_at_s=tuple(range(900, 4500, 150))),
)
_LOST = replace(
    _CALM, faults=FaultParameters(answers_lost_before_share=0.15, gateway_crashes_at_s=(1800.0, 2400.0))
)
_BANNED = replace(
    known_at_once(
        campaign(
            small(ELECTION_DAY, hours=2.0, volunteers=20),
            rotate_after=200,
            breaker=BreakerParameters(opens=False),
        )
    ),
    faults=FaultParameters(number_bans=(NumberBan(at_s=0.0, nth=1, code=30007),)),
)
_EARLY_LEAVERS = replace(
    _CALM,
    volunteers=replace(
        _CALM.volunteers, bucket=60, shifts=(Shift(0.0, 0.05, 0.5), Shift(0.1, 1.2, 0.5)), retry_claim_s=60.0
    ),
)
_TWO = together(known_at_once(small(ELECTION_DAY, hours=2.0, people=TALKATIVE)), "campaign")
_OVERRUN = replace(
    small(ELECTION_DAY, hours=2.5, volunteers=8),
    people=replace(TALKATIVE, reply_share=0.6, opt_out_share=0.05, hostile_share=0.02),
)
_OVERRUN = replace(
    _OVERRUN,
    volunteers=replace(
        _OVERRUN.volunteers, answer_median_s=120.0, answer_p99_s=200.0, desk_share=0.4, desk_every_s=60.0
    ),
)

WORLDS = {
    "a calm day": World(_CALM),
    "an hour before closing": World(starting(chaotic(WINDOW_CLOSE, hours=1), NEARLY_SHUT)),
    "now and then the provider says slow down": World(_SLOWED),
    "carriers often can't tell": World(_UNSURE),
    "carriers fail for a while": World(_FAILS),
    "crashes, and people change their minds": World(
        _CRASHES, lambda patch: people_change_their_minds(patch, after_s=10.0), contacts=400
    ),
    "answers are lost, and crashes": World(_LOST),
    "one number of many is banned": World(_BANNED, contacts=600),
    "two campaigns with a list each": World(_TWO),
    "volunteers who leave early": World(_EARLY_LEAVERS),
    "a desk that is overrun": World(_OVERRUN, contacts=300),
    "carriers filter a tenth": World(
        replace(_CALM, filtering=replace(ELECTION_DAY.filtering, base_share=0.10))
    ),
}


def any_text_counts_as_the_same(patch: Patch) -> None:
    facts = decision._facts

    def same(campaign: object, recipient: object, text_hash: int, now: float, **rest: object) -> object:
        some = next(iter(recipient.recent_texts), text_hash)
        return facts(campaign, recipient, some, now, **rest)

    patch.setattr(decision, "_facts", same)


def the_last_nine_minutes_are_given_away(patch: Patch) -> None:
    verdict = decision.verdict
    patch.setattr(
        decision,
        "verdict",
        lambda now, at, group, kind="initial": verdict(
            now, replace(at, end_minute=at.end_minute - 9), group, kind
        ),
    )


Changed = Callable[[int | None, retry.Ended, int, float], retry.Again | retry.GiveUp | None]


def _follows(patch: Patch, changed: Changed) -> None:
    """What follows an attempt is what `changed` says; None: as before."""
    after = delivery.after_failure

    def other(code: int | None, ended: retry.Ended, attempt: int, now: float, not_after: float, **rest):
        return changed(code, ended, attempt, now) or after(code, ended, attempt, now, not_after, **rest)

    patch.setattr(delivery, "after_failure", other)


def a_slow_down_is_waited_for_ten_minutes(patch: Patch) -> None:
    def late(_code, ended, _attempt, now):
        return retry.Again(now + 600.0, False, False) if ended is retry.Ended.THROTTLED else None

    _follows(patch, late)


def what_may_have_arrived_is_sent_again(patch: Patch) -> None:
    def again(code, ended, attempt, now):
        may_have_it = ended is retry.Ended.UNDELIVERED and code == 30008 and attempt == 1
        return retry.Again(now + 60.0, False, True) if may_have_it else None

    _follows(patch, again)


def one_attempt_is_made(patch: Patch) -> None:
    def never(_code, ended, _attempt, _now):
        return retry.GiveUp(retry.State.UNDELIVERED) if ended is retry.Ended.UNDELIVERED else None

    _follows(patch, never)


def the_youngest_minute_of_an_outage_is_not_fetched(patch: Patch) -> None:
    async def but_the_youngest(poll: InboundPoll) -> None:
        now = poll._clock.now()
        done_until = await chores.done_until(poll._database, inbound_poll.NAME)
        await poll._fetch(done_until, now, now - 60.0)
        await chores.reached(poll._database, inbound_poll.NAME, now)

    patch.setattr(InboundPoll, "catch_up", but_the_youngest)


def who_is_given_back_is_kept(patch: Patch) -> None:
    for statement in ("_RELEASE", "_GIVE_BACK"):
        rewrite(patch, buckets, statement, r"SET volunteer_id = NULL", "SET volunteer_id = 1000000")


def every_reply_counts_as_a_responder(patch: Patch) -> None:
    rewrite(patch, conversations, "_HEAR", r"CASE WHEN is_first THEN", "CASE WHEN true THEN")


def filtered_texts_stand_among_the_errors(patch: Patch) -> None:
    patch.setitem(results._OF_BOX, Box.FILTERING, FigureName.TWILIO_ERRORS)


def what_is_delivered_is_under_way(patch: Patch) -> None:
    patch.setattr(results, "WENT_OUT", (State.SENT.value,))


def what_is_blocked_is_under_way(patch: Patch) -> None:
    box = results.failure_box
    patch.setattr(
        results, "failure_box", lambda state, code: None if state == State.BLOCKED else box(state, code)
    )


def a_start_lifts_the_opt_outs_of_every_campaign(patch: Patch) -> None:
    rewrite(
        patch,
        conversations,
        "_HEAR",
        r"DELETE FROM opt_outs\s+WHERE organisation_id = \$1 AND scope = \$3",
        "DELETE FROM opt_outs WHERE organisation_id = $1 AND $3::bigint IS NOT NULL",
    )


def nobody_asks_about_what_is_left(patch: Patch) -> None:
    async def nothing(*_: object) -> None:
        return None

    patch.setattr(Recovery, "run_once", nothing)


def a_filtered_number_goes_on(patch: Patch) -> None:
    patch.setattr(NumberPool, "quarantine", lambda *_: None)


def a_look_takes_what_another_is_shown(patch: Patch) -> None:
    free = r"\(v\.offered_at IS NULL OR v\.offered_at <= to_timestamp\(\$8\)\)"
    rewrite(patch, conversations, "_ATTENTION", free, "true")


def segments_of_a_state_that_was_left_stay(patch: Patch) -> None:
    for name, statement in vars(counts).copy().items():
        if isinstance(statement, str) and "-segments" in statement:
            rewrite(patch, counts, name, r"-segments", "0")


_BLOCKS, _IDLE, _CONSENT = "blocked_for_a_reason", "nothing_idles", "consent_kept"
_RESULTS = "results_told"
PLANTS = {
    "any text counts as the same": Plant(any_text_counts_as_the_same, "a calm day", _BLOCKS),
    "the last nine minutes are given away": Plant(
        the_last_nine_minutes_are_given_away, "an hour before closing", _BLOCKS
    ),
    "a slow-down is waited for ten minutes": Plant(
        a_slow_down_is_waited_for_ten_minutes, "now and then the provider says slow down", _IDLE
    ),
    "what may have arrived is sent again": Plant(
        what_may_have_arrived_is_sent_again, "carriers often can't tell", "accepted_once"
    ),
    "one attempt is made": Plant(one_attempt_is_made, "carriers fail for a while", "presses_sent"),
    "the youngest minute of an outage is not fetched": Plant(
        the_youngest_minute_of_an_outage_is_not_fetched,
        "crashes, and people change their minds",
        "no_text_after_opt_out",
        seeds=3,
    ),
    "who is given back is kept for somebody else": Plant(
        who_is_given_back_is_kept, "volunteers who leave early", "one_volunteer_a_contact"
    ),
    "every reply counts as a responder": Plant(every_reply_counts_as_a_responder, "a calm day", _RESULTS),
    "filtered texts stand among the errors": Plant(
        filtered_texts_stand_among_the_errors, "carriers filter a tenth", _RESULTS
    ),
    "what is delivered is under way": Plant(what_is_delivered_is_under_way, "a calm day", _RESULTS),
    "what is blocked is under way": Plant(what_is_blocked_is_under_way, "a calm day", _RESULTS),
    "START lifts the opt-outs of every campaign": Plant(
        a_start_lifts_the_opt_outs_of_every_campaign, "two campaigns with a list each", _CONSENT
    ),
    "nobody asks about what is left": Plant(
        nobody_asks_about_what_is_left, "answers are lost, and crashes", "books_balance"
    ),
    "a filtered number goes on": Plant(
        a_filtered_number_goes_on, "one number of many is banned", "filtered_scripts_stopped"
    ),
    "a look takes what another is shown": Plant(
        a_look_takes_what_another_is_shown, "a desk that is overrun", "replies_shown"
    ),
    "segments of a state that was left stay": Plant(
        segments_of_a_state_that_was_left_stay, "a calm day", _RESULTS
    ),
}


@pytest.mark.parametrize("name", WORLDS)
def test_without_the_bug_the_world_is_in_order(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_clean(rehearse, monkeypatch, WORLDS[name])


@pytest.mark.parametrize("name", PLANTS)
def test_the_auditor_sees(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_named(rehearse, monkeypatch, WORLDS, PLANTS[name])
