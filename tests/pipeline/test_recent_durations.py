"""The longest of late: forgotten after one to two periods, never sooner."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.pipeline.recent_durations import RecentDurations

PERIOD_S = 10.0
A_LONG_ONE = (100.0, 3.0)


@pytest.mark.parametrize(
    ("later", "longest_s"),
    [([], 3.0), ([(109.0, 1.0)], 3.0), ([(111.0, 1.0)], 3.0), ([(111.0, 1.0), (121.0, 2.0)], 2.0)],
)
def test_the_longest_is_remembered_for_a_while(later: list[tuple[float, float]], longest_s: float) -> None:
    lately = RecentDurations()
    for now, took_s in (A_LONG_ONE, *later):
        lately.saw(now, took_s)
    assert lately.longest_s == longest_s


def test_after_a_silence_what_was_before_is_forgotten() -> None:
    lately = RecentDurations()
    lately.saw(*A_LONG_ONE)
    lately.saw(100.0 + 2 * PERIOD_S, 0.5)
    assert lately.longest_s == 0.5


def test_nothing_seen_is_no_time() -> None:
    assert RecentDurations().longest_s == 0.0


@example([(0.0, 1.0), (12.0, 0.0), (21.0, 0.0)])  # a period begins where the one before ended
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 5)), min_size=1))
def test_it_covers_a_period_and_no_more_than_two(seen: list[tuple[float, float]]) -> None:
    lately, times = RecentDurations(), sorted(seen)
    for now, took_s in times:
        lately.saw(now, took_s)
    end = times[-1][0]
    assert lately.longest_s >= max(took_s for now, took_s in times if now > end - PERIOD_S)
    assert lately.longest_s <= max(took_s for now, took_s in times if now >= end - 2 * PERIOD_S)


def test_a_single_one_hardly_moves_what_is_typical_and_five_in_a_row_do() -> None:
    lately = RecentDurations()
    for nth in range(10):
        lately.saw(100.0 + nth / 10, 0.01)
    lately.saw(101.5, 1.0)
    assert lately.typical_s < 0.25
    for nth in range(5):
        lately.saw(102.0 + nth, 1.0)
    assert lately.typical_s > 0.7
    lately.forget(140.0)
    assert lately.typical_s == 0.0
