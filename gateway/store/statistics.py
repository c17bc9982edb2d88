"""What the planner knows of tables that grow within minutes: without it, it takes thousands of rows for one.

Statements go by key whatever the statistics say, but where a join could go by its whole key or by the beginning of it, a
table of which nothing is known looks as if both were one row. PostgreSQL's autovacuum looks once a minute, or each ten
seconds; a list is imported and published in less, and rehearsed in a second.
"""

import structlog

from gateway.store.database import Database
from gateway.store.troubles import DatabaseAway

_WITHIN_S = 300.0
_log = structlog.get_logger("textbank.store")

# By their size, which costs no reading: of a hundred rows or so, and then each time they are five times as large. An index
# that is made, as migrations and restores do, writes a table's size down and learns nothing of its columns.
_GROWN = """
SELECT c.oid::regclass::text FROM pg_class c
CROSS JOIN LATERAL (SELECT pg_stat_get_analyze_count(c.oid) + pg_stat_get_autoanalyze_count(c.oid) = 0 AS is_new) known
WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
  AND pg_relation_size(c.oid) >= current_setting('block_size')::bigint
      * (2 + CASE WHEN known.is_new THEN 0 ELSE 5 * greatest(c.relpages, 0)::bigint END)
ORDER BY 1
"""


async def refresh(database: Database) -> None:
    """The planner is told of tables that have grown much since it last was; where that can't be, autovacuum will."""
    try:
        tables = [row[0] for row in await database.fetch(_GROWN)]
        if tables:
            async with database.patient(_WITHIN_S) as patient:
                await patient.script(f"ANALYZE {', '.join(tables)}")
    except DatabaseAway as error:
        _log.warning("the planner is not told of grown tables", error=str(error))
