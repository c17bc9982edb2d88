"""How long the database has been away: the first failure and each n-th are told, and at the end the length."""

import asyncio
from typing import Final

import structlog

from gateway.store.troubles import DatabaseAway, DatabaseBusy

_EACH_NTH: Final = 100
_QUIET_S: Final = (
    2.0  # a server that refuses writes still reads: over is it when nothing was refused for so long
)
_log = structlog.get_logger("textbank.database")


class Outage:
    """Counts the failures that are the server's and not one statement's. Times are the running loop's."""

    def __init__(self, door: str) -> None:
        self._door = door  # which of a worker's doors to the database
        self._since: float | None = None
        self._over_at = 0.0  # no earlier than that a success counts
        self._failures = 0
        self._local = 0

    @property
    def is_on(self) -> bool:
        """Whether the database is away as far as we know."""
        return self._since is not None

    @property
    def length_s(self) -> float:
        """How long it has been away; 0 when it is there."""
        return 0.0 if self._since is None else _now() - self._since

    def failed(self, trouble: DatabaseAway) -> None:
        """A statement or a connection failed in a way of which no row is to blame."""
        if trouble.is_local:
            self._local += 1
            if self._local % _EACH_NTH == 1:
                _log.warning("a statement waits its turn", door=self._door, why=str(trouble), nth=self._local)
            return
        now = _now()
        self._over_at = now + (_QUIET_S if isinstance(trouble, DatabaseBusy) else 0.0)
        if self._since is None:
            self._since, self._failures = now, 0
        self._failures += 1
        if self._failures % _EACH_NTH == 1:
            _log.warning(
                "the database is away",
                door=self._door,
                kind=type(trouble).__name__,
                why=str(trouble),
                failures=self._failures,
                for_s=round(self.length_s, 1),
            )

    def worked(self) -> None:
        """A statement was carried out."""
        if self._since is None or _now() < self._over_at:
            return
        _log.warning(
            "the database is back", door=self._door, away_s=round(self.length_s, 1), failures=self._failures
        )
        self._since = None


def _now() -> float:
    return asyncio.get_running_loop().time()
