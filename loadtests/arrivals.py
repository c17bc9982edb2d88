"""When each volunteer of one process comes: an instant drawn before the run, whatever became of those before."""

import time
from collections.abc import Callable

import gevent
import numpy as np

from loadtests.recording import Handed
from loadtests.schedule import Share, shaped
from loadtests.shapes import Curve
from loadtests.timeline import Timeline


class Arrivals:
    """`began_at` is the process's own steady clock (`time.perf_counter`) at the first instant of the run."""

    def __init__(self, curve: Curve, for_s: float, seed: int, share: Share, began_at: float) -> None:
        self.timeline = Timeline()
        self._curve = curve
        self._for_s = for_s
        self._luck = np.random.default_rng([seed, share.worker, 1])
        self._began_at = began_at
        self._coming = 0

    def arrive(self, join: Callable[[], bool]) -> None:
        """Waits until the caller's instant, and has them join; how long that took counts from the instant."""
        (instant,) = shaped(1, self._curve, self._for_s, self._luck)
        self._coming += 1
        intended = self._began_at + instant
        if (wait_s := intended - time.perf_counter()) > 0:
            gevent.sleep(wait_s)
        actual = time.perf_counter()
        self.timeline.started(instant, actual - intended)
        ok = False
        try:
            ok = join()
        finally:
            self.timeline.answered(instant, intended, actual, time.perf_counter(), ok=ok)
            self._coming -= 1

    def handed(self) -> Handed:
        """The record so far; it is whole when nobody is still to come."""
        return self.timeline.whole().handed(cpu=0.0, whole=not self._coming)
