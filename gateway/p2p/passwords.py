"""Passwords: hashed and compared by Argon2id, off the event loop, a few at a time."""

import asyncio
import functools
from collections.abc import Callable
from typing import Final, TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.core.bank.people import normal_password
from gateway.store.group_commit import TooMuchWaits

Value = TypeVar("Value")

# OWASP's Password Storage Cheat Sheet, Argon2id: 19 MiB, two passes, one lane. About 25 ms of one core.
HASHER: Final = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_AT_ONCE: Final = 2  # each takes the memory above, and a core that the road of the messages needs as well
_MOST_WAITING: Final = 100


class Passwords:
    """Hashes under the hasher's parameters; a hash carries its own, so that old ones are still understood."""

    def __init__(self, hasher: argon2.PasswordHasher = HASHER) -> None:
        self._hasher = hasher
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._nobodys = ""  # compared with when there is no hash, so that the answer takes as long

    async def hashed(self, password: str) -> str:
        """Raises TooMuchWaits while too many wait."""
        return await self._apart(functools.partial(self._hasher.hash, normal_password(password)))

    async def match(self, stored: str | None, password: str) -> bool:
        """Whether it is the password of the stored hash; None is nobody's, and takes as long to say so."""
        if stored is None and not self._nobodys:
            self._nobodys = await self.hashed("nobody has this password")
        given = normal_password(password)
        is_same = await self._apart(functools.partial(self._same, stored or self._nobodys, given))
        return is_same and stored is not None

    def is_old(self, stored: str) -> bool:
        """Whether it was made under other parameters than new ones are."""
        return self._hasher.check_needs_rehash(stored)

    def _same(self, stored: str, given: str) -> bool:
        try:
            return self._hasher.verify(stored, given)
        except (VerificationError, InvalidHashError):
            return False

    async def _apart(self, work: Callable[[], Value]) -> Value:
        """In a thread: Argon2 gives the interpreter free while it works."""
        if self._waiting >= _MOST_WAITING:
            raise TooMuchWaits("too many passwords are being checked")
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1
