"""The only reader of the time of day.

`now()` is the world's start plus the running loop's time. In production the loop counts real
seconds and the start is read from the system once; in a rehearsal the loop counts virtual seconds
and the start is the scenario's. Nothing else in the gateway knows the difference.
"""

import asyncio
import time


class Clock:
    """Unix seconds (UTC) as a float, moved only by the event loop."""

    __slots__ = ("_loop_time", "_offset_s")

    def __init__(self, loop: asyncio.AbstractEventLoop, start_at: float) -> None:
        self._loop_time = loop.time
        self._offset_s = start_at - loop.time()

    @classmethod
    def of_the_system(cls, loop: asyncio.AbstractEventLoop) -> "Clock":
        return cls(loop, time.time())

    def now(self) -> float:
        return self._offset_s + self._loop_time()
