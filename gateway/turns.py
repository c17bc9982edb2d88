"""Long work in turns: a few milliseconds each, one at a time, with everybody else in between."""

import asyncio
from types import TracebackType
from typing import Final, Self

FREE_S: Final = 0.001
TURN_S: Final = 0.003
REST_S: Final = 0.001
_LOOKS: Final = 3
_NOBODY_S: Final = 0.0002


class Floor:
    """Whoever has long work needs it: twenty of them together stop the loop no longer than one."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()


class Turns:
    """Work in turns within the block: `if turns.over: await turns.rest()` between any two rows.

    The first turn is short and needs no floor, so that short work waits for nobody. Nobody waits for anything else
    within the block: those who have long work too would wait with them.
    """

    __slots__ = ("_ends_at", "_has_floor", "_lock", "_now")

    def __init__(self, floor: Floor) -> None:
        self._now = asyncio.get_running_loop().time
        self._lock = floor.lock
        self._has_floor = False
        self._ends_at = self._now() + FREE_S

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    @property
    def over(self) -> bool:
        return self._now() >= self._ends_at

    async def rest(self) -> None:
        """Lets everybody else have the loop, and the next one the floor; then it is ours for a turn."""
        self._leave()
        if await self._somebody_works():
            await asyncio.sleep(REST_S)
        await self._lock.acquire()
        self._has_floor = True
        self._ends_at = self._now() + TURN_S

    async def _somebody_works(self) -> bool:
        """Whether others had anything to do while the loop went round for them."""
        began_at = self._now()
        for _ in range(_LOOKS):
            await asyncio.sleep(0)
        return self._now() - began_at > _NOBODY_S

    def _leave(self) -> None:
        if self._has_floor:
            self._has_floor = False
            self._lock.release()
