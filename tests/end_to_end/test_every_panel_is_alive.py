"""A small bank over real HTTP, watched by a real Prometheus: every panel and every rule has data to show.

Gateway and carrier are processes, Prometheus has the committed rules. What a board asks is read from Grafana's JSON.
"""

import asyncio
import contextlib
import json
import math
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from dashboards.alerts import ALERTS
from dashboards.generate import GENERATED
from dashboards.observe import laid_out
from dashboards.programs import NotHere, find
from dashboards.rules import slo_alerts
from gateway.metric_families import SERIES_BUDGET
from loadtests.metrics import LoadMetrics
from loadtests.recording import Recording
from tests.end_to_end.processes import PATIENCE_S, free_port
from tests.end_to_end.town import CAMPAIGN, Town, open_town, until

PEOPLE = 2000
EACH_SECOND = 12
CAP = 2000
REGISTRATION = {"total_per_s": 40.0, "small_carrier_number_per_s": 5.0, "tmobile_daily_cap": CAP}
SCENARIO = "volunteers"
ASKED_FOR = {"$__rate_interval": "10s", "$__range": "1m", "$environment": ".*", "$carrier": ".*"}
FORECAST = re.compile("will be full|T-Mobile's day|each limit")  # may be more than a whole
ANOTHER_DAY = re.compile("Whose clock")  # the town believes in a day in March
Series = list[dict[str, Any]]


class Watched:
    """Prometheus over HTTP."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def api(self, path: str, **parameters: str) -> Any:
        async with self.session.get(f"{self.url}/api/v1/{path}", params=parameters) as answer:
            told = await answer.json()
        assert told["status"] == "success", (parameters, told)
        return told["data"]

    async def ask(self, expression: str) -> Series:
        """The series of an answer that have a value."""
        found = (await self.api("query", query=expression))["result"]
        return [each for each in found if not math.isnan(float(each["value"][1]))]

    async def is_ready(self) -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            async with self.session.get(f"{self.url}/-/ready") as answer:
                return answer.status == 200
        return False


def sooner(rules: str) -> str:
    """What they look back at was two seconds ago."""
    return re.sub(r"offset 30[ms]", "offset 2s", rules)


@contextlib.asynccontextmanager
async def watching(folder: Path, targets: dict[str, list[str]]) -> AsyncIterator[Watched]:
    """Looks every second, evaluates every rule every second, and doesn't wait a quarter of an hour for a receipt."""
    port = free_port()
    words = laid_out(folder, targets, port=port, every="1s", environment="test")
    for file in (folder / "rules").glob("*.yaml"):
        rules = yaml.safe_load(sooner(file.read_text(encoding="utf-8")))
        for group in rules["groups"]:
            group["interval"] = "1s"
        file.write_text(yaml.safe_dump(rules), encoding="utf-8")
    with (folder / "prometheus.log").open("w", encoding="utf-8") as log:
        process = await asyncio.create_subprocess_exec(*words, stdout=log, stderr=subprocess.STDOUT)
    try:
        async with aiohttp.ClientSession() as session:
            watched = Watched(session, f"http://127.0.0.1:{port}")
            async with asyncio.timeout(PATIENCE_S):
                while not await watched.is_ready():
                    assert process.returncode is None, (folder / "prometheus.log").read_text(encoding="utf-8")
                    await asyncio.sleep(0.1)
            yield watched
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


# ---------------------------------------------------------------- what is asked


def asked(expression: str) -> str:
    for name, value in ASKED_FOR.items():
        expression = expression.replace(name, value)
    return expression


def of_the_boards() -> Iterator[tuple[str, str, str, str]]:
    """Where it stands, the query, the series' name, the unit: as Grafana would read them."""
    for file in sorted((GENERATED / "grafana/dashboards").glob("*.json")):
        board = json.loads(file.read_text(encoding="utf-8"))
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                where = f"{board['title']}: {panel['title']}"
                unit = panel["fieldConfig"]["defaults"]["unit"]
                yield where, asked(target["expr"]), target["legendFormat"], unit


def of_the_rules() -> Iterator[tuple[str, str]]:
    """What is recorded, and each value that an alert compares."""
    for file in sorted((GENERATED / "prometheus/rules").glob("*.yaml")):
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                if "record" in rule:
                    labels = ",".join(f'{name}="{value}"' for name, value in rule.get("labels", {}).items())
                    yield rule["record"], f"{rule['record']}{{{labels}}}"
    for alert in (*slo_alerts(), *ALERTS):
        for condition in alert.conditions:
            yield alert.name, sooner(condition.value)


async def silent(watched: Watched) -> list[str]:
    """What has no data, or not the labels and the size that it is declared with."""
    faults = [where for where, expression in of_the_rules() if not await watched.ask(expression)]
    for where, expression, legend, unit in of_the_boards():
        found = await watched.ask(expression)
        if not found:
            faults.append(where)
        faults += [f"{where}: {fault}" for fault in declared_otherwise(where, found, legend, unit)]
    return faults


