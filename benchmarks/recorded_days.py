"""Days that are rehearsed once and kept as what their gateway's metrics were: rules may be judged over them again and again."""

import asyncio
import gzip
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import asyncpg

from benchmarks.alert_worlds import FAULTS, HEALTHY, World, world
from gateway.config import Log
from gateway.logs import configure_ours
from gateway.store.database import Database
from gateway.store.embedded import EmbeddedServer
from gateway.store.migrate import migrate
from simulator.rehearsal.run import rehearse_on
from simulator.report.result import Plan

FOLDER: Final = Path(__file__).parent / "results" / "alert_days"
"""Not under version control."""
_TEMPLATE: Final = "migrated"
_MIGRATED_AT: Final = 1_000_000_000.0


def path_of(fault: str, seed: int, folder: Path = FOLDER) -> Path:
    """Where that day's record is, once there is one."""
    return folder / f"{fault}-{seed:03d}.om.gz"


def wanted(healthy: int, each_fault: int) -> Iterator[tuple[str, int]]:
    """In turns, so that a run that is broken off has some of each."""
    for nth in range(max(healthy, each_fault)):
        if nth < each_fault:
            yield from ((fault, nth + 1) for fault in FAULTS)
        several = max(1, healthy // max(1, each_fault))
        upto = healthy if nth == each_fault - 1 else min(healthy, (nth + 1) * several)
        yield from ((HEALTHY, each + 1) for each in range(min(healthy, nth * several), upto))


class Rehearsals:
    """A PostgreSQL for one rehearsal after the other, each in an empty database of its own."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server

    async def prepare(self) -> None:
        """Makes the database that each day's is a copy of."""
        await self._as_owner(f"CREATE DATABASE {_TEMPLATE}")
        database = Database(self._server.dsn(_TEMPLATE))
        await database.open()
        try:
            await migrate(database, _MIGRATED_AT)
        finally:
            await database.close()

    async def _as_owner(self, statement: str) -> None:
        connection = await asyncpg.connect(self._server.dsn())
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def record(self, day: World, seed: int, path: Path) -> None:
        """Rehearses the day, and keeps its metrics; a run that is cut leaves nothing."""
        asyncio.run(self._as_owner(f"CREATE DATABASE day TEMPLATE {_TEMPLATE} STRATEGY file_copy"))
        try:
            with TemporaryDirectory() as folder:
                metrics = Path(folder) / "day.om"
                plan = Plan(day.scenario, contacts=day.people, seed=seed, metrics=metrics)
                rehearse_on(self._server.dsn("day"), plan)
                half = path.with_suffix(".half")
                with gzip.open(half, "wb", compresslevel=4) as file:
                    file.write(metrics.read_bytes())
                half.rename(path)
        finally:
            asyncio.run(self._as_owner("DROP DATABASE day WITH (FORCE)"))


@contextmanager
def rehearsals() -> Iterator[Rehearsals]:
    """Starts the server, and stops it."""
    with EmbeddedServer() as server:
        made = Rehearsals(server)
        asyncio.run(made.prepare())
        yield made


def record_some(days: Sequence[tuple[str, int]], ends_at: float) -> int:
    """Those that there is no record of yet, until `ends_at` of the steady clock; how many there were."""
    configure_ours(Log(level="error"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    count = 0
    with rehearsals() as made:
        for fault, seed in days:
            if time.monotonic() > ends_at:
                break
            if not path_of(fault, seed).exists():
                made.record(world(fault, seed), seed, path_of(fault, seed))
                count += 1
    return count
