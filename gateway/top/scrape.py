"""One worker's metrics at an instant, and what can be asked of two of them."""

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

Labels = Mapping[str, str]
_INFINITE: Final = "+Inf"


class Scrape:
    """What a worker said at `at` (seconds of any clock that nobody sets). Raises ValueError for what is no exposition."""

    def __init__(self, text: str, at: float) -> None:
        self.at = at
        self._values: dict[str, list[tuple[dict[str, str], float]]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._values.setdefault(sample.name, []).append((sample.labels, sample.value))

    def __bool__(self) -> bool:
        return "p2p_build_info" in self._values

    def series(self, name: str, **wanted: str) -> Iterator[tuple[Labels, float]]:
        """Those that have the labels."""
        for labels, value in self._values.get(name, ()):
            if all(labels.get(label) == each for label, each in wanted.items()):
                yield labels, value

    def total(self, name: str, **wanted: str) -> float:
        return sum(value for _, value in self.series(name, **wanted))

    def most(self, name: str, **wanted: str) -> float:
        return max((value for _, value in self.series(name, **wanted)), default=0.0)

    def label(self, name: str, label: str) -> str:
        """Of an `_info`'s one series; blank when there is none."""
        return next((labels[label] for labels, value in self.series(name) if value == 1), "")


def increase(before: Scrape, after: Scrape, name: str, **wanted: str) -> float:
    """Of counters together; one that began anew meanwhile has increased by what it has."""
    was = {frozenset(labels.items()): value for labels, value in before.series(name, **wanted)}
    grown = 0.0
    for labels, value in after.series(name, **wanted):
        old = was.get(frozenset(labels.items()), 0.0)
        grown += value - old if value >= old else value
    return grown


def per_s(before: Scrape, after: Scrape, name: str, **wanted: str) -> float:
    """A counter's rate between the two."""
    lasted_s = after.at - before.at
    return increase(before, after, name, **wanted) / lasted_s if lasted_s > 0 else 0.0


def buckets(before: Scrape, after: Scrape, name: str, **wanted: str) -> dict[float, float]:
    """A histogram's increase by bound; infinity is the last."""
    bounds = {labels["le"] for labels, _ in after.series(f"{name}_bucket", **wanted)}
    return {
        float(bound.replace(_INFINITE, "inf")): increase(before, after, f"{name}_bucket", le=bound, **wanted)
        for bound in sorted(bounds, key=lambda bound: float(bound.replace(_INFINITE, "inf")))
    }


def quantile(counts: Mapping[float, float], share: float) -> float | None:
    """As Prometheus works it out: evenly spread within a bucket, and its lower bound in the last. None: nothing counted."""
    bounds = sorted(counts)
    if not bounds or not counts[bounds[-1]]:
        return None
    rank, lower, below = share * counts[bounds[-1]], 0.0, 0.0
    for bound in bounds:
        if counts[bound] >= rank and counts[bound] > below:
            if bound == float("inf"):
                return lower
            return lower + (bound - lower) * (rank - below) / (counts[bound] - below)
        lower, below = bound, counts[bound]
    return lower
