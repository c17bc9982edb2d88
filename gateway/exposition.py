"""Series as a scrape wants to see them: Prometheus' text format 0.0.4 and OpenMetrics 1.0.

The client's own writer takes some 25 ms for 2,500 series, and the event loop shares the interpreter with it. What stands
before a value never changes: here it is written once, and a scrape takes a millisecond or two.
"""

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_open_metrics

from gateway.series import Children, Distribution, Example, Family, Level, Series

_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


class Exposition:
    """Writes `series`, and behind them what the client knows of the process."""

    def __init__(self, series: Series, process: CollectorRegistry) -> None:
        self._series = series
        self._process = process
        self._heads: dict[tuple[str, tuple[str, ...]], list[str]] = {}

    def text(self) -> bytes:
        """Prometheus' text format 0.0.4."""
        return self._written(open_metrics=False).encode() + generate_latest(self._process)

    def open_metrics(self) -> bytes:
        """OpenMetrics 1.0: the same, with an example for each bucket that has one."""
        process: bytes = generate_open_metrics(self._process)  # type: ignore[no-untyped-call]
        return self._written(open_metrics=True).encode() + process

    def _written(self, *, open_metrics: bool) -> str:
        lines: list[str] = []
        for levels in self._series.levels.values():
            lines += _about(levels.family, open_metrics=open_metrics)
            lines += self._levels(levels)
        for distributions in self._series.distributions.values():
            lines += _about(distributions.family, open_metrics=open_metrics)
            lines += self._distributions(distributions, open_metrics=open_metrics)
        lines.append("")
        return "\n".join(lines)

    def _levels(self, children: Children[Level]) -> Iterator[str]:
        for values, cell in children.told():
            (head,) = self._heads_of(children.family, values)
            yield f"{head} {cell.value!r}"

    def _distributions(self, children: Children[Distribution], *, open_metrics: bool) -> Iterator[str]:
        names = children.family.exemplars if open_metrics else ()
        for values, cell in children.told():
            *heads, count_head, sum_head = self._heads_of(children.family, values)
            count = 0
            for place, (head, count) in enumerate(zip(heads, accumulate(cell.counts), strict=True)):
                example = cell.examples.get(place) if names else None
                yield f"{head} {count}" if example is None else f"{head} {count} {_example(names, example)}"
            yield f"{count_head} {count}"
            yield f"{sum_head} {cell.sum!r}"

    def _heads_of(self, family: Family, values: tuple[str, ...]) -> list[str]:
        """What stands before each value of a series."""
        heads = self._heads.get((family.name, values))
        if heads is None:
            heads = self._heads[family.name, values] = list(_heads(family, values))
        return heads


def _heads(family: Family, values: tuple[str, ...]) -> Iterator[str]:
    labels = [(label.name, value) for label, value in zip(family.labels, values, strict=True)]
    if family.type != "histogram":
        yield family.name + _labels(labels)
        return
    for bound in (*(str(float(bound)) for bound in family.buckets), "+Inf"):
        yield f"{family.name}_bucket{_labels([*labels, ('le', bound)])}"
    yield f"{family.name}_count{_labels(labels)}"
    yield f"{family.name}_sum{_labels(labels)}"


def _labels(labels: list[tuple[str, str]]) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{value.translate(_ESCAPES)}"' for name, value in sorted(labels))
    return f"{{{','.join(pairs)}}}"


def _about(family: Family, *, open_metrics: bool) -> list[str]:
    """What it is and means; OpenMetrics calls a counter by its name without `_total`."""
    name = family.name.removesuffix("_total") if open_metrics else family.name
    return [f"# HELP {name} {family.help}", f"# TYPE {name} {family.type}"]


def _example(names: tuple[str, ...], example: Example) -> str:
    whom, amount, at = example
    labels = _labels([(name, str(value)) for name, value in zip(names, whom, strict=True)])
    return f"# {labels} {amount!r} {at!r}"
