"""API keys by id, known or not: asked for in batches, some a second whoever calls, and remembered for seconds."""

import asyncio
from typing import Final

from gateway.core.rules.errors import TextbankError
from gateway.store import api_keys
from gateway.store.api_keys import KeyRow
from gateway.store.database import Database

REMEMBERED_S: Final = 5.0
"""A revoked key works no longer than that."""
LOOK_UPS_EVERY_S: Final = 0.1
_MOST_REMEMBERED: Final = 10_000
_MOST_WAITING: Final = 1_000
_MOST_IN_A_LOOK_UP: Final = 500


class TooManyTried(TextbankError):
    """Too many keys that nobody knows are being tried: ask again in a second."""

    def __init__(self) -> None:
        super().__init__("too many keys that nobody knows are being tried")


class KnownKeys:
    """A thousand wrong keys cost ten reads a second; a good one that comes among them waits for the next read."""

    def __init__(self, database: Database, remembered_s: float = REMEMBERED_S) -> None:
        self._database = database
        self._remembered_s = remembered_s
        self._remembered: dict[str, tuple[KeyRow | None, float]] = {}
        self._waiting: dict[str, asyncio.Future[KeyRow | None]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> KeyRow | None:
        """Raises TooManyTried when too many unknown keys wait, and DatabaseAway."""
        row, until = self._remembered.get(key_id, (None, 0.0))
        if until > asyncio.get_running_loop().time():
            return row
        waiting = self._waiting.get(key_id)
        if waiting is None:
            waiting = self._wait_for(key_id)
        return await asyncio.shield(waiting)  # others may wait for the same

    def _wait_for(self, key_id: str) -> "asyncio.Future[KeyRow | None]":
        if len(self._waiting) >= _MOST_WAITING:
            raise TooManyTried
        loop = asyncio.get_running_loop()
        waiting = self._waiting[key_id] = loop.create_future()
        if self._looking is None:
            self._looking = loop.create_task(self._look_up(), name="keys")
        return waiting

    async def _look_up(self) -> None:
        try:
            while self._waiting:
                ids = list(self._waiting)[:_MOST_IN_A_LOOK_UP]
                asked = [(each, self._waiting.pop(each)) for each in ids]
                await self._answer(asked)
                await asyncio.sleep(LOOK_UPS_EVERY_S)
        finally:
            self._looking = None

    async def _answer(self, asked: "list[tuple[str, asyncio.Future[KeyRow | None]]]") -> None:
        began_at = asyncio.get_running_loop().time()
        try:
            rows = await api_keys.find(self._database, [key_id for key_id, _ in asked])
        except Exception as error:  # noqa: BLE001 - it is the callers'
            for _, waiting in asked:
                waiting.set_exception(error)
                waiting.exception()  # its caller may be gone
            return
        for key_id, waiting in asked:
            self._remember(key_id, rows.get(key_id), began_at + self._remembered_s)
            waiting.set_result(rows.get(key_id))

    def _remember(self, key_id: str, row: KeyRow | None, until: float) -> None:
        self._remembered.pop(key_id, None)
        self._remembered[key_id] = row, until
        if len(self._remembered) > _MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
