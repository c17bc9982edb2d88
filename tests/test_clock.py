"""The time of day: the system's, read anew each time; or the loop's, from a start that is given."""

import asyncio
import time

import pytest

from gateway.clock import Clock


class Shift:
    """Sets the system's time of day by so many seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.by_s = 0.0
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + self.by_s)


@pytest.mark.parametrize("by_s", [3600.0, -3600.0, 40.0])
async def test_a_time_of_day_that_is_set_holds_at_once(monkeypatch: pytest.MonkeyPatch, by_s: float) -> None:
    """A worker may start with a wrong clock, which is then corrected: hours and validity follow it."""
    shift = Shift(monkeypatch)
    clock = Clock.of_the_system(asyncio.get_running_loop())
    before, steady = clock.now(), clock.steady()
    assert clock.jump_s() == pytest.approx(0, abs=1)
    shift.by_s = by_s
    assert clock.now() - before == pytest.approx(by_s, abs=10)
    assert clock.steady() - steady < 10
    assert clock.jump_s() == pytest.approx(by_s, abs=1)
    assert clock.jump_s() == pytest.approx(0, abs=1), "a jump is told once"


async def test_a_loops_clock_is_never_set(monkeypatch: pytest.MonkeyPatch) -> None:
    shift = Shift(monkeypatch)
    loop = asyncio.get_running_loop()
    clock = Clock(loop, 1000.0)
    shift.by_s = 3600.0
    assert clock.now() == pytest.approx(1000.0, abs=10)
    assert clock.jump_s() == pytest.approx(0, abs=1)
    assert not clock.is_of_the_system
