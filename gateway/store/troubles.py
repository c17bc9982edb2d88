"""What the database may do to us, in three kinds: it is gone, it refuses for now, or the statement is a defect.

Only the third is the fault of a row. The first two are `DatabaseAway`: nothing was lost, and the work is tried
again. Codes: PostgreSQL 18, appendix A.
"""

from typing import Final

import asyncpg

from gateway.core.rules.errors import TextbankError


class DatabaseAway(TextbankError):
    """The database can't do the work now; nothing was lost, and the work is tried again."""


class DatabaseGone(DatabaseAway):
    """The connection broke or none can be made; whether the last statement was carried out is not known."""


class DatabaseBusy(DatabaseAway):
    """The database answered, and refuses for now; what it refused was not carried out."""


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
_BUSY_CLASSES: Final = (
    "53",  # insufficient resources: disk full, out of memory, too many connections
    "57",  # operator intervention: cancelled, statement time-out
    "58",  # an error outside of PostgreSQL: input and output
)
_BUSY_CODES: Final = frozenset(
    {
        "0A000",  # only as InvalidCachedStatementError: a table changed under a prepared statement
        "25006",  # read-only: an old primary came back as a reader
        "40001",  # could not serialize
        "40003",  # whether the statement was completed is not known
        "40P01",  # deadlock
        "55006",  # object in use
        "55P03",  # a lock was not to be had in time
    }
)


def trouble(error: Exception, *, is_closed: bool) -> DatabaseAway | None:
    """What an error of a connection means for us; None: it is a defect, and the caller's."""
    if isinstance(error, DatabaseAway):
        return error
    code = error.sqlstate if isinstance(error, asyncpg.PostgresError) else None
    if isinstance(error, _GONE) or code in _GONE_CODES:
        return DatabaseGone(_words(error))
    if isinstance(error, asyncpg.InterfaceError):
        return DatabaseGone(_words(error)) if is_closed else None
    if code is not None and _is_busy(error, code):
        return DatabaseBusy(_words(error))
    return None


def _is_busy(error: Exception, code: str) -> bool:
    if code == asyncpg.FeatureNotSupportedError.sqlstate:
        return isinstance(error, asyncpg.InvalidCachedStatementError)
    return code in _BUSY_CODES or code.startswith(_BUSY_CLASSES)


def _words(error: Exception) -> str:
    """The server's words without its DETAIL, which may hold a row."""
    if isinstance(error, OSError) or not error.args:
        return str(error) or type(error).__name__
    return str(error.args[0])
