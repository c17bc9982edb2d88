"""Migrations: run twice they change nothing; one that fails leaves nothing half done."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from gateway.core.rules.errors import BadInput
from gateway.store import migrate as migrations
from gateway.store.database import Database
from gateway.store.limits import within
from gateway.store.migrate import Migration, MigrationFailed, migrate, shipped, would_apply
from tests.store.cluster import EMPTY, MIGRATED_AT, Cluster
from tests.store.guest import ALL_SEQUENCES, READ_AND_WRITE, a_guest, granted
from tests.store.rows import NOW


@pytest.fixture
def empty_dsn(cluster: Cluster) -> Iterator[str]:
    with cluster.fresh(EMPTY) as fresh:
        yield fresh


@pytest.fixture
async def empty(empty_dsn: str) -> AsyncIterator[Database]:
    opened = Database(empty_dsn, connections=1)
    yield opened
    await opened.close()


@pytest.fixture
async def migrated(own_dsn: str) -> AsyncIterator[Database]:
    opened = Database(own_dsn, connections=1)
    yield opened
    await opened.close()


async def tables(database: Database) -> list[str]:
    rows = await database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    return [row[0] for row in rows]


def shipping(monkeypatch: pytest.MonkeyPatch, *extra: tuple[int, str, str]) -> None:
    real = list(shipped())

    def with_extra() -> Iterator[Migration]:
        yield from [*real, *(Migration(*each) for each in extra)]

    monkeypatch.setattr(migrations, "shipped", with_extra)


def test_the_shipped_migrations_are_numbered_without_repeat():
    numbers = [each.number for each in shipped()]
    assert numbers == sorted(set(numbers))


async def test_all_are_applied_in_order_to_an_empty_database(empty: Database):
    assert await migrate(empty, NOW) == [str(each) for each in shipped()]
    assert {"campaigns", "contacts", "messages", "queue", "schema_migrations"} <= set(await tables(empty))


async def test_a_second_run_changes_nothing(migrated: Database):
    before = await migrated.fetch("SELECT number, name, applied_at FROM schema_migrations ORDER BY number")
    assert await migrate(migrated, MIGRATED_AT + 60) == []
    after = await migrated.fetch("SELECT number, name, applied_at FROM schema_migrations ORDER BY number")
    assert after == before
    assert before[0]["applied_at"].timestamp() == MIGRATED_AT


async def test_a_failing_one_leaves_nothing_half_done(migrated: Database, monkeypatch: pytest.MonkeyPatch):
    broken = "CREATE TABLE half_done (one integer); INSERT INTO half_done VALUES ('not a number')"
    before = await tables(migrated)
    shipping(monkeypatch, (9000, "good", "CREATE TABLE whole (one integer)"), (9001, "broken", broken))
    with pytest.raises(MigrationFailed, match=r"9001_broken: .*not a number"):
        await migrate(migrated, NOW)
    assert set(await tables(migrated)) - set(before) == {"whole"}
    assert await migrated.fetch_value("SELECT max(number) FROM schema_migrations") == 9000
    assert migrated.in_flight == 0


async def test_a_failed_one_is_applied_once_it_is_mended(migrated: Database, monkeypatch: pytest.MonkeyPatch):
    shipping(monkeypatch, (9000, "broken", "CREATE TABLE"))
    with pytest.raises(MigrationFailed):
        await migrate(migrated, NOW)
    shipping(monkeypatch, (9000, "mended", "CREATE TABLE mended (one integer)"))
    assert await migrate(migrated, NOW) == ["9000_mended"]


async def test_workers_that_start_together_migrate_once(empty_dsn: str):
    workers = [Database(empty_dsn, connections=1) for _ in range(4)]
    applied = await asyncio.gather(*(migrate(worker, NOW) for worker in workers), return_exceptions=True)
    for worker in workers:
        await worker.close()
    everything = [str(each) for each in shipped()]
    assert sorted(name for names in applied for name in names) == everything  # each once, whoever it was


async def test_a_migration_may_take_longer_than_a_statement(own_dsn: str, monkeypatch: pytest.MonkeyPatch):
    shipping(monkeypatch, (9000, "long", "CREATE TABLE long AS SELECT pg_sleep(0.5)::text"))
    database = Database(own_dsn, connections=1, limits=within(0.5))
    assert await migrate(database, NOW) == ["9000_long"]
    await database.close()


# ---------------------------------------------------------------- a role with few rights


@pytest.fixture
def guest(cluster: Cluster) -> Iterator[str]:
    with a_guest(cluster) as name:
        yield name


@asynccontextmanager
async def as_guest(dsn: str, guest: str, *grants: str) -> AsyncIterator[Database]:
    """The guest's door."""
    async with granted(dsn, guest, *grants) as its_dsn:
        opened = Database(its_dsn, connections=1)
        try:
            await opened.open()
            assert await opened.fetch_value("SELECT current_user") == guest
            yield opened
        finally:
            await opened.close()


