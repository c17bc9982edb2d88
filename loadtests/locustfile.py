"""What Locust runs, master and workers: the users of `users.py`, and the integrators' batches by the open-model pacer.

Each worker tells the master once a second what it has recorded; the master ends the run when nobody has anything left to
do, when a worker is lost, or when the time is up, and writes what came of it.
"""

import os
import time
from itertools import islice
from pathlib import Path
from typing import Any, Final

import gevent
import msgspec
from locust import events
from locust.runners import MasterRunner, WorkerRunner

from loadtests import plan as plans
from loadtests.asking import Asker
from loadtests.outcome import Outcome, Route
from loadtests.pacer import Failed, Pacer
from loadtests.recording import Handed
from loadtests.schedule import Share, poisson
from loadtests.targets import Target
from loadtests.users import Admin, Caller, Tally, Volunteer

_TELLS_EVERY_S: Final = 1.0
_STARTS_AFTER_S: Final = 2.0
"""By then the first volunteers have come, whose start must delay no arrival."""
_STAYS_IDLE_S: Final = 12.0
"""Longer than any person of the town takes to answer, and than Locust's workers between two reports."""

PLAN: Final = plans.read(os.environ[plans.VARIABLE])
TALLY: Final = Tally()
Caller.plan, Caller.tally = PLAN, TALLY

__all__ = ["Admin", "Volunteer"]


@events.init.add_listener  # type: ignore[untyped-decorator]
def _begin(environment: Any, **_: Any) -> None:
    if isinstance(environment.runner, WorkerRunner):
        worker = Worker(environment.runner)
        environment.events.test_start.add_listener(lambda **_: gevent.spawn(worker.run))
    elif isinstance(environment.runner, MasterRunner):
        master = Master(environment)
        environment.runner.register_message("told", master.told)
        environment.events.test_start.add_listener(lambda **_: gevent.spawn(master.watch))
        environment.events.quitting.add_listener(lambda **_: master.write())


class Worker:
    """The integrators' share of one process, and what it tells the master."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self._told = 0
        self._nth = 0

    def run(self) -> None:
        size = PLAN.size
        self._share = Share(self._runner.worker_index, size.workers)
        batches = [
            PLAN.integrated_ids[first : first + size.batch_size]
            for first in range(0, len(PLAN.integrated_ids), size.batch_size)
        ]
        self._batches = batches[self._share.worker :: size.workers]
        instants = poisson(size.batches_per_s, float("inf"), size.seed, self._share)
        self._asker = Asker(Target(url=PLAN.url, named=PLAN.url, is_here=False))
        self._pacer = Pacer(islice(instants, len(self._batches)), self._batch)
        gevent.spawn(self._pacer.run, time.perf_counter() + _STARTS_AFTER_S)
        while True:
            gevent.sleep(_TELLS_EVERY_S)
            self._tell()

    def _batch(self) -> float:
        batch, self._nth = self._batches[self._nth], self._nth + 1
        body = {
            "campaign_id": PLAN.campaign_id,
            "messages": [
                {
                    "contact_id": contact_id,
                    "body": f"Polls are open today, {contact_id}. Reply STOP to opt out",
                }
                for contact_id in batch
            ],
        }
        headers = {
            "Authorization": f"Bearer {PLAN.key}",
            "Content-Type": "application/json",
            "Idempotency-Key": f"batch-{batch[0]}",
        }
        status, content, blocked_s = self._asker.ask(
            "POST", "/v1/messages:batch", msgspec.json.encode(body), headers
        )
        if status != 202:
            raise Failed(str(status))
        for result in msgspec.json.decode(content)["results"]:
            TALLY.acknowledge(result)
        return blocked_s

    def _tell(self) -> None:
        new = TALLY.acknowledged[self._told :]
        self._told += len(new)
        part = msgspec.to_builtins(self._pacer.handed())
        self._runner.send_message("told", {"part": part, "acknowledged": new, "idle": len(TALLY.idle)})


class Master:
    """Watches over the run, and puts together what the workers told."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._parts: dict[str, Handed] = {}
        self._idle: dict[str, int] = {}
        self._acknowledged: list[int] = []
        self._stopped_because = "it was interrupted"
        self._began_at = time.perf_counter()

    def told(self, *, msg: Any, **_: Any) -> None:
        self._parts[msg.node_id] = msgspec.convert(msg.data["part"], Handed)
        self._idle[msg.node_id] = msg.data["idle"]
        self._acknowledged += msg.data["acknowledged"]

    def watch(self) -> None:
        self._began_at = time.perf_counter()
        idle_since = self._began_at
        while not self._stopped(idle_since):
            gevent.sleep(_TELLS_EVERY_S)
            if not self._is_idle():
                idle_since = time.perf_counter()
        self._environment.runner.quit()

    def _is_idle(self) -> bool:
        parts = self._parts.values()
        return (
            sum(self._idle.values()) >= PLAN.size.volunteers
            and len(parts) >= PLAN.size.workers
            and all(part.whole for part in parts)
        )

    def _stopped(self, idle_since: float) -> bool:
        now = time.perf_counter()
        if self._environment.runner.clients.missing:
            self._stopped_because = "a worker was lost"
        elif now - idle_since >= _STAYS_IDLE_S:
            self._stopped_because = ""
        elif now - self._began_at >= PLAN.size.at_most_s:
            self._stopped_because = f"not everybody was texted within {PLAN.size.at_most_s:g} s"
        else:
            return False
        return True

    def write(self) -> None:
        outcome = Outcome(
            parts=list(self._parts.values()),
            acknowledged=self._acknowledged,
            stopped_because=self._stopped_because,
            lasted_s=round(time.perf_counter() - self._began_at, 3),
            routes=[_route(entry) for _, entry in sorted(self._environment.stats.entries.items())],
            errors={
                f"{error.method} {error.name}: {error.error}"[:300]: error.occurrences
                for error in self._environment.stats.errors.values()
            },
        )
        Path(PLAN.outcome).write_bytes(msgspec.json.encode(outcome))


def _route(entry: Any) -> Route:
    seconds = {
        f"p{share * 100:g}": entry.get_response_time_percentile(share) / 1000 for share in (0.5, 0.95, 0.99)
    }
    return Route(name=entry.name, requests=entry.num_requests, failures=entry.num_failures, seconds=seconds)
