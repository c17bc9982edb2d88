"""When arrivals are meant: instants in seconds after the start, ascending, shared out among the workers.

The instants are known before the first is asked. A server that stalls therefore delays no arrival and loses none, which
is what makes the model open (coordinated omission is the closed model's fault).
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec
import numpy as np

_DRAWN_AT_ONCE = 4096


class Share(msgspec.Struct, frozen=True):
    """Which of `workers` generators this is; counted from 0."""

    worker: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.worker < self.workers:
            raise ValueError(f"there is no worker {self.worker} of {self.workers}")


def poisson(rate_per_s: float, for_s: float, seed: int, share: Share | None = None) -> Iterator[float]:
    """A worker's part of a Poisson process of `rate_per_s`: each draws a stream of its own, and their sum is the whole."""
    part = share or Share()
    if rate_per_s <= 0 or for_s <= 0:
        return
    luck = np.random.default_rng([seed, part.worker])
    at = 0.0
    while True:
        for gap in luck.exponential(part.workers / rate_per_s, _DRAWN_AT_ONCE).tolist():
            at += gap
            if at >= for_s:
                return
            yield at


def trace(instants: Iterable[float], share: Share | None = None) -> Iterator[float]:
    """A worker's part of a day that was recorded: every nth instant. Raises ValueError where they don't ascend."""
    part = share or Share()
    yield from islice(_ascending(instants), part.worker, None, part.workers)


def _ascending(instants: Iterable[float]) -> Iterator[float]:
    before = 0.0
    for nth, at in enumerate(instants):
        if not at >= before:  # and nan is not
            raise ValueError(
                f"instant {nth + 1} is {at}, after one at {before}: give them in order, from 0 s on"
            )
        before = at
        yield at
