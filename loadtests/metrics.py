"""What a load generator tells Prometheus: how much was meant, how much was asked, how late, and how long it took.

The two bases of a duration: `intended` counts from the instant that the plan named, as a person feels it; `actual` from
the request, as a server likes it. A stall shows in the first and hides in the second. All is read from what the workers
have recorded, at each scrape.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, Literal, get_args

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from loadtests.recording import Recording

Basis = Literal["intended", "actual"]
BASES: Final[tuple[Basis, ...]] = get_args(Basis)
_DURATIONS: Final[Mapping[Basis, Literal["since_intended", "since_actual"]]] = {
    "intended": "since_intended",
    "actual": "since_actual",
}
LATE_S: Final = 0.01
"""A start is late when it comes later than this after its instant."""
BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
PORT: Final = "LOADTEST_METRICS_PORT"
"""Environment of Locust's processes: where the master tells its metrics; without it nowhere."""

Recorded = Callable[[], "Mapping[str, Recording]"]
"""What has been recorded by now, by scenario; every scenario from the start."""


class LoadMetrics(Collector):
    """p2pload_*, of the scenarios that are recorded."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def serve(self, port: int) -> tuple[object, object]:
        """At /metrics of this machine's own address; returns what the client has of it: the server and its thread."""
        return start_http_server(port, "127.0.0.1", registry=self.registry)

    def collect(self) -> Iterator[Metric]:
        recorded = self._recorded()
        counts = {scenario: each.counts for scenario, each in recorded.items()}
        yield _counter(
            "intended", "Arrivals that the plan named", {name: each.intended for name, each in counts.items()}
        )
        yield _counter(
            "started", "Arrivals that were asked", {name: each.started for name, each in counts.items()}
        )
        yield _counter(
            "late",
            "Arrivals asked more than 10 ms late",
            {name: each.late for name, each in counts.items()},
        )
        yield _durations(recorded)


def served(recorded: Recorded) -> LoadMetrics | None:
    """Metrics at the port that the environment names; None when it names none."""
    if not (port := os.environ.get(PORT)):
        return None
    metrics = LoadMetrics(recorded)
    metrics.serve(int(port))
    return metrics


def _counter(name: str, meaning: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"p2pload_{name}", meaning, labels=["scenario"])
    for scenario, value in values.items():
        family.add_metric([scenario], value)
    return family


def _durations(recorded: "Mapping[str, Recording]") -> Metric:
    family = HistogramMetricFamily(
        "p2pload_duration_seconds",
        "From the instant meant, or from the request, to the answer",
        labels=["scenario", "basis"],
    )
    for scenario, recording in recorded.items():
        for basis in BASES:
            buckets, total_s = recording.buckets(_DURATIONS[basis])
            bounds = [*(str(bound) for bound in BUCKETS_S), "+Inf"]
            family.add_metric([scenario, basis], list(zip(bounds, buckets, strict=True)), total_s)
    return family
