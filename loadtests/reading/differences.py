"""What differs between two sets of runs, figure by figure, and whether chance explains it.

The change is Hodges and Lehmann's: the median of all pairwise differences of a run of B and a run of A, of logarithms where
a figure is always above nothing, so that it is a ratio. Its interval is that of Mann and Whitney's test, exact for so few
runs and without any assumption of how they scatter. Three runs on each side say at most 90 %; from four on it is 95 %.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import comb, exp, log
from statistics import median
from typing import Final, Literal

import msgspec

from loadtests.report import Report

LEAST_RUNS: Final = 3
CONFIDENCE: Final = 0.95
_SHOWN: Final = (50.0, 95.0, 99.0)

Word = Literal["better", "worse", "noise"]
Values = Mapping[str, "Figure"]


class Figure(msgspec.Struct, frozen=True):
    """One figure of one run; `more` is better, or less is."""

    value: float
    unit: str
    more: bool = False


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of both sets: their medians, and the change with its interval.

    `relative`: the change is a share of A, 0.1 for a tenth more; otherwise it is in the figure's own unit.
    """

    figure: str
    unit: str
    a: float
    b: float
    change: float
    low: float
    high: float
    relative: bool
    word: Word


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `confidence` of each interval; `by_luck`: how many figures may be beyond theirs although nothing changed."""

    runs_a: int
    runs_b: int
    confidence: float
    by_luck: float
    differences: list[Difference]

    @property
    def is_worse(self) -> bool:
        return any(each.word == "worse" for each in self.differences)


def figures(report: Report) -> dict[str, Figure]:
    """What of a run is compared, by name."""
    found = {
        "texts a second": Figure(report.texts_per_s, "/s", more=True),
        "batches that failed": Figure(float(report.open["failed"]), ""),
    }
    for percent in _SHOWN:
        found[f"batch p{percent:g}"] = Figure(dict(report.curves["since_intended"])[percent], "s")
    for route in report.routes:
        if route.name == "POST sends":
            found |= {f"send {name}": Figure(took, "s") for name, took in route.seconds.items()}
    for zone in report.seen.zones if report.seen else ():
        found[f"finished in {zone.zone.rpartition('/')[2].replace('_', ' ')}"] = Figure(zone.finished_s, "s")
    if report.gateway and report.ledger.handed_over:
        per = 1000 / report.ledger.handed_over
        found |= {
            f"CPU/1,000: {name}": Figure(cpu_s * per, "s") for name, cpu_s in report.gateway.used.items()
        }
    if report.looks:
        found["memory at last"] = Figure(report.looks[-1].memory_mb, "MB")
    return found


def compared(a: Sequence[Report], b: Sequence[Report]) -> Comparison:
    """B against A; raises ValueError for fewer than LEAST_RUNS of either."""
    if min(len(a), len(b)) < LEAST_RUNS:
        raise ValueError(
            f"{len(a)} and {len(b)} runs can't tell a change from noise: take {LEAST_RUNS} of each"
        )
    of_a, of_b = [figures(each) for each in a], [figures(each) for each in b]
    names = [name for name in of_a[0] if all(name in run for run in (*of_a, *of_b))]
    rank, confidence = interval_rank(len(a), len(b))
    differences = [_difference(name, of_a, of_b, rank) for name in names]
    return Comparison(
        runs_a=len(a),
        runs_b=len(b),
        confidence=round(confidence, 4),
        by_luck=round(len(names) * (1 - confidence), 1),
        differences=differences,
    )


def _difference(name: str, of_a: Sequence[Values], of_b: Sequence[Values], rank: int) -> Difference:
    a, b = ([run[name].value for run in runs] for runs in (of_a, of_b))
    relative = min(*a, *b) > 0
    onto: Callable[[float], float] = log if relative else float
    pairs = sorted(onto(y) - onto(x) for x in a for y in b)
    low, change, high = pairs[rank - 1], median(pairs), pairs[-rank]
    figure = of_a[0][name]
    back: Callable[[float], float] = (lambda each: exp(each) - 1) if relative else float
    return Difference(
        figure=name,
        unit=figure.unit,
        a=median(a),
        b=median(b),
        change=back(change),
        low=back(low),
        high=back(high),
        relative=relative,
        word=_word(low, high, more=figure.more),
    )


def _word(low: float, high: float, *, more: bool) -> Word:
    if low <= 0 <= high:
        return "noise"
    return "better" if (low > 0) == more else "worse"


def interval_rank(runs_a: int, runs_b: int, wanted: float = CONFIDENCE) -> tuple[int, float]:
    """(k, confidence): the interval goes from the kth smallest of all pairwise differences to the kth largest.

    The largest k that keeps what is wanted, or 1 with what that gives.
    """
    whole, below, rank = comb(runs_a + runs_b, runs_a), 0, 1
    for u in range(runs_a * runs_b // 2):
        below += _ways(u, runs_a, runs_b)
        if u and 1 - 2 * below / whole < wanted:
            break
        rank = u + 1
    tail = sum(_ways(u, runs_a, runs_b) for u in range(rank))
    return rank, 1 - 2 * tail / whole


@cache
def _ways(u: int, of_a: int, of_b: int) -> int:
    """In how many orders of so many runs Mann and Whitney's U is `u`."""
    if u < 0:
        return 0
    if not of_a or not of_b:
        return int(u == 0)
    return _ways(u - of_b, of_a - 1, of_b) + _ways(u, of_a, of_b - 1)
