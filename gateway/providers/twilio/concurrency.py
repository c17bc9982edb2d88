"""How many requests may be under way at once: one more a round of good answers, one less a 429.

Twilio does not tell an account's limit; it tells how many requests it counts now, and refuses the one too many.
So a round of requests that is half refused halves the width, and a chance 429 among many costs one place of many.
Requests for texts and all others have a line each. The others, such as a poll or a look-up, share a quarter of the
places, and at least one, so that they neither hold up a bank nor wait for its end.
"""

import asyncio
import math
from collections import OrderedDict

from gateway.providers.base import Refused, TooLate

TOO_MANY_REQUESTS = 20429
_LONGEST_HOLD_S = 60.0
_SHARE_OF_OTHERS = 4  # one place of so many

Line = OrderedDict["asyncio.Future[None]", None]
"""Who waits for a place, in order; one who gave up leaves it at once."""


class Concurrency:
    """A gate of a width between 1 and `most`. Who waits longer than `patience_s` is refused with 20429."""

    __slots__ = ("_held_until", "_most", "_others", "_others_were_last", "_patience_s", "_texts", "busy", "busy_others", "width")  # fmt: skip

    def __init__(self, most: int, patience_s: float) -> None:
        self._most = most
        self._patience_s = patience_s
        self._texts: Line = OrderedDict()
        self._others: Line = OrderedDict()
        self._others_were_last = False
        self._held_until = 0.0
        self.busy = 0
        self.busy_others = 0
        self.width = float(most)

    def __repr__(self) -> str:
        waiting = len(self._texts) + len(self._others)
        return f"Concurrency({self.busy} of {int(self.width)} busy, {waiting} waiting)"

    @property
    def free(self) -> int:
        """How many texts would find a place now."""
        if self._is_held():
            return 0
        return max(0, int(self.width) - self.busy - len(self._texts) - len(self._others))

    async def enter(self, *, is_text: bool = True, left_s: float = math.inf) -> None:
        """Takes a place. Each enter needs its `leave`. Raises TooLate when there was none for `left_s`."""
        line = self._texts if is_text else self._others
        if line or not self._has_room(is_text=is_text):
            await self._wait(line, left_s, is_text=is_text)
        else:
            self._occupy(is_text=is_text)

    def leave(self, *, is_text: bool = True) -> None:
        self.busy -= 1
        self.busy_others -= not is_text
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

    def _is_held(self) -> bool:
        return asyncio.get_running_loop().time() < self._held_until

    def _has_room(self, *, is_text: bool) -> bool:
        """Whether there is a place, and for other requests one of theirs."""
        is_open = self.busy < int(self.width) and not self._is_held()
        return is_open and (is_text or self.busy_others < max(1, int(self.width) // _SHARE_OF_OTHERS))

    def _occupy(self, *, is_text: bool) -> None:
        self.busy += 1
        self.busy_others += not is_text

    async def _wait(self, line: Line, left_s: float, *, is_text: bool) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line[place] = None
        try:
            async with asyncio.timeout(min(self._patience_s, left_s)):
                await self._take(place, is_text=is_text)
        except TimeoutError:
            if left_s <= self._patience_s:
                raise TooLate(text="no place among the requests under way") from None
            raise Refused(TOO_MANY_REQUESTS, "too many of our own requests under way") from None
        finally:
            line.pop(place, None)

    async def _take(self, place: "asyncio.Future[None]", *, is_text: bool) -> None:
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # given in the same moment
                self.leave(is_text=is_text)
            raise

    def _wake(self) -> None:
        """Gives free places away: in turns, while both lines wait."""
        while True:
            others = bool(self._others) and self._has_room(is_text=False)
            texts = bool(self._texts) and self._has_room(is_text=True)
            if not others and not texts:
                return
            is_text = texts and (self._others_were_last or not others)
            self._others_were_last = not is_text
            place, _ = (self._texts if is_text else self._others).popitem(last=False)
            if not place.done():
                self._occupy(is_text=is_text)
                place.set_result(None)
