"""Requests to addresses that others gave us reach no private network, follow nothing and end in time."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from gateway.core.bank.webhooks import networks
from gateway.providers.outside import NotReached, Outside

HOME = networks("127.0.0.0/8")


class Receiver:
    """Somebody's server on this machine."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes, dict[str, str]]] = []
        self.answer: Any = lambda: web.Response(text="ok")
        self.port = 0

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.heard.append((request.path, await request.read(), dict(request.headers)))
        answer = self.answer()
        return await answer if asyncio.iscoroutine(answer) else answer

    def url(self, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/hooks"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


async def call(outside: Outside, url: str, body: bytes = b"{}") -> int:
    try:
        return (await outside.call("POST", url, {"X-One": "1"}, body)).status
    finally:
        await outside.close()


async def test_what_is_allowed_is_reached(receiver: Receiver) -> None:
    assert await call(Outside(allowed=HOME), receiver.url()) == 200
    [(path, body, headers)] = receiver.heard
    assert (path, body, headers["X-One"]) == ("/hooks", b"{}", "1")


async def test_a_name_that_leads_to_an_allowed_network(receiver: Receiver) -> None:
    assert await call(Outside(allowed=HOME), receiver.url("localhost")) == 200


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "[::ffff:127.0.0.1]", "[::1]"]
)
async def test_no_spelling_of_this_machine_is_reached(receiver: Receiver, host: str) -> None:
    for scheme in ("https", "http"):
        url = receiver.url(host).replace("http", scheme, 1)
        with pytest.raises(NotReached):
            await call(Outside(), url)
        with pytest.raises(NotReached):
            await call(Outside(allowed=networks("10.1.0.0/16")), url)
    assert receiver.heard == []


async def test_the_address_that_was_looked_at_is_the_one_that_is_called(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that answers differently the second time gains nothing: it is asked once."""
    loop = asyncio.get_running_loop()
    asked: list[str] = []

    async def rebinding(host: str, port: int, **more: Any) -> list[Any]:
        asked.append(host)
        address = "93.184.215.14" if len(asked) > 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(loop, "getaddrinfo", rebinding)
    with pytest.raises(NotReached, match="private"):
        await call(
            Outside(allowed=networks("10.1.0.0/16")), receiver.url("crm.example.org").replace("http", "https")
        )
    assert asked == ["crm.example.org"]
    asked.clear()
    assert await call(Outside(allowed=HOME), receiver.url("crm.example.org")) == 200
    assert asked == ["crm.example.org"]


async def test_of_several_addresses_private_ones_are_left_out(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def both(host: str, port: int, **more: Any) -> list[Any]:
        found = ["10.9.9.9", "127.0.0.1"]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)
    assert await call(Outside(allowed=HOME), receiver.url("crm.example.org")) == 200


async def test_a_redirect_is_an_answer_and_not_followed(receiver: Receiver) -> None:
    receiver.answer = lambda: web.Response(status=307, headers={"Location": receiver.url() + "/inside"})
    assert await call(Outside(allowed=HOME), receiver.url()) == 307
    assert [path for path, _, _ in receiver.heard] == ["/hooks"]


async def test_an_answer_that_does_not_come_ends_in_time(receiver: Receiver) -> None:
    receiver.answer = asyncio.Event().wait
    with pytest.raises(NotReached, match="no answer in time"):
        await call(Outside(allowed=HOME, timeout_s=0.2), receiver.url())


async def test_an_answer_without_end_is_read_no_further(receiver: Receiver) -> None:
    receiver.answer = lambda: web.Response(body=b"x" * 5_000_000)
    outside = Outside(allowed=HOME)
    answer = await outside.call("POST", receiver.url(), {}, b"")
    assert len(answer.body) <= 64 * 1024
    await outside.close()


@pytest.mark.parametrize(("header", "wait_s"), [("120", 120.0), ("soon", 0.0), ("-1", 0.0), ("9999999", 0.0)])
async def test_how_long_it_asks_to_be_left_alone(receiver: Receiver, header: str, wait_s: float) -> None:
    receiver.answer = lambda: web.Response(status=429, headers={"Retry-After": header})
    outside = Outside(allowed=HOME)
    assert (await outside.call("POST", receiver.url(), {}, b"")).wait_s == wait_s
    await outside.close()


async def test_no_more_calls_at_once_than_allowed(receiver: Receiver) -> None:
    now, most, full = 0, 0, asyncio.Event()

    async def slowly() -> web.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if most == 3:
            full.set()
        await full.wait()
        now -= 1
        return web.Response()

    receiver.answer = slowly
    outside = Outside(allowed=HOME, at_once=3)
    await asyncio.gather(*(outside.call("POST", receiver.url(), {}, b"") for _ in range(12)))
    assert most == 3
    await outside.close()


async def test_a_port_where_nobody_listens_says_so_without_an_address() -> None:
    with pytest.raises(NotReached) as met:
        await call(Outside(allowed=HOME), "http://127.0.0.1:1/hooks")
    assert "127" not in str(met.value)
