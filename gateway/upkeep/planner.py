"""The chore that tells the database's planner of tables that have grown."""

from typing import Final

from gateway.clock import Clock
from gateway.store import statistics
from gateway.store.database import Database

EVERY_S: Final = 10.0


class PlannerNews:
    """For the whole database, whoever made it grow."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def run(self, _done_until: float | None = None) -> float:
        """Returns when it began."""
        now = self._clock.now()
        await statistics.refresh(self._database)
        return now
