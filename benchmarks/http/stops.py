"""How soon a STOP is answered 2xx while the house carries all that it can: from then on no call for the person begins."""

import asyncio
import time
from urllib.parse import urlencode

import msgspec

from benchmarks.http.batches import Latencies, arrivals
from benchmarks.http.calls import Client
from benchmarks.http.house import TOKEN, House, phones
from benchmarks.http.whole_life import MOST_UNDER_WAY, Watch, feed
from gateway.providers.twilio.webhooks import INBOUND_PATH, signature

PER_S = 20.0
_CONNECTIONS = 50
_WARM = 200


class Stops(msgspec.Struct, frozen=True):
    """The STOPs' latencies, and the texts that ended beside them."""

    answered: Latencies
    final_per_s: float


async def stops(house: House, texts: int, leaving: int) -> Stops:
    """Texts to everybody but those who leave, always as many under way as a bank at full speed has; STOPs arrive beside."""
    campaign_id = await house.campaign("stops")
    people = await house.people(campaign_id, texts + leaving + _WARM)
    await house.warm_up(campaign_id, people[:_WARM])
    number = await house.store.fetch_value("SELECT phone FROM numbers ORDER BY number_id LIMIT 1")
    requests = [
        stop(house, phone, number, nth) for nth, phone in enumerate([*phones(len(people))][-leaving:])
    ]
    watch, client = Watch(house), Client(house.gateway_url, _CONNECTIONS)
    await watch.open()
    await client.open()
    already = await watch.look()
    feeder = asyncio.create_task(feed(house, watch, campaign_id, people[_WARM : _WARM + texts], already))
    looking = asyncio.create_task(_look_on(watch))
    try:
        await _at_full_load(watch, feeder, already + min(MOST_UNDER_WAY, texts) // 4)
        began_at, before = time.perf_counter(), watch.final
        answered = await arrivals(client, requests, PER_S)
        per_s = (await watch.look() - before) / (time.perf_counter() - began_at)
    finally:
        feeder.cancel()
        looking.cancel()
        watch.close()
        client.close()
    return Stops(answered, round(per_s, 1))


async def _look_on(watch: Watch) -> None:
    while True:
        await watch.look()
        await asyncio.sleep(0.2)


async def _at_full_load(watch: Watch, feeder: "asyncio.Task[None]", final: int) -> None:
    async with asyncio.timeout(60):
        while watch.final < final:
            if feeder.done():
                feeder.result()
            await asyncio.sleep(0.1)


def stop(house: House, phone: str, number: str, nth: int) -> bytes:
    """A signed webhook as Twilio posts it."""
    form = [("MessageSid", f"SM{0xABC:016x}{nth:016x}"), ("From", phone), ("To", number), ("Body", "STOP")]
    signed = signature(house.gateway_url + INBOUND_PATH, form, TOKEN)
    headers = f"Content-Type: application/x-www-form-urlencoded\r\nX-Twilio-Signature: {signed}\r\n"
    return house.client.request("POST", INBOUND_PATH, headers, urlencode(form).encode())
