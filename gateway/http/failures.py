"""Failed attempts by whoever makes them: some are let pass, then one every few seconds."""

import asyncio
import contextlib
import math
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

from gateway.http.problems import Refusal

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

    def forgive(self, who: str) -> None:
        """Takes back one failure that turned out to be none."""
        if who in self._paid_off_at:
            self._paid_off_at[who] -= self._one_more_every_s


@contextlib.contextmanager
def attempt(*counted: tuple[Failures, str]) -> "Iterator[Attempt]":
    """An attempt at what can be guessed: a password, six digits. It counts as a failure from its beginning, so that
    many at once are no way around the limit, and is taken back when it was right, or met a defect of ours.

    Raises Refusal (429), before anything is compared, once there were too many.
    """
    now = asyncio.get_running_loop().time()
    for failures, who in counted:
        if wait_s := failures.failed(who, now):
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"after so many failures wait {wait_s} s",
                Retry_After=str(wait_s),
            )
    made = Attempt()
    try:
        yield made
    except Exception:
        made.is_right = True  # whatever it was, it wasn't the guess
        raise
    finally:
        if made.is_right:
            for failures, who in counted:
                failures.forgive(who)


class Attempt:
    """Wrong, until somebody says that it was right."""

    def __init__(self) -> None:
        self.is_right = False
