"""Accepting: batches of 1,000 as fast as they are taken, and single texts that arrive whether or not we are ready."""

import asyncio
import random
import time
from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.http.calls import Answer, Client
from benchmarks.http.house import SETTINGS, House, message, row

BATCH = 1000
_AT_ONCE = 2  # batches: one is read and decided while another is written
_CONNECTIONS = 100
_LATE_S = 0.010
_MOST_LATE = 0.01


class Accepted(msgspec.Struct, frozen=True):
    """Messages durable when their batch was answered."""

    messages: int
    seconds: float
    per_s: float
    cpu_us: dict[str, float]


class Latencies(msgspec.Struct, frozen=True):
    """Milliseconds from the intended instant to the answer, over all requests; `late` of them set out late."""

    requests: int
    per_s: float
    p50_ms: float
    p99_ms: float
    most_ms: float
    late_share: float
    is_valid: bool


async def batches(house: House, count: int) -> Accepted:
    """A campaign whose registration lets next to nothing out, so that accepting is all there is to do."""
    slow = {**SETTINGS, "registration": {"total_per_s": 0.1, "number_per_s": 0.1}}
    campaign_id = (await house.call("POST", "/v1/campaigns", {"name": "batches", "settings": slow}))[
        "campaign_id"
    ]
    people = await house.people(campaign_id, count)
    requests = [
        house.request(
            "POST",
            "/v1/messages:batch",
            {
                "campaign_id": campaign_id,
                "messages": [row(each, nth) for nth, each in enumerate(people[first : first + BATCH], first)],
            },
        )
        for first in range(0, count, BATCH)
    ]
    left = iter(requests)
    cpu_before, began_at = house.cpu_s(), time.perf_counter()
    await asyncio.gather(*(_post(house.client, left) for _ in range(_AT_ONCE)))
    seconds = time.perf_counter() - began_at
    used = {name: after - cpu_before[name] for name, after in house.cpu_s().items()}
    stored = await house.store.fetch_value(
        "SELECT count(*) FROM messages WHERE campaign_id = $1 AND state <> 'blocked'", campaign_id
    )
    if stored != count:
        raise RuntimeError(f"{stored} of {count} messages are in the books")
    cpu_us = {name: round(1e6 * each / count, 1) for name, each in used.items()}
    return Accepted(count, round(seconds, 3), round(count / seconds, 1), cpu_us)


async def _post(client: Client, left: Iterator[bytes]) -> None:
    for request in left:
        answer = await client.call(request)
        if answer.status != 202:
            raise RuntimeError(f"{answer.status}: {answer.body[:300]!r}")


async def singles(house: House, per_s: float, count: int) -> Latencies:
    """Open arrivals: each request sets out at its own instant, whatever became of those before."""
    campaign_id = await house.campaign("singles")
    people = await house.people(campaign_id, count + 20)
    await house.warm_up(campaign_id, people[:20])
    client = Client(house.gateway_url, _CONNECTIONS)
    await client.open()
    requests = [
        house.request("POST", "/v1/messages", message(campaign_id, each, nth))
        for nth, each in enumerate(people[20:])
    ]
    try:
        return await arrivals(client, requests, per_s)
    finally:
        client.close()


async def arrivals(client: Client, requests: list[bytes], per_s: float, seed: int = 1) -> Latencies:
    """Poisson arrivals; latency is counted from the intended instant. RuntimeError when one is not 2xx."""
    loop = asyncio.get_running_loop()
    luck = random.Random(seed)
    waits_s = np.array([luck.expovariate(per_s) for _ in requests])
    offsets_s = np.cumsum(waits_s)
    starts_at = loop.time() + 0.1
    took_s, late_s = np.zeros(len(requests)), np.zeros(len(requests))
    under_way: list[asyncio.Task[None]] = []

    async def one(nth: int, intended_at: float) -> None:
        answer: Answer = await client.call(requests[nth])
        took_s[nth] = loop.time() - intended_at
        if not 200 <= answer.status < 300:
            raise RuntimeError(f"{answer.status}: {answer.body[:300]!r}")

    for nth, offset_s in enumerate(offsets_s.tolist()):
        intended_at = starts_at + offset_s
        if (ahead_s := intended_at - loop.time()) > 0:
            await asyncio.sleep(ahead_s)
        late_s[nth] = max(0.0, loop.time() - intended_at)
        task = loop.create_task(one(nth, intended_at))
        under_way.append(task)
    await asyncio.gather(*under_way)
    return _latencies(took_s, late_s, float(offsets_s[-1]))


def _latencies(took_s: NDArray[np.float64], late_s: NDArray[np.float64], for_s: float) -> Latencies:
    p50, p99, most = (1000 * np.percentile(took_s, [50, 99, 100])).round(2).tolist()
    late_share = float(np.mean(late_s > _LATE_S))
    is_valid = late_share <= _MOST_LATE
    return Latencies(
        len(took_s), round(len(took_s) / for_s, 1), p50, p99, most, round(late_share, 4), is_valid
    )
