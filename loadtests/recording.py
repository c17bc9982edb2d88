"""What a worker of an open run wrote down, how the workers' records become one, and whether the run is valid.

Three durations of each arrival, in HdrHistograms of 1 µs to 1 h at three digits: from the instant that was meant to the end
(what a person feels), from the request to the end (what the server took), and the wait for a connection within it.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, Final, Literal, Self, get_args

import msgspec
from hdrh.histogram import HdrHistogram

from loadtests.metrics import BUCKETS_S, LATE_S

Duration = Literal["since_intended", "since_actual", "blocked"]
DURATIONS: Final[tuple[Duration, ...]] = get_args(Duration)
PERCENTILES: Final = (50.0, 90.0, 95.0, 99.0, 99.9, 100.0)

LEAST_STARTED: Final = 0.995
MOST_LATE: Final = 0.01
MOST_CPU: Final = 0.9
INVALID: Final = 3
"""The exit status of a run whose figures mean nothing; never 0."""

_MOST_US: Final = 3_600_000_000


class Counts(msgspec.Struct, kw_only=True):
    """`intended` is `started` and `dropped` together; `late` and `failed` are among the started."""

    intended: int = 0
    started: int = 0
    late: int = 0
    dropped: int = 0
    failed: int = 0


class Handed(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's record as it goes to the master. `cpu` is the share of a core; `whole`: its schedule came to its end."""

    counts: dict[str, int]
    histograms: dict[str, str]
    buckets: dict[str, list[float]] = {}
    cpu: float
    whole: bool


class Recording:
    """Counts and histograms of one worker, or of all."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._histograms: dict[str, Any] = {name: HdrHistogram(1, _MOST_US, 3) for name in DURATIONS}
        # For Prometheus: a scrape that walked through the histograms would hold up the generator.
        self._buckets: dict[str, list[float]] = {name: [0.0] * (len(BUCKETS_S) + 2) for name in DURATIONS}

    def started(self, late_s: float) -> None:
        """An arrival is asked, `late_s` after its instant."""
        self.counts.intended += 1
        self.counts.started += 1
        self.counts.late += late_s > LATE_S

    def dropped(self) -> None:
        """An arrival is not asked: as many as may be are under way."""
        self.counts.intended += 1
        self.counts.dropped += 1

    def ended(self, *, since_intended_s: float, since_actual_s: float, blocked_s: float, ok: bool) -> None:
        self.counts.failed += not ok
        for name, value_s in (
            ("since_intended", since_intended_s),
            ("since_actual", since_actual_s),
            ("blocked", blocked_s),
        ):
            self._histograms[name].record_value(min(max(int(value_s * 1e6), 1), _MOST_US))
            buckets = self._buckets[name]
            buckets[bisect_left(BUCKETS_S, value_s)] += 1
            buckets[-1] += value_s

    def percentile_s(self, duration: Duration, percent: float) -> float:
        """Seconds, upper end of the histogram's step; 0 when nothing has ended."""
        return float(self._histograms[duration].get_value_at_percentile(percent)) / 1e6

    def curve(self, duration: Duration, percents: Sequence[float]) -> list[tuple[float, float]]:
        """(percent, seconds), ending with the longest."""
        return [(each, round(self.percentile_s(duration, each), 6)) for each in (*percents, 100.0)]

    def total(self, duration: Duration) -> int:
        return int(self._histograms[duration].get_total_count())

    def buckets(self, duration: Duration) -> tuple[list[float], float]:
        """How many lasted up to each of BUCKETS_S, and all of them; and their sum in seconds."""
        *counts, total_s = self._buckets[duration]
        return list(accumulate(counts)), total_s

    @property
    def bucket_counts(self) -> dict[str, list[float]]:
        """How many fell into each of BUCKETS_S and beyond, and at the end their sum in seconds; a copy."""
        return {name: list(each) for name, each in self._buckets.items()}

    def handed(self, *, cpu: float, whole: bool) -> Handed:
        """A copy for the master; about 7 KB for each histogram."""
        return Handed(
            counts=msgspec.to_builtins(self.counts),
            histograms={name: each.encode().decode("ascii") for name, each in self._histograms.items()},
            buckets=self.bucket_counts,
            cpu=cpu,
            whole=whole,
        )

    @classmethod
    def merged(cls, parts: Iterable[Handed]) -> Self:
        """All workers' as if one had recorded them: counts and every percentile."""
        whole = cls()
        for part in parts:
            whole._add(part)
            for name, encoded in part.histograms.items():
                whole._histograms[name].decode_and_add(encoded.encode("ascii"))
        return whole

    @classmethod
    def counted(cls, parts: Iterable[Handed]) -> Self:
        """The same without its percentiles, at little cost."""
        whole = cls()
        for part in parts:
            whole._add(part)
        return whole

    def _add(self, part: Handed) -> None:
        for name, count in part.counts.items():
            setattr(self.counts, name, getattr(self.counts, name) + count)
        for name, theirs in part.buckets.items():
            self._buckets[name] = [
                ours + more for ours, more in zip(self._buckets[name], theirs, strict=True)
            ]

    def figures(self) -> dict[str, Any]:
        """Counts, and seconds by duration and percentile."""
        percentiles = {
            name: {f"p{percent:g}": round(self.percentile_s(name, percent), 6) for percent in PERCENTILES}
            for name in DURATIONS
        }
        return {**msgspec.to_builtins(self.counts), "seconds": percentiles}


def invalid_because(parts: Sequence[Handed], workers: int) -> list[str]:
    """Why a run's figures mean nothing; empty when they hold. `workers` is how many there were to be."""
    counts = Recording.merged(parts).counts
    whole = sum(part.whole for part in parts)
    busiest = max((part.cpu for part in parts), default=0.0)
    reasons = []
    if whole < workers:
        reasons.append(f"only {whole} of {workers} workers came to the end of their schedule")
    if not counts.intended:
        reasons.append("nothing was meant to be asked")
    elif counts.started < LEAST_STARTED * counts.intended:
        reasons.append(
            f"{counts.started} of {counts.intended} arrivals were asked: at least {LEAST_STARTED:.1%} must be"
        )
    if counts.late > MOST_LATE * counts.started:
        reasons.append(
            f"{counts.late} of {counts.started} were asked more than 10 ms late: {MOST_LATE:.0%} may be"
        )
    if busiest >= MOST_CPU:
        reasons.append(
            f"a worker used {busiest:.0%} of its core: below {MOST_CPU:.0%} is wanted; take more workers"
        )
    return reasons
