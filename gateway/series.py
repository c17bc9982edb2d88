"""Series of the Prometheus client with closed label sets, found by one look-up."""

from collections.abc import Iterable
from itertools import product
from typing import Any, Literal

import prometheus_client
from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# `_created` would double every counter and say nothing we ask.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

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

    def combinations(self) -> list[tuple[str, ...]]:
        return list(self.only if self.only is not None else product(*(label.values for label in self.labels)))

    def metric(self, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
        names = [label.name for label in self.labels]
        if self.type == "histogram":
            return Histogram(self.name, self.help, names, registry=registry, buckets=self.buckets)
        kind = Counter if self.type == "counter" else Gauge
        return kind(self.name, self.help, names, registry=registry)


class Children(dict[Values, Any]):
    """A family's series by their label values, bound ahead: a look-up instead of a call of `labels()`."""

    def __init__(self, family: Family, registry: CollectorRegistry) -> None:
        self.family = family
        self.metric = family.metric(registry)
        super().__init__((values, self._bound(values)) for values in family.combinations())
        self.update({self._nameless(values): child for values, child in self.items()})

    def _nameless(self, values: Values) -> Values:
        """None stands for what a label calls its unknown value: a carrier before its look-up."""
        labels = self.family.labels
        return tuple(
            None if label.otherwise == value else value for label, value in zip(labels, values, strict=True)
        )

    def _bound(self, values: Values) -> Any:
        return self.metric.labels(*values) if values else self.metric

    def __missing__(self, values: Values) -> Any:
        """The series for values outside the closed sets; KeyError when the family has no place for them."""
        labels = self.family.labels
        if labels and not any(label.values for label in labels):
            return self._bound(values)
        folded = tuple(_folded(label, value) for label, value in zip(labels, values, strict=True))
        if folded == values or folded not in self:
            raise KeyError(f"{self.family.name} has no series for {values}")
        return self[folded]


def _folded(label: Label, value: str | None) -> str | None:
    return value if value in label.values or label.otherwise is None else label.otherwise


class Series(dict[str, Children]):
    """All families' series by the family's name."""

    def __init__(self, families: Iterable[Family], registry: CollectorRegistry) -> None:
        super().__init__((each.name, Children(each, registry)) for each in families)

    def inc(self, name: str, values: Values, n: float = 1) -> None:
        self[name][values].inc(n)

    def put(self, name: str, values: Values, level: float) -> None:
        self[name][values].set(level)

    def observe(self, name: str, values: Values, amount: float) -> None:
        self[name][values].observe(amount)
