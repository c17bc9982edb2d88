"""The only reader of the time of day.

`now()` is the world's start plus the running loop's time. In production the loop counts real
seconds and the start is read from the system once; in a rehearsal the loop counts virtual seconds
and the start is the scenario's. Nothing else in the gateway knows the difference.
"""

import asyncio
import time
from collections.abc import Callable


class Clock:
    """Unix seconds (UTC) as a float, moved only by the event loop."""

    __slots__ = ("_loop_time", "_offset_s", "steady")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, start_at: float, steady: Callable[[], float] | None = None
    ) -> None:
        self._loop_time = loop.time
        self._offset_s = start_at - loop.time()
        self.steady = steady or loop.time
        """Seconds since some instant: never set, and running while this process is frozen or the machine asleep."""

    @classmethod
    def of_the_system(cls, loop: asyncio.AbstractEventLoop) -> "Clock":
        return cls(loop, time.time(), since_boot)

    def now(self) -> float:
        return self._offset_s + self._loop_time()


def since_boot() -> float:
    """CLOCK_BOOTTIME: unlike the monotonic clock it counts while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
