"""Failed attempts by whoever makes them: some are let pass, then one every few seconds."""

import math
from typing import Final

ALLOWED: Final = 20
ONE_MORE_EVERY_S: Final = 3.0
_MOST_REMEMBERED: Final = 10_000


class Failures:
    """Counts the failures of each address or key id; only failures are limited, so a good key is never in their way."""

    def __init__(self, allowed: int = ALLOWED, one_more_every_s: float = ONE_MORE_EVERY_S) -> None:
        self._most_s = allowed * one_more_every_s
        self._one_more_every_s = one_more_every_s
        self._paid_off_at: dict[str, float] = {}

    def failed(self, who: str, now: float) -> int:
        """Notes a failure; for how many seconds `who` should not come again, 0 while that is still all right."""
        paid_off_at = max(self._paid_off_at.pop(who, now), now)
        wait_s = paid_off_at + self._one_more_every_s - self._most_s - now
        if wait_s <= 0:
            paid_off_at += self._one_more_every_s
        self._paid_off_at[who] = paid_off_at  # the latest at the end: the oldest is forgotten first
        if len(self._paid_off_at) > _MOST_REMEMBERED:
            del self._paid_off_at[next(iter(self._paid_off_at))]
        return math.ceil(max(wait_s, 0.0))
