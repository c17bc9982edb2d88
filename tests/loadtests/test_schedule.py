"""Instants: in order, the same for a seed, as many as the rate says, and all of them over the workers."""

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.schedule import Share, poisson, trace

RATES = st.floats(0.1, 500.0)
SEEDS = st.integers(0, 2**63 - 1)


@given(RATES, st.floats(0.1, 20.0), SEEDS, st.integers(1, 5))
def test_a_poisson_process_is_shared_out(rate_per_s: float, for_s: float, seed: int, workers: int) -> None:
    parts = [list(poisson(rate_per_s, for_s, seed, Share(worker, workers))) for worker in range(workers)]
    again = [list(poisson(rate_per_s, for_s, seed, Share(worker, workers))) for worker in range(workers)]
    assert parts == again
    assert all(part == sorted(part) and all(0 <= at < for_s for at in part) for part in parts)
    wanted = rate_per_s * for_s
    assert abs(sum(map(len, parts)) - wanted) <= 8 * sqrt(wanted) + 8


def test_workers_and_seeds_don_t_repeat_each_other() -> None:
    first, second = (list(poisson(50, 10, 7, Share(worker, 2))) for worker in range(2))
    assert not set(first) & set(second)
    assert list(poisson(50, 10, 8, Share(0, 2))) != first


@given(st.lists(st.floats(0, 1e6)).map(sorted), st.integers(1, 5))
def test_the_parts_of_a_trace_are_the_trace(instants: list[float], workers: int) -> None:
    parts = [list(trace(instants, Share(worker, workers))) for worker in range(workers)]
    assert sorted(at for part in parts for at in part) == instants
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("instants", [[1.0, 0.5], [-1.0], [0.0, float("nan")]])
def test_a_trace_out_of_order_is_refused(instants: list[float]) -> None:
    with pytest.raises(ValueError, match="give them in order"):
        list(trace(instants))


@pytest.mark.parametrize(("rate_per_s", "for_s"), [(0, 10), (10, 0), (-1, 10)])
def test_nothing_is_meant_without_rate_or_time(rate_per_s: float, for_s: float) -> None:
    assert list(poisson(rate_per_s, for_s, 1)) == []


def test_there_is_no_worker_beyond_the_last() -> None:
    with pytest.raises(ValueError, match="no worker 2 of 2"):
        Share(2, 2)
