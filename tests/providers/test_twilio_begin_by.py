"""No call for a text puts its first byte on the wire after `begin_by`, whatever it waited for."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from gateway.clock import since_boot
from gateway.providers.base import AnswerLost, NotSent, Refused, TooLate
from gateway.providers.twilio.account import Account
from gateway.providers.twilio.provider import TwilioProvider
from tests.providers.conftest import PUBLIC_URL, MakeProvider, outbound
from tests.providers.fake_twilio import SID, TOKEN, FakeTwilio, Says
from tests.providers.payloads import created, page

PATIENCE_S = 20.0  # only a test that would hang meets it


class Counting:
    """What a server received on all its connections."""

    def __init__(self) -> None:
        self.connections = 0
        self.received = bytearray()


class Taking(asyncio.Protocol):
    """Answers each request with a text that was taken."""

    def __init__(self, counting: Counting) -> None:
        self._counting = counting

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._counting.connections += 1
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._counting.received += data
        body = created()
        head = (
            f"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.transport.write((head + body).encode())


@pytest.fixture
async def server() -> AsyncIterator[tuple[Counting, int]]:
    counting = Counting()
    listening = await asyncio.get_running_loop().create_server(lambda: Taking(counting), "127.0.0.1", 0)
    yield counting, listening.sockets[0].getsockname()[1]
    listening.close()


def to_port(port: int, steady: Callable[[], float] = since_boot, **options: object) -> TwilioProvider:
    query = "".join(f"&{name}={value}" for name, value in options.items())
    url = f"twilio://{SID}:{TOKEN}@127.0.0.1:{port}?scheme=http{query}"
    return TwilioProvider(Account.from_url(url, public_url=PUBLIC_URL), steady)


def frozen_after(looks: int) -> Callable[[], float]:
    """A clock that stands at 0 for so many looks, and is far ahead after them: the process was frozen."""
    times: Iterator[float] = iter([0.0] * looks)
    return lambda: next(times, 1e6)


async def test_in_time(server: tuple[Counting, int]) -> None:
    counting, port = server
    provider = to_port(port)
    await provider.send(outbound(begin_by=since_boot() + PATIENCE_S))
    assert counting.received.count(b"POST /") == 1
    await provider.close()


# One look when the call is asked for, one at the time left, one at the connection, one at the write.
@pytest.mark.parametrize("looks", range(4))
async def test_a_process_that_is_frozen_anywhere_writes_nothing(
    server: tuple[Counting, int], looks: int
) -> None:
    counting, port = server
    provider = to_port(port, frozen_after(looks))
    with pytest.raises(TooLate):
        await provider.send(outbound(begin_by=1.0))
    await provider.close()
    assert counting.received == b""


async def test_a_text_of_which_the_last_look_was_in_time_is_written(server: tuple[Counting, int]) -> None:
    counting, port = server
    provider = to_port(port, frozen_after(4))
    await provider.send(outbound(begin_by=1.0))
    assert counting.received.count(b"POST /") == 1
    await provider.close()


async def test_the_connection_that_came_too_late_serves_the_next_text(server: tuple[Counting, int]) -> None:
    counting, port = server
    provider = to_port(port, frozen_after(2))
    with pytest.raises(TooLate):
        await provider.send(outbound(1, begin_by=1.0))
    await provider.send(outbound(2))
    assert (counting.connections, counting.received.count(b"POST /")) == (1, 1)
    await provider.close()


async def test_a_server_that_accepts_late() -> None:
    """Its backlog is full: the kernel tries again a second later, when the right to begin is over."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        others = [_connecting(port) for _ in range(4)]
        provider = to_port(port)
        call = asyncio.create_task(provider.send(outbound(begin_by=since_boot() + 0.05)))
        await asyncio.wait([call], timeout=0.1)
        assert not call.done()
        listening.setblocking(False)
        counting = Counting()
        loop = asyncio.get_running_loop()
        accepting = await loop.create_server(lambda: Taking(counting), sock=listening.dup(), backlog=64)
        with pytest.raises(TooLate):
            await asyncio.wait_for(call, PATIENCE_S)
        assert counting.received == b""
        await provider.send(outbound(2))
        assert counting.received.count(b"POST /") == 1
        await provider.close()
        accepting.close()
        for other in others:
            other.close()


def _connecting(port: int) -> socket.socket:
    connecting = socket.socket()
    connecting.setblocking(False)
    connecting.connect_ex(("127.0.0.1", port))
    return connecting


