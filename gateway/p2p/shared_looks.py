"""Looks that cost something and that many ask for at once: one at a time, and everybody who waits shares the next.

Whoever asks gets what was read after they asked: never an answer that began before.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Found = TypeVar("Found")
Read = Callable[[], Awaitable[Found]]


class SharedLooks(Generic[Found]):
    """By what is looked at."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Task[Found]] = {}
        self._next: dict[Hashable, asyncio.Task[Found]] = {}

    async def look(self, what: Hashable, read: Read[Found]) -> Found:
        """What `read` finds, or what somebody else's does that begins after this call."""
        before = self._under_way.get(what)
        waiting = self._next if before is not None else self._under_way
        task = waiting.get(what)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._run(what, read, before), name="shared look")
            task.add_done_callback(_was_seen)
            waiting[what] = task
        return await asyncio.shield(task)  # others may wait for the same

    async def _run(self, what: Hashable, read: Read[Found], before: "asyncio.Task[Found] | None") -> Found:
        if before is not None:
            await asyncio.wait([before])
        try:
            return await read()
        finally:  # at once, not when the next one comes to its turn: a call in between would begin a third
            following = self._next.pop(what, None)
            if following is None:
                del self._under_way[what]
            else:
                self._under_way[what] = following


def _was_seen(task: "asyncio.Task[Found]") -> None:
    """Whoever asked may have given up."""
    if not task.cancelled():
        task.exception()
