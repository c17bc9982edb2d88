"""The body of a request: bounded before it is unpacked, and in time, or the request ends.

Nothing is unpacked by the HTTP library. A packed body (gzip, deflate) is unpacked here in slices, so that what
would grow to gigabytes ends at the same bound as one that is sent plain. What all bodies together may hold in
memory is bounded as well: beyond it the answer is 503.
"""

import asyncio
import zlib
from http import HTTPStatus
from typing import Final, Protocol

from aiohttp import web

from gateway.http.problems import RETRY_AFTER_S, ClientGone, Refusal
from gateway.turns import Floor, Turns

SLICE_BYTES: Final = 1024 * 1024
PATIENCE_S: Final = 30.0
"""How long a whole body may take to come."""
_WINDOW_BITS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class Intake:
    """Reads bodies, `most_bytes_at_once` of them in memory; `held_bytes` are there now."""

    def __init__(self, floor: Floor, most_bytes_at_once: int, patience_s: float = PATIENCE_S) -> None:
        self.floor = floor
        self._most_bytes_at_once = most_bytes_at_once
        self._patience_s = patience_s
        self.held_bytes = 0

    async def whole(self, request: web.Request, most_bytes: int) -> bytes:
        """A body of at most so many bytes, held until `release`; raises Refusal 400, 408, 413, 415 or 503."""
        body = Body(request, most_bytes, self.floor)
        if request.content.is_eof():  # it came with its head, as nearly all do
            return await self._all(request, body)
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._all(request, body)
        except TimeoutError as error:
            detail = f"the body did not come within {self._patience_s:g} s"
            raise Refusal(HTTPStatus.REQUEST_TIMEOUT, detail, Connection="close") from error

    async def _all(self, request: web.Request, body: "Body") -> bytes:
        parts: list[bytes] = []
        while part := await body.read():
            self._hold(request, len(part))
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _hold(self, request: web.Request, size: int) -> None:
        if self.held_bytes + size > self._most_bytes_at_once:
            detail = "there are too many large bodies just now; repeat this one"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, Retry_After=RETRY_AFTER_S)
        self.held_bytes += size
        _, before = request.get(_HELD) or (self, 0)
        request[_HELD] = (self, before + size)


_HELD: Final = web.RequestKey("held", tuple[Intake, int])


def release(request: web.Request) -> None:
    """The request is over: its body counts no longer."""
    held = request.get(_HELD)
    if held is not None:
        held[0].held_bytes -= held[1]


class Body:
    """A body as it comes, plain or unpacked, in slices; raises Refusal 400, 413 or 415, and ClientGone."""

    def __init__(self, request: web.Request, most_bytes: int, floor: Floor) -> None:
        length = request.content_length
        if length is not None and length > most_bytes:
            raise _too_large(most_bytes)
        self._content = request.content
        self._most_bytes = most_bytes
        self._left = most_bytes
        self._floor = floor
        self._unpacking = _unpacking(request.headers.get("Content-Encoding", ""))

    async def read(self) -> bytes:
        """The next slice; empty at the end."""
        if self._unpacking is None:
            part = await self._received()
        else:
            part = await self._unpacked(self._unpacking)
        self._left -= len(part)
        if self._left < 0:
            raise _too_large(self._most_bytes)
        return part

    async def _received(self) -> bytes:
        try:
            return await self._content.readany()
        except ConnectionError as error:
            raise ClientGone from error
        except web.RequestPayloadError as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, "the body is not framed as HTTP says") from error

    async def _unpacked(self, unpacking: "_Inflating") -> bytes:
        while not unpacking.eof:
            packed = unpacking.unconsumed_tail or await self._received()
            if not packed:
                raise Refusal(HTTPStatus.BAD_REQUEST, "the body ends before what is packed in it does")
            if plain := await self._slice(unpacking, packed):
                return plain
        return b""

    async def _slice(self, unpacking: "_Inflating", packed: bytes) -> bytes:
        """The first slice at once, so that an honest small body waits for nobody; the others in turns."""
        async with Turns(self._floor) as turns:
            if self._left < self._most_bytes:
                await turns.rest()
            try:
                return unpacking.decompress(packed, SLICE_BYTES)
            except zlib.error as error:
                raise Refusal(HTTPStatus.BAD_REQUEST, "the body is not packed as it says") from error


class _Inflating(Protocol):
    """zlib's object has no public type."""

    @property
    def eof(self) -> bool: ...

    @property
    def unconsumed_tail(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _unpacking(encoding: str) -> _Inflating | None:
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return None
    if encoding not in _WINDOW_BITS:
        detail = "send the body plain, or packed as gzip or deflate"
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, Accept_Encoding="gzip, deflate")
    return zlib.decompressobj(_WINDOW_BITS[encoding])


def _too_large(most_bytes: int) -> Refusal:
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body may have {most_bytes} bytes at most")
