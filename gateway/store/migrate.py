"""Numbered migrations: run twice they change nothing; one that fails leaves nothing half done.

They run while others work: whoever waits for a table's lock holds up everybody behind it, so a wait is short
and comes again. A migration that begins with the line `-- in steps` is carried out statement by statement, each
in a transaction of its own (indexes `CONCURRENTLY` outside of any); broken off, it goes on where it stopped.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Container, Iterator, Sequence
from importlib.resources import files
from typing import NamedTuple

import asyncpg

from gateway.core.rules.errors import BadInput, TextbankError
from gateway.store import statistics
from gateway.store.database import Connection, Database
from gateway.store.troubles import trouble

_LOCK = 7_426_583  # one migrator at a time, over all workers
_LOCK_TIMEOUT_MS = 500  # what stands behind us in the line waits no longer
_LOCK_TRIES = 120
_LONGEST_S = 6 * 3600.0  # one statement: an index over a season's messages
_LOCK_AGAIN_S = 0.5
_IN_STEPS = "-- in steps\n"
_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS schema_migration_steps (
    number integer, step integer, PRIMARY KEY (number, step));
"""
_APPLIED = "INSERT INTO schema_migrations VALUES ($1, $2, to_timestamp($3))"
_STEPS_TAKEN = "SELECT step FROM schema_migration_steps WHERE number = $1 ORDER BY step"
_STEP = "INSERT INTO schema_migration_steps VALUES ($1, $2)"
_STATEMENT = re.compile(r"(?:\$\$.*?\$\$|--[^\n]*|[^;$])+;", re.DOTALL)
_CONCURRENTLY = re.compile(
    r"^(?:CREATE (?:UNIQUE )?|DROP )INDEX CONCURRENTLY (?:IF EXISTS )?(\w+)", re.MULTILINE
)

_OURS = re.compile(r"^CREATE (?:TABLE|SEQUENCE) (\w+)", re.MULTILINE)
_REFUSED = """
SELECT string_agg(c.relname, ', ' ORDER BY c.relname) FROM pg_class c
WHERE c.oid IN (SELECT to_regclass(name) FROM unnest($1::text[]) AS name) AND NOT c.relispartition
  AND NOT CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, 'USAGE') ELSE
    has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
    AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')
  END
"""
# `CREATE TABLE IF NOT EXISTS` wants the right to create even where there is nothing to create.
_TOUCHED = re.compile(
    r"^(?:ALTER TABLE|CREATE (?:UNIQUE )?INDEX (?:CONCURRENTLY )?\w+ ON) (\w+)", re.MULTILINE
)
_MAY_NOT = """
SELECT concat_ws(', ',
  CASE WHEN NOT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) THEN 'create tables' END,
  (SELECT 'alter ' || string_agg(relname, ', ' ORDER BY relname) FROM pg_class
   WHERE oid IN (SELECT to_regclass(name) FROM unnest($1::text[]) AS name) AND NOT pg_has_role(relowner, 'USAGE')),
  CASE WHEN NOT has_table_privilege(to_regclass('schema_migrations'), 'INSERT')
    THEN 'write schema_migrations' END)
"""


class MigrationFailed(TextbankError):
    """A migration was refused by the database; everything stands as before it."""


class Migration(NamedTuple):
    """One step of the tables; as text what a person calls it."""

    number: int
    name: str
    sql: str

    def __str__(self) -> str:
        return f"{self.number:04d}_{self.name}"


def shipped() -> Iterator[Migration]:
    """Every migration, in order."""
    folder = files("gateway.store") / "migrations"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        number, _, name = file.name.removesuffix(".sql").partition("_")
        if file.name.endswith(".sql"):
            yield Migration(int(number), name, file.read_text(encoding="utf-8"))


async def migrate(database: Database, now: float) -> list[str]:
    """Applies what is missing, each in a transaction of its own; returns the names applied.

    The planner is told of what it does not know: tables that were moved, or restored. With nothing missing nothing is
    created, so the role then needs no CREATE. Raises BadInput for a right that the role lacks, MigrationFailed for a
    refusal of another kind.
    """
    try:
        applied = await _apply_missing(database, now)
        await _require_rights(database)
    except asyncpg.InsufficientPrivilegeError as error:
        raise _lacks_a_right(error) from error
    await statistics.refresh(database)
    return applied


async def would_apply(database: Database) -> list[str]:
    """The names of what `migrate` would apply; nothing is changed.

    Raises BadInput for what would keep a worker from its work: tables newer than this program, a right that the
    role lacks to what is there or to what is missing.
    """
    try:
        done = await _done(database)
    except asyncpg.InsufficientPrivilegeError as error:
        raise _lacks_a_right(error) from error
    known = {each.number for each in shipped()}
    if newer := sorted(done - known):
        numbers = ", ".join(f"{number:04d}" for number in newer)
        raise BadInput(
            f"the database's tables are newer than this program (migration {numbers})",
            "database.dsn",
            "upgrade textbank, or give another database",
        )
    missing = _missing(done)
    if missing:
        await _require_owner(database, missing)
    await _require_rights(database)
    return [str(each) for each in missing]


def _lacks_a_right(error: asyncpg.InsufficientPrivilegeError) -> BadInput:
    return BadInput(
        f"the database's role may not do what is needed ({error.args[0]})",
        "database.dsn",
        "run `textbank migrate` as the role that owns the tables, and give this one its rights",
    )


def _missing(done: Container[int]) -> list[Migration]:
    return [each for each in shipped() if each.number not in done]


