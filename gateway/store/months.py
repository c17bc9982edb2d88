"""Months' partitions: made before their first row comes, and dropped whole when nobody needs a row of theirs.

Both change the tables for an instant: whoever waits for their locks holds up everybody behind, so a wait is short and
comes again. Rows without a partition lie in `…_before`, of the release before, or in `…_other`.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncpg
import structlog

from gateway.core.rules.months import after, first_id, month_of
from gateway.store.database import Database
from gateway.store.troubles import DatabaseBusy

MESSAGES: Final = ("messages", "attempts")
"""A family of tables, partitioned alike; whether a month is there is read from the first."""
INBOUND: Final = ("inbound",)
EVENTS: Final = ("events",)

_AHEAD: Final = 2  # months that are there before they begin: over a month in which nobody makes one
_STORAGE: Final = {
    "messages": "WITH (fillfactor = 60)",  # room for HOT updates
    "events": "WITH (toast_tuple_target = 8160)",  # a statement's arrays stay in their row
}
# A campaign is planned for as if it were the biggest (migration 0052).
_ANY_MAY_BE_BIG: Final = ", ".join(
    f"ALTER COLUMN {column} SET (n_distinct = 1)" for column in ("organisation_id", "campaign_id")
)
_LOCK_TIMEOUT_MS: Final = 500
_LOCK_TRIES: Final = 20
_LOCK_AGAIN_S: Final = 0.5
_log = structlog.get_logger("textbank.months")

_MONTHS = """
SELECT substring(c.relname FROM '_([0-9]+)$')::int AS month
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = $1::text::regclass AND c.relname ~ '_[0-9]+$' ORDER BY month
"""

# A month is kept as its family is: without a log in a rehearsal's database.
_PERSISTENCE = "SELECT CASE relpersistence WHEN 'u' THEN 'UNLOGGED' ELSE '' END FROM pg_class WHERE oid = $1::text::regclass"


async def there(database: Database, family: Sequence[str] = MESSAGES) -> list[int]:
    """The months that have partitions of their own, the earliest first."""
    return [row[0] for row in await database.fetch(_MONTHS, family[0])]


async def make_ahead(database: Database, now: float) -> list[str]:
    """Makes the partitions of this month and the next ones; returns the first of each family's.

    Where the role may not, or rows of a month lie in `…_other` already, rows go there, and a warning says so.
    """
    made = []
    for family in (MESSAGES, INBOUND, EVENTS):
        known = await there(database, family)
        for count in range(_AHEAD + 1):
            month = after(month_of(now), count)
            if month not in known and await _make(database, family, month):
                made.append(f"{family[0]}_{month}")
    return made


async def _make(database: Database, family: Sequence[str], month: int) -> bool:
    kept = await database.fetch_value(_PERSISTENCE, f"{family[0]}_other")
    lock = f"LOCK TABLE {family[0]} IN SHARE UPDATE EXCLUSIVE MODE"
    try:
        return await _change(database, [lock, *_made(family, month, kept)])
    except (asyncpg.InsufficientPrivilegeError, asyncpg.CheckViolationError) as error:
        _log.warning("a month has no partition of its own", month=month, table=family[0], why=error.args[0])
        return False


def _made(family: Sequence[str], month: int, kept: str) -> list[str]:
    bounds = f"FROM ({first_id(month)}) TO ({first_id(after(month))})"
    made = [
        f"CREATE {kept} TABLE IF NOT EXISTS {table}_{month} PARTITION OF {table} FOR VALUES {bounds}"
        f" {_STORAGE.get(table, '')}"
        for table in family
    ]
    return made + [f"ALTER TABLE {table}_{month} {_ANY_MAY_BE_BIG}" for table in family]


async def drop(database: Database, month: int, family: Sequence[str] = MESSAGES) -> bool:
    """Drops a month's partitions with all that is in them; False when that can't be now."""
    try:
        return await _change(
            database, ["DROP TABLE IF EXISTS " + ", ".join(f"{table}_{month}" for table in family)]
        )
    except asyncpg.InsufficientPrivilegeError as error:
        _log.warning("a month's partition can't be dropped", month=month, table=family[0], why=error.args[0])
        return False


async def _change(database: Database, statements: Sequence[str]) -> bool:
    """As one transaction, once the locks can be had; False when they could not."""
    for left in reversed(range(_LOCK_TRIES)):
        try:
            async with database.transaction() as connection:
                await connection.execute(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}")
                for each in statements:
                    await connection.execute(each)
        except DatabaseBusy as busy:
            if not busy.is_lock:
                raise
            if left:
                await asyncio.sleep(_LOCK_AGAIN_S)
        else:
            return True
    _log.warning("the tables are too busy for a change; it comes again", change=statements[-1])
    return False
