"""What the database may do to us, in three kinds: it is gone, it refuses for now, or the statement is a defect.

Only the third is the fault of a row. The first two are `DatabaseAway`: nothing was lost, and the work is tried
again. Codes: PostgreSQL 18, appendix A.
"""

from typing import Final

import asyncpg

from gateway.core.rules.errors import NotNow


class DatabaseAway(NotNow):
    """The database can't do the work now; nothing was lost, and the work is tried again."""

    is_local = False
    """Whether it is one statement's own, a lock for instance; else every statement meets it."""
    is_lock = False
    """Whether somebody holds a row or a table: other rows may be free."""

    @property
    def told(self) -> str:
        """Without the driver's words, which may hold an address."""
        return "the database is away; nothing that was acknowledged is lost, repeat with the same key"


class DatabaseGone(DatabaseAway):
    """The connection broke or none can be made; whether the last statement was carried out is not known."""


class DatabaseBusy(DatabaseAway):
    """The database answered, and refuses for now; what it refused was not carried out."""

    def __init__(
        self, words: str, *, is_local: bool = False, is_lock: bool = False, reads_only: bool = False
    ) -> None:
        super().__init__(words)
        self.is_local = is_local or is_lock
        self.is_lock = is_lock
        self.reads_only = reads_only  # an old primary came back as a reader: leave it


_GONE: Final = (
    OSError,
    asyncpg.InternalClientError,  # between the server's farewell and the end of the stream
    asyncpg.PostgresConnectionError,
)
_GONE_CODES: Final = frozenset(
    {
        "25P03",  # idle in a transaction for too long: the server hangs up
        "25P04",  # a transaction took too long: the server hangs up
        "57P01",  # shut down by an administrator
        "57P02",  # another server process crashed
        "57P03",  # starting up or shutting down
        "57P04",  # the database was dropped
        "57P05",  # an idle session was ended
    }
)
_READS_ONLY: Final = "25006"
_REFUSING: Final = (
    _READS_ONLY,
    "53",  # insufficient resources: disk full, out of memory, too many connections
    "58",  # an error outside of PostgreSQL: input and output
)
_WAITS_ITS_TURN: Final = (
    "40003",  # whether the statement was completed is not known
    "55006",  # object in use
    "57",  # operator intervention: cancelled, statement time-out
)
_LOCKS: Final = (
    "40001",  # could not serialize
    "40P01",  # deadlock
    "55P03",  # a lock was not to be had in time
)


def trouble(error: Exception, *, is_closed: bool) -> DatabaseAway | None:
    """What an error of a connection means for us; None: it is a defect, and the caller's."""
    if isinstance(error, DatabaseAway):
        return error
    code = error.sqlstate if isinstance(error, asyncpg.PostgresError) else None
    if isinstance(error, _GONE) or code in _GONE_CODES:
        return DatabaseGone(words(error))
    if isinstance(error, asyncpg.InterfaceError):
        return DatabaseGone(words(error)) if is_closed else None
    if code is not None and code.startswith(_REFUSING):
        return DatabaseBusy(words(error), reads_only=code == _READS_ONLY)
    if isinstance(error, asyncpg.InvalidCachedStatementError):  # a table changed under a prepared statement
        return DatabaseBusy(words(error), is_local=True)
    if code in _LOCKS:
        return DatabaseBusy(words(error), is_lock=True)
    if code is not None and code.startswith(_WAITS_ITS_TURN):
        return DatabaseBusy(words(error), is_local=True)
    return None


def words(error: Exception) -> str:
    """The server's words without its DETAIL, which may hold a row."""
    if isinstance(error, OSError) or not error.args:
        return str(error) or type(error).__name__
    return str(error.args[0])
