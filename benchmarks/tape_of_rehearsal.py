"""A rehearsal written down: every statement, every call to the provider, what the volunteers' phones were told.

Each with its virtual time, in the order in which they began; bare_rehearsal.py plays it.
"""

import asyncio
import hashlib
import pickle
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import simpy

from gateway.app import Gateway
from gateway.providers.base import OutboundText
from gateway.store.database import Connection, Database, Record
from simulator.model.ledger import Ledger
from simulator.model.volunteers import Waiting
from simulator.rehearsal import provider_side, run, staff
from simulator.rehearsal.bank import BankOfVolunteers
from simulator.rehearsal.history import RememberingProvider
from simulator.rehearsal.paced_database import PacedDatabase

_is_paced: ContextVar[bool] = ContextVar("is_paced", default=False)


class Block:
    """What one caller asked of one connection: the connection's methods with their arguments.

    `is_paced`: a single statement, whose answer takes its virtual time. Otherwise the clock stands still for it.
    """

    def __init__(self, at: float, *, is_paced: bool) -> None:
        self.at = at
        self.is_paced = is_paced
        self.is_transaction = False
        self.is_whole = False
        self.asked: list[tuple[str, str, tuple[object, ...]]] = []


class Sent(NamedTuple):
    at: float
    text: OutboundText


class Bought(NamedTuple):
    at: float
    campaign_id: int
    area_code: str


class Answered(NamedTuple):
    """What a volunteer's phone was told, and how long that took in seconds."""

    volunteer: int
    took_s: float
    value: object


class Finished(NamedTuple):
    """From here on there is nobody left to claim, or there is again."""

    at: float
    is_so: bool


class Edge(NamedTuple):
    """The day begins, or has ended with these events and rows."""

    events_hash: str = ""
    rows: tuple[tuple[str, int], ...] = ()


Entry = Block | Sent | Bought | Answered | Finished | Edge


class Tape:
    """Where a rehearsal is written down in the order in which things began; nothing is, until it has a file."""

    def __init__(self) -> None:
        self.file: BinaryIO | None = None
        self._begun: deque[Entry] = deque()

    def write(self, entry: Entry) -> None:
        if self.file is not None:
            self._begun.append(entry)
            self.flush()

    def flush(self) -> None:
        """All up to the first block that is not over."""
        while self._begun and not (isinstance(self._begun[0], Block) and not self._begun[0].is_whole):
            pickle.dump(self._begun.popleft(), self.file, pickle.HIGHEST_PROTOCOL)


_tape = Tape()  # of the rehearsal that runs in this process


def entries(path: Path) -> Iterator[Entry]:
    with path.open("rb") as file, suppress(EOFError):
        while True:
            yield pickle.load(file)


def events_hash(ledger: Ledger) -> str:
    """A digest of all that happened in the world; who fetched what a webhook had lost is no event of it."""
    digest = hashlib.sha256()
    for table in (
        ledger.submissions,
        ledger.refusals,
        ledger.accepts,
        ledger.finals,
        ledger.arrivals,
        ledger.inbound,
        ledger.purchases,
    ):
        digest.update(table.raw() + b"|")
    digest.update("|".join(ledger.inbound_texts).encode())
    return digest.hexdigest()


async def rows_of(database: Database) -> tuple[tuple[str, int], ...]:
    """How many rows there are of each kind."""
    found = await database.fetch(
        """
        SELECT 'messages: ' || state, count(*) FROM messages GROUP BY state
        UNION ALL SELECT 'queue', count(*) FROM queue
        UNION ALL SELECT 'attempts', count(*) FROM attempts
        UNION ALL SELECT 'inbound', count(*) FROM inbound
        UNION ALL SELECT 'opt_outs', count(*) FROM opt_outs
        UNION ALL SELECT 'numbers', count(*) FROM numbers
        UNION ALL SELECT 'waiting', count(attention_at) FROM conversations
        ORDER BY 1
        """
    )
    return tuple((kind, count) for kind, count in found)


