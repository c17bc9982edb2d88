"""The load balancer before the workers: it passes a request to one of them, as told or in turn."""

from collections.abc import Sequence
from itertools import count

import aiohttp
from aiohttp import web

PATIENCE_S = 20.0
MOST_BYTES = 64 * 1024 * 1024
_OF_THE_CONNECTION = (
    "Transfer-Encoding",
    "Connection",
    "Keep-Alive",
    "Content-Length",
    "Content-Encoding",
    "Date",
)


class Front:
    """Whom nobody lets in is passed to the next worker; whoever took a request and broke is a 502, as with any proxy.

    `prefers` maps the start of a path to the place of the worker that is asked first.
    """

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = ports
        self._turn = count()
        self._session: aiohttp.ClientSession
        self._runner: web.ServerRunner
        self.port = 0
        self.prefers: dict[str, int] = {}

    async def open(self) -> None:
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(timeout=timeout, auto_decompress=False, connector=connector)
        self._runner = web.ServerRunner(web.Server(self._pass_on))  # type: ignore[arg-type]
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        await self._session.close()
        await self._runner.cleanup()

    async def _pass_on(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        for port in self._in_order(request.path):
            try:
                return await self._ask(port, request, body)
            except aiohttp.ClientConnectorError:
                continue
            except (aiohttp.ClientError, TimeoutError):
                return web.Response(status=502)
        return web.Response(status=502)

    def _in_order(self, path: str) -> list[int]:
        preferred = next((place for start, place in self.prefers.items() if path.startswith(start)), None)
        first = next(self._turn) if preferred is None else preferred
        return [self._ports[(first + each) % len(self._ports)] for each in range(len(self._ports))]

    async def _ask(self, port: int, request: web.BaseRequest, body: bytes) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name not in _OF_THE_CONNECTION}
        url = f"http://127.0.0.1:{port}{request.raw_path}"
        async with self._session.request(request.method, url, data=body, headers=headers) as answer:
            kept = {name: value for name, value in answer.headers.items() if name not in _OF_THE_CONNECTION}
            return web.Response(status=answer.status, headers=kept, body=await answer.read())
