"""Whether the database works: asked over a connection of its own, and of what the bank's statements met."""

from typing import Final

from gateway.store.database import Database
from gateway.store.hosts import Succession
from gateway.store.limits import PROBE
from gateway.store.troubles import DatabaseBusy, DatabaseGone

_OUTAGE_S: Final = 1.0  # shorter ones are a connection that broke and was made again
_READS_ONLY: Final = "SELECT current_setting('transaction_read_only') = 'on'"


class DatabaseProbe:
    """Never waits behind the bank, and answers within `PROBE`'s limits whatever the server does."""

    def __init__(self, dsn: str, database: Database, succession: Succession | None = None) -> None:
        self._own = Database(dsn, connections=1, limits=PROBE, succession=succession, name="probe")
        self._database = database

    async def ask(self) -> None:
        """Raises DatabaseAway for a server that is gone, silent, only reads, or refuses the bank's statements."""
        if await self._own.fetch_value(_READS_ONLY):
            raise DatabaseBusy("the server only reads", reads_only=True)
        if self._database.outage.length_s > _OUTAGE_S:
            raise DatabaseGone("statements have failed for some time")

    def drop(self) -> None:
        """The next question makes a connection of its own."""
        self._own.drop()

    async def close(self) -> None:
        await self._own.close()
