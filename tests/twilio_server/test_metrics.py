"""What the carrier server tells Prometheus: the ledger's figures, by carrier, and which faults are on."""

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from simulator.model.carriers import CARRIERS
from simulator.twin.metrics import ANSWERS, WINDOWS
from simulator.twin.server import TwilioServer
from tests.twilio_server.twin import Receiver, Wire


async def told(wire: Wire) -> dict[tuple[str, frozenset[str]], float]:
    """Each sample by its name and its labels' values."""
    status, text, headers = await wire.bare("GET", "/twin/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_everything_is_told_before_anything_happens(wire: Wire) -> None:
    found = await told(wire)
    accepted = {carrier for name, labels in found if name == "p2psim_accepted_total" for carrier in labels}
    assert accepted == set(CARRIERS)
    faults = {fault for name, labels in found if name == "p2psim_fault_active" for fault in labels}
    assert faults == {*WINDOWS, ANSWERS}
    assert all(name.startswith("p2psim_") for name, _ in found)
    assert len(found) < 100
    page = (Path(__file__).parents[2] / "docs/reference/metrics.md").read_text(encoding="utf-8")
    assert {name for name, _ in found} == set(re.findall(r"^\| `(p2psim_\w+)` \|", page, re.MULTILINE))


async def test_the_figures_are_the_ledgers(server: TwilioServer, wire: Wire, receiver: Receiver) -> None:
    for _ in range(3):
        _, body, _ = await wire.create(StatusCallback=receiver.url)
        await receiver.status(body["sid"], "delivered")
    found = await told(wire)
    counts = server.world.ledger.counts()
    assert found["p2psim_submitted_total", frozenset()] == counts.submitted == 3
    assert sum(value for (name, _), value in found.items() if name == "p2psim_accepted_total") == 3
    assert found["p2psim_final_total", frozenset({"delivered"})] == counts.delivered == 3
    assert found["p2psim_segments_total", frozenset()] == counts.segments_billed
    assert found["p2psim_virtual_time_ratio", frozenset()] == server.options.speed
    assert found["p2psim_webhooks_total", frozenset({"delivered"})] >= 3


async def test_a_fault_shows_while_it_is_on(wire: Wire) -> None:
    name = "p2psim_fault_active", frozenset({"outage"})
    assert (await told(wire))[name] == 0
    await wire.fault(kind="outage", for_s=1e6)
    assert (await told(wire))[name] == 1
    await wire("DELETE", "/twin/faults")
    assert (await told(wire))[name] == 0
