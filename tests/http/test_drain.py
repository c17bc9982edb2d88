"""Stopping: what is under way is finished, and no message is left `sending`."""

import asyncio

from gateway.clock import Clock
from gateway.serve import running
from gateway.store.database import Database
from tests.http.house import SETTINGS, START_AT, House, a_house
from tests.http.signing_provider import PATIENCE_S, SigningProvider


async def send_to(house: House, people: int) -> None:
    rows = [{"contact_id": each, "body": f"Hello {each}"} for each in range(1, people + 1)]
    answer = await house.call("POST", "/v1/messages:batch", {"campaign_id": 1, "messages": rows})
    assert answer.body["accepted"] == people


async def test_a_drain_leaves_no_message_sending(dsn: str) -> None:
    async with a_house(dsn, people=60) as house:
        gate = house.provider.gate = asyncio.Event()
        await send_to(house, 60)
        await house.provider.next_text()
        stopping = asyncio.create_task(house.worker.stop())
        while (await house.call("GET", "/readyz", key=None)).status != 503:
            pass
        assert (await house.send(1, "late")).status == 503
        gate.set()
        async with asyncio.timeout(PATIENCE_S):
            await stopping
        handed = len(house.provider.taken)
        rows = await house.store.fetch("SELECT state, count(*)::int FROM messages GROUP BY state")
        queued = await house.count("queue")
    states = {row[0]: row[1] for row in rows}
    assert set(states) <= {"queued", "sent"}
    assert states.get("sent", 0) == handed > 0
    assert states.get("queued", 0) == queued == 60 - handed


async def test_the_next_worker_goes_on(dsn: str) -> None:
    async with a_house(dsn, people=30) as house:
        await send_to(house, 30)
    before = house.provider.taken
    provider = SigningProvider()
    clock = Clock(asyncio.get_running_loop(), START_AT + 60)
    async with running(SETTINGS, dsn, provider, (), clock):
        for _ in range(30 - len(before)):
            await provider.next_text()
    store = Database(dsn, connections=1)
    left = await store.fetch("SELECT DISTINCT state FROM messages")
    await store.close()
    phones = [text.phone for text in (*before, *provider.taken)]
    assert len(phones) == len(set(phones)) == 30
    assert [row[0] for row in left] == ["sent"]
