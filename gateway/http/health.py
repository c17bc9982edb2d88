"""/healthz, /readyz and /metrics: for supervisors, load balancers and Prometheus; no key is asked for."""

import asyncio
from http import HTTPStatus
from typing import Final

from aiohttp import web

from gateway.http.bodies import json_answer
from gateway.http.parts import Parts, Ping
from gateway.http.records import Health

_PATIENCE_S: Final = 3.0
_OK: Final = "ok"


class HealthDesk:
    """Whether this worker lives, and whether it can work."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def alive(self, _request: web.Request) -> web.Response:
        """The event loop turns; nothing else is asked, or a database's illness would restart every worker."""
        return json_answer(Health(status="ok"))

    async def ready(self, _request: web.Request) -> web.Response:
        words = dict(
            zip(
                self._parts.pings,
                await asyncio.gather(*(_word(ping) for ping in self._parts.pings.values())),
                strict=True,
            )
        )
        if self._parts.closing:
            words["worker"] = "stopping"
        is_ready = all(word == _OK for word in words.values())
        health = Health(status="ok" if is_ready else "unavailable", parts=words)
        return json_answer(health, HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE)

    async def metrics(self, _request: web.Request) -> web.Response:
        """Text format 0.0.4; made off the event loop, since it takes milliseconds."""
        self._parts.look()
        text = await asyncio.to_thread(self._parts.metrics.exposition)
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


async def _word(ping: Ping) -> str:
    """ "ok", or the class of what went wrong: a reason's text may hold an address or a secret."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await ping()
    except TimeoutError:
        return "no answer"
    except Exception as error:  # noqa: BLE001 - whatever it is, this part is not ready
        return type(error).__name__
    return _OK
