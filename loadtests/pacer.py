"""The open-model pacer: one greenlet an arrival, at the instant that was meant, whatever became of those before.

The pacer itself never waits for an answer. As many as `most_in_flight` are under way; beyond that an arrival is dropped
and counted, so that an overloaded server makes a run invalid instead of small.
"""

import time
from collections.abc import Callable, Iterable

import gevent
from gevent.event import Event

from loadtests.recording import Handed, Recording
from loadtests.timeline import Timeline

_ARRIVALS_A_TURN = 50
_LEAST_S = 1.0
"""A share of the CPU of less time says nothing."""


class Failed(Exception):
    """An arrival was not answered as it should have been."""


class Pacer:
    """Asks `ask` at each of `instants`, seconds after the start.

    `ask` returns how long it waited for a connection, in seconds, and raises Failed. All times are the process's own
    steady clock (`time.perf_counter`).
    """

    def __init__(
        self,
        instants: Iterable[float],
        ask: Callable[[], float],
        *,
        timeline: Timeline | None = None,
        most_in_flight: int = 2000,
    ) -> None:
        self.timeline = timeline or Timeline()
        self.whole = False
        self._instants = instants
        self._ask = ask
        self._most = most_in_flight
        self._in_flight = 0
        self._all_ended = Event()
        self._began_at = self._cpu_before_s = 0.0

    def run(self, start_at: float | None = None) -> None:
        """From the start, in `time.perf_counter()` seconds, to the last answer."""
        self._began_at = time.perf_counter() if start_at is None else start_at
        self._cpu_before_s = time.process_time()
        for nth, instant in enumerate(self._instants):
            self._until(self._began_at + instant, must_yield=nth % _ARRIVALS_A_TURN == 0)
            self._arrive(instant)
        if self._in_flight:
            self._all_ended.clear()
            self._all_ended.wait()
        self.whole = True

    @property
    def recording(self) -> Recording:
        """All of it so far."""
        return self.timeline.whole()

    def handed(self) -> Handed:
        """The record so far, with the process's CPU since the start."""
        return self.recording.handed(cpu=self.cpu(), whole=self.whole)

    def cpu(self) -> float:
        """The share of a core that this process has used since the start."""
        elapsed_s = time.perf_counter() - self._began_at
        return (
            round((time.process_time() - self._cpu_before_s) / elapsed_s, 4) if elapsed_s > _LEAST_S else 0.0
        )

    @staticmethod
    def _until(at: float, *, must_yield: bool) -> None:
        """Behind its schedule it still lets answers in, now and then."""
        wait_s = at - time.perf_counter()
        if wait_s > 0:
            gevent.sleep(wait_s)
        elif must_yield:
            gevent.sleep(0)

    def _arrive(self, instant: float) -> None:
        if self._in_flight >= self._most:
            self.timeline.dropped(instant)
            return
        self._in_flight += 1
        gevent.spawn(self._asked, instant)

    def _asked(self, instant: float) -> None:
        intended, actual = self._began_at + instant, time.perf_counter()
        self.timeline.started(instant, actual - intended)
        ok, blocked_s = True, 0.0
        try:
            blocked_s = self._ask()
        except Failed:
            ok = False
        finally:
            now = time.perf_counter()
            self.timeline.answered(instant, intended, actual, now, blocked_s=blocked_s, ok=ok)
            self._in_flight -= 1
            if not self._in_flight:
                self._all_ended.set()
