"""/livez, /readyz and /metrics: for supervisors, load balancers and Prometheus; no key is asked for.

Whoever reaches the public door learns whether this worker lives and works, and no more. Who is away, and the
metrics, are told behind the house's own door.
"""

import asyncio
from http import HTTPStatus

from aiohttp import web

from gateway.http.bodies import json_answer
from gateway.http.parts import Parts
from gateway.http.readiness import OK
from gateway.http.records import Health


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

    async def metrics(self, _request: web.Request) -> web.Response:
        """Text format 0.0.4; made off the event loop, since it takes milliseconds."""
        self._parts.look()
        text = await asyncio.to_thread(self._parts.metrics.exposition)
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def _answer(health: Health) -> web.Response:
    is_ready = health.status == "ok"
    return json_answer(health, HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE)
