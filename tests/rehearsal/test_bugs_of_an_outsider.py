"""Bugs that somebody thought of who had not read the rules, each in a world in which it does harm: road, hours, pace."""

from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from gateway.core.rules import hours, retry, safeguards
from gateway.core.sending import daily_cap
from gateway.core.sending.pacing import Pacer
from gateway.core.sending.waiting import Lane, Waiting, WaitingLine
from gateway.core.text import scripts
from gateway.pipeline import answers, decision, delivery, hand_over
from gateway.pipeline.consequences import Consequences
from gateway.providers.base import Refused
from gateway.store import brand_days, claims
from gateway.upkeep import recovery
from gateway.upkeep.recovery import Recovery
from simulator.model.faults import Brownout, FaultParameters, NumberBan
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.planted_bugs import Plant, World, assert_clean, assert_named, rewrite
from tests.rehearsal.small_worlds import (
    A_DAY,
    ELECTION_DAY,
    NEARLY_SHUT,
    SMALL_TOWN,
    TALKATIVE,
    WINDOW_CLOSE,
    campaign,
    chaotic,
    limited,
    small,
    starting,
)

Patch = pytest.MonkeyPatch

_EVENING = NEARLY_SHUT.replace(hour=18, minute=30)
_IN_HAWAII = replace(SMALL_TOWN.population.states[0], state="HI", area_codes=(808,), zip_prefixes=("968",))
_HAWAII = campaign(
    replace(
        small(SMALL_TOWN, hours=3.0, volunteers=8),
        zone="Pacific/Honolulu",
        population=replace(SMALL_TOWN.population, states=(_IN_HAWAII,), elsewhere_share=0.0),
    ),
    zone="Pacific/Honolulu",
    preferred_area_codes=("808",),
)
_DEAD = replace(
    small(SMALL_TOWN, hours=1.5, volunteers=8), population=replace(SMALL_TOWN.population, dead_share=0.3)
)
_NAMELESS = replace(A_DAY, population=replace(A_DAY.population, missing_first_name_share=0.3))
_ELSEWHERE = replace(
    small(ELECTION_DAY, hours=2.5, volunteers=8),
    people=TALKATIVE,
    population=replace(ELECTION_DAY.population, elsewhere_share=0.9),
)
_CRAWLS = FaultParameters(brownouts=(Brownout(0.0, 3600.0, "verizon", 4000.0),))
_BANNED = FaultParameters(number_bans=(NumberBan(at_s=900.0, nth=0, code=21606),))
_LOW_RATE = limited(
    replace(small(ELECTION_DAY, hours=1.5, volunteers=8), people=replace(TALKATIVE, reply_share=0.6)),
    total_per_s=0.1,
)

WORLDS = {
    "a day": World(A_DAY),
    "names are missing": World(_NAMELESS),
    "a number is banned": World(replace(A_DAY, faults=_BANNED)),
    "an evening in Hawaii": World(
        starting(limited(_HAWAII, tmobile_daily_segments=20), NEARLY_SHUT.replace(hour=17))
    ),
    "crashes under a low cap": World(limited(chaotic(SMALL_TOWN, hours=2), tmobile_daily_segments=40)),
    "answers at a low rate": World(_LOW_RATE),
    "a carrier crawls before closing": World(
        starting(replace(small(WINDOW_CLOSE, hours=1.0), faults=_CRAWLS), NEARLY_SHUT)
    ),
    "an hour before closing": World(starting(chaotic(WINDOW_CLOSE, hours=1), NEARLY_SHUT)),
    "October": World(starting(chaotic(SMALL_TOWN, hours=3), SMALL_TOWN.start.replace(hour=20))),
    "people from everywhere": World(starting(_ELSEWHERE, _EVENING)),
    "dead numbers under a low cap": World(limited(_DEAD, tmobile_daily_segments=40)),
    "a bad day": World(chaotic(ELECTION_DAY, hours=2)),
}


def _clocks_anew() -> None:
    """What was worked out with other clocks is forgotten."""
    for known in (hours._timeline, hours._open_spans, hours._constant_offsets):
        known.cache_clear()


@pytest.fixture(autouse=True)
def clocks_of_their_own():
    _clocks_anew()
    yield
    _clocks_anew()


# ---- numbers and caps


def a_banned_number_stays_in_use(patch: Patch) -> None:
    patch.setattr(Consequences, "_blame", lambda *_: None)


def the_day_ends_at_midnight_in_new_york(patch: Patch) -> None:
    patch.setattr(daily_cap, "CAP_ZONE", ZoneInfo("America/New_York"))


def a_crash_empties_the_day(patch: Patch) -> None:
    async def nothing(*_: object, **__: object) -> tuple[int, int]:
        return 0, 0

    patch.setattr(brand_days, "used_since", nothing)
    rewrite(patch, brand_days, "_SETTLE", r"held = d\.held \|\|", "held = '{}'::jsonb ||")


def unknown_carriers_count_in_no_day(patch: Patch) -> None:
    occupy = Pacer.occupy

    def uncapped(pacer: Pacer, slot: float, carrier: str | None, number: int, segments: int) -> None:
        cap = pacer.cap
        pacer.cap = cap if carrier else None
        occupy(pacer, slot, carrier, number, segments)
        pacer.cap = cap

    patch.setattr(Pacer, "occupy", uncapped)


# ---- who goes first, and when


def answers_wait_in_line_with_first_texts(patch: Patch) -> None:
    patch.setattr(decision, "_REPLY", decision._INITIAL)


