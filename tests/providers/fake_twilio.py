"""A server on loopback that answers as its script says, and remembers what it was asked."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.test_utils import TestServer

SID = "AC" + "0" * 32
TOKEN = "a-very-secret-token"
PATIENCE_S = 20.0  # only a test that would hang meets it
API = f"/2010-04-01/Accounts/{SID}"


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: list[tuple[str, str]]
    form: list[tuple[str, str]]
    headers: dict[str, str]

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Says:
    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    hangs_up: bool = False
    until: asyncio.Event | None = None  # the answer waits for it


class FakeTwilio:
    """`script` is used up answer by answer, whatever is asked."""

    def __init__(self) -> None:
        self.script: deque[Says] = deque()
        self.asked: list[Asked] = []
        self._arrived: asyncio.Queue[Asked] = asyncio.Queue()
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self.server = TestServer(application)

    def says(self, *answers: Says | str) -> None:
        self.script.extend(Says(body=each) if isinstance(each, str) else each for each in answers)

    async def next_request(self) -> Asked:
        """The next one that arrives, whether it is answered or not."""
        return await asyncio.wait_for(self._arrived.get(), PATIENCE_S)

    def url(self, **options: object) -> str:
        query = "".join(f"&{name}={value}" for name, value in options.items())
        return f"twilio://{SID}:{TOKEN}@127.0.0.1:{self.server.port}?scheme=http{query}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        form = parse_qsl((await request.read()).decode(), keep_blank_values=True)
        query = list(request.query.items())
        self.asked.append(Asked(request.method, request.path, query, form, dict(request.headers)))
        self._arrived.put_nowait(self.asked[-1])
        says = self.script.popleft()
        if says.until is not None:
            await says.until.wait()
        if says.hangs_up:
            assert request.transport is not None
            request.transport.close()
        return web.Response(
            status=says.status, text=says.body, headers=says.headers, content_type="application/json"
        )
