"""Chores for the database's tables: the planner is told of those that have grown, and months are made ahead."""

from typing import Final

from gateway.clock import Clock
from gateway.store import months, statistics
from gateway.store.database import Database

STATISTICS_S: Final = 10.0
MONTHS_S: Final = 6 * 3600.0  # the next months' partitions are made long before they begin


class Tables:
    """For the whole database, whoever made it grow. Each chore returns when it began."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def tell_planner(self, _done_until: float | None = None) -> float:
        now = self._clock.now()
        await statistics.refresh(self._database)
        return now

    async def make_months(self, _done_until: float | None = None) -> float:
        now = self._clock.now()
        await months.make_ahead(self._database, now)
        return now