def the_newest_goes_first(patch: Patch) -> None:
    push = WaitingLine.push

    def newest_first(line: WaitingLine, item: Waiting) -> bool:
        if item.lane is not Lane.INITIAL or item.message_id in line:
            return push(line, item)
        line._sequence += 1
        line._enter((-float(item.message_id), line._sequence, item))
        return True

    patch.setattr(WaitingLine, "push", newest_first)


def every_text_takes_two_slots(patch: Patch) -> None:
    occupy = Pacer.occupy

    def twice(pacer: Pacer, slot: float, carrier: str | None, number: int, segments: int) -> None:
        occupy(pacer, slot, carrier, number, segments)
        pacer._total_free_at = slot + 2 * segments * pacer._total_segment_s

    patch.setattr(Pacer, "occupy", twice)


def a_further_attempt_waits_for_two_hours(patch: Patch) -> None:
    after = delivery.after_failure

    def late(code: int | None, ended: retry.Ended, attempt: int, now: float, not_after: float, **rest):
        follows = after(code, ended, attempt, now, not_after, **rest)
        if isinstance(follows, retry.Again) and ended is not retry.Ended.RECALLED:
            return retry.Again(now + 7200.0, follows.other_number, follows.spends_attempt)
        return follows

    patch.setattr(delivery, "after_failure", late)


def the_provider_has_six_seconds(patch: Patch) -> None:
    patch.setattr(hand_over, "_LONGEST_VALIDITY_S", 6.0)


# ---- hours


def the_hours_end_half_an_hour_early(patch: Patch) -> None:
    verdict = decision.verdict
    patch.setattr(
        decision,
        "verdict",
        lambda now, at, group, kind="initial": verdict(
            now, replace(at, end_minute=at.end_minute - 30), group, kind
        ),
    )


def summer_time_is_ignored(patch: Patch) -> None:
    offset = hours._offset_s
    patch.setattr(hours, "_offset_s", lambda zone, _: offset(zone, 1_767_830_400))  # 8 January 2026


def states_have_no_hours(patch: Patch) -> None:
    patch.setattr(hours, "STATE_WINDOWS", {})


def answers_keep_the_hours_of_first_texts(patch: Patch) -> None:
    patch.setattr(decision, "_ANSWERS", frozenset())


# ---- whom, and what


def landlines_are_texted(patch: Patch) -> None:
    patch.setattr(safeguards, "LANDLINES", frozenset())
    for statement in ("_CLAIM", "_CLAIM_FREE"):
        rewrite(patch, claims, statement, r"IN \('fixed', 'fixedline', 'landline'\)", "IN ('none')")


def a_missing_name_is_left_blank(patch: Patch) -> None:
    patch.setattr(scripts, "_person_text", lambda key, _: lambda person: scripts._text(person, key))


def what_is_unknown_is_called_failed(patch: Patch) -> None:
    async def settle(works: Recovery, left: object) -> bool:
        news = answers.refused(recovery._text(left), Refused(21211, "no such number"), works._clock.now())
        await recovery._written(works._delivery.answer(news), left)
        return True

    patch.setattr(Recovery, "_settle", settle)


_RATES, _IDLE, _BLOCKS = "rates_and_caps", "nothing_idles", "blocked_for_a_reason"
PLANTS = {
    "a banned number stays in use": Plant(
        a_banned_number_stays_in_use, "a number is banned", "one_number_a_contact"
    ),
    "the cap's day ends at midnight in New York": Plant(
        the_day_ends_at_midnight_in_new_york, "an evening in Hawaii", _RATES
    ),
    "a crash empties the cap's day": Plant(a_crash_empties_the_day, "crashes under a low cap", _RATES),
    "unknown carriers count in no day": Plant(
        unknown_carriers_count_in_no_day, "dead numbers under a low cap", _RATES
    ),
    "answers wait in line with first texts": Plant(
        answers_wait_in_line_with_first_texts, "answers at a low rate", _IDLE
    ),
    "the newest goes first": Plant(the_newest_goes_first, "answers at a low rate", _IDLE),
    "every text takes two slots": Plant(every_text_takes_two_slots, "answers at a low rate", _IDLE),
    "a further attempt waits for two hours": Plant(a_further_attempt_waits_for_two_hours, "a bad day", _IDLE),
    "the provider has six seconds": Plant(
        the_provider_has_six_seconds, "a carrier crawls before closing", "presses_sent"
    ),
    "the hours end half an hour early": Plant(
        the_hours_end_half_an_hour_early, "an hour before closing", _BLOCKS
    ),
    "summer time is ignored": Plant(summer_time_is_ignored, "October", "lawful_hours"),
    "states have no hours of their own": Plant(
        states_have_no_hours, "an hour before closing", "lawful_hours"
    ),
    "answers keep the hours of first texts": Plant(
        answers_keep_the_hours_of_first_texts, "people from everywhere", _BLOCKS
    ),
    "landlines are texted": Plant(landlines_are_texted, "a day", "one_first_text"),
    "a missing name is left blank": Plant(a_missing_name_is_left_blank, "names are missing", "right_words"),
    "what is unknown is called failed": Plant(
        what_is_unknown_is_called_failed, "a bad day", "books_balance", frozenset({_BLOCKS})
    ),
}


@pytest.mark.parametrize("name", WORLDS)
def test_without_the_bug_the_world_is_in_order(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_clean(rehearse, monkeypatch, WORLDS[name])


@pytest.mark.parametrize("name", PLANTS)
def test_the_auditor_sees(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_named(rehearse, monkeypatch, WORLDS, PLANTS[name])
