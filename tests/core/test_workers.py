"""Who lives and whose share a campaign is, by beats and one's own steady clock alone."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.sending.workers import DEAD_AFTER_BEATS, TRUSTED_BEATS, Roster, share_of

ME, ANN, BOB = 1, 2, 3
BEAT_S = 2.0
CAMPAIGNS = range(1, 501)


def looks(roster: Roster, *, count: int, beats, since: float = 0.0, every_s: float = BEAT_S) -> float:
    """Looks `count` times; `beats(nth)` is what each saw. Returns when the last one was."""
    for nth in range(count):
        roster.saw(since + nth * every_s, beats(nth))
    return since + (count - 1) * every_s


def test_who_beats_lives():
    roster = Roster(ME, BEAT_S)
    looks(roster, count=100, beats=lambda nth: {ANN: nth, BOB: nth // 2})
    assert (roster.living(), roster.dead()) == ([ME, ANN, BOB], [])


@pytest.mark.parametrize(("looked", "dead"), [(DEAD_AFTER_BEATS, []), (DEAD_AFTER_BEATS + 1, [BOB])])
def test_who_stands_still_for_long_enough_is_dead(looked: int, dead: list[int]):
    roster = Roster(ME, BEAT_S)
    looks(roster, count=looked, beats=lambda nth: {ANN: nth, BOB: 7})
    assert roster.dead() == dead


def test_who_beats_again_lives_again():
    roster = Roster(ME, BEAT_S)
    ended = looks(roster, count=20, beats=lambda _: {ANN: 7})
    roster.saw(ended + BEAT_S, {ANN: 8})
    assert roster.dead() == []


def test_a_worker_that_left_is_nobody():
    roster = Roster(ME, BEAT_S)
    ended = looks(roster, count=20, beats=lambda _: {ANN: 7})
    roster.saw(ended + BEAT_S, {})
    assert (roster.living(), roster.dead()) == ([ME], [])


def test_after_an_outage_everybody_has_a_whole_time_to_beat_again():
    """Nobody could beat; and who was frozen itself has seen nothing."""
    roster = Roster(ME, BEAT_S)
    ended = looks(roster, count=5, beats=lambda nth: {ANN: nth})
    roster.saw(ended + 3600, {ANN: 4})
    assert roster.dead() == []


def test_a_worker_stops_trusting_itself_well_before_others_take_it_for_dead():
    assert TRUSTED_BEATS + 1 < DEAD_AFTER_BEATS


@given(st.sets(st.integers(1, 1000), min_size=1, max_size=12), st.integers(1001, 2000))
def test_a_worker_that_comes_or_goes_moves_only_its_share(workers: set[int], newcomer: int):
    before = {each: share_of(each, workers) for each in CAMPAIGNS}
    after = {each: share_of(each, {*workers, newcomer}) for each in CAMPAIGNS}
    assert {after[each] for each in CAMPAIGNS if before[each] != after[each]} <= {newcomer}


def test_shares_are_about_equal():
    counts = Counter(share_of(each, [ME, ANN, BOB]) for each in CAMPAIGNS)
    assert all(500 / 3 * 0.75 < count < 500 / 3 * 1.25 for count in counts.values())


def test_a_share_hangs_on_nothing_but_names():
    assert share_of(7, [ME, ANN, BOB]) == share_of(7, [BOB, ME, ANN])


def test_a_worker_whose_connection_has_ended_is_dead_sooner():
    roster = Roster(ME, BEAT_S)
    for nth in range(6):
        assert roster.dead() == []
        roster.saw(nth * BEAT_S / 4, {ANN: 7}, [ANN])
        assert roster.doubts() == (nth < 5)
    assert roster.dead() == [ANN]


def test_a_worker_that_opens_another_connection_in_time_lives():
    roster = Roster(ME, BEAT_S)
    for nth in range(8):
        roster.saw(nth * BEAT_S, {ANN: nth}, [ANN] if nth == 4 else [])
        assert roster.dead() == []
