"""The database of a rehearsal: real, and as slow as a busy one, whatever this machine does.

A statement's answer is seen `answer_s` of virtual time after it was asked for. Until then the world goes on,
so that Python and PostgreSQL work at the same time; then the clock stands still until the answer is there.
Statements go to the server one after the other in the order in which they were asked, so that one seed gives
one sequence. What holds a connection for itself (a transaction, an owner's claim) stops the clock.
"""

import asyncio
from math import inf

from gateway.store.database import Database, Record
from gateway.store.limits import NO_TIMERS
from simulator.rehearsal.loop import Outside


class PacedDatabase(Database, Outside):
    """A Database of one connection whose single statements take `answer_s` of virtual time."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn, connections=1, limits=NO_TIMERS)
        self.answer_s = 0.0
        self._asked = 0
        self._under_way: dict[int, float] = {}  # the nth statement -> when its answer is wanted

    def stops_the_clock(self) -> bool:
        """Whether somebody waits for the server at this very instant."""
        return self.in_flight > len(self._under_way)

    def wanted_at(self) -> float:
        """When the next answer must be there; answers come in the order of the questions."""
        for due_at in self._under_way.values():
            return due_at
        return inf

    def in_line(self) -> bool:
        """Whether a statement waits for another one's answer: the sooner that is read, the better."""
        return bool(self._waiting)

    async def fetch(self, sql: str, *arguments: object) -> list[Record]:
        if not self.answer_s:
            return await super().fetch(sql, *arguments)
        loop = asyncio.get_running_loop()
        nth = self._asked = self._asked + 1
        self._under_way[nth] = loop.time() + self.answer_s
        work = loop.create_task(self._ask(nth, sql, arguments))
        await asyncio.sleep(self.answer_s)
        return work.result() if work.done() else await work

    async def _ask(self, nth: int, sql: str, arguments: tuple[object, ...]) -> list[Record]:
        try:
            return await super().fetch(sql, *arguments)
        finally:
            del self._under_way[nth]
