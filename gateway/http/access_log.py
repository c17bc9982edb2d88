"""The access log: one line a request, with fields; the key's id and never its secret, the route and never a body."""

import structlog
from aiohttp import web

from gateway.http.access import GRANTED

_log = structlog.get_logger("textbank.access")


def write(request: web.Request, route: str, response: web.StreamResponse, duration_s: float) -> None:
    """A line about a request that was answered, or given up by its client (499)."""
    granted = request.get(GRANTED)
    _log.info(
        "request",
        method=request.method,
        route=route,
        status=response.status,
        duration_s=round(duration_s, 6),
        bytes=response.content_length or 0,
        key_id=None if granted is None else granted.key_id,
        remote=request.remote,
    )
