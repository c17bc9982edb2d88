"""Bugs that a third outsider thought of, each in a world in which it does harm."""

import pytest
from msgspec.structs import replace

from gateway.store import conversations, counts
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.planted_bugs import Plant, World, assert_clean, assert_named, rewrite
from tests.rehearsal.small_worlds import ELECTION_DAY, TALKATIVE, small

Patch = pytest.MonkeyPatch

_CALM = small(ELECTION_DAY, hours=1.5, volunteers=8, people=TALKATIVE)
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
    "a desk that is overrun": World(_OVERRUN, contacts=300),
}


def a_look_takes_what_another_is_shown(patch: Patch) -> None:
    free = r"\(v\.offered_at IS NULL OR v\.offered_at <= to_timestamp\(\$8\)\)"
    rewrite(patch, conversations, "_ATTENTION", free, "true")


def segments_of_a_state_that_was_left_stay(patch: Patch) -> None:
    for name, statement in vars(counts).copy().items():
        if isinstance(statement, str) and "-segments" in statement:
            rewrite(patch, counts, name, r"-segments", "0")


PLANTS = {
    "a look takes what another is shown": Plant(
        a_look_takes_what_another_is_shown, "a desk that is overrun", "replies_shown"
    ),
    "segments of a state that was left stay": Plant(
        segments_of_a_state_that_was_left_stay, "a calm day", "results_told"
    ),
}


@pytest.mark.parametrize("name", WORLDS)
def test_without_the_bug_the_world_is_in_order(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_clean(rehearse, monkeypatch, WORLDS[name])


@pytest.mark.parametrize("name", PLANTS)
def test_the_auditor_sees(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_named(rehearse, monkeypatch, WORLDS, PLANTS[name])
