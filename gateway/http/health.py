"""/livez, /readyz and /metrics: for supervisors, load balancers and Prometheus; no key is asked for.

Whoever reaches the public door learns whether this worker lives and works, and no more. Who is away, and the
metrics, are told behind the house's own door.
"""

import asyncio
from http import HTTPStatus
from typing import Final, Literal

from aiohttp import web
from msgspec import Struct

from gateway.http.bodies import json_answer
from gateway.http.operations import PLAIN, Operation
from gateway.http.parts import Parts
from gateway.http.readiness import OK


class Health(Struct, frozen=True, kw_only=True):
    """Whether this worker can work, and each part's word."""

    status: Literal["ok", "unavailable"]
    parts: dict[str, str] = {}


_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
_OPEN_METRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_ALIVE: Final = Operation(
    method="GET",
    path="/livez",
    handler="health.alive",
    summary="This worker lives. /healthz is the same.",
    act=None,
    tag="health",
    gives={HTTPStatus.OK: Health},
)
OPERATIONS: Final = (
    _ALIVE,
    Operation(
        method="GET",
        path="/readyz",
        handler="health.ready",
        summary="This worker can work: the database and the provider answer, and it is not stopping.",
        act=None,
        tag="health",
        gives={HTTPStatus.OK: Health, HTTPStatus.SERVICE_UNAVAILABLE: Health},
    ),
)

INTERNAL: Final = (
    _ALIVE,
    Operation(
        method="GET",
        path="/readyz",
        handler="health.ready_in_detail",
        summary="This worker can work, and each part's word about that.",
        act=None,
        tag="health",
        gives={HTTPStatus.OK: Health, HTTPStatus.SERVICE_UNAVAILABLE: Health},
    ),
    Operation(
        method="GET",
        path="/metrics",
        handler="health.metrics",
        summary="Metrics in Prometheus' text format, or in OpenMetrics for whoever asks for it.",
        act=None,
        tag="health",
        gives={HTTPStatus.OK: PLAIN},
    ),
)
"""What only the house reaches: on a listener of its own."""


class HealthDesk:
    """Whether this worker lives, and whether it can work."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def alive(self, _request: web.Request) -> web.Response:
        """The event loop turns; nothing else is asked, or a database's illness would restart every worker."""
        return json_answer(Health(status="ok"))

    async def ready(self, _request: web.Request) -> web.Response:
        """Without detail: for load balancers outside the house."""
        health = await self._health()
        return _answer(Health(status=health.status))

    async def ready_in_detail(self, _request: web.Request) -> web.Response:
        return _answer(await self._health())

    async def _health(self) -> Health:
        asked = self._parts.asked
        words = dict(zip(asked, await asyncio.gather(*(each.word() for each in asked.values())), strict=True))
        if self._parts.closing:
            words["worker"] = "stopping"
        is_ready = all(word == OK for word in words.values())
        return Health(status="ok" if is_ready else "unavailable", parts=words)

    async def metrics(self, request: web.Request) -> web.Response:
        """Text format 0.0.4, or OpenMetrics with exemplars; made off the event loop, since it takes milliseconds."""
        self._parts.look()
        wants_open = "application/openmetrics-text" in request.headers.get("Accept", "")
        text = await asyncio.to_thread(self._parts.metrics.exposition, open_metrics=wants_open)
        return web.Response(body=text, headers={"Content-Type": _OPEN_METRICS if wants_open else _TEXT})


def _answer(health: Health) -> web.Response:
    is_ready = health.status == "ok"
    return json_answer(health, HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE)
