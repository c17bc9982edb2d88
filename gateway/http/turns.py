"""Long work in turns: a few milliseconds each, with everybody else in between."""

import asyncio
from typing import Final

TURN_S: Final = 0.003
REST_S: Final = 0.001


class Turns:
    """Says when a turn is over: `if turns.over: await turns.rest()` between any two rows."""

    __slots__ = ("_ends_at", "_now")

    def __init__(self) -> None:
        self._now = asyncio.get_running_loop().time
        self._ends_at = self._now() + TURN_S

    @property
    def over(self) -> bool:
        return self._now() >= self._ends_at

    async def rest(self) -> None:
        await asyncio.sleep(REST_S)
        self._ends_at = self._now() + TURN_S