def _now() -> float:
    return asyncio.get_running_loop().time()


# ---------------------------------------------------------------- taping


class _Heard:
    """A connection that writes down what it is asked."""

    def __init__(self, real: Connection, block: Block) -> None:
        self._real = real
        self._block = block

    def transaction(self, **options: Any) -> Any:
        self._block.is_transaction = True
        return self._real.transaction(**options)

    async def fetch(self, sql: str, *arguments: object) -> Any:
        self._block.asked.append(("fetch", sql, arguments))
        return await self._real.fetch(sql, *arguments)

    async def execute(self, sql: str, *arguments: object) -> Any:
        self._block.asked.append(("execute", sql, arguments))
        return await self._real.execute(sql, *arguments)


class _TapedDatabase(PacedDatabase):
    async def fetch(self, sql: str, *arguments: object) -> list[Record]:
        before = _is_paced.set(True)
        try:
            return await super().fetch(sql, *arguments)
        finally:
            _is_paced.reset(before)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        block = Block(_now(), is_paced=_is_paced.get())
        _tape.write(block)
        async with super().connection() as real:
            yield real if _tape.file is None else _Heard(real, block)
        block.is_whole = True
        _tape.flush()


class _TapedProvider(RememberingProvider):
    async def send(self, text: OutboundText) -> Any:
        _tape.write(Sent(_now(), text))
        return await super().send(text)

    async def buy(self, campaign_id: int, area_code: str) -> Any:
        _tape.write(Bought(_now(), campaign_id, area_code))
        return await super().buy(campaign_id, area_code)


def _heard(
    volunteer: int, event: simpy.Event, kept: Callable[[Any], object] = lambda value: value
) -> simpy.Event:
    began_at = event.env.now

    def note(done: simpy.Event) -> None:
        _tape.write(Answered(volunteer, done.env.now - began_at, kept(done.value)))

    assert event.callbacks is not None
    event.callbacks.append(note)
    return event


class _TapedBank(BankOfVolunteers):
    _was_finished = False

    @property
    def finished(self) -> bool:
        if super().finished is not self._was_finished:
            self._was_finished = not self._was_finished
            _tape.write(Finished(_now(), self._was_finished))
        return self._was_finished

    def claim(self, volunteer: int) -> simpy.Event:
        return _heard(volunteer, super().claim(volunteer), len)

    def release(self, volunteer: int, items: Sequence[object]) -> simpy.Event:
        return _heard(volunteer, super().release(volunteer, items))

    def inbox(self, volunteer: int) -> simpy.Event:
        return _heard(volunteer, super().inbox(volunteer))

    def answer(self, volunteer: int, waiting: Waiting, response: int) -> simpy.Event:
        return _heard(volunteer, super().answer(volunteer, waiting, response))

    def opt_out(self, volunteer: int, waiting: Waiting) -> simpy.Event:
        return _heard(volunteer, super().opt_out(volunteer, waiting))


class Taped(run._Rehearsal):
    """A rehearsal that writes itself down, from the gateway's start to the end of the day."""

    def __init__(self, file: BinaryIO, *parts: Any) -> None:
        run.PacedDatabase = _TapedDatabase  # type: ignore[misc]
        provider_side.RememberingProvider = _TapedProvider  # type: ignore[misc]
        staff.BankOfVolunteers = _TapedBank  # type: ignore[misc]
        super().__init__(*parts)
        self._file = file

    async def _start_gateway(self) -> Gateway:
        _tape.file = self._file
        return await super()._start_gateway()

    async def _live(self, on_progress: Any) -> None:
        _tape.write(Edge())
        await super()._live(on_progress)
        _tape.file = None
        edge = Edge(events_hash(self.ledger), await rows_of(self.database))
        pickle.dump(edge, self._file, pickle.HIGHEST_PROTOCOL)