async def test_an_up_to_date_schema_needs_no_create(own_dsn: str, guest: str):
    async with as_guest(own_dsn, guest, READ_AND_WRITE, ALL_SEQUENCES) as database:
        assert not await database.fetch_value("SELECT has_schema_privilege('public', 'CREATE')")
        assert await migrate(database, NOW) == []


async def test_an_empty_database_needs_it_and_says_so(empty_dsn: str, guest: str):
    async with as_guest(empty_dsn, guest) as database:
        with pytest.raises(
            BadInput, match=r"permission denied for schema public.*: database\.dsn; run `textbank"
        ):
            await migrate(database, NOW)
        assert database.in_flight == 0


async def test_a_migration_without_the_right_to_it_says_so(
    own_dsn: str, guest: str, monkeypatch: pytest.MonkeyPatch
):
    shipping(monkeypatch, (9000, "more", "ALTER TABLE campaigns ADD COLUMN more integer"))
    async with as_guest(own_dsn, guest, READ_AND_WRITE, "CREATE ON SCHEMA public") as database:
        with pytest.raises(BadInput, match="must be owner of table campaigns"):
            await migrate(database, NOW)


@pytest.mark.parametrize(
    ("grants", "lacking"),
    [
        ((), "permission denied for table schema_migrations"),
        (("SELECT ON ALL TABLES IN SCHEMA public",), "may not read and write .*actions, .*messages"),
        ((READ_AND_WRITE,), "may not read and write event_ids, id_blocks, worker_ids:"),
    ],
)
async def test_a_right_that_is_lacking_is_named(
    own_dsn: str, guest: str, grants: tuple[str, ...], lacking: str
):
    async with as_guest(own_dsn, guest, *grants) as database:
        with pytest.raises(BadInput, match=lacking):
            await migrate(database, NOW)


# ---------------------------------------------------------------- a look before


async def test_a_look_names_what_would_be_applied_and_applies_nothing(empty: Database):
    everything = [str(each) for each in shipped()]
    for _ in range(2):
        assert await would_apply(empty) == everything
    assert await tables(empty) == []
    assert await migrate(empty, NOW) == everything
    assert await would_apply(empty) == []


async def test_a_look_at_an_older_schema_names_the_rest(migrated: Database, monkeypatch: pytest.MonkeyPatch):
    shipping(monkeypatch, (9000, "more", "ALTER TABLE campaigns ADD COLUMN more integer"))
    assert await would_apply(migrated) == ["9000_more"]


async def test_a_look_at_a_newer_schema_says_so(migrated: Database):
    await migrated.execute("INSERT INTO schema_migrations VALUES (9000, 'later', now())")
    with pytest.raises(BadInput, match=r"newer than this program \(migration 9000\).*; upgrade textbank"):
        await would_apply(migrated)


async def test_a_look_at_a_server_that_only_reads_says_so(own_dsn: str):
    database = Database(f"{own_dsn}{'&' if '?' in own_dsn else '?'}default_transaction_read_only=on", 1)
    with pytest.raises(BadInput, match="read-only"):
        await database.open()


LOOKED_AT = [
    # what is granted, what is missing, what is said (None: nothing is wrong)
    ((READ_AND_WRITE, ALL_SEQUENCES), "", None),
    ((), "", "permission denied for table schema_migrations"),
    (("SELECT ON schema_migrations",), "", "may not read and write .*actions, .*messages"),
    ((READ_AND_WRITE,), "", "may not read and write event_ids, id_blocks, worker_ids:"),
    (
        (READ_AND_WRITE, ALL_SEQUENCES),
        "CREATE TABLE more (one integer)",
        "may not create tables to apply 9000",
    ),
    (
        (READ_AND_WRITE, ALL_SEQUENCES, "CREATE ON SCHEMA public"),
        "ALTER TABLE campaigns ADD COLUMN more integer",
        "may not alter campaigns to apply 9000_more: database.dsn; run `textbank migrate` as the role",
    ),
    (
        ("SELECT ON schema_migrations", "CREATE ON SCHEMA public"),
        "CREATE UNIQUE INDEX more ON campaigns (name)",
        "may not alter campaigns, write schema_migrations to apply 9000_more",
    ),
]


@pytest.mark.parametrize(("grants", "more", "said"), LOOKED_AT)
async def test_a_look_with_few_rights(
    own_dsn: str,
    guest: str,
    monkeypatch: pytest.MonkeyPatch,
    grants: tuple[str, ...],
    more: str,
    said: str | None,
):
    shipping(monkeypatch, *([(9000, "more", more)] if more else []))
    async with as_guest(own_dsn, guest, *grants) as database:
        if said is None:
            assert await would_apply(database) == []
        else:
            with pytest.raises(BadInput, match=said):
                await would_apply(database)


async def test_a_look_at_an_empty_database_without_create(empty_dsn: str, guest: str):
    async with as_guest(empty_dsn, guest) as database:
        with pytest.raises(BadInput, match="may not create tables to apply 0001_first_tables, 0002"):
            await would_apply(database)
