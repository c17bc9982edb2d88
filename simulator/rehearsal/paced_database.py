"""The database of a rehearsal: real, and as slow as a busy one, whatever this machine does.

A statement's answer is seen `answer_s` of virtual time after it was asked for. Until then the world goes on,
so that Python and PostgreSQL work at the same time; then the clock stands still until the answer is there.
Statements go to the server one after the other in the order in which they were asked, so that one seed gives
one sequence. What holds a connection for itself (a transaction, an owner's claim) stops the clock.

No scenario has a database that fails. When this one does (its disk is full, somebody stopped it), the day ends: a
gateway would wait for it, and the virtual clock would run on meanwhile.
"""

import asyncio
from math import inf

from gateway.core.rules.errors import BadInput
from gateway.store.database import Connection, Database, Record
from gateway.store.limits import NO_TIMERS
from gateway.store.troubles import DatabaseAway
from simulator.rehearsal.loop import Outside


class PacedDatabase(Database, Outside):
    """A Database of one connection whose single statements take `answer_s` of virtual time."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn, connections=1, limits=NO_TIMERS)
        self.answer_s = 0.0
        self._asked = 0
        self._under_way: dict[int, float] = {}  # the nth statement -> when its answer is wanted
        self._day: asyncio.Task[object] | None = None
        self._failure: DatabaseAway | None = None
        self._ending: asyncio.Handle | None = None

    def ends_with_it(self, day: "asyncio.Task[object] | None") -> None:
        """The task that is cancelled when the database fails, whoever met it."""
        self._day = day

    def why(self, error: BaseException) -> BaseException:
        """Of a day that ended with `error`: that, or BadInput when it was for the database."""
        if self._ending is not None:
            self._ending.cancel()  # who met it first was the day's own task
        if self._failure is None:
            return error
        return BadInput(
            f"the rehearsal's database failed ({self._failure})",
            "",
            "make room where it lies (TMPDIR or --dsn says where), and rehearse again",
        )

    def _failed(self, away: DatabaseAway) -> asyncio.CancelledError:
        """The day ends, for whoever asks as well: an error would end the world before the day could."""
        if self._failure is None:
            self._failure = away
            if self._day is not None:
                self._ending = asyncio.get_running_loop().call_soon(self._day.cancel)
        return asyncio.CancelledError(str(away))

    def _met(self, held: Connection, error: Exception) -> None:
        try:
            super()._met(held, error)
        except DatabaseAway as away:
            if away.is_local:
                raise
            raise self._failed(away) from away

    async def _take(self) -> Connection:
        if self._failure is not None:
            raise self._failed(self._failure)
        return await super()._take()

    async def _open_one(self) -> Connection:
        try:
            return await super()._open_one()
        except DatabaseAway as away:
            raise self._failed(away) from away

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
        work.add_done_callback(_looked_at)
        await asyncio.sleep(self.answer_s)
        return work.result() if work.done() else await work

    async def _ask(self, nth: int, sql: str, arguments: tuple[object, ...]) -> list[Record]:
        try:
            return await super().fetch(sql, *arguments)
        finally:
            del self._under_way[nth]


def _looked_at(work: "asyncio.Task[list[Record]]") -> None:
    """Whoever asked may have been cancelled meanwhile: an error that nobody reads is no defect."""
    if not work.cancelled():
        work.exception()
