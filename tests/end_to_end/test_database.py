"""The gateway's own PostgreSQL: not there at the start, gone in mid-bank, back again."""

import asyncio
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from gateway.store.embedded import EmbeddedServer
from simulator.twin.accounts import DEFAULT_SID, DEFAULT_TOKEN
from tests.end_to_end import processes
from tests.end_to_end.judgement import assert_judged_well
from tests.end_to_end.town import SHIFT_S, Town, open_town, until

PEOPLE = 240
REGISTRATION = {"total_per_s": 60.0, "small_carrier_number_per_s": 20.0}
TWILIO = f"twilio://{DEFAULT_SID}:{DEFAULT_TOKEN}@127.0.0.1:9?scheme=http"


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that the account can enter that runs PostgreSQL for root: pytest's own is for its user alone."""
    folder = Path(tempfile.mkdtemp(prefix="textbank-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def server(reachable: Path) -> Iterator[EmbeddedServer]:
    """A durable cluster of the test's own: one that is killed must come back with everything."""
    with EmbeddedServer(reachable / "data") as started:
        yield started


async def killed(server: EmbeddedServer, folder: Path) -> None:
    """As kill -9 of every process of it would: SIGQUIT lets PostgreSQL abandon all without a word."""
    pid = int((folder / "data" / "cluster" / "postmaster.pid").read_text().split("\n")[0])
    os.kill(pid, signal.SIGQUIT)

    async def is_gone() -> bool:
        """It may be a child of ours, which stands in the table until somebody asks for its status."""
        return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

    await until(is_gone)


async def readiness(town: Town) -> tuple[int, object]:
    status, body = await town.inside("/readyz")
    return status, body["parts"]["database"]


async def test_the_database_goes_away_and_comes_back(server: EmbeddedServer, reachable: Path) -> None:
    async with open_town(server.dsn(), contacts=PEOPLE, registration=REGISTRATION) as town:
        people = list(town.contact_ids)
        await town.send(people[:200])
        await town.until_submitted(60)
        assert await readiness(town) == (200, "ok")
        await killed(server, reachable)

        async def is_away() -> bool:
            return (await readiness(town))[0] == 503

        await until(is_away)  # an answer of the database is good for a second
        assert (await town.call("GET", "/healthz"))[0] == 200  # restarting this worker would mend nothing
        waiting = asyncio.create_task(town.send(people[200:]))  # its answer waits until it is durable
        await asyncio.sleep(2)
        assert not waiting.done()
        await asyncio.to_thread(server.start)
        await waiting

        async def is_ready() -> bool:
            return (await readiness(town))[0] == 200

        await until(is_ready)
        town.store.hang_up()
        await town.until_submitted(PEOPLE)
        await town.until_quiet()
        await assert_judged_well(town)
        states = await town.states()
        assert set(states) <= {"sent", "delivered", "undelivered"}
        assert sum(states.values()) == PEOPLE


async def test_no_database_at_the_start() -> None:
    """One line, exit status 2, and nothing listens."""
    port = processes.free_port()
    status, _, error = await processes.run(
        "serve",
        *("--set", "database.dsn=postgresql://127.0.0.1:9/nothing", "--set", f"provider.url={TWILIO}"),
        *("--port", port, "--public-url", "https://texts.example.org"),
        shift_s=SHIFT_S,
    )
    assert status == 2
    assert "Traceback" not in error
    said = [line for line in error.splitlines() if line.startswith("textbank: ")]
    assert len(said) == 1
    assert re.fullmatch(
        r"textbank: the database does not answer \(.+\): database\.dsn; start it, or correct the DSN", said[0]
    )


async def test_a_gateway_with_a_database_of_its_own(reachable: Path) -> None:
    """No DSN: `keys` makes the tables, and after a kill -9 the next start finds the PostgreSQL that was left."""
    folder = reachable / "own"
    own = f"database.data_dir={folder}"
    with EmbeddedServer(folder) as server:
        status, key, error = await processes.run("keys", "create", "a", "--role", "admin", "--set", own)
        assert (status, error) == (
            0,
            f"database: a PostgreSQL of our own in {folder} (flag database.data_dir)\n",
        )
        async with open_town(server.dsn(), gateway=False) as town:
            town.key = key.strip()
            town.dsn, town.options = "", (own,)
            gateway = await town.open_gateway()
            await town.make_campaign()
            await town.bring_contacts(20)
            await gateway.kill()
            gateway = await town.open_gateway()
            await town.send(list(town.contact_ids))
            await town.until_submitted(20)
            await town.until_quiet()
            await assert_judged_well(town)
            assert await gateway.stop() == 0
