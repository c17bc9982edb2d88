"""One load test from a target to a report: the campaign is made, Locust runs, the ledger judges."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from http import HTTPStatus
from math import inf
from pathlib import Path
from typing import Final

import msgspec

from loadtests import answers
from loadtests import plan as plans
from loadtests.door import Door, Unanswered
from loadtests.forecast import forecasts
from loadtests.house import HOST, free_port
from loadtests.ledger import Ledger, Verdict, fetched, judged, opened_at, seen
from loadtests.machine import machine
from loadtests.outcome import Outcome
from loadtests.predicting import foretold, volunteers_phones
from loadtests.report import Report, reported
from loadtests.targets import Target
from loadtests.watching import Watch

_SETTLES_WITHIN_S: Final = 60.0
_OVERTIME_S: Final = 120.0
_LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
_NOTHING: Final = Outcome(parts=[], acknowledged=[], stopped_because="", lasted_s=0.001, routes=[], errors={})


class Town(msgspec.Struct, frozen=True, kw_only=True):
    """What is loaded: the gateway with an admin's key, the carrier behind it, and where the gateway tells its metrics.

    `processes`: those beside the gateway on this machine, by name.
    """

    gateway: Target
    carrier: Target
    key: str
    metrics: Target | None = None
    processes: dict[str, int] = {}


def run(
    town: Town,
    *,
    size: plans.Size,
    command: str,
    say: Callable[[str], None],
    predict: bool = False,
    owner: str = "",
) -> Report:
    """Loads the gateway and judges by the carrier's ledger; raises Unanswered where one of them isn't there."""
    size.possible()
    with Door(town.gateway, town.key) as door, Door(town.carrier) as market:
        said = (
            foretold(size, lambda step: _calibrated(town, door, market, step, say), say) if predict else None
        )
        with Watch([town.metrics.url] if town.metrics else [], town.processes) as watch:
            plan, outcome = loaded(town, door, market, size, say)
            settled(market)
        ledger = fetched(market)
        verdict = verdict_of(door, ledger, plan, outcome)
        found = msgspec.structs.replace(
            outcome,
            answer=answers.answer(plan, outcome, verdict),
            unmet=[*outcome.unmet, *answers.unmet(size.form, outcome, verdict)],
        )
        texted = seen(ledger, plan.campaign_id)
        by_volunteers = seen(ledger, plan.campaign_id, frozenset(volunteers_phones(size)))
        return reported(
            found,
            verdict,
            size,
            command,
            seen=texted,
            gateway=watch.watched(),
            forecasts=forecasts(said, found, seen=texted, of_volunteers=by_volunteers) if said else (),
            machine=machine(),
            owner=owner,
        )


def _calibrated(
    town: Town, door: Door, market: Door, size: plans.Size, say: Callable[[str], None]
) -> Outcome:
    _, outcome = loaded(town, door, market, size, say)
    settled(market)
    return outcome


def loaded(
    town: Town, door: Door, market: Door, size: plans.Size, say: Callable[[str], None]
) -> tuple[plans.Plan, Outcome]:
    """A new campaign, and what came of loading it."""
    state = market.call("GET", "/twin/state")
    opened = opened_at(state)
    with tempfile.TemporaryDirectory() as folder:
        plan = plans.prepared(
            door,
            url=town.gateway.url,
            key=town.key,
            size=size,
            outcome=Path(folder) / "outcome.json",
            market=plans.Market(url=town.carrier.url, opened_at=opened, now=opened + state["now_s"]),
            metrics=town.metrics.url if town.metrics else "",
        )
        say(f"{size.contacts:,} contacts, {size.volunteers:,} volunteers, campaign {plan.campaign_id}")
        outcome = generated(plan, Path(folder) / "plan.json")
    say(f"asked for {outcome.lasted_s:,.1f} s; the ledger is read")
    return plan, outcome


def generated(plan: plans.Plan, file: Path) -> Outcome:
    """What Locust's processes came to; without their word an outcome that is invalid."""
    file.touch(0o600)
    file.write_bytes(msgspec.json.encode(plan))
    size = plan.size
    words = [
        sys.executable,
        "-m",
        "locust",
        "--locustfile",
        str(_LOCUSTFILE),
        "--headless",
        "--host",
        plan.url,
    ]
    words += ["--processes", str(size.workers), "--users", str(size.volunteers + 1)]
    words += ["--spawn-rate", str(size.volunteers + 1), "--only-summary", "--loglevel", "WARNING"]
    port = str(free_port())  # of its own: two load tests on one machine are two masters
    words += ["--master-bind-host", HOST, "--master-bind-port", port, "--master-port", port]
    environment = {**os.environ, plans.VARIABLE: str(file)}
    log = file.with_suffix(".log")
    with log.open("wb") as output:
        try:
            subprocess.run(
                words,
                env=environment,
                stdout=output,
                stderr=output,
                check=False,
                timeout=size.at_most_s + _OVERTIME_S,
                cwd=Path(__file__).parents[1],
            )
        except subprocess.TimeoutExpired:
            output.write(b"it did not end by itself\n")
    try:
        return msgspec.json.decode(Path(plan.outcome).read_bytes(), type=Outcome)
    except OSError:
        last = (log.read_text(errors="replace").strip().splitlines() or ["nothing"])[-1]
        return msgspec.structs.replace(
            _NOTHING, stopped_because=f"the generator ended without a word; its last was: {last[-300:]}"
        )


def settled(market: Door) -> None:
    """Waits until nothing is on its way any more, for a while: what is lost by then is lost."""
    ends_at, before = time.monotonic() + _SETTLES_WITHIN_S, None
    while time.monotonic() < ends_at:
        told = market.call("GET", "/twin/ledger")
        standing = (told["rows"], told["webhooks"]["outstanding"], told["counts"]["in_queue"])
        if standing == before and not told["webhooks"]["outstanding"]:
            return
        before = standing
        time.sleep(1.0)


def verdict_of(door: Door, ledger: Ledger, plan: plans.Plan, outcome: Outcome) -> Verdict:
    """The ledger's, on one run's texts. Of a gateway that can't be asked nothing is known to be lost: its texts wait."""

    def state_of(message_id: int) -> str:
        try:
            return str(door.call("GET", f"/v1/messages/{plan.campaign_id}/{message_id}")["state"])
        except Unanswered as error:
            return "" if error.status == HTTPStatus.NOT_FOUND else "unknown"

    shuts_at = inf if plan.shuts_at is None else plan.shuts_at
    return judged(ledger, plan.campaign_id, outcome.acknowledged, state_of, shuts_at=shuts_at)