async def test_nobody_waits_for_a_place_beyond_it(twilio: FakeTwilio, make_provider: MakeProvider) -> None:
    provider = make_provider(concurrency=1)
    slow = asyncio.Event()
    twilio.says(Says(201, created(), until=slow), Says(201, created()))
    first = asyncio.create_task(provider.send(outbound(1)))
    await twilio.next_request()
    with pytest.raises(TooLate):
        await provider.send(outbound(2, begin_by=since_boot() + 0.05))
    slow.set()
    await first
    assert len(twilio.asked) == 1


async def test_the_wait_for_a_place_counts(twilio: FakeTwilio, make_provider: MakeProvider) -> None:
    """The place comes in time by the loop's clock, and too late by the steady one: we were frozen meanwhile."""
    account = Account.from_url(twilio.url(concurrency=1), public_url=PUBLIC_URL)
    now = [0.0]
    provider = TwilioProvider(account, lambda: now[0])
    slow = asyncio.Event()
    twilio.says(Says(201, created(), until=slow), Says(201, created()))
    first = asyncio.create_task(provider.send(outbound(1)))
    await twilio.next_request()
    second = asyncio.create_task(provider.send(outbound(2, begin_by=4.0)))
    await asyncio.sleep(0)
    now[0] = 5.0
    slow.set()
    await first
    with pytest.raises(TooLate):
        await second
    assert len(twilio.asked) == 1
    await provider.close()


async def test_free_calls_are_what_a_text_would_find(twilio: FakeTwilio, make_provider: MakeProvider) -> None:
    provider = make_provider(concurrency=3)
    slow = asyncio.Event()
    twilio.says(*[Says(201, created(), until=slow) for _ in range(3)])
    assert provider.free_calls == 3
    calls = [asyncio.create_task(provider.send(outbound(1)))]
    await twilio.next_request()
    assert provider.free_calls == 2
    calls += [asyncio.create_task(provider.send(outbound(nth))) for nth in range(3)]
    await asyncio.sleep(0)
    assert provider.free_calls == 0
    twilio.says(Says(201, created()))
    slow.set()
    await asyncio.gather(*calls)
    assert provider.free_calls == 3


async def test_other_requests_take_a_quarter_of_the_places(
    twilio: FakeTwilio, make_provider: MakeProvider
) -> None:
    """Polls, questions and purchases of a busy minute leave the texts their places."""
    provider = make_provider(concurrency=8)
    slow = asyncio.Event()
    twilio.says(*[Says(200, page(), until=slow) for _ in range(2)], *[Says(201, created()) for _ in range(6)])
    asked = [asyncio.create_task(provider.find(outbound(nth), since=0.0)) for nth in range(20)]
    await twilio.next_request()
    await twilio.next_request()
    await asyncio.gather(*(provider.send(outbound(nth)) for nth in range(6)))
    assert [each.method for each in twilio.asked] == ["GET"] * 2 + ["POST"] * 6
    twilio.says(*[page()] * 18)
    slow.set()
    assert await asyncio.gather(*asked) == [None] * 20


async def test_a_connection_that_died_unused_sent_nothing(server: tuple[Counting, int]) -> None:
    """Closed by the server before the first byte is written: nothing was sent, and that is certain."""
    _, port = server
    provider = to_port(port)
    await provider.send(outbound(1))
    session = provider._wire._session
    assert session is not None
    begin = session._connector
    assert begin is not None
    (pooled,) = [protocol for kept in begin._conns.values() for protocol, _ in kept]
    assert pooled.transport is not None
    close = pooled.transport.close
    with pytest.raises(NotSent):
        await _send_on_a_closing(provider, close)
    await provider.close()


async def _send_on_a_closing(provider: TwilioProvider, close: Callable[[], None]) -> None:
    """The connection is taken from the pool, and closes in the moment before the write."""
    steady, looks = provider._wire._steady, 0

    def look() -> float:
        nonlocal looks
        looks += 1
        if looks == 3:
            close()
        return steady()

    provider._wire._steady = look
    await provider.send(outbound(2, begin_by=since_boot() + PATIENCE_S))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_redirect_is_followed(twilio: FakeTwilio, make_provider: MakeProvider, status: int) -> None:
    twilio.says(Says(status, "", {"Location": "/elsewhere"}))
    with pytest.raises((Refused, AnswerLost)):
        await make_provider().send(outbound())
    assert len(twilio.asked) == 1
