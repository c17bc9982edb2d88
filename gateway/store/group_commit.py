"""Group commit: what arrives within a commit window is written in one set-based transaction.

A caller gets a future that is done when its row is durable. A batch that fails is tried again row
by row, so that one bad row harms only itself; while the database is away, the batch waits.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from gateway.store.troubles import DatabaseAway

Item = TypeVar("Item")
Result = TypeVar("Result")

_AWAY_FIRST_S = 0.1
_AWAY_MOST_S = 5.0


class CommitWindow(Generic[Item, Result]):
    """Collects items for `window_s`, or until `max_items`, and writes them with `write`.

    `write(items)` returns one result an item, in order. Batches of one window never overlap, so
    rows are written in the order in which they came.
    """

    def __init__(
        self,
        write: Callable[[list[Item]], Awaitable[list[Result]]],
        *,
        window_s: float,
        max_items: int = 1000,
    ) -> None:
        self._write = write
        self._window_s = window_s
        self._max_items = max_items
        self._items: list[Item] = []
        self._futures: list[asyncio.Future[Result]] = []
        self._writing: list[Item] = []
        self._writing_futures: list[asyncio.Future[Result]] = []
        self._arrived_at: list[float] = []  # of the first item of each batch, by the running loop's clock
        self._writing_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._writer: asyncio.Task[None] | None = None

    def put(self, item: Item) -> "asyncio.Future[Result]":
        """Adds an item; the future ends when it is durable, or with its error."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        items = self._items
        if not len(items) % self._max_items:
            self._arrived_at.append(loop.time())
        items.append(item)
        self._futures.append(future)
        if len(items) >= self._max_items:
            self._start()
        elif self._timer is None and self._writer is None:
            self._timer = loop.call_later(self._window_s, self._start)
        return future

    async def drain(self) -> None:
        """Writes what is left and waits until nothing is."""
        while self._items or self._writer is not None:
            self._start()
            if self._writer is not None:
                await self._writer

    def close(self) -> list[Item]:
        """Stops at once, as a crash would; returns what nobody was told is durable."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writer is not None:
            self._writer.cancel()
        for future in (*self._writing_futures, *self._futures):
            future.cancel()
        undurable, self._items, self._futures, self._arrived_at = self._writing + self._items, [], [], []
        return undurable

    def __len__(self) -> int:
        return len(self._items)

    @property
    def oldest_at(self) -> float | None:
        """Since when the oldest item waits to be durable, by the running loop's clock; None: there is none."""
        if self._writing:
            return self._writing_since
        return self._arrived_at[0] if self._items else None

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writer is None and self._items:
            self._writer = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            items, futures = self._items[: self._max_items], self._futures[: self._max_items]
            del self._items[: self._max_items], self._futures[: self._max_items]
            self._writing, self._writing_futures = items, futures
            self._writing_since = self._arrived_at.pop(0)
            await self._commit(items, futures)
            self._writing, self._writing_futures = [], []
        finally:
            self._writer = None
            if self._items:  # came while we wrote: their window is over or nearly so
                self._start_next()

    def _start_next(self) -> None:
        if len(self._items) >= self._max_items or self._window_s == 0:
            self._start()
        else:
            self._timer = asyncio.get_running_loop().call_later(self._window_s, self._start)

    async def _commit(self, items: list[Item], futures: "list[asyncio.Future[Result]]") -> None:
        try:
            results = await self._written(items)
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the caller of that row
            if len(items) == 1:
                _fail(futures[0], error)
                return
            for item, future in zip(items, futures, strict=True):
                await self._commit([item], [future])
            return
        for future, result in zip(futures, results, strict=True):
            if not future.done():
                future.set_result(result)

    async def _written(self, items: list[Item]) -> list[Result]:
        away_s = _AWAY_FIRST_S
        while True:
            try:
                return await self._write(items)
            except DatabaseAway:
                await asyncio.sleep(away_s)
                away_s = min(away_s * 2, _AWAY_MOST_S)


def _fail(future: "asyncio.Future[Result]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
