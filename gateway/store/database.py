"""The one door to PostgreSQL: connections, transactions, and the count of who is inside.

`in_flight` is above zero from before a connection is asked for until its answer is read. It is a
gauge in production; in a rehearsal the virtual clock stands still while it is above zero.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol, TypeAlias

import asyncpg

from gateway.core.rules.errors import BadInput
from gateway.store.troubles import DatabaseAway, DatabaseBusy, DatabaseGone, trouble

Connection: TypeAlias = Any  # asyncpg ships no types
Record: TypeAlias = Any


class Statements(Protocol):
    """Whatever runs a statement: the door, each for itself, or a connection within its transaction."""

    async def fetch(self, sql: str, *arguments: object) -> list[Record]: ...


# Every hot statement goes by key. Its plan is made once and must not depend on statistics, which lag a bank
# that fills empty tables within minutes.
_SERVER_SETTINGS = {
    "application_name": "textbank",
    "timezone": "UTC",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}

_SERVER_VERSION = "SELECT current_setting('server_version_num')::int"
_OLDEST_SERVER = 18  # receipts.py says RETURNING OLD and NEW


def refuse_old_server(version: int) -> None:
    """Raises BadInput for a `server_version_num` before PostgreSQL 18."""
    major, minor = divmod(version, 10_000)
    if major < _OLDEST_SERVER:
        raise BadInput(
            f"PostgreSQL {major}.{minor} is too old",
            "database.dsn",
            f"give a server of version {_OLDEST_SERVER} or later",
        )


def _nobody_asks(_waited_s: float) -> None:
    """Nothing."""


class Database:
    """A fixed set of connections, handed out first come first served.

    asyncpg's own pool hands out the last one returned and resets it with a round trip; here the
    order of callers is the order of work, which makes one connection a deterministic store.
    """

    def __init__(self, dsn: str, connections: int = 4) -> None:
        self._dsn = dsn
        self._size = connections
        self._idle: deque[Connection] = deque()
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._open = 0
        self.in_flight = 0
        self.waited: Callable[[float], None] = _nobody_asks  # is told each wait for a connection, in seconds
        self.generation = 0  # counts the connections ever made

    @property
    def in_use(self) -> int:
        """Connections in somebody's hands."""
        return self._open - len(self._idle)

    async def open(self) -> None:
        """Connects once; raises BadInput when the server can't be reached, refuses us or is too old."""
        self.in_flight += 1
        try:
            self._idle.append(await self._connect())
            self._open = 1
            refuse_old_server(await self._idle[0].fetchval(_SERVER_VERSION))
        except (
            DatabaseAway,
            OSError,
            asyncpg.PostgresError,
            asyncpg.InternalClientError,
            asyncpg.InterfaceError,
            ValueError,
        ) as error:
            self.hang_up()
            raise BadInput(
                f"the database does not answer ({error})", "database.dsn", "start it, or correct the DSN"
            ) from error
        except BadInput:
            self.hang_up()
            raise
        finally:
            self.in_flight -= 1

    async def close(self) -> None:
        while self._idle:
            self._open -= 1
            connection = self._idle.popleft()
            self.in_flight += 1
            try:
                await connection.close()
            finally:
                self.in_flight -= 1

    def hang_up(self) -> None:
        """Drops the idle connections without a word, whatever the server is still doing for them."""
        while self._idle:
            self._open -= 1
            self._idle.popleft().terminate()

    async def _connect(self) -> Connection:
        connection: Connection = await asyncpg.connect(
            self._dsn,
            timeout=None,
            server_settings=_SERVER_SETTINGS,
            max_cached_statement_lifetime=0,  # for good: planning again costs as much as many executions
        )
        self.generation += 1
        return connection

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One connection for the block. Raises DatabaseGone for one that broke and is thrown away, DatabaseBusy
        for a statement that was refused for now; a defect is the caller's."""
        self.in_flight += 1
        try:
            held = await self._take()
            try:
                yield held
            except Exception as error:
                away = trouble(error, is_closed=held.is_closed())
                if isinstance(away, DatabaseGone):
                    held.terminate()
                if away is None or away is error:
                    raise
                raise away from error
            finally:
                self._give_back(held)
        finally:
            self.in_flight -= 1

    async def _take(self) -> Connection:
        """The next connection for this caller; one given back goes straight to whoever waits longest."""
        if self._idle:
            self.waited(0.0)
            return self._idle.popleft()
        time = asyncio.get_running_loop().time
        asked_at = time()
        try:
            return await self._await_turn()
        finally:
            self.waited(time() - asked_at)

    async def _await_turn(self) -> Connection:
        if self._open >= self._size:
            turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                handed = await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._pass_on(turn.result())
                raise
            if handed is not None:
                return handed
        return await self._open_one()

    async def _open_one(self) -> Connection:
        self._open += 1
        try:
            return await self._connect()
        except BaseException as error:
            self._open -= 1
            self._pass_on(None)
            if isinstance(error, Exception):  # no row is at fault when nobody can connect
                raise trouble(error, is_closed=True) or DatabaseBusy(str(error)) from error
            raise

    def _give_back(self, connection: Connection) -> None:
        if connection.is_closed():
            self._open -= 1
            self._pass_on(None)
        else:
            self._pass_on(connection)

    def _pass_on(self, connection: Connection | None) -> None:
        """To the next in line; None lets it open one of its own."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return
        if connection is not None:
            self._idle.append(connection)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def fetch(self, sql: str, *arguments: object) -> list[Record]:
        """One statement, which is its own transaction."""
        async with self.connection() as connection:
            rows: list[Record] = await connection.fetch(sql, *arguments)
            return rows

    async def fetch_row(self, sql: str, *arguments: object) -> Record | None:
        rows = await self.fetch(sql, *arguments)
        return rows[0] if rows else None

    async def fetch_value(self, sql: str, *arguments: object) -> Any:
        row = await self.fetch_row(sql, *arguments)
        return None if row is None else row[0]

    async def execute(self, sql: str, *arguments: object) -> None:
        await self.fetch(sql, *arguments)

    async def script(self, sql: str) -> None:
        """Several statements without arguments, as one transaction."""
        async with self.connection() as connection:
            await connection.execute(sql)

    async def copy(self, table: str, columns: Sequence[str], records: Sequence[tuple[object, ...]]) -> None:
        """Bulk rows through COPY."""
        async with self.connection() as connection:
            await connection.copy_records_to_table(table, columns=columns, records=records)

    async def copy_out(self, sql: str, *arguments: object, take: Callable[[bytes], None]) -> None:
        """The rows of a query in PostgreSQL's binary COPY format, piece by piece."""

        async def output(piece: bytes) -> None:
            take(piece)

        async with self.connection() as connection:
            await connection.copy_from_query(sql, *arguments, output=output, format="binary")
