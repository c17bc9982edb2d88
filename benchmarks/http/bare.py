"""The bare exchange: the same requests and callbacks between two aiohttp processes whose handlers do nothing.

What is left of it when a gateway, a database and a market do their work in between is the share that counts.

    python -m benchmarks.http.bare carrier PORT | gateway PORT CARRIER_PORT MESSAGES CONCURRENCY
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import msgspec
from aiohttp import web

from benchmarks.http.processes import HOST, Child, free_port

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_SID = "SM" + "0" * 32
_ACCOUNT = "AC" + "0" * 32
_PATH = f"/2010-04-01/Accounts/{_ACCOUNT}/Messages.json"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_SIGNED = {**_FORM, "X-Twilio-Signature": "x" * 28, "I-Twilio-Idempotency-Token": "0" * 21}
_ANSWERS_OF_TEN = 1
_MOST_CALLBACKS = 200  # at once, as many connections as the carrier keeps


class Bare(msgspec.Struct, frozen=True):
    """The bare exchange's rate; CPU in microseconds a message."""

    messages: int
    seconds: float
    per_s: float
    cpu_us: dict[str, float]


# ---------------------------------------------------------------- the two processes


async def carrier(port: int) -> None:
    """Answers creates, and calls back: `sent`, `delivered`, and for every tenth a person's text."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=_MOST_CALLBACKS), cookie_jar=aiohttp.DummyCookieJar()
    )
    loop, calls, answer, seen = asyncio.get_running_loop(), set(), msgspec.json.encode(_resource()), 0
    inbound, status = _inbound(), {word: _status(word) for word in ("sent", "delivered")}

    async def call_back(url: str, form: bytes) -> None:
        async with session.post(url, data=form, headers=_SIGNED) as response:
            await response.read()

    def start(url: str, form: bytes) -> None:
        task = loop.create_task(call_back(url, form))
        calls.add(task)
        task.add_done_callback(calls.discard)

    async def create(request: web.BaseRequest) -> web.Response:
        nonlocal seen
        body = await request.read()
        seen += 1
        base = f"http://{HOST}:{int(body[-5:])}/webhooks/twilio"
        for word in ("sent", "delivered"):
            start(f"{base}/status?c=1&m={seen}&a=1", status[word])
        if seen % 10 < _ANSWERS_OF_TEN:
            start(f"{base}/inbound", inbound)
        return web.Response(status=201, body=answer, content_type="application/json")

    await _serve(port, create)


async def gateway(port: int, carrier_port: int, messages: int, concurrency: int) -> None:
    """Makes creates, so many at once, and takes the callbacks; one line of JSON when all have come."""
    wanted = 2 * messages + messages // 10 * _ANSWERS_OF_TEN
    heard, all_heard = 0, asyncio.Event()

    async def take(request: web.BaseRequest) -> web.Response:
        nonlocal heard
        await request.read()
        heard += 1
        if heard >= wanted:
            all_heard.set()
        return web.Response(status=204)

    server = asyncio.get_running_loop().create_task(_serve(port, take))
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
    )
    left = iter(range(messages))
    url, form = f"http://{HOST}:{carrier_port}{_PATH}", _create(port)

    async def caller() -> None:
        for _ in left:
            async with session.post(url, data=form, headers=_FORM) as response:
                await response.read()

    began_at = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(concurrency)))
    await all_heard.wait()
    sys.stdout.write(f"{time.perf_counter() - began_at}\n")
    sys.stdout.flush()
    await session.close()
    await server  # until it is ended from outside: its CPU is read before that


async def _serve(port: int, handler: Handler) -> None:
    runner = web.ServerRunner(web.Server(handler, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, HOST, port, backlog=1024).start()
    await asyncio.Event().wait()


def _create(port: int) -> bytes:
    fields = {
        "To": "+12155550123",
        "Body": "Hi Maria, it's Sam with Vote Together. Polls are open today. Do you have a plan to vote? "
        "Reply STOP to opt out",
        "StatusCallback": f"http://{HOST}:{port}/webhooks/twilio/status?c=1&m=123456&a=1#rc=5&rp=all",
        "ValidityPeriod": "31000",
        "From": "+16025550100",
        "Port": f"{port:05d}",
    }
    return urlencode(fields).encode()


def _status(word: str) -> bytes:
    fields = {"MessageSid": _SID, "SmsSid": _SID, "AccountSid": _ACCOUNT, "From": "+16025550100"}
    more = {"To": "+12155550123", "MessageStatus": word, "SmsStatus": word, "ApiVersion": "2010-04-01"}
    return urlencode({**fields, **more}).encode()


def _inbound() -> bytes:
    fields = {"MessageSid": _SID, "SmsSid": _SID, "SmsMessageSid": _SID, "AccountSid": _ACCOUNT}
    more = {"From": "+12155550123", "To": "+16025550100", "Body": "Yes, I already voted!", "NumMedia": "0"}
    return urlencode({**fields, **more, "NumSegments": "1", "SmsStatus": "received"}).encode()


def _resource() -> dict[str, object]:
    base = f"/2010-04-01/Accounts/{_ACCOUNT}/Messages/{_SID}"
    return {
        "sid": _SID, "account_sid": _ACCOUNT, "api_version": "2010-04-01", "body": "x" * 120,
        "direction": "outbound-api", "from": "+16025550100", "to": "+12155550123",
        "messaging_service_sid": None, "status": "queued", "num_segments": "1", "num_media": "0",
        "price": None, "price_unit": "USD", "error_code": None, "error_message": None,
        "date_created": "Thu, 24 Aug 2023 05:01:45 +0000", "date_updated": "Thu, 24 Aug 2023 05:01:45 +0000",
        "date_sent": None, "uri": f"{base}.json",
        "subresource_uris": {"media": f"{base}/Media.json", "feedback": f"{base}/Feedback.json"},
    }  # fmt: skip


# ---------------------------------------------------------------- the part


async def exchange(messages: int, concurrency: int, folder: Path) -> Bare:
    """One round in two processes of their own."""
    carrier_port, gateway_port = free_port(), free_port()
    module = ("-m", "benchmarks.http.bare")
    with Child("bare-carrier", (*module, "carrier", str(carrier_port)), folder, {}) as there:
        await there.listens(carrier_port)
        arguments = (
            *module,
            "gateway",
            str(gateway_port),
            str(carrier_port),
            str(messages),
            str(concurrency),
        )
        with Child("bare-gateway", arguments, folder, {}) as here:
            seconds = await _last_line(here)
            used = {"gateway": here.cpu_s(), "carrier": there.cpu_s()}
    cpu_us = {name: round(1e6 * each / messages, 1) for name, each in used.items()}
    return Bare(messages, round(seconds, 3), round(messages / seconds, 1), cpu_us)


async def _last_line(child: Child) -> float:
    while not (said := child.log.read_text()).endswith("\n"):
        child.must_live()
        await asyncio.sleep(0.1)
    return float(said)


@contextmanager
def _on_uvloop() -> Iterator[asyncio.Runner]:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner


def main(part: str, *numbers: str) -> None:
    work = carrier if part == "carrier" else gateway
    with _on_uvloop() as runner:
        runner.run(work(*map(int, numbers)))


if __name__ == "__main__":
    main(*sys.argv[1:])
