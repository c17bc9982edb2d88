"""A request whose first byte goes on the wire in time, or never: what aiohttp leaves to its user.

aiohttp resolves, connects and greets (TLS) before it writes, and each of these may take seconds. So the clock is
read twice more: when the connection is there, where a late request gives it back unused, and in the very step
that writes. Between that step and the system call nothing is awaited. aiohttp keeps a request's headers back until
its body is written, so the body's first byte is the request's.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_writer import StreamWriter

from gateway.providers.base import TooLate

if TYPE_CHECKING:
    from aiohttp.connector import Connection

_CONTENT_TYPE = "application/x-www-form-urlencoded"


class TimedForm(aiohttp.BytesPayload):
    """A POST's body. `begin_by` is in seconds of `steady`; `has_begun`: some of the request may be on the wire."""

    def __init__(self, form: bytes, begin_by: float, steady: Callable[[], float]) -> None:
        super().__init__(form, content_type=_CONTENT_TYPE)
        self._begin_by = begin_by
        self._steady = steady
        self.has_begun = False

    def is_late(self) -> bool:
        return self._steady() > self._begin_by

    def raise_if_late(self) -> None:
        if self.is_late():
            raise TooLate

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        self.raise_if_late()
        self.has_begun = not _is_gone(writer)
        await super().write_with_length(writer, content_length)


def _is_gone(writer: AbstractStreamWriter) -> bool:
    """Whether the connection is known to be gone: then aiohttp writes nothing, and says so."""
    if not isinstance(writer, StreamWriter):
        return False
    return writer.transport is None or writer.transport.is_closing()


class TimedRequest(aiohttp.ClientRequest):
    """Gives a connection back, still good, that came too late for its request."""

    async def send(self, conn: "Connection") -> aiohttp.ClientResponse:
        body = self.body
        if isinstance(body, TimedForm) and body.is_late():
            conn.release()
            raise TooLate
        return await super().send(conn)
