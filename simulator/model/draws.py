"""Keyed randomness: luck is a function of (seed, what, who, nth), never of the order of events.

The same voter behaves the same way under another pool size or pace, so two what-if runs differ by
the change alone. The mixer is SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
generators", 2014); the scalar and the array form give the same numbers.
"""

import hashlib
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
_TO_UNIT = 2.0**-53
_QUANTILES = 4096


class Stream:
    """Draws of one kind of luck; `who` and `nth` are any non-negative integers below 2**64."""

    __slots__ = ("_key",)

    def __init__(self, seed: int, what: str) -> None:
        digest = hashlib.blake2b(f"{seed}/{what}".encode(), digest_size=8).digest()
        self._key = int.from_bytes(digest, "little")

    def word(self, who: int, nth: int = 0) -> int:
        """64 random bits for (who, nth)."""
        z = (self._key + who * _GOLDEN + nth * _SECOND) & _MASK
        z = ((z ^ (z >> 30)) * _FIRST) & _MASK
        z = ((z ^ (z >> 27)) * _SECOND) & _MASK
        return z ^ (z >> 31)

    def __call__(self, who: int, nth: int = 0) -> float:
        """A uniform number in [0, 1) for (who, nth)."""
        z = (self._key + who * _GOLDEN + nth * _SECOND) & _MASK
        z = ((z ^ (z >> 30)) * _FIRST) & _MASK
        z = ((z ^ (z >> 27)) * _SECOND) & _MASK
        return ((z ^ (z >> 31)) >> 11) * _TO_UNIT

    def many(self, who: NDArray[np.integer], nth: int = 0) -> NDArray[np.float64]:
        """The uniform numbers of each of `who`; element by element equal to the scalar form."""
        offset = np.uint64((self._key + nth * _SECOND) & _MASK)
        with np.errstate(over="ignore"):
            z = who.astype(np.uint64) * np.uint64(_GOLDEN) + offset
            z = (z ^ (z >> np.uint64(30))) * np.uint64(_FIRST)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(_SECOND)
            z = z ^ (z >> np.uint64(31))
        unit: NDArray[np.float64] = (z >> np.uint64(11)).astype(np.float64) * _TO_UNIT
        return unit


class Draws:
    """The luck of one world; `stream(what)` names a kind of luck."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def stream(self, what: str) -> Stream:
        return Stream(self.seed, what)


class Lognormal:
    """A lognormal time in seconds, given by its median and its 99th percentile."""

    __slots__ = ("_array", "_table")

    def __init__(self, median_s: float, p99_s: float) -> None:
        normal = NormalDist()
        sigma = np.log(p99_s / median_s) / normal.inv_cdf(0.99)
        middle = [normal.inv_cdf((step + 0.5) / _QUANTILES) for step in range(_QUANTILES)]
        self._array = median_s * np.exp(sigma * np.array(middle))
        self._table: Sequence[float] = self._array.tolist()

    def at(self, uniform: float) -> float:
        """The time at quantile `uniform` in [0, 1), from a table of 4,096 steps."""
        return self._table[int(uniform * _QUANTILES)]

    def many(self, uniforms: NDArray[np.float64]) -> NDArray[np.float64]:
        times: NDArray[np.float64] = self._array[(uniforms * _QUANTILES).astype(np.int64)]
        return times
