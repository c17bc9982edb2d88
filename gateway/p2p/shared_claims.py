"""Claims of an action that come at once are taken together: whoever asks while a statement is under way shares the next.

They have to take turns in any case. Together five hundred volunteers wait for a few statements, and not for each other.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import msgspec

from gateway.store.buckets import Claimed, Wanted
from gateway.store.troubles import DatabaseBusy

MOST_CONTACTS: Final = 2_000  # of one statement: so long others wait before their own begins
MOST_WAITING: Final = 5_000  # volunteers, over all actions

Where: TypeAlias = tuple[int, int]
"""A campaign and its action."""


class _Waiting(msgspec.Struct, frozen=True, gc=False):
    wanted: Wanted
    claimed: asyncio.Future[Claimed]


class SharedClaims:
    """Who waits for a bucket, by action; `write` claims for several volunteers at once, each there once."""

    def __init__(self, write: Callable[[Where, list[Wanted]], Awaitable[list[Claimed]]]) -> None:
        self._write = write
        self._waiting: dict[Where, list[_Waiting]] = {}
        self._writers: dict[Where, asyncio.Task[None]] = {}

    async def claim(self, where: Where, wanted: Wanted) -> Claimed:
        """The volunteer's bucket. Raises what the statement did, and DatabaseBusy when too many wait."""
        if len(self) >= MOST_WAITING:
            raise DatabaseBusy("too many wait for a bucket already", is_local=True)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(wanted, loop.create_future())
        self._waiting.setdefault(where, []).append(waiting)
        if where not in self._writers:
            self._writers[where] = loop.create_task(self._run(where), name="claims")
        return await waiting.claimed

    def close(self) -> None:
        """Stops at once: nobody who waits was given anything, or hears of it."""
        for writer in self._writers.values():
            writer.cancel()

    def __len__(self) -> int:
        """How many wait for their statement to begin."""
        return sum(len(waiting) for waiting in self._waiting.values())

    async def _run(self, where: Where) -> None:
        batch: list[_Waiting] = []
        try:
            while batch := self._next(where):
                await self._claim(where, batch)
        finally:
            del self._writers[where]
            for each in (*batch, *self._waiting.pop(where, ())):  # we were cancelled
                each.claimed.cancel()

    def _next(self, where: Where) -> list[_Waiting]:
        """The first who wait, as many as one statement takes; who asks a second time comes with a later one."""
        batch: dict[int, _Waiting] = {}
        left, contacts = [], 0
        for each in self._waiting[where]:
            if each.claimed.done():  # gave up
                continue
            wanted = each.wanted
            is_full = bool(batch) and contacts + wanted.size > MOST_CONTACTS
            if is_full or wanted.volunteer_id in batch:
                left.append(each)
                continue
            batch[wanted.volunteer_id] = each
            contacts += wanted.size
        self._waiting[where] = left
        return list(batch.values())

    async def _claim(self, where: Where, batch: list[_Waiting]) -> None:
        try:
            claimed = await self._write(where, [each.wanted for each in batch])
        except Exception as error:  # noqa: BLE001 - it belongs to those who asked
            for each in batch:
                if not each.claimed.done():
                    each.claimed.set_exception(error)
            return
        for each, mine in zip(batch, claimed, strict=True):
            if not each.claimed.done():
                each.claimed.set_result(mine)
