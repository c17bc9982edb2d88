"""How many sends may be under way at once, so that each has its answer in time: the others are refused early.

Whatever is short (processor, database, lock), answers then take longer. So the answer's time alone decides: while it
is good and places are short there is one place more for each, when it is bad there are fewer (additive increase,
multiplicative decrease, as TCP shares a line).
"""

import asyncio
import contextlib
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

from gateway.http.problems import Refusal

AIM_S: Final = 0.4
"""An answer that took longer says that there is too much; a second is promised to 99 of 100."""
FEWEST: Final = 16
MOST: Final = 4_096
RETRY_AFTER_S: Final = "1"
TOO_MUCH: Final = "more comes than can be answered in time; nothing of this was taken, repeat it"
_FIRST: Final = 512  # a burst after a rest
_FEWEST_LEFT: Final = 0.2  # of those under way, after one bad answer
_MOST_LEFT: Final = 0.9


class Load:
    """Places for sends. Nobody waits for one."""

    def __init__(self) -> None:
        self.places = float(_FIRST)
        self.under_way = 0
        self._fewer_at = 0.0

    def enter(self) -> float | None:
        """A place for one send, to be left with what is returned; None: there is none."""
        if self.under_way >= self.places:
            return None
        self.under_way += 1
        return asyncio.get_running_loop().time()

    def leave(self, entered_at: float) -> None:
        """The send has its answer, or needs none any more."""
        self._learn(entered_at, asyncio.get_running_loop().time())
        self.under_way -= 1

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """For one send. Raises Refusal 503 when there is none."""
        entered_at = self.enter()
        if entered_at is None:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, TOO_MUCH, Retry_After=RETRY_AFTER_S)
        try:
            yield
        finally:
            self.leave(entered_at)

    def _learn(self, began_at: float, now: float) -> None:
        if now - began_at <= AIM_S:
            if self.under_way >= self.places - 1:
                self.places = min(MOST, self.places + 1)
        elif began_at >= self._fewer_at:  # those that began before the last cut say nothing of it
            share = max(_FEWEST_LEFT, min(_MOST_LEFT, AIM_S / (now - began_at)))
            self.places = max(FEWEST, min(self.places, self.under_way) * share)
            self._fewer_at = now
