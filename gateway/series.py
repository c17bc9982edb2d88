"""Series with closed label sets: counted in plain Python, told by the Prometheus client.

A message is counted some ten times on its way. The client's own counters lock and check at each call, which
took a twentieth of a message's time; here counting is an addition, and the client writes the exposition.
Counting belongs to the event loop's thread; collecting may be done in another one.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import accumulate, product
from typing import Generic, Literal, TypeVar

from msgspec import Struct
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

Values = tuple[str | None, ...]
Combinations = tuple[tuple[str, ...], ...]


class Label(Struct, frozen=True):
    """A label and every value it may have; a value outside becomes `otherwise`, or is refused without one.

    With no values at all it is open: only for what is told once at the start.
    """

    name: str
    values: tuple[str, ...]
    otherwise: str | None = None


class Family(Struct, frozen=True, kw_only=True):
    """A metric: what Prometheus calls it, what it means, and the series it has."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    only: Combinations | None = None  # the combinations that can occur, when not all can
    exemplars: tuple[str, ...] = ()  # a histogram's: the labels of what is kept to show whom a bucket counted

    def combinations(self) -> list[tuple[str, ...]]:
        return list(self.only if self.only is not None else product(*(label.values for label in self.labels)))


class Level:
    """One series of a counter or a gauge."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0


Example = tuple[tuple[int, ...], float, float]
"""What an exemplar names, the amount, and when it was seen."""


class Distribution:
    """One series of a histogram: how many amounts fell up to each bound, and beyond the last; the last one of each."""

    __slots__ = ("bounds", "counts", "examples", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        self.examples: dict[int, Example] = {}

    def observe(self, amount: float) -> int:
        """Counts it; the bucket's place."""
        place = bisect_left(self.bounds, amount)
        self.counts[place] += 1
        self.sum += amount
        return place


Cell = TypeVar("Cell")


class Children(dict[Values, Cell], Generic[Cell]):
    """A family's series by their label values; None stands for what a label calls its unknown value."""

    def __init__(self, family: Family, new: Callable[[], Cell]) -> None:
        super().__init__()
        self.family = family
        self._new = new
        self._told: dict[tuple[str, ...], Cell] = {values: new() for values in family.combinations()}
        for values, cell in self._told.items():
            self[values] = self[self._nameless(values)] = cell

    def _nameless(self, values: Values) -> Values:
        """None stands for what a label calls its unknown value: a carrier before its look-up."""
        labels = self.family.labels
        return tuple(
            None if label.otherwise == value else value for label, value in zip(labels, values, strict=True)
        )

    def told(self) -> list[tuple[tuple[str, ...], Cell]]:
        """Each series once, with its labels' values as Prometheus is to see them."""
        return list(self._told.items())

    def add(self, values: tuple[str, ...]) -> None:
        """One series more: only while a process starts."""
        if values not in self._told:
            self[values] = self._told[values] = self._new()

    def __missing__(self, values: Values) -> Cell:
        """The series for values outside the closed sets; KeyError when the family has no place for them."""
        labels = self.family.labels
        if labels and not any(label.values for label in labels):
            named = tuple(str(value) for value in values)
            cell = self[values] = self._told.setdefault(named, self._new())
            return cell
        folded = tuple(_folded(label, value) for label, value in zip(labels, values, strict=True))
        if folded == values or folded not in self:
            raise KeyError(f"{self.family.name} has no series for {values}")
        return self[folded]


def _folded(label: Label, value: str | None) -> str | None:
    return value if value in label.values or label.otherwise is None else label.otherwise


class Series(Collector):
    """All families' series by the family's name; registers itself with `registry`."""

    def __init__(self, families: Iterable[Family], registry: CollectorRegistry) -> None:
        self.levels: dict[str, Children[Level]] = {}
        self.distributions: dict[str, Children[Distribution]] = {}
        for family in families:
            if family.type == "histogram":
                self.distributions[family.name] = Children(family, partial(Distribution, family.buckets))
            else:
                self.levels[family.name] = Children(family, Level)
        registry.register(self)

    def inc(self, name: str, values: Values, n: float = 1) -> None:
        self.levels[name][values].value += n

    def put(self, name: str, values: Values, level: float) -> None:
        self.levels[name][values].value = level

    def observe(self, name: str, values: Values, amount: float) -> None:
        self.distributions[name][values].observe(amount)

    def explain(self, name: str, values: Values, amount: float, whom: tuple[int, ...], now: float) -> None:
        """Observes, and keeps whom it was about as the bucket's example."""
        cell = self.distributions[name][values]
        cell.examples[cell.observe(amount)] = whom, amount, now

    def add(self, name: str, values: tuple[str, ...]) -> None:
        """A counter's series that could not be named before: only while a process starts."""
        self.levels[name].add(values)

    def collect(self) -> Iterator[Metric]:
        for levels in self.levels.values():
            yield _levels(levels)
        for distributions in self.distributions.values():
            yield _distributions(distributions)


def _levels(children: Children[Level]) -> Metric:
    family = children.family
    kind = CounterMetricFamily if family.type == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.help, labels=[label.name for label in family.labels])
    for values, cell in children.told():
        metric.add_metric(values, cell.value)
    return metric


def _distributions(children: Children[Distribution]) -> Metric:
    family = children.family
    metric = HistogramMetricFamily(family.name, family.help, labels=[label.name for label in family.labels])
    bounds = [*(str(float(bound)) for bound in family.buckets), "+Inf"]
    for values, cell in children.told():
        metric.add_metric(values, list(zip(bounds, accumulate(cell.counts), strict=True)), cell.sum)
    return metric
