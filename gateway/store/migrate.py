"""Numbered migrations: run twice they change nothing; one that fails leaves nothing half done."""

from collections.abc import Iterator
from importlib.resources import files

import asyncpg

from gateway.core.errors import TextbankError
from gateway.store.database import Database

_LOCK = 7_426_583  # one migrator at a time, over all workers
_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL)
"""


class MigrationFailed(TextbankError):
    """A migration was refused by the database; everything stands as before it."""


def shipped() -> Iterator[tuple[int, str, str]]:
    """(number, name, sql) of each migration, in order."""
    folder = files("gateway.store") / "migrations"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        number, _, name = file.name.removesuffix(".sql").partition("_")
        if file.name.endswith(".sql"):
            yield int(number), name, file.read_text()


async def migrate(database: Database, now: float) -> list[str]:
    """Applies what is missing, each in a transaction of its own; returns the names applied."""
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute(_LEDGER)
    applied: list[str] = []
    for number, name, sql in shipped():
        async with database.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            if await connection.fetchval("SELECT true FROM schema_migrations WHERE number = $1", number):
                continue
            try:
                await connection.execute(sql)
            except asyncpg.PostgresError as error:
                raise MigrationFailed(f"migration {number:04d}_{name}: {error}") from error
            await connection.execute(
                "INSERT INTO schema_migrations VALUES ($1, $2, to_timestamp($3))", number, name, now
            )
        applied.append(f"{number:04d}_{name}")
    return applied


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
