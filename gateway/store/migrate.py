"""Numbered migrations: run twice they change nothing; one that fails leaves nothing half done."""

import re
from collections.abc import Container, Iterator, Sequence
from importlib.resources import files
from typing import NamedTuple

import asyncpg

from gateway.core.rules.errors import BadInput, TextbankError
from gateway.store.database import Database

_LOCK = 7_426_583  # one migrator at a time, over all workers
_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL)
"""

_OURS = re.compile(r"^CREATE (?:TABLE|SEQUENCE) (\w+)", re.MULTILINE)
_REFUSED = """
SELECT string_agg(c.relname, ', ' ORDER BY c.relname) FROM pg_class c
WHERE c.oid IN (SELECT to_regclass(name) FROM unnest($1::text[]) AS name)
  AND NOT CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, 'USAGE') ELSE
    has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
    AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')
  END
"""
# `CREATE TABLE IF NOT EXISTS` wants the right to create even where there is nothing to create.
_TOUCHED = re.compile(r"^(?:ALTER TABLE|CREATE (?:UNIQUE )?INDEX \w+ ON) (\w+)", re.MULTILINE)
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
            yield Migration(int(number), name, file.read_text())


async def migrate(database: Database, now: float) -> list[str]:
    """Applies what is missing, each in a transaction of its own; returns the names applied.

    With nothing missing nothing is created, so the role then needs no CREATE. Raises BadInput for a right that
    the role lacks, MigrationFailed for a refusal of another kind.
    """
    try:
        applied = await _apply_missing(database, now)
        await _require_rights(database)
    except asyncpg.InsufficientPrivilegeError as error:
        raise _lacks_a_right(error) from error
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
    missing = _missing(await _done(database))
    if missing:
        await _begin(database)
    return [str(each) for each in missing if await _apply(database, each, now)]


async def _done(database: Database) -> set[int]:
    """The numbers of the migrations that were applied."""
    if await database.fetch_value("SELECT to_regclass('schema_migrations')") is None:
        return set()
    return {row[0] for row in await database.fetch("SELECT number FROM schema_migrations ORDER BY number")}


async def _begin(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute(_LEDGER)


async def _apply(database: Database, migration: Migration, now: float) -> bool:
    """Whether it was applied here: another worker may have been first."""
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        if await connection.fetchval(
            "SELECT true FROM schema_migrations WHERE number = $1", migration.number
        ):
            return False
        try:
            await connection.execute(migration.sql)
        except asyncpg.InsufficientPrivilegeError:
            raise
        except asyncpg.PostgresError as error:
            raise MigrationFailed(f"migration {migration}: {error}") from error
        await connection.execute(
            "INSERT INTO schema_migrations VALUES ($1, $2, to_timestamp($3))",
            migration.number,
            migration.name,
            now,
        )
    return True


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


async def make_throwaway(database: Database) -> None:
    """Tables without a write-ahead log, for a database that nobody needs after a crash: a rehearsal's.

    Referring tables first: a logged table may not refer to one without a log.
    """
    rows = await database.fetch(
        """
        SELECT c.oid::regclass::text FROM pg_class c
        WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND c.relnamespace = 'public'::regnamespace
        ORDER BY (SELECT count(*) FROM pg_constraint k WHERE k.contype = 'f' AND k.confrelid = c.oid), 1
        """
    )
    for row in rows:
        await database.script(f"ALTER TABLE {row[0]} SET UNLOGGED")