async def _require_owner(database: Database, missing: Sequence[Migration]) -> None:
    """Raises BadInput when the role may not apply what is missing."""
    touched = [name for each in missing for name in _TOUCHED.findall(each.sql)]
    may_not = await database.fetch_value(_MAY_NOT, touched)
    if may_not:
        raise BadInput(
            f"tables are missing or old, and the database's role may not {may_not} to apply "
            + ", ".join(str(each) for each in missing),
            "database.dsn",
            "run `textbank migrate` as the role that owns the tables",
        )


async def _apply_missing(database: Database, now: float) -> list[str]:
    if not _missing(await _done(database)):
        return []
    async with database.patient(_LONGEST_S) as patient, _only_migrator(patient) as connection:
        await connection.execute(_LEDGER)
        done = {row[0] for row in await connection.fetch("SELECT number FROM schema_migrations")}
        missing = _missing(done)  # another worker may have been first
        for each in missing:
            await _apply(connection, each, now)
        return [str(each) for each in missing]


@contextlib.asynccontextmanager
async def _only_migrator(database: Database) -> AsyncIterator[Connection]:
    """A connection that holds the lock. It is asked for again and again: who waits for it within a statement
    is waited for by CREATE INDEX CONCURRENTLY."""
    async with database.connection() as connection:
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):  # noqa: ASYNC110 - no signal comes
            await asyncio.sleep(_LOCK_AGAIN_S)
        try:
            yield connection
        finally:
            if not connection.is_closed():
                await connection.fetchval("SELECT pg_advisory_unlock($1)", _LOCK)


async def _done(database: Database) -> set[int]:
    """The numbers of the migrations that were applied."""
    if await database.fetch_value("SELECT to_regclass('schema_migrations')") is None:
        return set()
    return {row[0] for row in await database.fetch("SELECT number FROM schema_migrations ORDER BY number")}


async def _apply(connection: Connection, migration: Migration, now: float) -> None:
    work = migration.sql
    try:
        if work.startswith(_IN_STEPS):
            await _take_steps(connection, migration)
            work = f"DELETE FROM schema_migration_steps WHERE number = {migration.number}"  # noqa: S608 - our own
        await _once(connection, work, _APPLIED, migration.number, migration.name, now)
    except asyncpg.InsufficientPrivilegeError:
        raise
    except asyncpg.PostgresError as error:
        if trouble(error, is_closed=connection.is_closed()) is not None:
            raise  # the database's, not the migration's
        raise MigrationFailed(f"migration {migration}: {error}") from error


async def _take_steps(connection: Connection, migration: Migration) -> None:
    """Those that an earlier run has not taken."""
    rows = await connection.fetch(_STEPS_TAKEN, migration.number)
    taken = {row[0] for row in rows}
    for number, statement in enumerate(_STATEMENT.findall(migration.sql), 1):
        if number not in taken:
            await _once(connection, statement, _STEP, migration.number, number)


async def _once(connection: Connection, work: str, ledger: str, *row: object) -> None:
    """Does the work and writes down that it is done, as one; tried until the locks can be had."""
    for left in reversed(range(_LOCK_TRIES)):
        try:
            if index := _CONCURRENTLY.search(work):
                await _concurrently(connection, work, index[1])
                await connection.execute(ledger, *row)
            else:
                async with connection.transaction():
                    await connection.execute(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}")
                    await connection.execute("SET LOCAL statement_timeout = 0")
                    await connection.execute(work)
                    await connection.execute(ledger, *row)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if not left:
                raise
            await asyncio.sleep(_LOCK_AGAIN_S)
        else:
            return


async def _concurrently(connection: Connection, work: str, index: str) -> None:
    """Outside of any transaction, as long as it takes: it holds nobody up. What a broken run left goes first."""
    await connection.execute("SET statement_timeout = 0")
    try:
        await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index}")
        if "CREATE" in work:
            await connection.execute(work)
    finally:
        if not connection.is_closed():
            await connection.execute("RESET statement_timeout")


async def _require_rights(database: Database) -> None:
    """Raises BadInput for a table or sequence of ours that the role may not read and write."""
    ours = [name for each in shipped() for name in _OURS.findall(each.sql)]
    refused = await database.fetch_value(_REFUSED, ours)
    if refused:
        raise BadInput(
            f"the database's role may not read and write {refused}",
            "database.dsn",
            "GRANT it SELECT, INSERT, UPDATE, DELETE on all tables and USAGE on all sequences",
        )


async def is_empty(database: Database) -> bool:
    """Whether the database has no table, view or sequence of anybody's."""
    return not await database.fetch_value(
        """
        SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
        """
    )


async def make_throwaway(database: Database) -> None:
    """Tables without a write-ahead log, for a database that nobody needs after a crash: a rehearsal's.

    Referring tables first: a logged table may not refer to one without a log.
    """
    rows = await database.fetch(
        """
        WITH RECURSIVE refers AS (
            SELECT conrelid AS who, confrelid AS whom FROM pg_constraint WHERE contype = 'f'
            UNION SELECT r.who, k.confrelid FROM refers r JOIN pg_constraint k ON k.contype = 'f' AND k.conrelid = r.whom
        )
        SELECT c.oid::regclass::text FROM pg_class c
        WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND c.relnamespace = 'public'::regnamespace
        ORDER BY (SELECT count(*) FROM refers WHERE whom = c.oid), 1
        """
    )
    for row in rows:
        await database.script(f"ALTER TABLE {row[0]} SET UNLOGGED")
