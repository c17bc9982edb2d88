"""How soon what was committed is on the screens of many who watch: streams of counts from one worker over HTTP.

    python -m benchmarks.streams [--streams 2000] [--texts 20] [--seconds 30]

The worker is a process of its own. All streams watch one action; texts are written by the statement that admits, so many
a second, one a commit, and the instant after each commit is compared with that at which a stream has told a count with it.
The figures are kept in benchmarks/results/streams.json.
"""

import asyncio
import itertools
import json
import os
import re
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.http.house import House, house
from benchmarks.kept import keep
from gateway.core.rules.campaign import CampaignKey
from gateway.http.live import MOST_OF_ONE
from gateway.p2p.keys import RANDOM_BYTES, ApiKeys
from gateway.store import messages
from gateway.store.messages import Admission

KEPT = Path(__file__).parent / "results" / "streams.json"
ACTION = 1
_COUNT = re.compile(rb'"initial\.blocked\.1001":(\d+)')
_FIRST_ID = 10**15  # of texts that no dispatcher knows


class Reader(asyncio.Protocol):
    """One stream: when it has told of which commit."""

    def __init__(self, request: bytes, committed: list[float], delays: list[float]) -> None:
        self._request = request
        self._committed = committed
        self._delays = delays
        self._told = 0
        self.is_open = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        if not self.is_open.done():
            self.is_open.set_result(data.startswith(b"HTTP/1.1 200"))
        for found in _COUNT.findall(data):
            count = int(found)
            self._delays.extend(now - at for at in self._committed[self._told : count])
            self._told = count

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.is_open.done():
            self.is_open.set_result(False)


async def keys(built: House, count: int) -> list[str]:
    made = ApiKeys(built.store, time.time)
    return [
        await made.create(os.urandom(RANDOM_BYTES), f"watcher {each}", "reader", None)
        for each in range(count)
    ]


async def watchers(
    built: House, campaign_id: int, streams: int, committed: list[float], delays: list[float]
) -> list[Reader]:
    """So many streams, all open."""
    host, port = built.gateway_url.removeprefix("http://").split(":")
    opened: list[Reader] = []
    for key in await keys(built, -(-streams // MOST_OF_ONE)):
        request = (
            f"GET /v1/campaigns/{campaign_id}/events?topics=action:{ACTION} HTTP/1.1\r\n"
            f"Host: {host}\r\nAuthorization: Bearer {key}\r\n\r\n"
        ).encode()
        for _ in range(min(MOST_OF_ONE, streams - len(opened))):
            _, reader = await asyncio.get_running_loop().create_connection(
                lambda request=request: Reader(request, committed, delays),  # type: ignore[misc]
                host,
                int(port),
            )
            opened.append(reader)
    if not all([await each.is_open for each in opened]):
        raise RuntimeError("not every stream was opened")
    return opened


def text(number: int, now: float) -> Admission:
    """One that a safeguard stopped: it is counted, and nobody sends it."""
    return Admission(
        message_id=_FIRST_ID + number,
        contact_id=number,
        phone="+12155550100",
        action_id=ACTION,
        kind="initial",
        sender_id=1,
        body="Hi",
        segments=1,
        text_hash=number,
        state="blocked",
        code=1001,
        reason=None,
        requested_at=now,
        not_after=now + 3600,
        lane=2,
        seen_revision=0,
    )


async def write(built: House, key: CampaignKey, per_s: float, seconds: float, committed: list[float]) -> None:
    """One text a commit, so many a second."""
    end = time.perf_counter() + seconds
    for number in itertools.count(1):
        due = end - seconds + number / per_s
        if due > end:
            return
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        async with built.store.connection() as connection:
            await messages.admit(connection, key, key.campaign_id, [text(number, time.time())], time.time())
        committed.append(time.perf_counter())


async def measure(streams: int, per_s: float, seconds: float) -> dict[str, Any]:
    async with house() as built:
        campaign_id = await built.campaign("Watched")
        committed: list[float] = []
        delays: list[float] = []
        readers = await watchers(built, campaign_id, streams, committed, delays)
        cpu_s, began_at = built.gateway.cpu_s(), time.perf_counter()
        await write(built, CampaignKey(1, campaign_id), per_s, seconds, committed)
        await asyncio.sleep(3.0)
        took_s = time.perf_counter() - began_at
        used_s, memory_mb = built.gateway.cpu_s() - cpu_s, round(built.gateway.resident_bytes() / 1e6)
        for each in readers:
            each.transport.abort()
    told = np.array(delays)
    expected = len(committed) * streams
    return {
        "streams": streams,
        "commits": len(committed),
        "told": len(delays),
        "missing": expected - len(delays),
        "p50_s": round(float(np.quantile(told, 0.5)), 3),
        "p99_s": round(float(np.quantile(told, 0.99)), 3),
        "most_s": round(float(told.max()), 3),
        "gateway_cpu_share": round(used_s / took_s, 3),
        "gateway_memory_mb": memory_mb,
    }


def main(arguments: Sequence[str]) -> None:
    parser = ArgumentParser(prog="python -m benchmarks.streams")
    parser.add_argument("--streams", type=int, default=2_000)
    parser.add_argument("--texts", type=float, default=20.0, help="commits a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    asked = parser.parse_args(arguments)
    figures = asyncio.run(measure(asked.streams, asked.texts, asked.seconds))
    sys.stdout.write(json.dumps(figures) + "\n")
    keep(KEPT, **figures)


if __name__ == "__main__":
    main(sys.argv[1:])
