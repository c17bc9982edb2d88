"""The search for the highest rate that holds: a ladder of doubled rates, then halving the gap; each rate is tried again. Pure."""

from math import inf, sqrt
from typing import Final, Literal

import msgspec

Judged = Literal["held", "failed", "invalid"]
_FACTOR: Final = 2.0
_MOST_INVALID: Final = 2
"""Tries of one rate that say nothing, one after the other; then the generator is the limit, and not the gateway."""


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """One step at one rate, in texts a second. `why`: what did not hold, or why it says nothing."""

    rate_per_s: float
    judged: Judged
    why: str = ""


class Search:
    """Tell it of each try; `next_rate` says what to try next, and None when there is no more to find.

    A rate holds when more of its `repeats` tries held than failed; nothing is tried again that can't turn out otherwise.
    `precision`: the lowest rate that fails over the highest that holds, at the end.
    """

    def __init__(self, first: float, *, most: float = inf, repeats: int = 3, precision: float = 1.1) -> None:
        self.tries: list[Try] = []
        self._first = first
        self._most = most
        self._needed = repeats // 2 + 1
        self._precision = precision

    def told(self, judged: Judged, why: str = "") -> None:
        """What came of `next_rate`."""
        rate = self.next_rate()
        assert rate is not None
        self.tries.append(Try(rate_per_s=rate, judged=judged, why=why))

    def next_rate(self) -> float | None:
        if self.is_stuck:
            return None
        if self.tries and self._verdict(self.tries[-1].rate_per_s) is None:
            return self.tries[-1].rate_per_s
        holds, fails = self.holds, self.fails
        if not self.tries:
            return self._first
        if fails is None:
            assert holds is not None
            return min(holds * _FACTOR, self._most) if holds < self._most else None
        if holds is None:
            return fails / _FACTOR if fails > 1.0 else None
        return sqrt(holds * fails) if fails / holds > self._precision else None

    @property
    def is_stuck(self) -> bool:
        """The last rate can't be judged: the runs are invalid."""
        last = self.tries[-_MOST_INVALID:]
        return (
            len(last) == _MOST_INVALID
            and all(each.judged == "invalid" for each in last)
            and len({each.rate_per_s for each in last}) == 1
        )

    @property
    def holds(self) -> float | None:
        """The highest rate that holds."""
        return max((rate for rate in self._rates() if self._verdict(rate) == "held"), default=None)

    @property
    def fails(self) -> float | None:
        """The lowest rate that does not."""
        return min((rate for rate in self._rates() if self._verdict(rate) == "failed"), default=None)

    @property
    def interval(self) -> tuple[float, float | None]:
        """From the highest rate below which no try failed to the lowest from which on none held; None: nobody knows."""
        failed = [each.rate_per_s for each in self.tries if each.judged == "failed"]
        held = [each.rate_per_s for each in self.tries if each.judged == "held"]
        low = max((rate for rate in held if rate < min(failed, default=inf)), default=0.0)
        high = min((rate for rate in failed if rate > max(held, default=0.0)), default=None)
        return low, high

    def _rates(self) -> set[float]:
        return {each.rate_per_s for each in self.tries}

    def _verdict(self, rate: float) -> Judged | None:
        """None: it must be tried again."""
        of_it = [each.judged for each in self.tries if each.rate_per_s == rate]
        return next((each for each in ("held", "failed") if of_it.count(each) >= self._needed), None)
