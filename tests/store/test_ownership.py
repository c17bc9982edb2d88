"""One owner per campaign: the lock lives and dies with the connection that claims."""

import pytest

from gateway.store.database import Database
from gateway.store.ownership import Ownership, OwnershipLost

CAMPAIGN = 1


@pytest.fixture
async def first(dsn: str):
    opened = Database(dsn, connections=1)
    yield opened
    await opened.close()


async def may_claim(ownership: Ownership, campaign_id: int = CAMPAIGN) -> bool:
    try:
        async with ownership.claims(campaign_id) as connection:
            return await connection.fetchval("SELECT true")
    except OwnershipLost:
        return False


async def cut(victim: Database, killer: Database) -> None:
    pid = await victim.fetch_value("SELECT pg_backend_pid()")
    assert await killer.fetch_value("SELECT pg_terminate_backend($1, 5000)", pid)


async def test_of_two_workers_one_is_the_owner(first: Database, other: Database):
    one, two = Ownership(first), Ownership(other)
    assert await one.take(CAMPAIGN)
    assert not await two.take(CAMPAIGN)
    assert await may_claim(one)
    assert not await may_claim(two)


async def test_campaigns_are_owned_one_by_one(first: Database, other: Database):
    one, two = Ownership(first), Ownership(other)
    assert await one.take(1)
    assert await two.take(2)
    assert [await may_claim(one, 1), await may_claim(one, 2)] == [True, False]


async def test_given_up_it_is_free_for_another(first: Database, other: Database):
    one, two = Ownership(first), Ownership(other)
    await one.take(CAMPAIGN)
    await one.give_up(CAMPAIGN)
    assert not await may_claim(one)
    assert await two.take(CAMPAIGN)
    await one.give_up(CAMPAIGN)  # not ours: nothing happens
    assert await may_claim(two)


async def test_taken_twice_it_is_given_up_once(first: Database, other: Database):
    one, two = Ownership(first), Ownership(other)
    assert await one.take(CAMPAIGN)
    assert await one.take(CAMPAIGN)
    await one.give_up(CAMPAIGN)
    assert await two.take(CAMPAIGN)


async def test_without_its_connection_the_owner_can_claim_no_more(first: Database, other: Database):
    one, two = Ownership(first), Ownership(other)
    await one.take(CAMPAIGN)
    await cut(first, other)
    with pytest.raises(OwnershipLost, match="campaign 1"):
        async with one.claims(CAMPAIGN):
            pass
    assert await two.take(CAMPAIGN)
    assert not await one.take(CAMPAIGN)
    assert first.in_flight == 0


async def test_a_lost_campaign_can_be_taken_again(first: Database, other: Database):
    one = Ownership(first)
    await one.take(CAMPAIGN)
    await cut(first, other)
    assert not await may_claim(one)
    assert await one.take(CAMPAIGN)
    assert await may_claim(one)


async def test_a_campaign_never_taken_cannot_be_claimed(first: Database):
    assert not await may_claim(Ownership(first))
