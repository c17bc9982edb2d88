"""A database of the caller's, in which a rehearsal may work."""

from gateway.config import check_address
from gateway.core.rules.errors import BadInput
from gateway.store.database import Database
from gateway.store.migrate import is_empty


async def check_empty(dsn: str) -> None:
    """A rehearsal makes its tables without a log, and fills them with invented people: never beside real ones."""
    check_address("--dsn", dsn, ("postgresql", "postgres"), "the command line")
    database = Database(dsn, connections=1)
    try:
        await database.open()
    except BadInput as error:
        raise BadInput(error.what, "--dsn", error.do) from error
    try:
        if not await is_empty(database):
            do = "make one for it: createdb rehearsal"
            raise BadInput("the database is not empty, and a rehearsal wants one of its own", "--dsn", do)
    finally:
        await database.close()
