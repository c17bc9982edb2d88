"""A first text that waits when its window ends: which window is its next one, and for how long it may be held."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.rules.holding_over import LONGEST_HOLD_S, Window, held_until, next_window
from gateway.core.rules.hours import CampaignHours, Open, group_key, verdict

HOURS = CampaignHours()  # 09:00 to 17:00 in New York
HERE, WEST = (
    group_key("PA", ["America/New_York"]),
    group_key("CA", ["America/Los_Angeles"]),
)
SHORTEST_S = 66.0


def at(day: int, hour: int, minute: int = 0) -> float:
    """Of March 2026, in New York's summer time."""
    return datetime(2026, 3, day, hour + 4, minute, tzinfo=UTC).timestamp()


def found(now: float, group: str = HERE, hours: CampaignHours = HOURS) -> Window | None:
    return next_window(now, hours, group, shortest_s=SHORTEST_S)


@pytest.mark.parametrize(
    ("now", "group", "window"),
    [
        (at(10, 16, 59), HERE, (at(11, 9), at(11, 17))),  # all but over
        (at(10, 18), HERE, (at(11, 9), at(11, 17))),
        (at(11, 3), HERE, (at(11, 9), at(11, 17))),
        (at(11, 11), HERE, (at(11, 11), at(11, 17))),  # nobody was at work when it opened
        (at(10, 18), WEST, (at(11, 12), at(11, 17))),
    ],
)
def test_the_next_window(now: float, group: str, window: tuple[float, float]):
    assert found(now, group) == window


def test_hours_that_never_meet_hold_nothing():
    assert found(at(10, 18), WEST, CampaignHours(start_minute=540, end_minute=700)) is None


def test_nothing_is_held_for_longer_than_a_week():
    now = at(20, 17)
    opens_at = at(21, 9)
    for requested_at, window in (
        (opens_at - LONGEST_HOLD_S, (opens_at, at(21, 17))),
        (opens_at - LONGEST_HOLD_S - 1, None),
    ):
        assert held_until(now, requested_at, HOURS, HERE, shortest_s=SHORTEST_S) == window


@given(
    now=st.floats(at(1, 0), at(28, 0)),
    start=st.integers(0, 1200),
    minutes=st.integers(1, 240),
    group=st.sampled_from([HERE, WEST, group_key("TX", ["America/Chicago", "America/Denver"])]),
)
def test_a_window_is_lawful_from_end_to_end_and_long_enough(now: float, start: int, minutes: int, group: str):
    hours = CampaignHours(start_minute=start, end_minute=start + minutes)
    window = found(now, group, hours)
    if window is None:
        return
    assert window.opens_at >= now
    assert window.ends_at - window.opens_at > SHORTEST_S
    for instant in (window.opens_at, (window.opens_at + window.ends_at) / 2):
        assert verdict(instant, hours, group) == Open(window.ends_at)
