"""Group commit: what arrives within a commit window is written in one set-based transaction.

A caller gets a future that is done when its row is durable. While the database is away, the batch waits. One that
meets a lock, or a defect, is written row by row, so that one row holds up or harms only itself.
What waits is bounded: beyond the bound, or when it would wait for too long, the caller is refused.
"""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

import msgspec

from gateway.store.troubles import DatabaseAway

Item = TypeVar("Item")
Result = TypeVar("Result")

_AWAY_FIRST_S: Final = 0.1
_AWAY_MOST_S: Final = 1.0
_LOCKED_REST_S: Final = 0.5  # no row that met a lock is tried sooner again
_TOGETHER: Final = 2  # so often a batch that meets a lock is tried whole: most locks are short
_TELLING: Final = 50  # rows of a batch that says something about the pace; a smaller one is all overhead
_PARTS: Final = 4  # batches within the longest wait
_NEWEST: Final = 0.3  # weight of the newest batch in the pace


class TooMuchWaits(DatabaseAway):
    """More waits to be written than can be written soon; nothing of this was taken: ask again later."""

    is_local = True

    @property
    def told(self) -> str:
        return f"{self}; nothing of this request was taken, ask again later"


class Bound:
    """What all windows of one station hold together, and the most that they may."""

    def __init__(self, most_items: int, most_bytes: int) -> None:
        self.most_items = most_items
        self.most_bytes = most_bytes
        self.items = 0
        self.bytes = 0


class WindowOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How the windows of one station work; times in seconds.

    `longest_wait_s`: nobody is taken in who would wait for longer. `drops_given_up`: a caller who cancels wants
    the row no more, and unless it is being written it never is.
    """

    window_s: float
    max_items: int = 1000
    longest_wait_s: float = math.inf
    drops_given_up: bool = False
    bound: Bound | None = None
    size_of: Callable[[Any], int] | None = None


class _Entry(msgspec.Struct, Generic[Item, Result], gc=False):
    item: Item
    future: "asyncio.Future[Result]"
    put_at: float  # by the running loop's clock
    size: int


class CommitWindow(Generic[Item, Result]):
    """Collects items for `window_s`, or until there are `max_items`, and writes them with `write`.

    `write(items)` returns one result an item, in order. Batches of one window never overlap, so
    rows are written in the order in which they came, but for those that met a lock.
    """

    def __init__(
        self, write: Callable[[list[Item]], Awaitable[list[Result]]], options: WindowOptions
    ) -> None:
        self._write = write
        self._options = options
        self._waits_are_bounded = options.longest_wait_s < math.inf
        self._waiting: list[_Entry[Item, Result]] = []
        self._writing: list[_Entry[Item, Result]] = []
        self._locked: deque[_Entry[Item, Result]] = deque()  # met a lock, and are tried one at a time
        self._locked_due_at = 0.0
        self._item_s = 0.0  # what a row takes, of late
        self._writing_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._writer: asyncio.Task[None] | None = None

    def put(self, item: Item, *, always: bool = False) -> "asyncio.Future[Result]":
        """Adds an item; the future ends when it is durable, or with its error.

        Raises TooMuchWaits unless it must be taken `always`.
        """
        if not always:
            self.require_room()
        options, loop = self._options, asyncio.get_running_loop()
        size = 0 if options.size_of is None else options.size_of(item)
        entry: _Entry[Item, Result] = _Entry(item, loop.create_future(), loop.time(), size)
        waiting, bound = self._waiting, options.bound
        waiting.append(entry)
        if bound is not None:
            bound.items += 1
            bound.bytes += size
        if len(waiting) >= options.max_items:
            self._start()
        elif len(waiting) == 1 and self._writer is None:
            self._start_in(options.window_s)
        return entry.future

    def require_room(self, items: int = 1) -> None:
        """Raises TooMuchWaits when so many more can't be taken, or what waits before them would take too long."""
        bound = self._options.bound
        if bound is not None and (bound.items + items > bound.most_items or bound.bytes > bound.most_bytes):
            raise TooMuchWaits(f"{bound.items} rows wait to be written already")
        if self._writing and self._waits_are_bounded and self.wait_s > self._options.longest_wait_s:
            raise TooMuchWaits(f"what waits already needs more than {self._options.longest_wait_s:g} s")

    async def drain(self) -> None:
        """Writes what is left and waits until nothing is."""
        while len(self) or self._writer is not None:
            self._start()
            if self._writer is not None:
                await self._writer

    async def written(self, within_s: float) -> None:
        """Until what waits now has its end, whatever comes meanwhile; no longer than `within_s`."""
        self._start()
        if told := [entry.future for entry in (*self._locked, *self._writing, *self._waiting)]:
            await asyncio.wait(told, timeout=within_s)

    def close(self) -> list[Item]:
        """Stops at once, as a crash would; returns what nobody was told is durable."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writer is not None:
            self._writer.cancel()
        undurable = [*self._locked, *self._writing, *self._waiting]
        self._locked, self._waiting = deque(), []
        for entry in undurable:
            entry.future.cancel()
        self._release(undurable)
        return [entry.item for entry in undurable]

    def __len__(self) -> int:
        """How many wait to be written; what is being written isn't counted."""
        return len(self._waiting) + len(self._locked)

    @property
    def is_idle(self) -> bool:
        return self._writer is None and not len(self)

    @property
    def use(self) -> float:
        """What all windows of the station hold of what they may: 0 to 1; 0 when nothing bounds them."""
        bound = self._options.bound
        if bound is None:
            return 0.0
        by_bytes = bound.bytes / bound.most_bytes if bound.most_bytes else 0.0
        return max(bound.items / bound.most_items, by_bytes)

    @property
    def oldest_at(self) -> float | None:
        """Since when the oldest item waits to be durable, by the running loop's clock; None: there is none."""
        firsts = [part[0].put_at for part in (self._locked, self._writing, self._waiting) if part]
        return min(firsts, default=None)

    @property
    def wait_s(self) -> float:
        """How long the next item would wait at the present pace; no less than what is being written has taken."""
        written_s = asyncio.get_running_loop().time() - self._writing_since if self._writing else 0.0
        ahead_s = (len(self._writing) + len(self._waiting)) * self._item_s
        return max(written_s, ahead_s - written_s)

    # ---------------------------------------------------------------- writing

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writer is None and len(self):
            self._writer = asyncio.get_running_loop().create_task(self._run())

    def _start_in(self, delay_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._start)

    async def _run(self) -> None:
        try:
            if self._waiting:
                await self._commit(self._next_batch())
            else:
                await asyncio.sleep(self._locked_due_in_s())
            if self._locked and self._locked_due_in_s() <= 0:
                await self._try_locked()
        finally:
            self._writer = None
            self._start_next()

    def _start_next(self) -> None:
        """What came while we wrote: their window is over or nearly so."""
        if not self._waiting:
            if self._locked:
                self._start_in(max(self._options.window_s, self._locked_due_in_s()))
        elif len(self._waiting) >= self._options.max_items or self._options.window_s == 0:
            self._start()
        else:
            self._start_in(self._options.window_s)

    def _next_batch(self) -> list[_Entry[Item, Result]]:
        batch = self._waiting[: self._most_at_once()]
        del self._waiting[: len(batch)]
        if not self._options.drops_given_up:
            return batch
        self._release([entry for entry in batch if entry.future.cancelled()])
        return [entry for entry in batch if not entry.future.cancelled()]

    def _most_at_once(self) -> int:
        """All rows of a batch wait for its last one: where waits are bounded, a batch is a part of that."""
        part_s = self._options.longest_wait_s / _PARTS
        if len(self._waiting) * self._item_s <= part_s:
            return self._options.max_items
        return min(self._options.max_items, max(_TELLING, int(part_s / self._item_s)))

    def _learn_pace(self, rows: int) -> None:
        if rows >= _TELLING:
            item_s = (asyncio.get_running_loop().time() - self._writing_since) / rows
            self._item_s += (_NEWEST if self._item_s else 1.0) * (item_s - self._item_s)

    async def _commit(self, batch: list[_Entry[Item, Result]]) -> None:
        if not batch:
            return
        self._writing, self._writing_since = batch, asyncio.get_running_loop().time()
        try:
            results = await self._written(batch, _a_lock_again)
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the caller of one of the rows
            await self._apart(batch, error)
        else:
            self._learn_pace(len(batch))
            self._release(batch)
            for entry, result in zip(batch, results, strict=True):
                if not entry.future.done():
                    entry.future.set_result(result)
        self._writing = []

    async def _apart(self, batch: list[_Entry[Item, Result]], error: Exception) -> None:
        """One of them met a lock for the second time, or is bad: which one, only each for itself can tell."""
        if len(batch) == 1 and not isinstance(error, DatabaseAway):
            self._fail(batch[0], error)
            return
        for entry in batch:
            await self._commit_one(entry)

    async def _commit_one(self, entry: _Entry[Item, Result]) -> bool:
        """Whether the row has its end; else it waits for a lock, and will be tried again."""
        try:
            (result,) = await self._written([entry], _a_lock)
        except DatabaseAway:
            self._locked.append(entry)
            return False
        except Exception as error:  # noqa: BLE001 - it belongs to the caller of that row
            self._fail(entry, error)
        else:
            self._release([entry])
            if not entry.future.done():
                entry.future.set_result(result)
        return True

    async def _try_locked(self) -> None:
        """The first of those that met a lock, and while it goes well the next: a lock costs one wait now and then."""
        time = asyncio.get_running_loop().time
        for _ in range(len(self._locked)):
            began_at = time()
            self._writing, self._writing_since = [self._locked.popleft()], began_at
            is_done = await self._commit_one(self._writing[0])
            self._writing = []
            if not is_done:
                self._locked_due_at = time() + max(_LOCKED_REST_S, 2 * (time() - began_at))
                return

    def _locked_due_in_s(self) -> float:
        return self._locked_due_at - asyncio.get_running_loop().time()

    async def _written(
        self, batch: list[_Entry[Item, Result]], gives_up: Callable[[DatabaseAway, int], bool]
    ) -> list[Result]:
        """Tries until the database is there. Raises the nth trouble when the batch is not to wait for it together."""
        away_s, nth = _AWAY_FIRST_S, 0
        while True:
            try:
                return await self._write([entry.item for entry in batch])
            except DatabaseAway as trouble:
                nth += 1
                if gives_up(trouble, nth):
                    raise
            await asyncio.sleep(away_s)
            away_s = min(away_s * 2, _AWAY_MOST_S)

    def _fail(self, entry: _Entry[Item, Result], error: Exception) -> None:
        self._release([entry])
        if not entry.future.done():
            entry.future.set_exception(error)

    def _release(self, entries: list[_Entry[Item, Result]]) -> None:
        bound = self._options.bound
        if bound is not None:
            bound.items -= len(entries)
            if self._options.size_of is not None:
                bound.bytes -= sum([entry.size for entry in entries])


def _a_lock(trouble: DatabaseAway, _nth: int) -> bool:
    return trouble.is_lock


def _a_lock_again(trouble: DatabaseAway, nth: int) -> bool:
    return trouble.is_lock and nth >= _TOGETHER
