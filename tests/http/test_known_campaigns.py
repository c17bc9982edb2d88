"""A campaign made through one worker is known at the others when it is first asked for."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

import aiohttp
import asyncpg
import pytest

from gateway.clock import Clock
from gateway.core.bank.permissions import Role
from gateway.core.rules.campaign import CampaignSettings
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.problems import Refusal
from gateway.pipeline.campaigns import Campaigns
from gateway.serve import running, webhook_doors
from gateway.store import campaigns
from gateway.store.campaigns import CampaignRow
from gateway.store.database import Database
from tests.http.house import PUBLIC_URL, SETTINGS, START_AT, Answer, House
from tests.http.signing_provider import SigningProvider

NEW = 77


@pytest.fixture
async def second(house: House, dsn: str) -> AsyncIterator[House]:
    """Another worker over the same database, and the same keys at its door."""
    provider = SigningProvider()
    clock = Clock(asyncio.get_running_loop(), START_AT)
    doors = webhook_doors(provider, PUBLIC_URL)
    async with aiohttp.ClientSession() as session, running(SETTINGS, dsn, provider, doors, clock) as worker:
        other = House(worker, provider, session, house.store)
        other.keys = house.keys
        yield other


async def made(house: House) -> None:
    settings = {"pool": {"settle_s": 0}}  # a number that is bought may text at once
    answer = await house.call(
        "POST", "/v1/campaigns", {"name": "New", "campaign_id": NEW, "settings": settings}
    )
    assert answer.status == 201


async def ask(house: House, what: str) -> Answer:
    path = f"/v1/campaigns/{NEW}"
    contacts = {"contacts": [{"phone": "412 555 0100"}]}
    match what:
        case "send":
            return await house.send(1, "Hi", campaign_id=NEW)
        case "send a batch":
            batch = {"campaign_id": NEW, "messages": [{"contact_id": 1, "body": "Hi"}]}
            return await house.call("POST", "/v1/messages:batch", batch)
        case "upload":
            return await house.call("POST", f"{path}/contacts", contacts)
        case "pause":
            return await house.call("PATCH", path, {"paused": True})
    return await house.call("GET", path + what, key=Role.KEY_READER)


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ("", 200),
        ("/numbers", 200),
        ("/registration", 200),
        ("upload", 200),
        ("pause", 200),
        ("send", 202),
        ("send a batch", 202),
    ],
)
async def test_the_other_worker_knows_it(house: House, second: House, what: str, status: int) -> None:
    assert NEW not in second.worker.gateway.campaigns
    await made(house)
    assert (await ask(second, what)).status == status


async def test_it_is_in_the_other_workers_list(house: House, second: House) -> None:
    await made(house)
    listed = (await second.call("GET", "/v1/campaigns")).body["campaigns"]
    assert NEW in {each["campaign_id"] for each in listed}


async def test_a_receipt_for_it_counts_at_the_other_worker(house: House, second: House) -> None:
    """Or the first receipts of a bank would be lost, half of them with two workers."""
    house.provider.on_sale.append("+14125550111")
    await made(house)
    uploaded = await ask(house, "upload")
    sent = await house.send(uploaded.body["contact_ids"][0], "Hi", campaign_id=NEW)
    assert sent.status == 202
    text = await house.provider.next_text()
    assert (await second.says(text, "delivered")).status == 204
    assert await house.states() == ["delivered"]


async def test_a_key_of_another_campaign_learns_nothing(house: House, second: House) -> None:
    await made(house)
    key = await house.key(Role.KEY_READER, campaign_id=1)
    assert (await second.call("GET", f"/v1/campaigns/{NEW}", key=key)).status == 404
    assert NEW not in second.worker.gateway.campaigns


# ---------------------------------------------------------------- how often


class Counted(Campaigns):
    """Counts how often they are read."""

    reads = 0

    async def load(self) -> None:
        self.reads += 1
        await super().load()


@pytest.fixture
async def store(dsn: str) -> AsyncIterator[Database]:
    opened = Database(dsn, connections=1)
    yield opened
    await opened.close()


async def is_missing(known: KnownCampaigns) -> bool:
    try:
        await known.find(NEW)
    except Refusal as refusal:
        return refusal.status == HTTPStatus.NOT_FOUND
    return False


async def test_who_asks_for_what_is_not_there_costs_one_read_a_second(store: Database) -> None:
    at = 1_000.0
    counted = Counted(store)
    known = KnownCampaigns(counted, lambda: at)
    assert all([await is_missing(known) for _ in range(5)])
    assert counted.reads == 1
    assert all(await asyncio.gather(*(is_missing(known) for _ in range(5))))
    assert counted.reads == 1
    at += 1.0
    assert all(await asyncio.gather(*(is_missing(known) for _ in range(5))))
    assert counted.reads == 2


async def test_all_who_wait_for_one_read_are_answered_by_it(store: Database) -> None:
    row = CampaignRow(NEW, NEW, "New", CampaignSettings().to_json(), paused=False)
    await campaigns.create(store, row, START_AT)
    counted = Counted(store)
    known = KnownCampaigns(counted, lambda: START_AT)
    found = await asyncio.gather(*(known.find(NEW) for _ in range(5)))
    assert {each.campaign_id for each in found} == {NEW}
    assert counted.reads == 1
    await known.find(NEW)  # what is known is not read again
    assert counted.reads == 1


async def test_a_read_that_fails_is_tried_by_the_next(store: Database) -> None:
    counted = Counted(store)
    known = KnownCampaigns(counted, lambda: START_AT)
    await store.script("ALTER TABLE campaigns RENAME TO away")
    try:
        with pytest.raises(asyncpg.UndefinedTableError):
            await known.find(NEW)
    finally:
        await store.script("ALTER TABLE away RENAME TO campaigns")
    assert await is_missing(known)
    assert counted.reads == 2
