"""A light HTTP/1.1 client and server for the load: a few microseconds a request, so that it never is the bottleneck."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, cast

from benchmarks.http.processes import on_loopback

_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Answer(NamedTuple):
    status: int
    body: bytes


class _Call(asyncio.Protocol):
    """One kept connection, one request at a time."""

    def __init__(self, at_rest: Callable[["_Call"], None]) -> None:
        self._at_rest = at_rest
        self._answer: asyncio.Future[Answer] | None = None
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, request: bytes, answer: "asyncio.Future[Answer]") -> None:
        self._answer = answer
        self._transport.write(request)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = body_length(self._buffer, end)
        if len(self._buffer) - end - 4 < length:
            return
        answer, self._answer = self._answer, None
        found = Answer(int(self._buffer[9:12]), self._buffer[end + 4 :])
        self._buffer = b""
        self._at_rest(self)
        if answer is not None and not answer.done():
            answer.set_result(found)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError(str(error or "closed without an answer")))


def body_length(message: bytes, end: int) -> int:
    """The Content-Length in the head that ends at `end`; 0 without one."""
    at = message.find(b"ontent-", 0, end)
    while at >= 0:
        if message[at + 7 : at + 14].lower() == b"length:":
            return int(message[at + 14 : message.find(b"\r\n", at, end + 2)])
        at = message.find(b"ontent-", at + 7, end)
    return 0


class Client:
    """Requests over at most `most` kept connections to one loopback server; `call` waits for a free one."""

    def __init__(self, url: str, most: int) -> None:
        on_loopback(url)
        address = url.removeprefix("http://")
        self._host, _, port = address.partition(":")
        self._port = int(port)
        self._most = most
        self._idle: list[_Call] = []
        self._all: list[_Call] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.head = f"Host: {address}\r\n"

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        while len(self._all) < self._most:
            _, call = await loop.create_connection(lambda: _Call(self._rest), self._host, self._port)
            self._all.append(call)
            self._idle.append(call)

    def close(self) -> None:
        for call in self._all:
            call.close()

    def request(self, method: str, path: str, headers: str = "", body: bytes = b"") -> bytes:
        """The bytes of a request; `headers` are whole lines."""
        head = f"{method} {path} HTTP/1.1\r\n{self.head}{headers}Content-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

    async def call(self, request: bytes) -> Answer:
        loop = asyncio.get_running_loop()
        while not self._idle:
            turn = loop.create_future()
            self._waiting.append(turn)
            await turn
        answer: asyncio.Future[Answer] = loop.create_future()
        self._idle.pop().ask(request, answer)
        return await answer

    def _rest(self, call: _Call) -> None:
        self._idle.append(call)
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return


class Ear(asyncio.Protocol):
    """Hears webhooks: 204 to each, and `heard(request)` with the whole request."""

    def __init__(self, heard: Callable[[bytes], object]) -> None:
        self._heard = heard
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            size = end + 4 + body_length(buffer, end)
            if len(buffer) < size:
                break
            self._heard(buffer[:size])
            self._transport.write(_ANSWER)
            buffer = buffer[size:]
        self._buffer = buffer