def declared_otherwise(where: str, found: Series, legend: str, unit: str) -> Iterator[str]:
    """A legend without its label, a share beyond the whole, a time in milliseconds."""
    labels = set(re.findall(r"\{\{(\w+)\}\}", legend))
    for each in found:
        value = float(each["value"][1])
        if labels - set(each["metric"]):
            yield f"{legend} of {each['metric']}"
        if unit == "percentunit" and value > 1.01 and not FORECAST.search(where):
            yield f"{value} of a whole"
        if unit == "s" and not -120 <= value <= 7200 and not ANOTHER_DAY.search(where):
            yield f"{value} s"
        if unit == "bool_on_off" and value not in (0, 1):
            yield f"{value} is neither on nor off"


# ---------------------------------------------------------------- the bank


class Bank:
    """First texts, receipts, questions, answers and STOPs, a few each second; the sender counts as a load generator does."""

    def __init__(self, town: Town, load: Recording) -> None:
        self.town = town
        self.load = load
        self.people = list(town.contact_ids)
        self.next = 0

    async def run(self) -> None:
        """Until there is nobody left: longer than the test takes."""
        while self.next < PEOPLE:
            some = self.people[self.next : self.next + EACH_SECOND]
            self.next += EACH_SECOND
            await self.texts(some)
            if self.next > 6 * EACH_SECOND:
                await self.questions(self.people[self.next - 6 * EACH_SECOND :][:EACH_SECOND])
            await asyncio.sleep(0.7)

    async def texts(self, some: list[str]) -> None:
        """A batch, and one by itself."""
        now = asyncio.get_running_loop().time
        intended = now()
        self.load.started(0.0)
        await self.town.send(some[1:])
        row = {"contact_id": self.town.contact_ids[some[0]], "body": "Hello. Reply STOP to opt out"}
        await self.town.call("POST", "/v1/messages", {"campaign_id": CAMPAIGN, **row})
        took_s = now() - intended
        self.load.ended(since_intended_s=took_s, since_actual_s=took_s, blocked_s=0.0, ok=True)

    async def questions(self, some: list[str]) -> None:
        """Of people who were texted some seconds ago: one leaves, one asks and is answered."""
        numbers = (await self.town.call("GET", f"/v1/campaigns/{CAMPAIGN}/numbers"))[1]["numbers"]
        ours = next(each["phone"] for each in numbers if each["state"] == "active")
        before = await self.town.metric("p2p_inbound_total")
        await self.town.person_texts(some[0], ours, "STOP")
        await self.town.person_texts(some[1], ours, "Where do I vote?")

        async def have_come() -> bool:
            return await self.town.metric("p2p_inbound_total") >= before + 2

        await until(have_come)
        await self.town.send([some[1]], "At your school, {}", kind="reply")


@pytest.fixture
def programs() -> None:
    try:
        find("prometheus")
    except NotHere as why:
        pytest.skip(str(why))


async def test_every_panel_and_every_rule_has_data(programs: None, dsn: str, folder: Path) -> None:
    load, load_port = Recording(), free_port()
    server, thread = LoadMetrics(lambda: {SCENARIO: load}).serve(load_port)
    try:
        async with open_town(dsn, contacts=PEOPLE, registration=REGISTRATION) as town:
            targets = {
                "textbank": [town.internal_urls[town.port].removeprefix("http://")],
                "textbank-carrier": [town.carrier_url.removeprefix("http://")],
                "textbank-load": [f"127.0.0.1:{load_port}"],
            }
            async with watching(folder, targets) as watched:
                working = asyncio.create_task(Bank(town, load).run())
                await every_query_answers(watched, working)
                working.cancel()
                await the_rules_are_well(watched)
                await an_exemplar_leads_to_a_story(watched, town)
                (scrape,) = await watched.ask('max_over_time(scrape_samples_scraped{job="textbank"}[1m])')
                assert float(scrape["value"][1]) <= SERIES_BUDGET
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def every_query_answers(watched: Watched, working: "asyncio.Task[None]") -> None:
    """All at one time, while the bank goes on."""
    faults = ["nothing was asked yet"]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while faults:
                await asyncio.sleep(2)
                assert not working.done(), (faults, working.exception())
                faults = await silent(watched)
    assert faults == []


async def the_rules_are_well(watched: Watched) -> None:
    rules = [rule for group in (await watched.api("rules"))["groups"] for rule in group["rules"]]
    assert len(rules) > 150
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
    firing = {each["metric"]["alertname"] for each in await watched.ask('ALERTS{alertstate="firing"}')}
    assert "Watchdog" in firing
    assert firing & {"BooksDisagree", "NoGateway", "GatewayDown", "RulesFail", "MessagesStuck"} == set()


async def an_exemplar_leads_to_a_story(watched: Watched, town: Town) -> None:
    found = await watched.api(
        "query_exemplars",
        query="p2p_delivery_duration_seconds_bucket",
        start="0",
        end=str(2**31),
    )
    named = [each["labels"] for series in found for each in series["exemplars"]]
    assert named
    path = f"/v1/messages/{named[0]['campaign_id']}/{named[0]['message_id']}/story"
    status, _ = await town.call("GET", path)
    assert status == 200
