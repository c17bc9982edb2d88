"""The one door to PostgreSQL: connections, transactions, and the count of who is inside.

`in_flight` is above zero from before a connection is asked for until its answer is read. It is a
gauge in production; in a rehearsal the virtual clock stands still while it is above zero.

Every step has a limit (`limits.py`), and what goes wrong is one of three kinds (`troubles.py`).
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol, TypeAlias

import asyncpg

from gateway.core.rules.errors import BadInput
from gateway.store.hosts import TIMELINE, Succession, hosts
from gateway.store.limits import ORDINARY, Limits, patient
from gateway.store.outage import Outage
from gateway.store.troubles import DatabaseAway, DatabaseBusy, DatabaseGone, trouble, words

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

_NO_CONNECTION = (
    DatabaseAway,
    OSError,
    OverflowError,  # a port above 65535
    ValueError,
    asyncpg.PostgresError,
    asyncpg.InternalClientError,
    asyncpg.InterfaceError,
)
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


_EXPORT_S = 600.0
_GOODBYE_S = 2.0  # a server that does not answer even that is left without a word


def _reads_only(connection: Connection) -> bool:
    """What the server said of itself, at the beginning and whenever it changed; nothing is asked."""
    settings = connection.get_settings()
    if getattr(settings, "in_hot_standby", "off") == "on":
        return True
    return getattr(settings, "default_transaction_read_only", "off") == "on"


class Database:
    """A fixed set of connections, handed out first come first served.

    asyncpg's own pool hands out the last one returned and resets it with a round trip; here the
    order of callers is the order of work, which makes one connection a deterministic store.
    """

    def __init__(
        self,
        dsn: str,
        connections: int = 4,
        *,
        limits: Limits = ORDINARY,
        succession: Succession | None = None,
        name: str = "main",
    ) -> None:
        self._dsn = dsn
        self._size = connections
        self._limits = limits
        self._hosts = deque(hosts(dsn))
        self._succession = succession or Succession()
        self._timeline = 0  # of the connections that are open
        self._idle: deque[Connection] = deque()
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._open = 0
        self._to_drop: dict[Connection, None] = {}  # in somebody's hands, and not to be used again
        self._in_hands: dict[Connection, None] = {}
        self.in_flight = 0
        self.waited: Callable[[float], None] = _nobody_asks  # is told each wait for a connection, in seconds
        self.generation = 0  # counts the connections ever made
        self.outage = Outage(name)

    @property
    def in_use(self) -> int:
        """Connections in somebody's hands."""
        return self._open - len(self._idle)

    @property
    def use(self) -> float:
        """The connections in somebody's hands, of those that there may be: 0 to 1."""
        return self.in_use / self._size

    async def open(self) -> None:
        """Connects once; raises BadInput when the server can't be reached, refuses us, only reads or is too old."""
        self.in_flight += 1
        try:
            self._idle.append(await self._connect())
            self._open = 1
            refuse_old_server(await self._idle[0].fetchval(_SERVER_VERSION))
        except DatabaseBusy as error:
            self.hang_up()
            raise BadInput("the database is read-only", "database.dsn", "give the primary server") from error
        except _NO_CONNECTION as error:
            self.hang_up()
            raise BadInput(
                f"the database does not answer ({words(error)})",
                "database.dsn",
                "start it, or correct the DSN",
            ) from error
        except BaseException:  # a cancellation as well: nobody else has the connection
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
                await connection.close(timeout=_GOODBYE_S if self._limits.answer_s else None)
            finally:
                self.in_flight -= 1

    def hang_up(self) -> None:
        """Drops the idle connections without a word, whatever the server is still doing for them."""
        while self._idle:
            self._open -= 1
            self._idle.popleft().terminate()

    def drop(self) -> None:
        """Drops every connection: the idle ones now, those in use when they are given back."""
        self.hang_up()
        self._to_drop.update(self._in_hands)

    @contextlib.asynccontextmanager
    async def patient(self, limit_s: float) -> "AsyncIterator[Database]":
        """A connection of its own for statements that may take `limit_s`: exports, migrations, sums.

        The ordinary connections stay free meanwhile. Without timers (a rehearsal) it is the door itself.
        """
        if self._limits.answer_s is None:
            yield self
            return
        other = Database(self._dsn, 1, limits=patient(self._limits, limit_s), succession=self._succession)
        try:
            yield other
        finally:
            with contextlib.suppress(OSError):
                await other.close()

    # ---------------------------------------------------------------- connecting

    async def _connect(self) -> Connection:
        """To the first host that writes; the one that was good last is asked first."""
        last: Exception = DatabaseBusy("every host that answers only reads", reads_only=True)
        for _ in range(len(self._hosts)):
            try:
                connection = await self._connect_to(self._hosts[0])
                if await self._is_primary(connection):
                    self.generation += 1
                    return connection
                connection.terminate()
            except Exception as error:  # noqa: BLE001 - told when no other host is better
                last = error
            self._hosts.rotate(-1)
        raise last

    async def _is_primary(self, connection: Connection) -> bool:
        if _reads_only(connection):
            return False
        if len(self._hosts) > 1:
            if self._succession.is_old(await connection.fetchval(TIMELINE)):
                return False
            self._leave_old_primary()
        return True

    def _leave_old_primary(self) -> None:
        """Once any door of this worker has seen a newer one."""
        if self._timeline != self._succession.timeline:
            self._timeline = self._succession.timeline
            self.drop()

    async def _connect_to(self, host: dict[str, Any]) -> Connection:
        connection: Connection = await asyncpg.connect(
            self._dsn,
            **host,
            timeout=self._limits.connect_s,
            command_timeout=self._limits.answer_s,
            server_settings=_SERVER_SETTINGS | self._limits.server_settings(),
            max_cached_statement_lifetime=0,  # for good: planning again costs as much as many executions
        )
        self._limits.watch_peer(connection._transport.get_extra_info("socket"))
        return connection

    # ---------------------------------------------------------------- one's turn

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One connection for the block. Raises DatabaseGone for one that broke and is thrown away, DatabaseBusy
        for a statement that was refused for now; a defect is the caller's."""
        self.in_flight += 1
        try:
            held = await self._take()
            self._in_hands[held] = None
            try:
                yield held
            except Exception as error:
                self._met(held, error)
                raise
            else:
                self.outage.worked()
            finally:
                self._give_back(held)
        finally:
            self.in_flight -= 1

    def _met(self, held: Connection, error: Exception) -> None:
        """Raises what the error of a statement means, if it is the database's."""
        away = trouble(error, is_closed=held.is_closed())
        if away is None or away is error:
            return
        self.outage.failed(away)
        if isinstance(away, DatabaseGone):
            held.terminate()
        elif isinstance(away, DatabaseBusy) and away.reads_only:
            self.drop()
        raise away from error

    async def _take(self) -> Connection:
        """The next connection for this caller; one given back goes straight to whoever waits longest."""
        self._leave_old_primary()
        while self._idle:
            idle = self._idle.popleft()
            if not idle.is_closed():
                self.waited(0.0)
                return idle
            self._open -= 1  # it broke while nobody used it
        time = asyncio.get_running_loop().time
        asked_at = time()
        try:
            return await self._await_turn()
        finally:
            self.waited(time() - asked_at)

    async def _await_turn(self) -> Connection:
        if self._open >= self._size:
            handed = await self._turn()
            if handed is not None:
                return handed
        return await self._open_one()

    async def _turn(self) -> Connection | None:
        """A connection, or leave to open one. Raises DatabaseBusy when it does not come in time."""
        if len(self._waiting) >= (self._size if self.outage.is_on else self._limits.most_waiting):
            raise DatabaseBusy("too many wait for a connection already", is_local=True)
        turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            if self._limits.turn_s is None:
                return await turn
            async with asyncio.timeout(self._limits.turn_s):
                return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on(turn.result())
            raise
        except TimeoutError as error:
            raise DatabaseBusy("no connection was free in time", is_local=True) from error

    async def _open_one(self) -> Connection:
        self._open += 1
        try:
            return await self._connect()
        except BaseException as error:
            self._open -= 1
            self._pass_on(None)
            if not isinstance(error, Exception):
                raise
            # No row is at fault when nobody can connect.
            away = trouble(error, is_closed=True) or DatabaseBusy(words(error))
            self.outage.failed(away)
            raise away from error

    def _give_back(self, connection: Connection) -> None:
        del self._in_hands[connection]
        is_stale = connection in self._to_drop
        if is_stale:
            del self._to_drop[connection]
        if not connection.is_closed() and (is_stale or _reads_only(connection)):
            connection.terminate()
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

    # ---------------------------------------------------------------- work

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
        """The rows of a query in PostgreSQL's binary COPY format, piece by piece; an export may take minutes."""

        async def output(piece: bytes) -> None:
            take(piece)

        async with self.patient(_EXPORT_S) as patient, patient.connection() as connection:
            await connection.copy_from_query(sql, *arguments, output=output, format="binary")
