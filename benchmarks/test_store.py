"""The store over a real PostgreSQL: admission of a large batch, and a list of 250,000 rows."""

import asyncio
import csv
from pathlib import Path

import pytest

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.hours import CampaignHours
from gateway.core.rules.safeguards import Kind, Request
from gateway.metrics import Metrics
from gateway.p2p.lists import read_list
from gateway.pipeline.admission import Admission, StraightOn
from gateway.pipeline.campaigns import Campaigns
from gateway.store import campaigns
from gateway.store.campaigns import CampaignRow
from gateway.store.contacts import ContactRow, add
from gateway.store.database import Database
from gateway.store.embedded import EmbeddedServer
from gateway.store.messages import Queued
from gateway.store.migrate import migrate
from simulator.rehearsal.contact_import import from_list, put

BATCH = 10_000
ROWS = 250_000
NOON = 1_793_725_200.0  # 2026-11-03, 12:00 in New York


class NoRoad:
    """Admission alone: whatever is admitted waits in the store."""

    def straight_on(self, campaign_id: int, message: Queued) -> None:
        return None

    def waits(self, campaign_id: int, message: Queued) -> None: ...

    def go(self, campaign_id: int, message: Queued, straight: StraightOn) -> None: ...

    def forget(self, campaign_id: int, message: Queued, straight: StraightOn) -> None: ...


async def fresh(server: EmbeddedServer, name: str) -> Database:
    admin = Database(server.dsn(), connections=1)
    await admin.open()
    await admin.script(f"DROP DATABASE IF EXISTS {name}")
    await admin.script(f"CREATE DATABASE {name}")
    await admin.close()
    database = Database(server.dsn(name), connections=1)
    await database.open()
    await migrate(database, NOON)
    settings = CampaignSettings(hours=CampaignHours.parse("09:00", "21:00")).to_json()
    await campaigns.create(database, CampaignRow(1, 1, "Benchmark", settings, paused=False), NOON)
    return database


def people(count: int) -> list[ContactRow]:
    return [ContactRow(n, f"+1215{2_000_000 + n}", "PA@America/New_York") for n in range(1, count + 1)]


@pytest.mark.benchmark(min_rounds=3)
def test_admission_of_a_batch_of_10_000(benchmark, server):
    """From the call to durable rows, safeguards included; the target is 1 s."""
    with asyncio.Runner() as runner:

        async def set_up() -> tuple[Database, Admission]:
            database = await fresh(server, "admission")
            await add(database, 1, people(BATCH))
            known = Campaigns(database)
            await known.load()
            clock = Clock(asyncio.get_running_loop(), NOON)
            return database, Admission(
                database, known, clock, Metrics(), NoRoad(), window_s=0.01, max_rows=BATCH
            )

        async def admit(admission: Admission) -> int:
            answers = [
                admission.submit(
                    Request(
                        campaign_id=1,
                        contact_id=n,
                        kind=Kind.INITIAL,
                        body=f"Hi number {n}, polls are open today. Reply STOP to opt out",
                        sender_id=1,
                    )
                )
                for n in range(1, BATCH + 1)
            ]
            return sum(outcome.admitted for outcome in await asyncio.gather(*answers))

        def prepare() -> tuple[tuple[Admission], dict[str, object]]:
            for earlier in opened:
                runner.run(earlier.close())
            database, admission = runner.run(set_up())
            opened[:] = [database]
            return (admission,), {}

        opened: list[Database] = []
        admitted = benchmark.pedantic(lambda each: runner.run(admit(each)), setup=prepare, rounds=3)
        assert admitted == BATCH
        for database in opened:
            runner.run(database.close())


def write_list(path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["First Name", "Last Name", "Cell Phone", "Zip", "custom_field_precinct"])
        for n in range(ROWS):
            line = 2_300_000 + n  # exchanges 230 to 254
            writer.writerow(
                ["Maria", "O'Neil", f"(215) {line // 10_000}-{line % 10_000:04d}", "19104", n % 90]
            )


@pytest.mark.benchmark(min_rounds=1)
def test_import_of_a_list_of_250_000_rows(benchmark, server, tmp_path):
    """CSV to contacts; the target is 10 s."""
    path = tmp_path / "list.csv"
    write_list(path)
    with asyncio.Runner() as runner:
        database = runner.run(fresh(server, "import_list"))

        async def import_list() -> int:
            return await put(database, 1, from_list(read_list(path)), None)

        stored = benchmark.pedantic(lambda: runner.run(import_list()), rounds=1)
        assert stored == ROWS
        runner.run(database.close())
