"""Workers over one database wake each other: what came to one goes out through the other at once."""

from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest

from gateway.config import Dispatch
from gateway.serve import running, webhook_doors
from tests.http.house import CAMPAIGN, PUBLIC_URL, SETTINGS, House, a_house
from tests.http.signing_provider import SigningProvider

NEVER_S = 3600.0  # nobody looks by himself: only a word can have woken the owner
ONLY_WORDS = msgspec.structs.replace(
    SETTINGS, dispatch=Dispatch(horizon_s=2.0, poll_s=0.05, idle_poll_s=NEVER_S)
)


@pytest.fixture
async def houses(dsn: str) -> AsyncIterator[tuple[House, House]]:
    """The campaign's owner, and another worker that listens as well."""
    async with a_house(dsn, settings=ONLY_WORDS) as house:
        provider = SigningProvider()
        doors = webhook_doors(provider, PUBLIC_URL)
        async with (
            aiohttp.ClientSession() as session,
            running(ONLY_WORDS, dsn, provider, doors, house.worker.clock) as worker,
        ):
            second = House(worker, provider, session, house.store)
            second.keys = house.keys
            await house.worker.gateway.adopted()
            owns = CAMPAIGN in house.worker.gateway.dispatch.roads
            yield (house, second) if owns else (second, house)


async def test_what_one_admits_the_owner_sends_at_once(houses: tuple[House, House]) -> None:
    owner, other = houses
    for contact_id in (1, 2):
        assert (await other.send(contact_id)).status == 202
        assert (await owner.provider.next_text()).phone.endswith(str(100 + contact_id))
    assert other.provider.taken == []


async def test_a_campaign_that_nobody_can_read_says_so(houses: tuple[House, House]) -> None:
    owner, _ = houses
    await owner.store.execute(
        "UPDATE campaigns SET settings = '{\"hours\": 9}' WHERE campaign_id = $1", CAMPAIGN
    )
    await owner.worker.gateway.campaigns.load()
    answer = await owner.call("GET", f"/v1/campaigns/{CAMPAIGN}")
    assert answer.status == 503
    assert "can't be read" in answer.body["detail"]
    assert (await owner.send(1)).status == 503
    assert (await owner.call("POST", "/v1/campaigns", {"name": "New", "campaign_id": CAMPAIGN})).status == 409
