"""The search for the capacity: it closes in on the knee whatever the knee is, through noise, and says when it can't."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.search import Judged, Search

PRECISION = 1.1


def searched(knee: float, *, first: float = 100.0, most: float = 12_500.0) -> Search:
    search = Search(first, most=most, precision=PRECISION)
    for _ in range(200):
        rate = search.next_rate()
        if rate is None:
            return search
        search.told("held" if rate <= knee else "failed")
    raise AssertionError("it never ends")


@given(st.floats(2.0, 12_000.0))
def test_the_knee_is_between_what_holds_and_what_fails(knee: float) -> None:
    search = searched(knee)
    assert search.holds is not None
    assert search.fails is not None
    assert search.holds <= knee < search.fails <= search.holds * PRECISION
    assert search.interval == (search.holds, search.fails)


def test_each_rate_is_decided_by_most_of_its_tries() -> None:
    search = Search(100.0, repeats=3)
    says: list[tuple[float, Judged]] = [
        (100.0, "held"),
        (100.0, "failed"),
        (100.0, "held"),  # holds
        (200.0, "failed"),
        (200.0, "invalid"),  # says nothing
        (200.0, "failed"),  # fails
    ]
    for rate, judged in says:
        assert search.next_rate() == rate
        search.told(judged)
    assert (search.holds, search.fails) == (100.0, 200.0)
    assert search.interval == (0.0, 200.0)  # a try at 100 failed
    assert search.next_rate() == pytest.approx(141.42, abs=0.01)


def test_the_most_is_not_passed() -> None:
    search = searched(1e9, most=700.0)
    assert (search.holds, search.fails) == (700.0, None)
    assert search.interval == (700.0, None)


def test_nothing_holds() -> None:
    search = searched(0.0)
    assert search.holds is None
    assert search.fails is not None
    assert search.fails <= 1.0


def test_runs_that_say_nothing_end_it() -> None:
    search = Search(100.0, repeats=1)
    search.told("held")
    search.told("invalid", "late")
    assert not search.is_stuck
    search.told("invalid", "late")
    assert search.is_stuck
    assert search.next_rate() is None
    assert search.holds == 100.0
