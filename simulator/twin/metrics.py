"""What the carrier server tells Prometheus, at /twin/metrics: p2psim_*, read from the ledger's running sums at each scrape.

A second witness beside the gateway's own p2p_*: what the carriers took, and which faults are on.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from simulator.model.carriers import CARRIERS
from simulator.model.faults import FaultParameters, Window
from simulator.twin.world import AccountsWorld

WINDOWS: Final = {
    "brownout": "brownouts",
    "rush": "rushes",
    "carrier_failure": "carrier_failures",
    "webhook_backlog": "webhook_backlogs",
    "outage": "outages",
    "receipt_storm": "receipt_storms",
    "stop_wave": "stop_waves",
}
"""Faults that last, and where the scenario keeps them."""
ANSWERS: Final = "answers"
_Values = Sequence[tuple[Sequence[str], float]]


class CarrierMetrics(Collector):
    """The world's figures as metric families. To be read where the model stands still: inside `pump.act`."""

    def __init__(self, world: AccountsWorld) -> None:
        self._world = world
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def exposition(self) -> bytes:
        """Text format 0.0.4; less than a hundred series."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        yield from self._messages()
        yield from self._webhooks()
        yield from self._time()
        yield _gauge("fault_active", "1 while a fault is on", ["fault"], self._faults())

    def _messages(self) -> Iterator[Metric]:
        ledger = self._world.ledger
        counts = ledger.counts()
        ends = {
            "delivered": counts.delivered,
            "undelivered": sum(counts.undelivered.values()),
            "failed": sum(counts.failed.values()),
        }
        yield _counter("submitted", "Messages that the provider took", [], [((), counts.submitted)])
        yield _counter("refused", "Create calls refused", [], [((), sum(counts.refused.values()))])
        yield _counter(
            "accepted", "Messages that reached their carrier", ["carrier"], _by_carrier(ledger.reached)
        )
        yield _counter("final", "Last words", ["status"], [((end,), n) for end, n in ends.items()])
        yield _counter("filtered", "Messages that a filter ended", [], [((), counts.filtered)])
        yield _counter("segments", "Segments billed", [], [((), counts.segments_billed)])
        yield _counter("cost_dollars", "What it all cost, US dollars", [], [((), counts.cost_usd)])
        yield _counter("replies", "Texts from people", [], [((), counts.replies)])
        yield _counter("optouts", "STOPs that the provider saw", [], [((), counts.opt_outs)])
        yield _gauge("queue_messages", "In the provider's queue", ["carrier"], _by_carrier(ledger.in_queue))

    def _webhooks(self) -> Iterator[Metric]:
        counts = self._world.callbacks.counts
        results = {"delivered": counts.delivered, "retried": counts.retried, "failed": counts.failed}
        told = [((result,), n) for result, n in results.items()]
        yield _counter("webhooks", "Webhooks, by what became of them", ["result"], told)
        receipts = len(self._world.ledger.statuses)
        yield _counter(
            "receipts", "Status webhooks that reached the application, twice or not", [], [((), receipts)]
        )
        yield _gauge("webhooks_outstanding", "Webhooks under way", [], [((), counts.outstanding)])

    def _time(self) -> Iterator[Metric]:
        pump = self._world.pump
        yield _gauge(
            "virtual_time_ratio", "Seconds of the market in a second of ours", [], [((), pump.speed)]
        )
        yield _gauge("virtual_time_seconds", "The market's time since it opened", [], [((), pump.now)])
        late_s = pump.lateness_s(0.99)
        yield _gauge("lateness_seconds", "By how much 99 % of events were late at most", [], [((), late_s)])

    def _faults(self) -> _Values:
        now, parameters = self._world.env.now, self._world.faults.parameters
        active = {fault: _holds(parameters, windows, now) for fault, windows in WINDOWS.items()}
        active[ANSWERS] = any(parameters.answer_shares())
        return [((fault,), float(is_on)) for fault, is_on in active.items()]


def _holds(parameters: FaultParameters, windows: str, now: float) -> bool:
    all_of_it: tuple[Window, ...] = getattr(parameters, windows)
    return any(window.holds(now) for window in all_of_it)


def _by_carrier(numbers: Sequence[int]) -> _Values:
    return [((name,), number) for name, number in zip(CARRIERS, numbers, strict=True)]


def _counter(name: str, meaning: str, labels: Sequence[str], values: _Values) -> Metric:
    family = CounterMetricFamily(f"p2psim_{name}", meaning, labels=labels)
    for names, value in values:
        family.add_metric(names, value)
    return family


def _gauge(name: str, meaning: str, labels: Sequence[str], values: _Values) -> Metric:
    family = GaugeMetricFamily(f"p2psim_{name}", meaning, labels=labels)
    for names, value in values:
        family.add_metric(names, value)
    return family
