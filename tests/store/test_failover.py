"""A primary is lost, comes back as a reader, or comes back as if nothing had been: work goes to the one that writes."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.store.database import Database
from gateway.store.hosts import Succession
from gateway.store.limits import Limits
from gateway.store.probe import DatabaseProbe
from gateway.store.troubles import DatabaseAway, DatabaseBusy
from tests.end_to_end.postgres import Postgres
from tests.end_to_end.processes import free_port
from tests.store.faulty_line import FaultyLine

HANG_S = 60.0  # only a test that would never end meets it
FAST = Limits(connect_s=2.0, turn_s=5.0, answer_s=3.0, statement_s=2.5, lock_s=0.5)
WRITE = "INSERT INTO written VALUES ($1)"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="textbank-failover-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def primary(folder: Path, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    server = Postgres(folder / request.node.name.strip("]").replace("[", "-"))
    server.make()
    try:
        server.start()
    except AssertionError:  # between the choice of a port and its use somebody else took it
        server.port = free_port()
        server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
async def line(primary: Postgres) -> AsyncIterator[FaultyLine]:
    async with FaultyLine(primary.dsn) as faulty:
        yield faulty


async def until(does: Callable[[], Awaitable[object]]) -> object:
    """Its result once the database lets it."""
    async with asyncio.timeout(HANG_S):
        while True:
            with suppress(DatabaseAway):
                return await does()
            await asyncio.sleep(0.1)


async def until_refused(does: Callable[[], Awaitable[object]]) -> None:
    """A server process learns a new setting a moment after the others."""
    async with asyncio.timeout(HANG_S):
        with suppress(DatabaseBusy):
            while True:
                await does()
                await asyncio.sleep(0.1)


async def test_a_primary_that_turns_reader_and_back(primary: Postgres):
    database = Database(primary.dsn, connections=3, limits=FAST)
    probe = DatabaseProbe(primary.dsn, database)
    await database.script("CREATE TABLE written (one integer)")
    await asyncio.gather(*(database.fetch("SELECT pg_sleep(0.05)") for _ in range(3)))
    await primary.set_read_only(True)
    await until_refused(lambda: database.fetch("DELETE FROM written WHERE false"))
    for _ in range(4):  # more often than there are connections
        with pytest.raises(DatabaseBusy):
            await database.fetch(WRITE, 1)
    with pytest.raises(DatabaseAway):
        await probe.ask()
    with pytest.raises(DatabaseBusy, match="only reads"):
        await database.fetch("SELECT 1")  # nothing stays on the reader
    await primary.set_read_only(False)
    await until(lambda: database.fetch(WRITE, 2))
    await until(probe.ask)
    assert [row[0] for row in await database.fetch("SELECT one FROM written")] == [2]
    await probe.close()
    await database.close()


@pytest.mark.parametrize("how", ["silent", "back"])
async def test_another_server_becomes_the_primary(
    primary: Postgres, line: FaultyLine, folder: Path, how: str
):
    """Its host falls silent, and the other takes over. In the second story it is heard again and still writes."""
    other = primary.replica(folder / f"replica-{how}")
    both = f"postgresql://postgres@127.0.0.1:{line.port},127.0.0.1:{other.port}/postgres?sslmode=disable"
    succession = Succession()
    database = Database(both, connections=2, limits=FAST, succession=succession)
    session = Database(both, connections=1, limits=FAST, succession=succession)  # another door of the worker
    try:
        await database.script("CREATE TABLE written (one integer)")
        await primary.wait_for_replica()
        await database.fetch(WRITE, 1)
        await asyncio.gather(*(database.fetch("SELECT pg_sleep(0.05)") for _ in range(2)))
        line.silence()
        await asyncio.to_thread(other.promote)
        await until(lambda: database.fetch(WRITE, 2))
        if how == "back":
            await primary.execute("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
            line.speak()  # the first host of the DSN takes writes again
        await until(lambda: session.fetch(WRITE, 3))
        await asyncio.gather(*(until(lambda: database.fetch(WRITE, 3)) for _ in range(5)))
        fresh = Database(other.dsn, connections=1)
        written = sorted(row[0] for row in await fresh.fetch("SELECT one FROM written"))
        await fresh.close()
        assert written == [1, 2, *[3] * 6]
        database.hang_up()
        session.hang_up()
    finally:
        other.stop()
