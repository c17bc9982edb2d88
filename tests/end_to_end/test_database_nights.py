"""What PostgreSQL may do in a bank night: nothing acknowledged is lost, nobody is texted twice or after a STOP.

Sending goes on by itself within 30 s of the trouble's end.
"""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from tests.end_to_end.line import Line
from tests.end_to_end.night import Faults, Night, assert_kept, bank_through, open_night
from tests.end_to_end.postgres import Postgres

SENDS_AGAIN_WITHIN_S = 30.0
TROUBLE_S = 30.0
RATE_PER_S = 12.0


async def sends_again(night: Night) -> None:
    """The carrier gets texts again in time; a bank that has ended needs none."""
    before = await submitted(night)
    if before >= len(night.people) - 5:
        return

    async def until_more() -> None:
        while await submitted(night) < before + 5:  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.2)

    await asyncio.wait_for(until_more(), SENDS_AGAIN_WITHIN_S)


async def submitted(night: Night) -> int:
    return int((await night.town.twin("GET", "ledger"))["counts"]["submitted"])


async def through(
    postgres: Postgres, dsn: str, seed: int, faults: Faults, *, people: int, workers: int = 2
) -> None:
    async with open_night(dsn, seed, workers=workers, people=people, rate_per_s=RATE_PER_S) as night:
        night.books_dsn = postgres.dsn
        assert_kept(night, await bank_through(night, faults))


# ---------------------------------------------------------------- killed


def killed(postgres: Postgres, times: int) -> Faults:
    async def faults(night: Night) -> None:
        for _ in range(times):
            await asyncio.sleep(night.luck.uniform(0.5, 3.0))
            await asyncio.to_thread(postgres.kill)
            await asyncio.sleep(night.luck.uniform(0.0, 2.0))
            await asyncio.to_thread(postgres.start)
            await sends_again(night)

    return faults


async def test_postgresql_is_killed_three_times(postgres: Postgres) -> None:
    await through(postgres, postgres.dsn, 11, killed(postgres, 3), people=240)


@pytest.mark.nightly
async def test_postgresql_is_killed_twenty_times(postgres: Postgres) -> None:
    await through(postgres, postgres.dsn, 12, killed(postgres, 20), people=1000)


# ---------------------------------------------------------------- the primary is lost


@pytest.mark.nightly
@pytest.mark.parametrize("silently", [False, True], ids=["killed", "falls silent"])
async def test_a_synchronous_replica_takes_over(postgres: Postgres, folder: Path, silently: bool) -> None:
    """The DSN names both; the old primary is gone, or its host answers nobody any more."""
    replica = postgres.replica(folder / "replica")
    line = Line(postgres.port)
    await line.open()
    try:
        await postgres.wait_for_replica()
        both = f"postgresql://postgres@127.0.0.1:{line.port},127.0.0.1:{replica.port}/postgres"

        async def primary_lost(night: Night) -> None:
            await asyncio.sleep(8.0)
            if silently:
                line.vanish()
            else:
                await asyncio.to_thread(postgres.kill)
            await asyncio.sleep(1.0)
            await asyncio.to_thread(replica.promote)
            night.books_dsn = replica.dsn
            await sends_again(night)

        await through(postgres, both, 13, primary_lost, people=600)
    finally:
        await line.close()
        replica.stop()


# ---------------------------------------------------------------- it refuses for a while


@pytest.mark.nightly
async def test_read_only_for_a_while(postgres: Postgres) -> None:
    async def read_only(night: Night) -> None:
        await asyncio.sleep(5.0)
        await postgres.set_read_only(True)
        assert not await takes_writes(postgres.dsn)
        await asyncio.sleep(TROUBLE_S)
        await postgres.set_read_only(False)
        await sends_again(night)

    await through(postgres, postgres.dsn, 14, read_only, people=700)


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own, as large as a night needs."""
    folder = folder / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600m,mode=755", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("this user may mount nothing")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.nightly
async def test_the_disk_is_full_for_a_while(small_disk: Path) -> None:
    """Tables can't grow, and the log neither: PostgreSQL itself may go down over it, and its supervisor restarts it."""
    postgres = Postgres(small_disk / "data")
    postgres.make()
    postgres.start()

    async def disk_full(night: Night) -> None:
        await asyncio.sleep(5.0)
        ballast = small_disk / "ballast"
        await asyncio.to_thread(fill, ballast)
        assert not await takes_writes(postgres.dsn)
        await asyncio.sleep(TROUBLE_S)
        ballast.unlink()
        if not postgres.is_running():
            await asyncio.to_thread(postgres.start)
        await sends_again(night)

    try:
        await through(postgres, postgres.dsn, 15, disk_full, people=700)
    finally:
        postgres.stop()


async def takes_writes(dsn: str) -> bool:
    """Whether a megabyte can be written: the trouble that a night is about is really there."""
    try:
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            await connection.execute(
                "CREATE TABLE probe AS SELECT repeat(n::text, 100) FROM generate_series(1, 5000) n"
            )
            await connection.execute("DROP TABLE probe")
        finally:
            await connection.close(timeout=5)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    return True


def fill(ballast: Path) -> None:
    """Writes until there is no room left, and again for what is freed meanwhile."""
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(
                bytes(64 * 1024) if shutil.disk_usage(ballast.parent).free > 64 * 1024 else bytes(1024)
            )


# ---------------------------------------------------------------- the line to it


@pytest.mark.nightly
@pytest.mark.parametrize("trouble", ["slow", "black hole", "short black hole"])
async def test_a_bad_line_to_the_database(postgres: Postgres, trouble: str) -> None:
    line = Line(postgres.port)
    await line.open()

    async def bad_line(night: Night) -> None:
        await asyncio.sleep(5.0)
        if trouble == "slow":
            line.answers_after_s = 2.0
        else:
            line.vanish()
        await asyncio.sleep(TROUBLE_S if trouble != "short black hole" else 4.0)
        line.answers_after_s = 0.0
        line.appear()
        await sends_again(night)

    try:
        await through(postgres, Postgres.dsn_at(line.port), 16, bad_line, people=700)
    finally:
        await line.close()
