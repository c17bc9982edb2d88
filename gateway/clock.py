"""The only reader of the time of day.

In production `now()` is the system's time of day, read anew each time: it may be set, and the machine may sleep. In a
rehearsal it is the scenario's start plus the loop's virtual seconds. Nothing else in the gateway knows the difference.
"""

import asyncio
import time
from collections.abc import Callable


class Clock:
    """Unix seconds (UTC) as a float; of the loop's time from `start_at` on, unless it is the system's clock."""

    __slots__ = ("_ahead_s", "_offset_s", "_time", "is_of_the_system", "steady")

    def __init__(self, loop: asyncio.AbstractEventLoop, start_at: float) -> None:
        self._time: Callable[[], float] = loop.time
        self._offset_s = start_at - loop.time()
        self.is_of_the_system = False
        self.steady: Callable[[], float] = loop.time
        """Seconds since some instant: never set, and running while this process is frozen or the machine asleep."""
        self._ahead_s = self._offset_s

    @classmethod
    def of_the_system(cls, loop: asyncio.AbstractEventLoop) -> "Clock":
        clock = cls(loop, 0.0)
        clock._time, clock._offset_s, clock.steady = time_of_day, 0.0, since_boot
        clock.is_of_the_system = True
        clock._ahead_s = clock.now() - clock.steady()
        return clock

    def now(self) -> float:
        return self._offset_s + self._time()

    def jump_s(self) -> float:
        """By how much the time of day was set since the last call; what slewing does in between is in it."""
        ahead_s = self.now() - self.steady()
        jump_s, self._ahead_s = ahead_s - self._ahead_s, ahead_s
        return jump_s


def time_of_day() -> float:
    """Unix seconds, as the system has them now."""
    return time.time()


def since_boot() -> float:
    """CLOCK_BOOTTIME: unlike the monotonic clock it counts while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
