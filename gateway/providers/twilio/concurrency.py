"""How many requests may be under way at once: one more a round of good answers, one less a 429.

Twilio does not tell an account's limit; it tells how many requests it counts now, and refuses the one too many.
So a round of requests that is half refused halves the width, and a chance 429 among many costs one place of many.
"""

import asyncio
from collections import deque

from gateway.providers.base import Refused

TOO_MANY_REQUESTS = 20429
_LONGEST_HOLD_S = 60.0


class Concurrency:
    """A gate of a width between 1 and `most`. Who waits longer than `patience_s` is refused with 20429."""

    __slots__ = ("_held_until", "_most", "_patience_s", "_waiting", "busy", "width")

    def __init__(self, most: int, patience_s: float) -> None:
        self._most = most
        self._patience_s = patience_s
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._held_until = 0.0
        self.busy = 0
        self.width = float(most)

    def __repr__(self) -> str:
        return f"Concurrency({self.busy} of {int(self.width)} busy, {len(self._waiting)} waiting)"

    async def enter(self) -> None:
        """Takes a place. Each enter needs its `leave`."""
        if self._waiting or not self._is_open():
            await self._wait()
        else:
            self.busy += 1

    def leave(self) -> None:
        self.busy -= 1
        self._wake()

    def went_well(self, counted_by_twilio: int | None) -> None:
        """One answer more than `width` answers widens by one, unless others already fill the account."""
        if self.width < self._most and (counted_by_twilio is None or counted_by_twilio < self._most):
            self.width = min(self._most, self.width + 1 / self.width)

    def pushed_back(self, counted_by_twilio: int | None = None, retry_after_s: float = 0.0) -> None:
        """A 429: as many as were under way were one too many."""
        under_way = max(self.busy, counted_by_twilio or 0)
        self.width = max(1.0, min(self.width, under_way) - 1)
        if retry_after_s > 0:
            hold_s = min(retry_after_s, _LONGEST_HOLD_S)
            loop = asyncio.get_running_loop()
            self._held_until = max(self._held_until, loop.time() + hold_s)
            loop.call_at(self._held_until, self._wake)

    def _is_open(self) -> bool:
        return self.busy < int(self.width) and asyncio.get_running_loop().time() >= self._held_until

    async def _wait(self) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(self._patience_s):
                await self._take(place)
        except TimeoutError:
            raise Refused(TOO_MANY_REQUESTS, "too many of our own requests under way") from None

    async def _take(self, place: "asyncio.Future[None]") -> None:
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # given in the same moment
                self.leave()
            raise

    def _wake(self) -> None:
        while self._waiting and self._is_open():
            place = self._waiting.popleft()
            if not place.done():
                self.busy += 1
                place.set_result(None)
