"""Whole lives: accepted in batches, created at the carrier, `sent`, `delivered`, and every tenth person answers."""

import asyncio
import time
from collections.abc import Callable

import msgspec

from benchmarks.http.calls import Client
from benchmarks.http.house import House, row

BATCH = 1000
MOST_UNDER_WAY = 8000  # messages accepted and not final: a bank that always has work, and no more
_LOOKS_EVERY_S = 0.4
_WITHOUT_PROGRESS_S = 30.0
_LAST_REPLY_S = 4.0  # the scenario's longest way from a text to the answer to it
_STORED_WITHIN_S = 15.0  # after that: an answer on its way when we look is not one that is lost


class Lives(msgspec.Struct, frozen=True):
    """What became of so many messages; CPU in microseconds a message."""

    messages: int
    replies: int
    seconds: float
    per_s: float
    cpu_us: dict[str, float]


class Watch:
    """Counts of the gateway and of the carrier, asked for a few times a second."""

    def __init__(self, house: House) -> None:
        self._carrier = Client(house.carrier_url, 1)
        self._internal = Client(house.internal_url, 1)
        self.final = 0

    async def open(self) -> None:
        await self._carrier.open()
        await self._internal.open()

    def close(self) -> None:
        self._carrier.close()
        self._internal.close()

    async def look(self) -> int:
        """Messages with a final state, as the gateway counts them; kept in `final`."""
        text = (await self._internal.call(self._internal.request("GET", "/metrics"))).body.decode()
        lines = (line for line in text.splitlines() if line.startswith("p2p_messages_final_total{"))
        self.final = sum(int(float(line.rpartition(" ")[2])) for line in lines)
        return self.final

    async def webhooks(self) -> tuple[int, int, int]:
        """Webhooks answered, under way and failed, and nothing else."""
        answer = await self._carrier.call(self._carrier.request("GET", "/twin/state"))
        counts = msgspec.json.decode(answer.body)["webhooks"]
        return counts["delivered"], counts["outstanding"], counts["failed"]

    async def replies(self) -> int:
        answer = await self._carrier.call(self._carrier.request("GET", "/twin/state"))
        count: int = msgspec.json.decode(answer.body)["people"]["replies"]
        return count


async def live(
    house: House,
    campaign_id: int,
    contact_ids: list[int],
    *,
    seen: Callable[[int], object] = lambda _: None,
) -> Lives:
    """Texts all these people once, and waits until every receipt and every answer is in the books.

    `seen(final)` is called at every look. RuntimeError when a message is not delivered, or a webhook failed.
    """
    watch = Watch(house)
    await watch.open()
    already, webhooks_before = await watch.look(), (await watch.webhooks())[0]
    replies_before = await watch.replies()
    cpu_before, began_at = house.cpu_s(), time.perf_counter()
    goal = already + len(contact_ids)
    feeder = asyncio.get_running_loop().create_task(feed(house, watch, campaign_id, contact_ids, already))
    try:
        await _until(watch, goal, feeder, lambda final: seen(final - already))
        ended_at = await _until_answered(watch, webhooks_before, 2 * len(contact_ids), replies_before)
        await _all_are_stored(house, watch)
    finally:
        feeder.cancel()
        watch.close()
    used = {name: after - cpu_before[name] for name, after in house.cpu_s().items()}
    return await _lives(house, campaign_id, len(contact_ids), ended_at - began_at, used)


async def _all_are_stored(house: House, watch: Watch) -> None:
    """Whoever was texted last answers a few seconds later, when the clock has stopped already."""
    await asyncio.sleep(_LAST_REPLY_S)
    given_up_at = time.perf_counter() + _STORED_WITHIN_S
    while True:
        written = await watch.replies()
        stored = await house.store.fetch_value("SELECT count(*) FROM inbound")
        if stored >= written:
            return
        if time.perf_counter() > given_up_at:
            raise RuntimeError(f"people wrote {written} texts, and {stored} are in the books")
        await asyncio.sleep(_LOOKS_EVERY_S)


async def _lives(
    house: House, campaign_id: int, count: int, seconds: float, used_s: dict[str, float]
) -> Lives:
    """The figures; RuntimeError when the books do not say that every message was delivered."""
    delivered = await house.delivered(campaign_id)
    if delivered < count:
        raise RuntimeError(f"{count - delivered} of {count} messages were not delivered")
    replies = await house.store.fetch_value(
        "SELECT count(*) FROM inbound WHERE campaign_id = $1", campaign_id
    )
    cpu_us = {name: round(1e6 * each / count, 1) for name, each in used_s.items()}
    return Lives(count, replies, round(seconds, 3), round(count / seconds, 1), cpu_us)


async def feed(house: House, watch: Watch, campaign_id: int, contact_ids: list[int], already: int) -> None:
    for first in range(0, len(contact_ids), BATCH):
        while already + first - watch.final > MOST_UNDER_WAY - BATCH:  # noqa: ASYNC110
            await asyncio.sleep(_LOOKS_EVERY_S / 4)
        chosen = contact_ids[first : first + BATCH]
        rows = [row(each, first + nth) for nth, each in enumerate(chosen)]
        done = await house.call("POST", "/v1/messages:batch", {"campaign_id": campaign_id, "messages": rows})
        if done["accepted"] != len(chosen):
            raise RuntimeError(
                f"only {done['accepted']} of {len(chosen)} were accepted: {done['results'][:3]}"
            )


async def _until(
    watch: Watch, goal: int, feeder: "asyncio.Task[None]", seen: Callable[[int], object]
) -> None:
    last, last_at = -1, time.perf_counter()
    while (final := await watch.look()) < goal:
        if feeder.done():
            feeder.result()
        seen(final)
        if final > last:
            last, last_at = final, time.perf_counter()
        elif time.perf_counter() - last_at > _WITHOUT_PROGRESS_S:
            raise RuntimeError(f"no progress for {_WITHOUT_PROGRESS_S:g} s: {final} of {goal} are final")
        await asyncio.sleep(_LOOKS_EVERY_S)
    seen(final)


async def _until_answered(watch: Watch, before: int, receipts: int, replies_before: int) -> float:
    """When the last webhook was answered: all receipts, and all replies that have set out."""
    ends_at = time.perf_counter() + _WITHOUT_PROGRESS_S
    while True:
        answered, under_way, failed = await watch.webhooks()
        wanted = before + receipts + await watch.replies() - replies_before
        if failed:
            raise RuntimeError(f"{failed} webhooks failed")
        if answered >= wanted and not under_way:
            return time.perf_counter()
        if time.perf_counter() > ends_at:
            raise RuntimeError(f"{answered} of {wanted} webhooks were answered, {under_way} are under way")
        await asyncio.sleep(_LOOKS_EVERY_S)
