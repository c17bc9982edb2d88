"""Which alerts come on rehearsed days: healthy ones, and ones on which a fault of the model begins after 50 minutes.

    python -m benchmarks.alert_days --healthy 200 --each-fault 20

A day is a bank of two hours and 3,000 people, its luck drawn anew; the committed rules are judged by promtool over the
metrics that the gateway told. Days are kept in benchmarks/results/alert_days.json, which docs/reference/alerts.md is made
from; those that are there are not run again, and go when the rules change.
"""

import argparse
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from dashboards.generate import GENERATED
from dashboards.judging import NOT_JUDGED, alerts_of
from gateway.config import Log
from gateway.logs import configure_ours
from simulator.model.faults import (
    Brownout,
    CarrierFailure,
    FaultParameters,
    StopWave,
    WebhookBacklog,
    Window,
)
from simulator.model.scenario import Scenario, load
from simulator.model.volunteers import Shift
from simulator.rehearsal.run import rehearse, rehearse_on
from simulator.report.result import Plan

KEPT: Final = Path(__file__).parent / "results" / "alert_days.json"
HOURS: Final = 2.0
PEOPLE: Final = 3000
VOLUNTEERS: Final = 4
BEGINS_S: Final = 3000.0
LASTS_S: Final = 2400.0
HEALTHY: Final = "healthy"


class Fault(NamedTuple):
    """What goes wrong, and which alerts should say so: one of them is enough."""

    what: str
    parameters: FaultParameters
    alerts: tuple[str, ...]


_WINDOW: Final = {"from_s": BEGINS_S, "for_s": LASTS_S}
FAULTS: Final = {
    "outage": Fault(
        "the provider refuses connections",
        FaultParameters(outages=(Window(**_WINDOW),)),
        ("ProviderDegraded", "RepliesMayBeLost"),
    ),
    "receipt_storm": Fault(
        "receipts are held back and come together",
        FaultParameters(receipt_storms=(Window(**_WINDOW),)),
        ("ReceiptsMissing",),
    ),
    "stop_wave": Fault(
        "a further 30 % of those who are texted answer STOP",
        FaultParameters(stop_waves=(StopWave(**_WINDOW, share=0.3),)),
        ("ManyLeave", "VeryManyLeave"),
    ),
    "carrier_failure": Fault(
        "T-Mobile fails every text that it took",
        FaultParameters(carrier_failures=(CarrierFailure(**_WINDOW, carrier="tmobile"),)),
        ("CarrierFails",),
    ),
    "brownout": Fault(
        "Verizon takes twenty times as long",
        FaultParameters(brownouts=(Brownout(**_WINDOW, carrier="verizon", slow_factor=20.0),)),
        ("ReceiptsMissing", "QueueWillExpire"),
    ),
    "webhook_backlog": Fault(
        "the provider brings one webhook in ten seconds",
        FaultParameters(webhook_backlogs=(WebhookBacklog(**_WINDOW, per_s=0.1),)),
        ("ReceiptsMissing",),
    ),
    "gateway_crash": Fault(
        "the worker is killed and comes back after 20 s",
        FaultParameters(gateway_crashes_at_s=(BEGINS_S,)),
        ("GatewayDown",),
    ),
}


class Day(msgspec.Struct, frozen=True):
    """A judged day: what went wrong, and when each alert came first, in seconds since the bank began."""

    fault: str
    seed: int
    alerts: dict[str, float]


class Judged(msgspec.Struct):
    """All days under one set of rules."""

    rules: str
    days: list[Day]


def rules_hash() -> str:
    files = sorted((GENERATED / "prometheus" / "rules").glob("*.yaml"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def kept() -> Judged:
    """The days of the last runs."""
    if not KEPT.exists():
        return Judged(rules_hash(), [])
    found = msgspec.json.decode(KEPT.read_bytes(), type=Judged)
    found.days = [replace(day, alerts=_judged_only(day.alerts)) for day in found.days]
    return found


def _judged_only(alerts: dict[str, float]) -> dict[str, float]:
    """What a rehearsal says nothing about counts no more, whenever it was found out."""
    return {name: at_s for name, at_s in alerts.items() if not NOT_JUDGED.fullmatch(name)}


def world(fault: str, *, hours: float = HOURS, volunteers: int = VOLUNTEERS) -> Scenario:
    """An election day's people and carriers in two hours."""
    day = load("election-day")
    shifts = (Shift(0.0, 0.95 * hours, 1.0),)
    staff = replace(day.volunteers, count=volunteers, desk_until_h=hours, late_at_most_s=60.0, shifts=shifts)
    faults = FAULTS[fault].parameters if fault != HEALTHY else FaultParameters()
    return replace(day, duration_s=hours * 3600, volunteers=staff, faults=faults)


def judged(scenario: Scenario, people: int, seed: int, dsn: str | None = None) -> dict[str, float]:
    """The alerts of one rehearsed day, over an empty database if one is given. Raises NotHere without promtool."""
    with TemporaryDirectory() as folder:
        metrics = Path(folder) / "day.om"
        plan = Plan(scenario, contacts=people, seed=seed, metrics=metrics)
        rehearse(plan) if dsn is None else rehearse_on(dsn, plan)
        return alerts_of(metrics)


def wanted(healthy: int, each_fault: int) -> Iterator[tuple[str, int]]:
    """In turns, so that a run that is broken off has some of each."""
    for nth in range(max(healthy, each_fault)):
        if nth < healthy:
            yield HEALTHY, nth + 1
        if nth < each_fault:
            yield from ((fault, nth + 1) for fault in FAULTS)


# ---------------------------------------------------------------- what came of it


def by_fault(days: list[Day]) -> Iterator[tuple[str, int, int, float | None, dict[str, int]]]:
    """Fault, days, days on which it was told, the median delay in seconds, and what else was told how often."""
    for name, fault in FAULTS.items():
        own = [day for day in days if day.fault == name]
        delays = [
            min(late)
            for day in own
            if (late := [day.alerts[each] - BEGINS_S for each in fault.alerts if each in day.alerts])
        ]
        others: dict[str, int] = {}
        for day in own:
            for alert in set(day.alerts) - set(fault.alerts):
                others[alert] = others.get(alert, 0) + 1
        yield name, len(own), len(delays), median(delays) if delays else None, others


def false_alarms(days: list[Day]) -> tuple[int, dict[str, int]]:
    """How many healthy days there were, and on how many each alert came."""
    healthy = [day for day in days if day.fault == HEALTHY]
    names = sorted({alert for day in healthy for alert in day.alerts})
    return len(healthy), {name: sum(name in day.alerts for day in healthy) for name in names}


def main() -> None:
    """Judges what is not judged yet, and keeps each day as it is done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--healthy", type=int, default=200)
    parser.add_argument("--each-fault", type=int, default=20)
    given = parser.parse_args()
    configure_ours(Log(level="error"))
    all_days = kept()
    if all_days.rules != rules_hash():
        all_days = Judged(rules_hash(), [])
    done = {(day.fault, day.seed) for day in all_days.days}
    for fault, seed in wanted(given.healthy, given.each_fault):
        if (fault, seed) in done:
            continue
        alerts = judged(world(fault), PEOPLE, seed)
        all_days.days.append(Day(fault, seed, dict(sorted(alerts.items()))))
        KEPT.write_bytes(msgspec.json.format(msgspec.json.encode(all_days)) + b"\n")
        sys.stdout.write(f"{fault} {seed}: {alerts or 'nothing'}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
