"""One owner per campaign: a PostgreSQL advisory lock, held on the very connection that claims.

Lose the connection and the lock is gone; then nothing more can be claimed, since `claims` checks that it
still speaks over the connection that took the locks.
"""

import contextlib
from collections.abc import AsyncIterator

from gateway.core.rules.errors import TextbankError
from gateway.store.database import Connection, Database

_SPACE = 0x7EB  # advisory locks (space, campaign): ours alone


class OwnershipLost(TextbankError):
    """The connection that held this worker's campaigns is gone; another worker may own them now."""


class Ownership:
    """The campaigns this worker dispatches. `database` must have one connection only."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._generation = -1
        self._owned: set[int] = set()

    async def take(self, campaign_id: int) -> bool:
        """Tries to become the owner; False when another worker is."""
        async with self._database.connection() as connection:
            self._renew()
            if campaign_id in self._owned:  # PostgreSQL would count a second lock; is the first still there?
                await connection.fetchval("SELECT 1")
                return True
            taken: bool = await connection.fetchval(
                "SELECT pg_try_advisory_lock($1, $2)", _SPACE, campaign_id % 2**31
            )
        if taken:
            self._owned.add(campaign_id)
        return taken

    async def give_up(self, campaign_id: int) -> None:
        if campaign_id not in self._owned:
            return
        self._owned.discard(campaign_id)
        async with self._database.connection() as connection:
            await connection.fetchval("SELECT pg_advisory_unlock($1, $2)", _SPACE, campaign_id % 2**31)

    @contextlib.asynccontextmanager
    async def claims(self, campaign_id: int) -> AsyncIterator[Connection]:
        """The connection to claim the campaign's messages on; OwnershipLost when it is a new one."""
        async with self._database.connection() as connection:
            self._renew()
            if campaign_id not in self._owned:
                raise OwnershipLost(f"campaign {campaign_id} is not ours any more")
            yield connection

    def _renew(self) -> None:
        if self._database.generation != self._generation:
            self._generation = self._database.generation
            self._owned.clear()
