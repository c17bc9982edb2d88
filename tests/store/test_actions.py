"""Actions: published whole, each of their contacts with nobody to text them yet."""

import asyncio

import msgspec
import pytest

from gateway.core.rules.errors import BadInput
from gateway.store import buckets, campaign_actions, campaigns, contacts, publishing
from gateway.store.contacts import ContactRow
from gateway.store.database import Connection, Database
from tests.store.rows import ACTION, GROUP, KEY, NOW, an_action, people, phone, publish


async def published(database: Database, count: int, seed: int = 1) -> None:
    await people(database, count)
    assert await publish(database, seed=seed) == count


async def test_a_published_action_is_read_again(database: Database):
    await published(database, 3)
    found = await campaign_actions.find(database, KEY, ACTION)
    assert found is not None
    assert (found.title, found.state, found.published_at) == ("Get out the vote", "public", NOW)
    assert await buckets.remaining(database, KEY, ACTION) == 3
    assert await campaign_actions.find(database, KEY, 9) is None


async def test_publishing_twice_is_refused_and_assigns_nobody_twice(database: Database):
    await published(database, 3)
    await contacts.add(database, KEY, [ContactRow(4, phone(4), GROUP)])
    with pytest.raises(BadInput, match="published already: campaign 1, action 5"):
        await publish(database, seed=2)
    assert await buckets.remaining(database, KEY, ACTION) == 3


@pytest.mark.parametrize("at_once", [1, 4, 5, 100])
async def test_an_action_is_assigned_in_pieces(database: Database, at_once: int):
    await people(database, 9)
    await campaign_actions.create(database, KEY, an_action())
    assert await publishing.assign(database, KEY, ACTION, 1, (), 1, at_once=at_once) == 9
    assert await buckets.remaining(database, KEY, ACTION) == 9
    await publishing.unassign(database, KEY, ACTION, 1, at_once=at_once)
    assert await buckets.remaining(database, KEY, ACTION) == 0


async def test_an_action_without_people_can_be_published(database: Database):
    await published(database, 0)
    assert await buckets.remaining(database, KEY, ACTION) == 0


async def test_two_actions_that_change_at_once_are_both_told(database: Database, other: Database):
    """The second one's statement waits for the first, and sees what that has changed (F026)."""
    await people(database, 0)
    for action_id in (5, 6):
        action = msgspec.structs.replace(an_action(action_id), settings='{"area_codes": ["215"]}')
        await campaign_actions.create(database, KEY, action)

    async def change(transaction: Connection, action_id: int) -> None:
        wished = '{"area_codes": ["412"]}'
        action = msgspec.structs.replace(an_action(action_id), settings=wished)
        await campaign_actions.save(transaction, KEY, action)
        await campaign_actions.tell_workers(transaction, KEY)

    async def change_later() -> None:
        async with other.transaction() as transaction:
            await change(transaction, 6)

    async with database.transaction() as first:
        await change(first, 5)
        second = asyncio.create_task(change_later())
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        while not await database.fetch_value(waiting):
            pass  # each look lets the other one go on
    await second
    [row] = await campaigns.load(database)
    assert row.area_codes == '{"5": ["412"], "6": ["412"]}'


async def test_contacts_that_came_a_moment_ago_are_found_by_their_key(own_dsn: str) -> None:
    """Without statistics every index looks alike; another one than the key is read whole for each contact."""
    database = Database(own_dsn, connections=1)
    await people(database, 500)
    for sql in (publishing._ASSIGN_ALL, publishing._ASSIGN_LISTS):
        rows = await database.fetch(f"EXPLAIN {sql}", *KEY, ACTION, 1, [1], 0, 500, 1)
        used = {line for (line,) in rows if "on contacts" in line}
        assert len(used) > 0
        assert all("contacts_pkey" in line for line in used), used
    await database.close()
