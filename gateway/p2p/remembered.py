"""What proves who calls, known or not: asked for in batches, some a second whoever calls, and remembered for seconds."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar

from gateway.core.rules.errors import TextbankError

Id = TypeVar("Id")
Found = TypeVar("Found")

REMEMBERED_S: Final = 5.0
"""A revoked key, or a session that another worker ended, works no longer than that."""
LOOK_UPS_EVERY_S: Final = 0.1
_MOST_REMEMBERED: Final = 10_000
_MOST_WAITING: Final = 1_000
_MOST_IN_A_LOOK_UP: Final = 500


class TooManyTried(TextbankError):
    """Too many keys that nobody knows are being tried: ask again in a second."""

    def __init__(self) -> None:
        super().__init__("too many keys that nobody knows are being tried")


class Remembered(Generic[Id, Found]):
    """A thousand wrong keys cost ten reads a second; a good one that comes among them waits for the next read.

    `look_up` gives those that there are, by id.
    """

    def __init__(
        self,
        look_up: Callable[[Sequence[Id]], Awaitable[Mapping[Id, Found]]],
        remembered_s: float = REMEMBERED_S,
    ) -> None:
        self._look_up = look_up
        self._remembered_s = remembered_s
        self._remembered: dict[Id, tuple[Found | None, float]] = {}
        self._waiting: dict[Id, asyncio.Future[Found | None]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def find(self, sought: Id) -> Found | None:
        """Raises TooManyTried when too many unknown ones wait, and DatabaseAway."""
        found, until = self._remembered.get(sought, (None, 0.0))
        if until > asyncio.get_running_loop().time():
            return found
        waiting = self._waiting.get(sought)
        if waiting is None:
            waiting = self._wait_for(sought)
        return await asyncio.shield(waiting)  # others may wait for the same

    def forget(self, which: Callable[[Found], bool]) -> None:
        """Those that changed just now are looked up anew."""
        changed = [
            each for each, (found, _) in self._remembered.items() if found is not None and which(found)
        ]
        for each in changed:
            del self._remembered[each]

    def _wait_for(self, sought: Id) -> "asyncio.Future[Found | None]":
        if len(self._waiting) >= _MOST_WAITING:
            raise TooManyTried
        loop = asyncio.get_running_loop()
        waiting = self._waiting[sought] = loop.create_future()
        if self._looking is None:
            self._looking = loop.create_task(self._look_them_up(), name="keys")
        return waiting

    async def _look_them_up(self) -> None:
        try:
            while self._waiting:
                some = list(self._waiting)[:_MOST_IN_A_LOOK_UP]
                asked = [(each, self._waiting.pop(each)) for each in some]
                await self._answer(asked)
                await asyncio.sleep(LOOK_UPS_EVERY_S)
        finally:
            self._looking = None

    async def _answer(self, asked: "list[tuple[Id, asyncio.Future[Found | None]]]") -> None:
        began_at = asyncio.get_running_loop().time()
        try:
            found = await self._look_up([each for each, _ in asked])
        except Exception as error:  # noqa: BLE001 - it is the callers'
            for _, waiting in asked:
                waiting.set_exception(error)
                waiting.exception()  # its caller may be gone
            return
        for each, waiting in asked:
            self._remember(each, found.get(each), began_at + self._remembered_s)
            waiting.set_result(found.get(each))

    def _remember(self, sought: Id, found: Found | None, until: float) -> None:
        self._remembered.pop(sought, None)
        self._remembered[sought] = found, until
        if len(self._remembered) > _MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
