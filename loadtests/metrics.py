"""What a load generator tells Prometheus: how much was meant, how much was asked, how late, and how long it took.

The two bases of a duration: `intended` counts from the instant that the plan named, as a person feels it; `actual` from
the request, as a server likes it. A stall shows in the first and hides in the second.
"""

from collections.abc import Iterable
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Histogram

Basis = Literal["intended", "actual"]
BASES: Final[tuple[Basis, ...]] = ("intended", "actual")
LATE_S: Final = 0.01
"""A start is late when it comes later than this after its instant."""
BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class LoadMetrics:
    """p2pload_*, of scenarios that are named at the start: every series exists before its first event."""

    def __init__(self, scenarios: Iterable[str], registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._intended = self._counter("p2pload_intended_total", "Arrivals that the plan named")
        self._started = self._counter("p2pload_started_total", "Arrivals that were asked")
        self._late = self._counter("p2pload_late_total", "Arrivals asked more than 10 ms late")
        self._duration = Histogram(
            "p2pload_duration_seconds",
            "From the instant meant, or from the request, to the answer",
            ("scenario", "basis"),
            registry=self.registry,
            buckets=BUCKETS_S,
        )
        for scenario in scenarios:
            for counter in (self._intended, self._started, self._late):
                counter.labels(scenario)
            for basis in BASES:
                self._duration.labels(scenario, basis)

    def _counter(self, name: str, meaning: str) -> Counter:
        return Counter(name, meaning, ("scenario",), registry=self.registry)

    def meant(self, scenario: str, n: int = 1) -> None:
        self._intended.labels(scenario).inc(n)

    def started(self, scenario: str, late_s: float) -> None:
        """`late_s` after its instant."""
        self._started.labels(scenario).inc()
        if late_s > LATE_S:
            self._late.labels(scenario).inc()

    def ended(self, scenario: str, *, since_intended_s: float, since_actual_s: float) -> None:
        self._duration.labels(scenario, "intended").observe(since_intended_s)
        self._duration.labels(scenario, "actual").observe(since_actual_s)
