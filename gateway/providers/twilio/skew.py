"""How far the provider's clock is ahead of ours, learned from the Date of its answers.

A Date names a whole second, within which the answer was made between our asking and our hearing it. Each answer so
gives two bounds; those of many answers are narrower than a second. Answers that contradict what is known mean that a
clock was set: then only the newest counts.
"""

import math
from datetime import UTC
from email.utils import parsedate_to_datetime

UNKNOWN_S = 900.0
"""How far off the provider's clock may be while it has told us nothing."""

_RESOLUTION_S = 1.0


def unix_time(date: str | None) -> float | None:
    """An RFC 2822 date in Unix seconds; None for none, or one that can't be read."""
    if not date:
        return None
    try:
        read = parsedate_to_datetime(date)
        return (read if read.tzinfo is not None else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


class Skew:
    """Bounds of (the provider's time of day - ours), seconds; infinite while nothing is known."""

    __slots__ = ("_at", "_date", "high_s", "low_s")

    def __init__(self) -> None:
        self.low_s, self.high_s = -math.inf, math.inf
        self._date: str | None = None
        self._at = 0.0

    @property
    def is_known(self) -> bool:
        return self.low_s > -math.inf

    @property
    def middle_s(self) -> float | None:
        """The best guess; None while nothing is known."""
        return (self.low_s + self.high_s) / 2 if self.is_known else None

    def saw(self, date: str, asked_at: float, answered_at: float) -> None:
        """One answer: its Date, and when we asked and heard by our time of day."""
        if date != self._date:
            at = unix_time(date)
            if at is None:
                return
            self._date, self._at = date, at
        low_s, high_s = self._at - answered_at, self._at + _RESOLUTION_S - asked_at
        self.low_s, self.high_s = max(low_s, self.low_s), min(high_s, self.high_s)
        if self.low_s > self.high_s:
            self.low_s, self.high_s = low_s, high_s

    def earliest(self, at: float) -> float:
        """The provider's time of day, at the earliest, when ours is `at`."""
        return at + (self.low_s if self.is_known else -UNKNOWN_S)

    def latest(self, at: float) -> float:
        return at + (self.high_s if self.is_known else UNKNOWN_S)

    def ours(self, at: float) -> float:
        """Our time of day when the provider's is `at`; the same, if the clocks may agree."""
        return at if self.low_s <= 0.0 <= self.high_s else at - (self.middle_s or 0.0)
