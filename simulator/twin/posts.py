"""A small HTTP/1.1 client for webhooks: thousands of short requests a second to very few hosts.

A general client costs five times as much for each, and the load a market can make is what it is for. Connections
are kept and shared; what a redirect or a challenge means is the caller's business; cookies, compression and proxies
are not for webhooks.
"""

import asyncio
import ssl
from collections import deque
from typing import NamedTuple, cast

from yarl import URL

_PER_HOST = 200  # connections
_LARGEST_HEAD = 64 * 1024


class Answer(NamedTuple):
    """What a receiver said; `content` is cut at the largest size asked for, plus one."""

    status: int
    content_type: str
    content: bytes
    location: str = ""
    challenge: str = ""  # WWW-Authenticate


class CannotConnect(ConnectionError):
    """No connection, so certainly nothing was delivered."""


class NoAnswer(ConnectionError):
    """Connected, but no answer that can be read, or none in time."""


class _Connection(asyncio.Protocol):
    """One request at a time; `answer` is its future."""

    def __init__(self, largest: int) -> None:
        self.used = False
        self.closed = False
        self.answer: asyncio.Future[Answer] | None = None
        self._largest = largest
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass

    def ask(self, request: bytes, answer: "asyncio.Future[Answer]") -> None:
        self.answer = answer
        self._buffer = b""
        self._transport.write(request)

    def abort(self) -> None:
        self.closed = True
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self.answer is None:  # nobody asked
            self.abort()
            return
        try:
            self._read(at_end=False)
        except (ValueError, IndexError) as error:
            self._fail(NoAnswer(f"not HTTP: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if self.answer is None or self.answer.done():
            return
        try:
            self._read(at_end=True)
        except (ValueError, IndexError) as fault:
            self._fail(NoAnswer(f"not HTTP: {fault}"))
        self._fail(NoAnswer(str(error or "connection closed without an answer")))  # if it still waits

    def _read(self, *, at_end: bool) -> None:
        """Look whether the answer is whole; if so, give it."""
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            if len(head) > _LARGEST_HEAD:
                raise ValueError("headers too large")
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status, *_ = first.split(" ", 2)
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        if int(status) < 200:  # 100 Continue
            self._buffer = body
            self._read(at_end=at_end)
            return
        content, whole = _content(int(status), headers, body, self._largest, at_end=at_end)
        if whole:
            keep = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close" and not at_end
            content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
            answer = Answer(
                int(status),
                content_type,
                content,
                headers.get("location", ""),
                headers.get("www-authenticate", ""),
            )
            self._give(answer, keep=keep)

    def _give(self, answer: Answer, *, keep: bool) -> None:
        waiting, self.answer = self.answer, None
        if not keep or len(answer.content) > self._largest:
            self.abort()
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _fail(self, error: NoAnswer) -> None:
        waiting, self.answer = self.answer, None
        self.abort()
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)


def _content(
    status: int, headers: dict[str, str], body: bytes, largest: int, *, at_end: bool
) -> tuple[bytes, bool]:
    """The body as far as it has come, and whether that is all of it, or more than anybody wants."""
    if status in {204, 304}:
        return b"", True
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _chunks(body, largest)
    length = headers.get("content-length")
    if length is None:  # until the connection closes
        return body, at_end or len(body) > largest
    return body[: int(length)], len(body) >= int(length) or len(body) > largest


def _chunks(body: bytes, largest: int) -> tuple[bytes, bool]:
    content = b""
    while len(content) <= largest:
        size, found, rest = body.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16) if found else 0
        if not found or (length and len(rest) < length + 2):
            return content, False
        if not length:
            return content, True
        content, body = content + rest[:length], rest[length + 2 :]
    return content, True


class _Host:
    """The connections to one host: those at rest, how many there are, and who waits for one."""

    __slots__ = ("idle", "open", "waiting")

    def __init__(self) -> None:
        self.idle: list[_Connection] = []
        self.open = 0
        self.waiting: deque[asyncio.Future[None]] = deque()


class Posts:
    """Sends requests over kept connections. `largest` bounds an answer's body, in bytes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, largest: int) -> None:
        self._loop = loop
        self._largest = largest
        self._hosts: dict[tuple[str, str, int], _Host] = {}
        self._all: dict[int, _Connection] = {}
        self._tls: ssl.SSLContext | None = None

    async def send(self, url: URL, request: bytes, *, connect_s: float, read_s: float) -> Answer:
        """One request and its answer. Raises CannotConnect or NoAnswer; the caller bounds the total time."""
        key = (url.scheme, url.host or "", url.port or 80)
        host = self._hosts.get(key)
        if host is None:
            host = self._hosts[key] = _Host()
        connection = await self._connection(key, host, connect_s)
        try:
            was_used = connection.used
            try:
                return await self._ask(connection, request, read_s)
            except NoAnswer:
                if not was_used or not connection.closed:
                    raise
            self._forget(host, connection)  # it was closed while it rested: once more, on a fresh one
            connection = await self._fresh(key, host, connect_s)
            return await self._ask(connection, request, read_s)
        finally:
            self._put_back(host, connection)

    async def _ask(self, connection: _Connection, request: bytes, read_s: float) -> Answer:
        answer: asyncio.Future[Answer] = self._loop.create_future()
        timer = self._loop.call_later(read_s, _give_up, connection, answer)
        connection.ask(request, answer)
        try:
            return await answer
        except asyncio.CancelledError:
            connection.abort()
            raise
        finally:
            timer.cancel()
            connection.used = True

    async def _connection(self, key: tuple[str, str, int], host: _Host, connect_s: float) -> _Connection:
        while True:
            while host.idle:
                connection = host.idle.pop()
                if not connection.closed:
                    return connection
                self._forget(host, connection)
            if host.open < _PER_HOST:
                return await self._fresh(key, host, connect_s)
            turn: asyncio.Future[None] = self._loop.create_future()
            host.waiting.append(turn)
            await turn

    async def _fresh(self, key: tuple[str, str, int], host: _Host, connect_s: float) -> _Connection:
        scheme, name, port = key
        if scheme == "https" and self._tls is None:
            self._tls = ssl.create_default_context()
        host.open += 1
        try:
            async with asyncio.timeout(connect_s):
                _, connection = await self._loop.create_connection(
                    lambda: _Connection(self._largest),
                    name,
                    port,
                    ssl=self._tls if scheme == "https" else None,
                )
        except (OSError, TimeoutError) as error:
            host.open -= 1
            _wake(host)
            raise CannotConnect(str(error) or type(error).__name__) from error
        except BaseException:
            host.open -= 1
            _wake(host)
            raise
        self._all[id(connection)] = connection
        return connection

    def _forget(self, host: _Host, connection: _Connection) -> None:
        if self._all.pop(id(connection), None) is not None:
            host.open -= 1

    def _put_back(self, host: _Host, connection: _Connection) -> None:
        if connection.closed:
            self._forget(host, connection)
        else:
            host.idle.append(connection)
        _wake(host)

    def close(self) -> None:
        """Cut every connection."""
        for connection in self._all.values():
            connection.abort()


def _wake(host: _Host) -> None:
    while host.waiting:
        turn = host.waiting.popleft()
        if not turn.done():
            turn.set_result(None)
            return


def _give_up(connection: _Connection, answer: "asyncio.Future[Answer]") -> None:
    if not answer.done():
        answer.set_exception(NoAnswer("no answer in time"))
    connection.answer = None
    connection.abort()
