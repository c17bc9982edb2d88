"""A run as its parts would have recorded it, without one: some hundred thousand answers, ten minutes, two workers."""

from typing import Any

import msgspec
import numpy as np

from loadtests.gauges import Sample
from loadtests.ledger import Ledger, Verdict, seen
from loadtests.metrics import BUCKETS_S
from loadtests.objectives import OBJECTIVES
from loadtests.outcome import Outcome, Route
from loadtests.people import contacts
from loadtests.plan import Size
from loadtests.recording import Recording
from loadtests.report import Report, reported
from loadtests.timeline import Step
from loadtests.watching import Kept, Watched

SECONDS, ARRIVALS = 600, 6000
CAMPAIGN = 1000
RIGHT = Verdict(
    acknowledged=20_000,
    handed_over=20_000,
    delivered=19_990,
    opt_outs=500,
    cents=16_600.0,
    unsent=0,
    waiting=0,
    lost=0,
    twice=0,
    after_stop=0,
    outside_hours=0,
)
OF_TEN = msgspec.structs.replace(RIGHT, acknowledged=10, handed_over=10, delivered=10, opt_outs=1, cents=7.5)
RESOURCES = ("cpu", "campaign_rate", "main_connections", "provider_calls", "door", "rows_to_write")


def outcome(*, arrivals: int = ARRIVALS, median_s: float = 0.02, seed: int = 1, **changes: Any) -> Outcome:
    """Two workers' arrivals, of which nearly all were answered in time."""
    luck, recording = np.random.default_rng(seed), Recording()
    for took_s in (median_s * luck.lognormal(0, 0.8, arrivals)).tolist():
        recording.started(0.0005)
        recording.ended(since_intended_s=took_s + 0.0005, since_actual_s=took_s, blocked_s=1e-5, ok=True)
    nothing = Recording().handed(cpu=0.3, whole=True)
    run = Outcome(
        parts=[recording.handed(cpu=0.3, whole=True), nothing],
        acknowledged=[],
        stopped_because="",
        lasted_s=float(SECONDS),
        routes=[route("POST sends", 14_000, median_s), route("GET conversations", 3000, median_s / 2)],
        errors={},
    )
    return msgspec.structs.replace(run, **changes)


def steps(arrivals: int = ARRIVALS) -> list[Step]:
    """The same arrivals by the second at which they were meant."""
    luck = np.random.default_rng(3)
    counts = np.bincount((luck.random(arrivals) * SECONDS).astype(int), minlength=SECONDS).tolist()
    found = []
    for at, count in enumerate(counts):
        within = np.bincount(
            np.searchsorted(BUCKETS_S, 0.02 * luck.lognormal(0, 0.8, count)), minlength=len(BUCKETS_S) + 1
        )
        counts = {"intended": count, "started": count, "late": 0, "dropped": 0, "failed": 0}
        found.append(Step(at_s=float(at), step_s=1.0, within=within.tolist(), **counts))
    return found


def route(name: str, requests: int, median_s: float) -> Route:
    took, counts = np.unique(
        np.round(1000 * median_s * np.random.default_rng(2).lognormal(0, 0.8, requests)), return_counts=True
    )
    milliseconds = {str(int(ms)): int(count) for ms, count in zip(took, counts, strict=True)}
    return Route(
        name=name,
        requests=requests,
        failures=0,
        seconds={"p50": median_s, "p95": 4 * median_s, "p99": 7 * median_s},
        milliseconds=milliseconds,
    )


def ledger(people: int = 20_000) -> Ledger:
    """Everybody texted once, evenly over the run."""
    texts = [
        {"n": n, "to": int(row["phone"][1:]), "arrived_at": n * SECONDS / people, "campaign_id": CAMPAIGN}
        for n, row in enumerate(contacts(people))
    ]
    return Ledger(
        start_at=0.0,
        submissions=texts,
        arrivals=[],
        inbound=[],
        inbound_acknowledged=[],
        finals=[],
        cost_usd=166.0,
    )


def looks() -> list[Sample]:
    """A gateway that was looked at each second, and was fuller each time."""
    return [
        Sample(
            at_s=float(at),
            full={name: 0.8 * at / SECONDS / (nth + 1) for nth, name in enumerate(RESOURCES)},
            queued=float(at % 40),
            oldest_s=1.5,
            memory_mb=90 + at / 1000,
        )
        for at in range(SECONDS)
    ]


def watched(*, good: float = 1.0) -> Watched:
    """`good`: how much of each promise was kept."""
    return Watched(
        kept=[Kept(objective=each.name, good=int(good * 20_000), total=20_000) for each in OBJECTIVES],
        segments={"verizon": 14_000, "att": 6000},
        encodings={"GSM-7": 20_000},
        build={"version": "0.1.0", "commit": "abcdef0"},
        config="0123456789abcdef",
        used={"gateway": 300.0, "carrier": 200.0, "PostgreSQL": 100.0},
        cores=2,
    )


def report(**changes: Any) -> Report:
    """Of such a run; `changes` to what `reported` is told."""
    parts: dict[str, Any] = {
        "outcome": RUN,
        "verdict": RIGHT,
        "size": Size(contacts=20_000, volunteers=100),
        "command": "textbank load --contacts 20000 --volunteers 100",
        "seen": SEEN,
        "gateway": watched(),
        "machine": {"processor": "a processor, 2 cores"},
    }
    return reported(**{**parts, **changes})


RUN = outcome(steps=steps(), samples=looks())
SEEN = seen(ledger(), CAMPAIGN)
