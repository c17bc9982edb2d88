"""Locust's master: watches over the run, has the carrier do what the shape says, and puts together what was handed over."""

import time
from pathlib import Path
from typing import Any, Final

import gevent
import msgspec

from loadtests.asking import Asker
from loadtests.gauges import Gauges
from loadtests.metrics import served
from loadtests.outcome import Happened, Outcome, PhaseFigures, Route
from loadtests.pacer import Failed
from loadtests.plan import Plan
from loadtests.recording import Handed, Recording
from loadtests.shapes import Event
from loadtests.targets import Target
from loadtests.timeline import steps
from loadtests.worker import TELLS_EVERY_S, Records, Standing

_STAYS_IDLE_S: Final = 12.0
"""Longer than any person of the town takes to answer, and than Locust's workers between two reports."""
_STAYS_DONE_S: Final = 3.0
"""The same for a run that ends by time."""
_ASKS_EVERY_S: Final = 1.0
_SILENT_TIMES: Final = 3
"""So often in a row nobody took a connection: the gateway is gone."""
_HANDS_OVER_WITHIN_S: Final = 15.0


class Master:
    """Of one run. Its instants count from the first at which anybody was to arrive."""

    def __init__(self, environment: Any, plan: Plan) -> None:
        self._environment = environment
        self._plan = plan
        self._standings: dict[str, Standing] = {}
        self._records: dict[str, Records] = {}
        self._acknowledged: list[int] = []
        self._happened: list[Happened] = []
        self._stopped_because = "it was interrupted"
        self._began_at = time.perf_counter()
        self._market_s = 0.0
        self._silent = 0
        self._carrier = _asker(plan.carrier)
        self._gauges = Gauges(_asker(plan.metrics))
        self._metrics = served(
            lambda: {"integrators": Recording.counted(each.part for each in self._standings.values())}
        )

    # ---------------------------------------------------------------- what the workers say

    def standing(self, *, msg: Any, **_: Any) -> None:
        self._stands(msg.node_id, msgspec.convert(msg.data, Standing))

    def records(self, *, msg: Any, **_: Any) -> None:
        self._records[msg.node_id] = found = msgspec.convert(msg.data, Records, strict=False)
        self._stands(msg.node_id, found.standing)

    def _stands(self, worker: str, standing: Standing) -> None:
        self._standings[worker] = standing
        self._acknowledged += standing.acknowledged

    # ---------------------------------------------------------------- the run

    def watch(self) -> None:
        size = self._plan.size
        self._began_at = time.perf_counter() + size.lead_s
        speed = self._market()
        for event in size.form.events:
            gevent.spawn_later(size.lead_s + event.at * size.seconds, self._start, event, speed)
        gevent.spawn(self._gauges.read, self._began_at)
        gevent.spawn(self._look_whether_it_is_there)
        idle_since = time.perf_counter()
        while not self._stopped(idle_since):
            gevent.sleep(TELLS_EVERY_S)
            if not self._is_done():
                idle_since = time.perf_counter()
        self._ask_for_all()
        self._environment.runner.quit()

    def _look_whether_it_is_there(self) -> None:
        gateway = Asker(Target(url=self._plan.url, named=self._plan.url, is_here=False), most_in_flight=1)
        while True:
            gevent.sleep(_ASKS_EVERY_S)
            try:
                gateway.ask("GET", "/")  # whatever it answers
                self._silent = 0
            except Failed:
                self._silent += 1

    def _market(self) -> float:
        """Its speed; and notes which second of the market the first instant is."""
        if self._carrier is None:
            return 1.0
        try:
            _, content, _ = self._carrier.ask("GET", "/twin/state")
            state = msgspec.json.decode(content)
            self._market_s = state["now_s"] + (self._began_at - time.perf_counter()) * state["speed"]
        except (Failed, msgspec.DecodeError, KeyError):
            return 1.0
        return float(state["speed"])

    def _start(self, event: Event, speed: float) -> None:
        lasts_s = event.lasts * self._plan.size.seconds
        order: dict[str, Any] = {"kind": event.kind, "for_s": lasts_s * speed}
        if event.kind == "stop_wave":
            order["share"] = event.share
        at_s = round(time.perf_counter() - self._began_at, 3)
        said = "no carrier was named"
        if self._carrier is not None:
            said = _answer(self._carrier, order)
        self._happened.append(Happened(kind=event.kind, at_s=at_s, lasts_s=lasts_s, refused=said))

    def _is_done(self) -> bool:
        standings = self._standings.values()
        if len(standings) < self._plan.size.workers or not all(each.part.whole for each in standings):
            return False
        if self._plan.size.form.ends == "time":
            return time.perf_counter() - self._began_at >= self._ends_s()
        return sum(each.idle + each.turned_away for each in standings) >= self._plan.size.volunteers

    def _ends_s(self) -> float:
        """When a run that ends by time does; where the hours end, they do first."""
        shuts_at, seconds = self._plan.shuts_at, self._plan.size.seconds
        return seconds if shuts_at is None else max(seconds, self._plan.shuts_s(self._market_s))

    def _stopped(self, idle_since: float) -> bool:
        now = time.perf_counter()
        if self._environment.runner.clients.missing:
            self._stopped_because = "a worker was lost"
        elif self._silent >= _SILENT_TIMES:
            self._stopped_because = f"{self._plan.url} does not answer any more"
        elif now - idle_since >= (_STAYS_DONE_S if self._plan.size.form.ends == "time" else _STAYS_IDLE_S):
            self._stopped_because = ""
        elif now - self._began_at >= self._plan.size.at_most_s:
            self._stopped_because = f"not everybody was texted within {self._plan.size.at_most_s:g} s"
        else:
            return False
        return True

    def _ask_for_all(self) -> None:
        self._environment.runner.send_message("hand over")
        living = len(self._standings) - len(self._environment.runner.clients.missing)
        ends_at = time.perf_counter() + _HANDS_OVER_WITHIN_S
        while len(self._records) < living and time.perf_counter() < ends_at:
            gevent.sleep(0.1)

    # ---------------------------------------------------------------- what came of it

    def write(self) -> None:
        records = list(self._records.values())
        outcome = Outcome(
            parts=self._parts(),
            acknowledged=self._acknowledged,
            stopped_because=self._stopped_because,
            lasted_s=round(max(time.perf_counter() - self._began_at, 0.001), 3),
            routes=[_route(entry) for _, entry in sorted(self._environment.stats.entries.items())],
            errors={
                f"{error.name}: {error.error}"[:300]: error.occurrences
                for error in self._environment.stats.errors.values()
            },
            joins=[each.joins for each in records],
            turned_away=sum(each.turned_away for each in self._standings.values()),
            phases=self._phases(records),
            steps=steps((each.rows for each in records), self._plan.size.step_s),
            events=self._happened,
            samples=self._gauges.samples,
            gateway=self._gauges.build,
            streamed=sum(each.streamed for each in records),
            market_s=round(self._market_s, 3),
        )
        Path(self._plan.outcome).write_bytes(msgspec.json.encode(outcome))

    def _parts(self) -> list[Handed]:
        """Of a worker that handed nothing over, what it told last."""
        return [
            self._records[worker].part if worker in self._records else standing.part
            for worker, standing in self._standings.items()
        ]

    def _phases(self, records: list[Records]) -> list[PhaseFigures]:
        size = self._plan.size
        begins = [each.begins * size.seconds for each in size.form.phases]
        return [
            PhaseFigures(
                name=phase.name,
                from_s=from_s,
                to_s=to_s,
                open=Recording.merged(each.phases[phase.name] for each in records).figures(),
            )
            for phase, from_s, to_s in zip(size.form.phases, begins, [*begins[1:], size.seconds], strict=True)
        ]


def _asker(url: str) -> Asker | None:
    return Asker(Target(url=url, named=url, is_here=False), most_in_flight=4) if url else None


def _answer(carrier: Asker, order: dict[str, Any]) -> str:
    """Why the carrier did not do it; "" when it did."""
    try:
        headers = {"Content-Type": "application/json"}
        status, content, _ = carrier.ask("POST", "/twin/faults", msgspec.json.encode(order), headers)
    except Failed as error:
        return str(error)
    return "" if status < 300 else f"{status}: {content[:200].decode(errors='replace')}"


def _route(entry: Any) -> Route:
    seconds = {
        f"p{share * 100:g}": entry.get_response_time_percentile(share) / 1000 for share in (0.5, 0.95, 0.99)
    }
    return Route(
        name=entry.name,
        requests=entry.num_requests,
        failures=entry.num_failures,
        seconds=seconds,
        milliseconds={str(took): count for took, count in sorted(entry.response_times.items())},
    )
