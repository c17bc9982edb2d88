"""Single sends beyond what can be answered in time are refused by their first bytes.

To parse a request, make its objects and route it costs several times what a refusal may cost: offered ten times what
it can take, a worker that parses first does nothing else. So a connection looks at the request line itself, and
answers with bytes that are ready. Whatever is no plain `POST /v1/messages` goes on to the HTTP library, webhooks above
all: nothing of theirs is ever shed.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from aiohttp import web

from gateway.http.load import RETRY_AFTER_S, TOO_MUCH, Load
from gateway.http.problems import CLIENT_GONE, Problem

ROUTE: Final = "/v1/messages"
BACKLOG: Final = 1024
_REQUEST_LINE: Final = f"POST {ROUTE} HTTP/1.1\r\n".encode()
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,6})[ \t]*\r\n", re.IGNORECASE)
_NOT_PLAIN: Final = re.compile(
    rb"\r\n(?:transfer-encoding|expect|upgrade|connection:[^\r]*close)", re.IGNORECASE
)
_TOLD_EVERY_S: Final = 1.0
_STATUS: Final = HTTPStatus.SERVICE_UNAVAILABLE
_log = structlog.get_logger("textbank.load")


def _ready_answer() -> bytes:
    body = msgspec.json.encode(Problem(_STATUS.phrase, _STATUS.value, TOO_MUCH))
    head = (
        f"HTTP/1.1 {_STATUS.value} {_STATUS.phrase}\r\nContent-Type: application/problem+json\r\n"
        f"Retry-After: {RETRY_AFTER_S}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


_ANSWER: Final = _ready_answer()


class Shedding:
    """The load of a door, and who was refused: each counted, and told together in one line a second."""

    def __init__(self, load: Load, counted: Callable[[str, str, int, float], None]) -> None:
        self.load = load
        self._counted = counted
        self._count = 0

    def refused(self) -> None:
        self._counted(ROUTE, "POST", _STATUS.value, 0.0)
        if not self._count:
            asyncio.get_running_loop().call_later(_TOLD_EVERY_S, self._tell)
        self._count += 1

    def _tell(self) -> None:
        _log.warning("more sends than can be answered in time", refused=self._count, within_s=_TOLD_EVERY_S)
        self._count = 0


class Connection(web.RequestHandler):
    """A client's connection; a send that it lets pass has its place from the first byte to the answer."""

    __slots__ = ("_has_unfinished_head", "_load", "_place_since", "_shedding", "_to_skip", "when_lost")

    def __init__(self, server: web.Server, shedding: Shedding, **options: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._load = shedding.load
        self._shedding = shedding
        self._place_since: float | None = None
        self._to_skip = 0  # bytes of a refused body that are still to come
        self._has_unfinished_head = False
        self.when_lost: Callable[[], None] | None = None  # is called when the client is gone

    @property
    def has_place(self) -> bool:
        return self._place_since is not None

    def handle_error(self, *about: Any, **more: Any) -> web.StreamResponse:
        """What is no HTTP never comes to the application, which would name the server without its versions."""
        response = super().handle_error(*about, **more)
        response.headers["Server"] = "textbank"
        return response

    def begin(self) -> None:
        """The send has come to its handler. Raises Refusal 503 when that took too long."""
        if self._place_since is not None:
            self._load.begin(self._place_since)

    def leave(self, status: int) -> None:
        """The request is over, with this answer."""
        if self._place_since is not None:
            self._load.leave(self._place_since, was_taken=status == HTTPStatus.ACCEPTED)
            self._place_since = None

    def data_received(self, data: bytes) -> None:
        if not data:  # not from the wire: the library goes on with what it held back while a body was paused
            super().data_received(data)
            return
        if self._to_skip:
            skipped, data = data[: self._to_skip], data[self._to_skip :]
            self._to_skip -= len(skipped)
        while self._is_send(data) and (size := _plain_size(data)) is not None:
            if self._enters(is_whole=size <= len(data)):
                break
            self._refuse()
            self._to_skip = max(0, size - len(data))
            data = data[size:]
        if data:
            super().data_received(data)
            self._has_unfinished_head = self._is_at_rest

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._current_request is None:  # else its handler goes on, and leaves
            self.leave(CLIENT_GONE)
        super().connection_lost(exc)
        if self.when_lost is not None:
            self.when_lost()

    def _enters(self, *, is_whole: bool) -> bool:
        """A place is for a whole request: who sends heads alone holds none, and takes one with its last byte."""
        if not is_whole:
            return not self._load.is_full
        self.leave(CLIENT_GONE)  # one before that never came to a handler
        self._place_since = self._load.enter()
        return self.has_place

    def _is_send(self, data: bytes) -> bool:
        return data.startswith(_REQUEST_LINE) and self._is_at_rest and not self._has_unfinished_head

    @property
    def _is_at_rest(self) -> bool:
        """Nothing is being answered: what comes next is a request's first byte, or the rest of a head."""
        waiter = self._waiter
        return waiter is not None and not waiter.done() and not self._messages

    def _refuse(self) -> None:
        if self.transport is not None:
            self.transport.write(_ANSWER)
        self._shedding.refused()


SHEDDING: Final = web.AppKey("shedding", Shedding)


@contextlib.contextmanager
def place(request: web.Request, load: Load) -> Iterator[None]:
    """For one send: that which its connection took, or a new one. Raises Refusal 503."""
    connection = request.protocol
    if isinstance(connection, Connection) and connection.has_place:
        connection.begin()
        yield
    else:
        with load.place():
            yield


class Site(web.BaseSite):
    """A TCP listener of such connections."""

    def __init__(
        self, runner: web.BaseRunner, host: str, port: int, accept: Callable[[], Connection]
    ) -> None:
        super().__init__(runner, backlog=BACKLOG)
        self._host = host
        self._port = port
        self._accept = accept

    @property
    def name(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        await super().start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, self._host, self._port, backlog=self._backlog)


def _plain_size(data: bytes) -> int | None:
    """The bytes of a request whose whole head is here; None: only the HTTP library can tell."""
    end = data.find(_HEAD_END)
    if end < 0:
        return None
    head = data[: end + 2]
    length = _LENGTH.findall(head)
    if len(length) != 1 or _NOT_PLAIN.search(head):
        return None
    return end + len(_HEAD_END) + int(length[0])
