"""Limits told in time: two thirds and the whole, each once, and when it will be."""

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bank.limits import (
    Forecast,
    History,
    Level,
    Limit,
    Reading,
    hit_at,
    level,
    seconds_left,
    share,
    title,
    words,
)


def readings(*used: float, every_s: float = 60.0, most: float = 100.0, **more: float) -> list[Reading]:
    return [Reading(at=1000 + nth * every_s, used=each, most=most, **more) for nth, each in enumerate(used)]


def test_it_is_said_at_two_thirds_and_at_the_whole_and_each_once() -> None:
    said = [Level.WELL]
    for used in (0, 50, 66, 67, 68, 60, 67, 99, 100, 120, 99, 67, 60, 51, 49, 67):
        said.append(level(said[-1], used / 100))
    rises = sum(after > before for before, after in pairwise(said))
    assert rises == 3, "two thirds, the whole, and two thirds again after less than a half"
    assert said[-1] is Level.WARNED


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_a_level_never_flickers_between_a_half_and_the_whole(shares: list[float]) -> None:
    now = Level.WELL
    for used in shares:
        after = level(now, used)
        assert after is Level.REACHED if used >= 1 else True
        assert after is Level.WELL if used < 0.5 else after >= min(now, after)
        if 0.5 <= used < 1:
            assert after >= now
        now = after


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        ((10, 20), 1060 + 480),  # ten a minute, eighty are left
        ((0, 0), None),
        ((50,), None),
        ((90, 100), 1060),
        ((0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 20), 1720 + 80 * 600 / 20),  # the pace of ten minutes
    ],
)
def test_when_it_will_be_full(used: tuple[float, ...], expected: float | None) -> None:
    assert hit_at(readings(*used)) == expected


def test_what_begins_anew_before_it_is_full_is_not_hit() -> None:
    assert hit_at(readings(10, 20, resets_at=1500)) is None
    assert hit_at(readings(10, 20, resets_at=1600)) == 1540


def test_a_reading_may_know_by_itself() -> None:
    assert hit_at(readings(10, 20, full_at=inf)) is None
    assert hit_at(readings(10, 120, full_at=5000)) == 5000


def test_a_new_day_is_a_new_history() -> None:
    history = History()
    for reading in (
        *readings(80, 90),
        Reading(at=1120, used=1, most=100),
        Reading(at=1180, used=2, most=100),
    ):
        history.add(reading)
    forecast = history.forecast(Limit.TMOBILE_DAY, Level.WARNED)
    assert (forecast.level, forecast.hit_at) == (Level.WELL, 1180 + 98 * 60)


def test_shares_of_nothing() -> None:
    assert [share(0, 0), share(1, 0), share(1, 2)] == [0.0, 1.0, 0.5]
    assert [seconds_left(0, 0), seconds_left(10, 0), seconds_left(10, 2)] == [0.0, 0.0, 5.0]


@pytest.mark.parametrize("limit", list(Limit))
def test_every_limit_is_said_in_words(limit: Limit) -> None:
    two = Forecast(limit=limit, level=Level.WARNED, used=7, most=10, hit_at=None, resets_at=None)
    assert title(two).endswith("is two thirds used")
    assert words(limit).endswith(".")
