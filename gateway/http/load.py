"""How many sends may be under way at once, so that each has its answer in time: the others are refused early.

Whatever is short (processor, database, lock), answers then take longer. So their time alone decides: while it is good
and places are short there is one place more for each, when it is bad there are fewer (additive increase,
multiplicative decrease, as TCP shares a line). Where the processor is short, it shows sooner: from its bytes to its
handler a send passes the event loop a few times, and until its answer several times more. One that came to its handler
late is refused there, before it costs anything (CoDel's rule: judge a queue by the time spent in it).
"""

import asyncio
import contextlib
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

from gateway.http.problems import Refusal

AIM_S: Final = 0.4
"""An answer that took longer says that there is too much; a second is promised to 99 of 100."""
BEGINS_WITHIN_S: Final = 0.15
"""A send that came to its handler later would have its answer too late: the rest of its way is longer."""
FEWEST: Final = 16
MOST: Final = 4_096
RETRY_AFTER_S: Final = "1"
TOO_MUCH: Final = "more comes than can be answered in time; nothing of this was taken, repeat it"
_FIRST: Final = 128  # a burst at the start, when nothing has been learned
_FEWEST_LEFT: Final = 0.2  # of those under way, after one bad answer
_MOST_LEFT: Final = 0.9
_LEFT_AFTER_LATE: Final = 0.7  # after one that began late


class Load:
    """Places for sends. Nobody waits for one."""

    def __init__(self) -> None:
        self.places = float(_FIRST)
        self.under_way = 0
        self._fewer_at = 0.0

    @property
    def is_full(self) -> bool:
        return self.under_way >= self.places

    @property
    def use(self) -> float:
        """Of the places, the share that is taken."""
        return self.under_way / self.places if self.places > 0 else 1.0

    def enter(self) -> float | None:
        """A place for one send, to be left with what is returned; None: there is none."""
        if self.is_full:
            return None
        self.under_way += 1
        return asyncio.get_running_loop().time()

    def begin(self, entered_at: float) -> None:
        """The send has come to its handler. Raises Refusal 503 when that took too long."""
        now = asyncio.get_running_loop().time()
        if now - entered_at > BEGINS_WITHIN_S:
            self._cut(entered_at, now, _LEFT_AFTER_LATE)
            raise refusal()

    def leave(self, entered_at: float, *, was_taken: bool) -> None:
        """The send has its answer; one that was not taken says nothing good of how much can be done."""
        now = asyncio.get_running_loop().time()
        took_s = now - entered_at
        if took_s > AIM_S:
            self._cut(entered_at, now, max(_FEWEST_LEFT, min(_MOST_LEFT, AIM_S / took_s)))
        elif was_taken and self.under_way >= self.places - 1:
            self.places = min(MOST, self.places + 1)
        self.under_way -= 1

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """For one send. Raises Refusal 503 when there is none."""
        entered_at = self.enter()
        if entered_at is None:
            raise refusal()
        was_taken = False
        try:
            yield
            was_taken = True
        finally:
            self.leave(entered_at, was_taken=was_taken)

    def _cut(self, entered_at: float, now: float, share: float) -> None:
        if entered_at >= self._fewer_at:  # those that came before the last cut say nothing of it
            self.places = max(FEWEST, min(self.places, self.under_way) * share)
            self._fewer_at = now


def refusal() -> Refusal:
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, TOO_MUCH, Retry_After=RETRY_AFTER_S)
