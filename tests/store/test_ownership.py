"""One owner per campaign: rows that say so, and a token without which nothing is claimed."""

import pytest

from gateway.core.rules.campaign import CampaignKey
from gateway.store import campaigns, ownership
from gateway.store.campaigns import CampaignRow
from gateway.store.claims import claim
from gateway.store.database import Database
from gateway.store.ownership import FencingToken, OwnershipLost

NOW = 1_773_154_800.0
SCOPE = 11


@pytest.fixture
async def two(database: Database) -> tuple[int, int]:
    """Two workers that have beaten once, and the campaigns 1 to 3."""
    for campaign_id in (1, 2, 3):
        await campaigns.create(database, CampaignRow(campaign_id, SCOPE, "Bank", "{}", paused=False), NOW)
    ids = (await ownership.new_worker_id(database), await ownership.new_worker_id(database))
    for worker_id in ids:
        await ownership.beat(database, worker_id, "here:1", 1, NOW, [])
    return ids


async def taken(database: Database, worker_id: int, *campaign_ids: int, dead=()) -> dict[int, int]:
    rows = await ownership.take(database, worker_id, campaign_ids, None if dead is None else list(dead))
    return {row.campaign_id: row.epoch for row in rows}


async def may_claim(database: Database, campaign_id: int, token: FencingToken) -> bool:
    async with database.connection() as connection:
        try:
            await claim(connection, CampaignKey(1, campaign_id), SCOPE, [], now=NOW, ask_at=NOW, token=token)
        except OwnershipLost:
            return False
    return True


async def test_of_two_workers_one_is_the_owner(database: Database, two):
    one, other = two
    assert await taken(database, one, 1) == {1: 1}
    assert await taken(database, other, 1, 2) == {2: 1}
    assert await may_claim(database, 1, FencingToken(one, 1))
    assert not await may_claim(database, 1, FencingToken(other, 1))


async def test_two_that_take_at_once_share_what_is_free(database: Database, other: Database, two):
    """What another one is just taking is passed over, neither waited for nor taken twice."""
    async with other.transaction() as connection:
        await connection.execute("SELECT FROM campaigns WHERE campaign_id = 2 FOR NO KEY UPDATE")
        assert await taken(database, two[0], 1, 2, 3) == {1: 1, 3: 1}


async def test_an_import_of_contacts_keeps_nobody_from_taking(database: Database, other: Database, two):
    async with other.transaction() as connection:
        await connection.execute(
            "INSERT INTO contacts (campaign_id, contact_id, phone, hours_group) VALUES (1, 1, '+12155550101', 'g')"
        )
        assert await taken(database, two[0], 1) == {1: 1}


async def test_each_change_of_owner_refuses_the_older_token(database: Database, two):
    one, other = two
    await taken(database, one, 1)
    assert await taken(database, other, 1, dead=[one]) == {1: 2}
    assert not await may_claim(database, 1, FencingToken(one, 1))
    assert await taken(database, one, 1, dead=None) == {1: 3}
    assert not await may_claim(database, 1, FencingToken(other, 2))


async def test_taken_again_by_its_owner_what_it_had_under_way_is_refused(database: Database, two):
    await taken(database, two[0], 1)
    assert await taken(database, two[0], 1) == {1: 2}
    assert not await may_claim(database, 1, FencingToken(two[0], 1))


async def test_given_up_it_is_free_for_another(database: Database, two):
    one, other = two
    await taken(database, one, 1)
    await ownership.give_up(database, 1, FencingToken(one, 1), "a bad row")
    assert not await may_claim(database, 1, FencingToken(one, 1))
    (again,) = await ownership.take(database, other, [1], [])
    assert (again.epoch, again.before, again.waited_because) == (2, None, "a bad row")
    await ownership.give_up(database, 1, FencingToken(one, 1))  # not ours: nothing happens
    assert await may_claim(database, 1, FencingToken(other, 2))


async def test_a_beat_tells_what_concerns_a_worker(database: Database, two):
    one, other = two
    await taken(database, one, 1)
    await taken(database, other, 2)
    await ownership.ask_for(database, other, [1, 2])
    look = await ownership.beat(database, one, "here:1", 2, NOW, [])
    assert look.beats == {other: 1}
    assert [(each.campaign_id, each.epoch, each.wanted_by) for each in look.owned] == [(1, 1, other)]
    assert look.free == [3]
    look = await ownership.beat(database, one, "here:1", 3, NOW, [other])
    assert look.free == [2, 3]


async def test_who_owns_and_is_not_in_the_list_of_workers_counts_as_dead(database: Database, two):
    one, other = two
    await taken(database, one, 1)
    await database.execute("DELETE FROM workers WHERE worker_id = $1", one)
    assert 1 in (await ownership.beat(database, other, "here:2", 2, NOW, [])).free
    assert await taken(database, other, 1) == {1: 2}


async def test_a_worker_that_leaves_is_forgotten_and_a_dead_one_once_it_owns_nothing(database: Database, two):
    one, other = two
    await taken(database, one, 1)
    await taken(database, other, 2)
    await ownership.forget(database, [one])
    assert (await ownership.beat(database, other, "here:2", 2, NOW, [])).beats == {one: 1}
    await ownership.leave(database, one)
    look = await ownership.beat(database, other, "here:2", 3, NOW, [])
    assert (look.beats, look.free) == ({}, [1, 3])


async def test_the_most_urgent_is_taken_first(database: Database, two):
    for campaign_id, lane in ((2, 2), (3, 0)):
        await database.execute(
            "INSERT INTO queue (campaign_id, message_id, lane, due_at) VALUES ($1, 1, $2, to_timestamp($3))",
            campaign_id,
            lane,
            NOW,
        )
    rows = await ownership.take(database, two[0], [1, 2, 3], [])
    assert [row.campaign_id for row in rows] == [3, 2, 1]
    assert await ownership.with_due(database, two[0], NOW) == [2, 3]
    assert await ownership.with_due(database, two[0], NOW - 1) == []
