"""When arrivals are meant: instants in seconds after the start, ascending, shared out among the workers.

The instants are known before the first is asked. A server that stalls therefore delays no arrival and loses none, which
is what makes the model open (coordinated omission is the closed model's fault).
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec
import numpy as np
from numpy.typing import NDArray

from loadtests.shapes import Curve

_DRAWN_AT_ONCE = 4096
Floats = NDArray[np.float64]


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


def shaped(count: int, curve: Curve, for_s: float, luck: np.random.Generator) -> list[float]:
    """So many instants of a Poisson process whose rate follows `curve` over `for_s` seconds, in order."""
    instants: list[float] = (np.sort(_quantiles(curve, luck.random(count))) * for_s).tolist()
    return instants


def _areas(curve: Curve) -> Floats:
    """What lies under each of its pieces; raises ValueError for what is no curve from 0 to 1."""
    at, rate = np.array(curve, dtype=float).T
    if at[0] != 0 or at[-1] != 1 or (np.diff(at) < 0).any() or (rate < 0).any() or not rate.any():
        raise ValueError(f"{curve} is no curve: begin at 0, end at 1, and let some rate be above 0")
    areas: Floats = np.diff(at) * (rate[1:] + rate[:-1]) / 2
    return areas


def _quantiles(curve: Curve, shares: Floats) -> Floats:
    """Where in the run so much of all has arrived."""
    at, rate = np.array(curve, dtype=float).T
    areas = _areas(curve)
    upto = np.concatenate(([0.0], np.cumsum(areas)))
    piece = np.clip(np.searchsorted(upto, shares * upto[-1], side="right") - 1, 0, len(areas) - 1)
    rest = shares * upto[-1] - upto[piece]
    width = np.diff(at)[piece]
    slope = np.divide(np.diff(rate)[piece], width, out=np.zeros_like(rest), where=width > 0)
    root = np.sqrt(np.maximum(rate[piece] ** 2 + 2 * slope * rest, 0.0))
    below = rate[piece] + root
    into = np.divide(2 * rest, below, out=np.zeros_like(rest), where=below > 0)
    found: Floats = at[piece] + np.minimum(into, width)
    return found


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
