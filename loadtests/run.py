"""One load test from a target to a report: the campaign is made, Locust runs, the ledger judges."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final

import msgspec

from loadtests import plan as plans
from loadtests.door import Door, Unanswered
from loadtests.ledger import Verdict, fetched, judged
from loadtests.outcome import Outcome
from loadtests.report import Report, reported
from loadtests.targets import Target

_SETTLES_WITHIN_S: Final = 60.0
_OVERTIME_S: Final = 120.0
_LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
_NOTHING: Final = Outcome(parts=[], acknowledged=[], stopped_because="", lasted_s=0.001, routes=[], errors={})


def run(
    gateway: Target, carrier: Target, *, key: str, size: plans.Size, command: str, say: Callable[[str], None]
) -> Report:
    """Loads the gateway and judges by the carrier's ledger; raises Unanswered where one of them isn't there."""
    with Door(gateway, key) as door, Door(carrier) as market, tempfile.TemporaryDirectory() as folder:
        market.call("GET", "/twin/ledger")
        file = Path(folder) / "outcome.json"
        plan = plans.prepared(door, url=gateway.url, key=key, size=size, outcome=file)
        say(f"{size.contacts:,} contacts, {size.volunteers:,} volunteers, campaign {plan.campaign_id}")
        outcome = _generated(plan, Path(folder) / "plan.json")
        say(f"asked for {outcome.lasted_s:,.1f} s; the ledger is read")
        _settled(market)
        return reported(outcome, _verdict(door, market, plan, outcome), size, command)


def _generated(plan: plans.Plan, file: Path) -> Outcome:
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
    words += ["--spawn-rate", str(max(1, size.volunteers // 2)), "--only-summary", "--loglevel", "WARNING"]
    environment = {**os.environ, plans.VARIABLE: str(file)}
    try:
        done = subprocess.run(
            words,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=size.at_most_s + _OVERTIME_S,
            cwd=Path(__file__).parents[1],
        )
        said = done.stderr
    except subprocess.TimeoutExpired:
        said = "it did not end by itself"
    try:
        return msgspec.json.decode(Path(plan.outcome).read_bytes(), type=Outcome)
    except OSError:
        return msgspec.structs.replace(
            _NOTHING, stopped_because=f"the generator ended without a word: {said[-500:]}"
        )


def _settled(market: Door) -> None:
    """Waits until nothing is on its way any more, for a while: what is lost by then is lost."""
    ends_at, before = time.monotonic() + _SETTLES_WITHIN_S, None
    while time.monotonic() < ends_at:
        told = market.call("GET", "/twin/ledger")
        standing = (told["rows"], told["webhooks"]["outstanding"], told["counts"]["in_queue"])
        if standing == before and not told["webhooks"]["outstanding"]:
            return
        before = standing
        time.sleep(1.0)


def _verdict(door: Door, market: Door, plan: plans.Plan, outcome: Outcome) -> Verdict:
    def state_of(message_id: int) -> str:
        try:
            return str(door.call("GET", f"/v1/messages/{plan.campaign_id}/{message_id}")["state"])
        except Unanswered as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise  # who can't be asked has lost nothing yet
            return ""

    return judged(fetched(market), plan.campaign_id, outcome.acknowledged, state_of)
