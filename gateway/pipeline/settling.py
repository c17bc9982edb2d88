"""Answers that wait until every look that began before them has expired."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.pipeline.lease import MOST_LOOK_VALID_S, WIRE_MARGIN_S
from gateway.store.troubles import DatabaseAway

LongestLook = Callable[[], Awaitable[float]]
"""For how long a look of any worker is good now, in seconds."""


class Settling:
    """Turns "it is durable" into "it is in force", on whatever worker texts are handed over.

    A look that does not know what is durable began before it, so it expires `look_valid_s` later, or when the slowest
    worker's does (`longest_look`, asked after the commit: a worker tells before it lengthens its own).
    """

    def __init__(self, look_valid_s: float, longest_look: LongestLook | None = None) -> None:
        self._look_valid_s = look_valid_s
        self._longest_look = longest_look
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._count = 0
        self._question: asyncio.Task[float] | None = None  # for all who came before it was asked
        self._turn = asyncio.Lock()

    def in_force(self, durable: "asyncio.Future[None]") -> "asyncio.Future[None]":
        """Done when what `durable` stands for is in force; an error or a cancellation is passed on at once."""
        self._count += 1
        nth = self._count
        task = asyncio.get_running_loop().create_task(self._until_in_force(durable))
        self._tasks[nth] = task
        task.add_done_callback(lambda _: self._tasks.pop(nth, None))
        return task

    async def _until_in_force(self, durable: "asyncio.Future[None]") -> None:
        await durable
        await self.settle()

    async def settle(self) -> None:
        """What was committed before the call is in force after it."""
        asked_at = asyncio.get_running_loop().time()
        longest_s = max(self._look_valid_s, await self._longest_of_all())
        waited_s = asyncio.get_running_loop().time() - asked_at
        await asyncio.sleep(max(0.0, longest_s + WIRE_MARGIN_S - waited_s))

    async def _longest_of_all(self) -> float:
        if self._longest_look is None:
            return 0.0
        if self._question is None:
            self._question = asyncio.get_running_loop().create_task(self._ask(self._longest_look))
        return await asyncio.shield(self._question)

    async def _ask(self, longest_look: LongestLook) -> float:
        async with self._turn:
            self._question = None  # whoever comes from now on has to be asked for anew
            try:
                return await longest_look()
            except DatabaseAway:
                return MOST_LOOK_VALID_S

    def close(self) -> None:
        """Nobody is told any more; what is durable stays so."""
        for task in list(self._tasks.values()):
            task.cancel()
