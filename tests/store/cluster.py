"""One PostgreSQL for all tests of a process, and an empty, migrated database for each."""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import asyncpg
import pytest

from gateway.store.database import Database
from gateway.store.embedded import EmbeddedServer
from gateway.store.migrate import migrate

Value = TypeVar("Value")
MIGRATED, EMPTY, COMMON = "migrated", "template1", "common"
MIGRATED_AT = 1_000_000_000.0


def shared(config: pytest.Config) -> "Cluster":
    """The process's one cluster, whichever room asks first."""
    if _SHARED not in config.stash:
        config.stash[_SHARED] = Cluster()
        config.add_cleanup(config.stash[_SHARED].stop)
    return config.stash[_SHARED]


# Deleting from small tables takes a millisecond; a new database takes a checkpoint.
_HANG_UP = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_TABLES = """
SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'schema_migration%'
ORDER BY tablename = 'organisations', tablename = 'campaigns', tablename
"""

_DROP_MONTHS = """
DO $$ DECLARE month regclass; BEGIN
    FOR month IN SELECT oid FROM pg_class WHERE relispartition AND relkind = 'r' AND relname ~ '_[0-9]+$' LOOP
        EXECUTE format('DROP TABLE %s', month);
    END LOOP;
END $$
"""


class Cluster:
    """The server, and a connection to its `postgres` database that makes and drops the others."""

    def __init__(self) -> None:
        self._server = EmbeddedServer()
        self._server.start()
        self._loop = asyncio.new_event_loop()
        self._made = 0
        self._administrator = self._do(asyncpg.connect(self._server.dsn()))
        self.execute(f"CREATE DATABASE {MIGRATED}")
        self._do(self._migrate())
        self.execute(f"CREATE DATABASE {COMMON} TEMPLATE {MIGRATED}")
        self._cleaner = self._do(asyncpg.connect(self._server.dsn(COMMON)))
        self._do(self._cleaner.execute("SET session_replication_role = replica"))  # whatever refers to what
        tables = [row[0] for row in self._do(self._cleaner.fetch(_TABLES))]
        deletions = "; ".join(f"DELETE FROM {table}" for table in tables if table != "organisations")
        restarts = "; ".join(f"ALTER SEQUENCE {each} RESTART" for each in ("id_blocks", "worker_ids"))
        self._clean = f"{_HANG_UP}; {_DROP_MONTHS}; {deletions}; DELETE FROM organisations WHERE organisation_id > 1; {restarts}"

    def empty(self) -> str:
        """The DSN of the migrated database that tests use one after the other: no rows, nobody connected."""
        self._do(self._cleaner.execute(self._clean))
        return self._server.dsn(COMMON)

    @contextlib.contextmanager
    def fresh(self, template: str = MIGRATED) -> Iterator[str]:
        """The DSN of a database of one's own, for who changes its schema; it goes away at the end."""
        self._made += 1
        name = f"test_{self._made}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield self._server.dsn(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, sql: str) -> None:
        self._do(self._administrator.execute(sql))

    def stop(self) -> None:
        self._do(self._cleaner.close())
        self._do(self._administrator.close())
        self._loop.close()
        self._server.stop()

    async def _migrate(self) -> None:
        database = Database(self._server.dsn(MIGRATED), connections=1)
        await migrate(database, MIGRATED_AT)
        await database.close()

    def _do(self, work: Coroutine[Any, Any, Value]) -> Value:
        return self._loop.run_until_complete(work)


_SHARED = pytest.StashKey[Cluster]()
