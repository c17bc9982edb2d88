"""Ids in blocks: one round trip gives a worker its next thousand."""

from gateway.clock import Clock
from gateway.core.rules.months import IDS_OF_A_MONTH, first_id, month_of
from gateway.store.database import Database

BLOCK = 1000


class Ids:
    """Rising ids, unique over all workers; a block that is not used up leaves a gap."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next = 0
        self._left = 0

    async def take(self, count: int) -> list[int]:
        """`count` fresh ids, rising within a worker."""
        taken: list[int] = []
        while len(taken) < count:
            if self._left == 0:
                block = await self._database.fetch_value("SELECT nextval('id_blocks')")
                self._next, self._left = block * BLOCK, BLOCK
            some = min(count - len(taken), self._left)
            taken.extend(range(self._next, self._next + some))
            self._next += some
            self._left -= some
        return taken


class IdsByMonth:
    """Ids of what grows: each begins with the month in which it was given (`core/rules/months.py`).

    Unique as long as all of a month's ids are fewer than `IDS_OF_A_MONTH`, whatever clock names the month.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._ids = Ids(database)
        self._clock = clock

    async def take(self, count: int) -> list[int]:
        """`count` fresh ids of this month, rising within a worker."""
        taken = await self._ids.take(count)
        begin = first_id(month_of(self._clock.now()))
        return [begin + each % IDS_OF_A_MONTH for each in taken]
