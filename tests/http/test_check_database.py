"""`textbank serve --check` and the database: each fault in one line, and nothing is changed."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import cli
from gateway.store.database import Database
from tests.store.cluster import EMPTY, Cluster
from tests.store.guest import ALL_SEQUENCES, READ_AND_WRITE, a_guest, granted

pytestmark = pytest.mark.usefixtures("bare")


@pytest.fixture
def own_dsn(cluster: Cluster) -> Iterator[str]:
    with cluster.fresh() as fresh:
        yield fresh


@pytest.fixture
def guest(cluster: Cluster) -> Iterator[str]:
    with a_guest(cluster) as name:
        yield name


def said_of(dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[list[str], str]:
    """The faults of the database, and what is on standard output; nobody is the provider, which is a fault too."""
    path = tmp_path / "textbank.toml"
    path.write_text(
        f'[database]\ndsn = "{dsn}"\n[http]\nport = 0\npublic_url = "https://texts.example.org"\n'
        '[provider]\nurl = "pigeon://roof"\n'
    )
    capsys.readouterr()
    assert cli.run(["serve", "--check", "--config", str(path)]) == 2
    out, error = capsys.readouterr()
    lines = error.splitlines()
    assert all(line.startswith("textbank: ") for line in lines), error
    return [line for line in lines if "pigeon" not in line], out


async def do(dsn: str, sql: str) -> None:
    database = Database(dsn, connections=1)
    await database.script(sql)
    await database.close()


def test_tables_that_are_up_to_date_are_no_fault(
    own_dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said_of(own_dsn, tmp_path, capsys) == ([], "")


def test_what_the_start_would_apply_is_said_and_not_done(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with cluster.fresh(EMPTY) as dsn:
        for _ in range(2):
            faults, out = said_of(dsn, tmp_path, capsys)
            assert faults == []
            assert out.startswith("the start will bring the tables up to date: 0001_first_tables, 0002_")


def test_one_migration_that_is_missing_is_named(
    own_dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(do(own_dsn, "DELETE FROM schema_migrations WHERE number = 4; DROP TABLE look_ups"))
    assert said_of(own_dsn, tmp_path, capsys) == (
        [],
        "the start will bring the tables up to date: 0004_look_ups\n",
    )


def test_tables_newer_than_the_program_are_a_fault(
    own_dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(do(own_dsn, "INSERT INTO schema_migrations VALUES (9000, 'later', now())"))
    (fault,), _ = said_of(own_dsn, tmp_path, capsys)
    assert "newer than this program (migration 9000): database.dsn; upgrade textbank" in fault


@pytest.mark.parametrize(
    ("grants", "before", "said"),
    [
        ((READ_AND_WRITE, ALL_SEQUENCES), "", None),
        ((), "", "permission denied for table schema_migrations"),
        (("SELECT ON ALL TABLES IN SCHEMA public", ALL_SEQUENCES), "", "actions, "),
        (
            (READ_AND_WRITE, ALL_SEQUENCES),
            "DELETE FROM schema_migrations WHERE number = 4; DROP TABLE look_ups",
            "may not create tables to apply 0004_look_ups: database.dsn; run `textbank migrate` as the role",
        ),
    ],
)
def test_a_right_that_is_lacking_is_a_fault(
    own_dsn: str,
    guest: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    grants: tuple[str, ...],
    before: str,
    said: str | None,
) -> None:
    if before:
        asyncio.run(do(own_dsn, before))

    async def look() -> list[str]:
        async with granted(own_dsn, guest, *grants) as dsn:
            return (await asyncio.to_thread(said_of, dsn, tmp_path, capsys))[0]

    faults = asyncio.run(look())
    assert len(faults) == (0 if said is None else 1), faults
    assert all(str(said) in fault for fault in faults)
