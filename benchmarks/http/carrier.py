"""The carrier alone: creates as fast as one core takes them, and how late receipts come under an open load."""

import asyncio
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import numpy as np

from benchmarks.http.batches import arrivals
from benchmarks.http.calls import Client, Ear
from benchmarks.http.house import ACCOUNT, AT_NOON, BODY, NAMES, TOKEN, WORLD, phones
from benchmarks.http.processes import HOST, Child, free_port

_NUMBER = "+16025550100"
_PATH = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
_AT_ONCE = 64
_ROWS = 100_000


class Creates(msgspec.Struct, frozen=True):
    """Creates accepted by one process, which has one core at most; CPU in microseconds each."""

    creates: int
    per_s: float
    cpu_us: float
    load_cpu_us: float


class Receipts(msgspec.Struct, frozen=True):
    """Milliseconds from the instant a receipt was due to the 2xx it got."""

    messages_per_s: float
    receipts_per_s: float
    receipts: int
    p50_ms: float
    p99_ms: float
    most_ms: float
    late_creates_share: float


@asynccontextmanager
async def _alone(folder: Path) -> AsyncIterator[tuple[Child, Client]]:
    port = free_port()
    arguments = ("carrier", str(WORLD), "--port", str(port), "--contacts", "0", "--instant-answers")
    options = ("--concurrency", "1000", "--number", _NUMBER)
    with Child("carrier", (*AT_NOON, *arguments, *options), folder, {}) as child:
        await child.listens(port)
        client = Client(f"http://{HOST}:{port}", _AT_ONCE)
        await client.open()
        yield child, client
        client.close()


def _requests(client: Client, count: int, callback: str = "") -> list[bytes]:
    credentials = b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    headers = f"Authorization: Basic {credentials}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    return [
        client.request("POST", _PATH, headers, urlencode(fields).encode())
        for fields in _creates(count, callback)
    ]


def _creates(count: int, callback: str) -> Iterator[dict[str, str]]:
    for nth, phone in enumerate(phones(count)):
        fields = {
            "To": phone,
            "From": _NUMBER,
            "Body": BODY.format(NAMES[nth % len(NAMES)]),
            "ValidityPeriod": "30000",
        }
        yield {**fields, "StatusCallback": f"{callback}?c=1&m={nth}&a=1#rc=5&rp=all"} if callback else fields


async def creates(count: int) -> Creates:
    """Without callbacks; each of 64 callers asks again as soon as it is answered."""
    with tempfile.TemporaryDirectory(prefix="textbank-bench-") as folder:
        async with _alone(Path(folder)) as (child, client):
            requests = _requests(client, count)
            left = iter(requests)

            async def caller() -> None:
                for request in left:
                    if (answer := await client.call(request)).status != 201:
                        raise RuntimeError(f"{answer.status}: {answer.body[:300]!r}")

            cpu_before, load_before, began_at = child.cpu_s(), time.process_time(), time.perf_counter()
            await asyncio.gather(*(caller() for _ in range(_AT_ONCE)))
            seconds = time.perf_counter() - began_at
            cpu_us = 1e6 * (child.cpu_s() - cpu_before) / count
            load_cpu_us = 1e6 * (time.process_time() - load_before) / count
    return Creates(count, round(count / seconds, 1), round(cpu_us, 1), round(load_cpu_us, 1))


async def receipts(messages_per_s: float, count: int) -> Receipts:
    """Open arrivals of creates, each with its `sent` and `delivered` webhook, judged by the carrier's ledger."""
    with tempfile.TemporaryDirectory(prefix="textbank-bench-") as folder:
        async with _alone(Path(folder)) as (_, client):
            loop, heard = asyncio.get_running_loop(), 0

            def hear(_request: bytes) -> None:
                nonlocal heard
                heard += 1

            ear = await loop.create_server(lambda: Ear(hear), HOST, 0)
            port = ear.sockets[0].getsockname()[1]
            requests = _requests(client, count, f"http://{HOST}:{port}/webhooks/twilio/status")
            took = await arrivals(client, requests, messages_per_s)
            async with asyncio.timeout(30):
                while heard < 2 * count:  # noqa: ASYNC110 - the last are a second away
                    await asyncio.sleep(0.1)
            await asyncio.sleep(0.2)  # the last 2xx reaches the carrier
            due, answered = await _table(client, "statuses"), await _table(client, "acknowledged")
            ear.close()
    late_ms = np.array([1000 * (at - due[key]) for key, at in answered.items()])
    p50, p99, most = np.percentile(late_ms, [50, 99, 100]).round(2).tolist()
    return Receipts(took.per_s, 2 * took.per_s, len(late_ms), p50, p99, most, took.late_share)


async def _table(client: Client, name: str) -> dict[tuple[int, int], float]:
    """(message, status) -> when, of one of the ledger's tables of webhooks."""
    found: dict[tuple[int, int], float] = {}
    after: int | None = 0
    while after is not None:
        path = f"/twin/ledger/{name}?after={after}&limit={_ROWS}"
        page = msgspec.json.decode((await client.call(client.request("GET", path))).body)
        found.update({(row["n"], row["status"]): row["at"] for row in page["rows"]})
        after = page["next"]
    return found
