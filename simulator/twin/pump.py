"""The model in real or scaled time, on an ordinary event loop.

What is due is stepped, then the pump sleeps until the next event, or until somebody adds an earlier one.
SimPy's own real-time environment would block the thread.
"""

import asyncio
import time
from array import array
from collections.abc import Callable
from math import inf
from typing import ParamSpec, TypeVar

import simpy

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")

_TICK_S = 0.001  # seconds; some loops' timers know no less, and would be woken too early again and again
_SLICE_S = 0.005  # seconds of stepping before the loop gets its turn
_SLICE_CHECK = 32  # events between two looks at the clock
_BUCKETS = 2001  # of a millisecond; the last holds everything later


def time_of_day() -> float:
    """Unix seconds; read once, when a market opens."""
    return time.time()


class Pump:
    """Keeps `env.now` at `speed` times the seconds since the start. `act` is the door into the model."""

    def __init__(self, env: simpy.Environment, loop: asyncio.AbstractEventLoop, speed: float = 1.0) -> None:
        self._env = env
        self._loop = loop
        self._time = loop.time
        self.speed = speed
        self._origin = loop.time() - env.now / speed
        self._armed_at = inf
        self._timer: asyncio.TimerHandle | None = None
        self._late_ms = array("Q", bytes(8 * _BUCKETS))
        self._closed = False

    @property
    def now(self) -> float:
        """Seconds since the world's start, in the market's time."""
        return (self._time() - self._origin) * self.speed

    def act(
        self, action: Callable[Arguments, Value], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Value:
        """Call into the model at the present moment; what it adds will happen in time."""
        self.step_due()
        try:
            return action(*arguments, **named)
        finally:
            self._arm()

    def start(self) -> None:
        """Begin to pump what already waits."""
        self._arm()

    def stop(self) -> None:
        """Nothing happens in the model any more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def lateness_s(self, share: float) -> float:
        """Real seconds by which that share of all events was late at most, to the millisecond."""
        wanted = share * sum(self._late_ms)
        seen = 0
        for bucket, count in enumerate(self._late_ms):
            seen += count
            if count and seen >= wanted:
                return (bucket + 1) / 1000
        return 0.0

    def step_due(self) -> bool:
        """Step what is due, a slice at most; whether all of it was done. The model's clock is then the present."""
        env, target = self._env, self.now
        ends_at = self._time() + _SLICE_S
        to_ms = 1000 / self.speed
        steps = 0
        while (due := env.peek()) <= target:
            env.step()
            self._late_ms[min(int((target - due) * to_ms), _BUCKETS - 1)] += 1
            steps += 1
            if steps % _SLICE_CHECK == 0 and self._time() > ends_at:
                return False
        if target > env.now:
            env.timeout(target - env.now)  # nothing but the clock moves
            env.step()
        return True

    def _arm(self, least_s: float = _TICK_S) -> None:
        due = self._env.peek()
        if due >= self._armed_at or self._closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_at = due
        at = max(self._origin + due / self.speed, self._time() + least_s)
        self._timer = self._loop.call_at(at, self._wake)

    def _wake(self) -> None:
        self._armed_at = inf
        self._timer = None
        done = self.step_due()
        self._arm(_TICK_S if done else 0.0)  # when the slice was too short: after everybody else's turn
