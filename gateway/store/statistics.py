"""What the planner knows of tables that grow within minutes: without it, it takes thousands of new rows for none."""

from typing import Final

import structlog

from gateway.store.database import Database
from gateway.store.troubles import DatabaseAway

_WITHIN_S: Final = 300.0
_WORTH_IT: Final = 1_000  # rows: so few are read quickly by any plan
_GROWN_BY: Final = 0.5

_log = structlog.get_logger("textbank.store")


async def analyze(database: Database, *tables: str) -> None:
    """The planner learns of them now; where the database can't, autovacuum will."""
    try:
        async with database.patient(_WITHIN_S) as patient:
            await patient.script("; ".join(f"ANALYZE {table}" for table in tables))
    except DatabaseAway as error:
        _log.warning("tables are not analyzed", tables=tables, error=str(error))


class Growth:
    """Rows that this worker added to `tables`, of which the planner is told when they have become half as many again.

    PostgreSQL's autovacuum does the same, but looks once a minute only: a list is published in the minute after its
    import.
    """

    def __init__(self, database: Database, *tables: str) -> None:
        self._database = database
        self._tables = tables
        self._known = 0
        self._new = 0

    async def by(self, rows: int) -> None:
        """So many more."""
        self._new += rows
        if self._new >= max(_WORTH_IT, _GROWN_BY * self._known):
            self._known, self._new = self._known + self._new, 0
            await analyze(self._database, *self._tables)
