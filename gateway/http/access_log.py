"""The access log: one line a request, with fields; the key's id and never its secret, the route and never a body.

A message's life is several requests, so a line must cost little: it is made without the machinery of the other logs,
in their form, and lines are written together, a few times a second.
"""

import asyncio
import contextlib
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec
from aiohttp import web

from gateway.http.access import GRANTED

FLUSH_S: Final = 0.2
MOST_LINES: Final = 500
_encoder = msgspec.json.Encoder()


class Traced(Protocol):
    """A request's trace; None: it isn't kept."""

    @property
    def trace_id(self) -> str | None: ...


TRACED: Final = web.RequestKey("traced", Traced)
"""Set where traces are on."""


class Line(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request; `bytes` are the answer's, `duration_s` is from the request's head to its answer, `trace_id` of a kept
    trace."""

    method: str
    route: str
    status: int
    duration_s: float
    bytes: int
    key_id: str | None
    remote: str | None
    trace_id: str | None = None
    event: str = "request"
    level: str = "info"
    timestamp: str


def as_json(line: Line) -> str:
    return _encoder.encode(line).decode() + "\n"


def for_people(line: Line) -> str:
    told = " ".join(f"{name}={getattr(line, name)}" for name in _FIELDS)
    if line.trace_id is not None:
        told += f" trace_id={line.trace_id}"
    return f"{line.timestamp} [{line.level:<9}] {line.event:<30} {told}\n"


_FIELDS: Final = ("bytes", "duration_s", "key_id", "method", "remote", "route", "status")
FORMS: Final = {"json": as_json, "console": for_people}


class AccessLog:
    """Lines are kept for FLUSH_S at most; whoever stops flushes."""

    def __init__(self, now: Callable[[], float], form: Callable[[Line], str]) -> None:
        self._now = now
        self._form = form
        self._lines: list[str] = []
        self._flushing: asyncio.TimerHandle | None = None

    def request(
        self, request: web.Request, route: str, response: web.StreamResponse, duration_s: float
    ) -> None:
        """A request that was answered, or given up by its client (499)."""
        granted, traced = request.get(GRANTED), request.get(TRACED)
        line = Line(
            method=request.method,
            route=route,
            status=response.status,
            duration_s=round(duration_s, 6),
            bytes=response.content_length or 0,
            key_id=None if granted is None else granted.actor.key_id,
            remote=request.remote,
            trace_id=None if traced is None else traced.trace_id,
            timestamp=datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="microseconds"),
        )
        self._lines.append(self._form(line))
        if len(self._lines) >= MOST_LINES:
            self.flush()
        elif self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(FLUSH_S, self.flush)

    def flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        lines, self._lines = self._lines, []
        if lines:
            with contextlib.suppress(OSError, ValueError):  # nobody takes it any more
                sys.stderr.write("".join(lines))
                sys.stderr.flush()
