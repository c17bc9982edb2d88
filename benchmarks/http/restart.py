"""A worker that comes back: from its start to its door and to the first text, with a night's queue and idle campaigns."""

import asyncio
import time

import msgspec

from benchmarks.http.calls import Client
from benchmarks.http.house import SETTINGS, House, restarted, row

BATCH = 1000
_SLOW = {"total_per_s": 5.0, "number_per_s": 5.0}  # next to nothing of the queue goes out while it fills
_FIRST_TEXT_WITHIN_S = 120.0


class Restart(msgspec.Struct, frozen=True):
    """Seconds from the start of the process."""

    queued: int
    idle_campaigns: int
    listens_s: float
    first_text_s: float


async def restart(house: House, queued: int, idle: int) -> Restart:
    """kill -9 of the worker with so many texts queued in one campaign, and a start."""
    for nth in range(idle):
        await house.campaign(f"idle {nth}")
    campaign_id = (
        await house.call(
            "POST", "/v1/campaigns", {"name": "night", "settings": {**SETTINGS, "registration": _SLOW}}
        )
    )["campaign_id"]
    people = await house.people(campaign_id, queued)
    for first in range(0, queued, BATCH):
        rows = [row(each, nth) for nth, each in enumerate(people[first : first + BATCH], first)]
        await house.call("POST", "/v1/messages:batch", {"campaign_id": campaign_id, "messages": rows})
    house.gateway.kill()
    carrier = Client(house.carrier_url, 1)
    await carrier.open()
    before = await _submitted(carrier)
    began_at = time.perf_counter()
    with restarted(house):
        await house.gateway.listens(int(house.gateway_url.rpartition(":")[2]))
        listens_s = time.perf_counter() - began_at
        async with asyncio.timeout(_FIRST_TEXT_WITHIN_S):
            while await _submitted(carrier) <= before:  # noqa: ASYNC110 - another process tells nobody
                await asyncio.sleep(0.02)
        first_text_s = time.perf_counter() - began_at
    carrier.close()
    waiting = await house.store.fetch_value("SELECT count(*) FROM queue")
    return Restart(waiting, idle, round(listens_s, 2), round(first_text_s, 2))


async def _submitted(carrier: Client) -> int:
    answer = await carrier.call(carrier.request("GET", "/twin/state"))
    submitted: int = msgspec.json.decode(answer.body)["counts"]["submitted"]
    return submitted
