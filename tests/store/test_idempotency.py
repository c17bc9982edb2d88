"""Idempotency keys in the store: written with their message or not at all, by whoever was first."""

import asyncio

import pytest

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.idempotency import Key
from gateway.store import idempotency
from gateway.store.database import Database
from gateway.store.idempotency import Answered
from tests.store.rows import CAMPAIGN, KEY, NOW, admission, admit, conversation, keyed, people, queue

A, B = Key("key:a", "k"), Key("key:b", "k")


async def test_a_used_key_writes_no_second_message(database: Database):
    await people(database)
    first, again, third = admission(1), admission(2, 1, seen_revision=1), admission(3)
    assert await admit(database, first, keyed=[keyed(first, "k", request_hash=9)]) == {1}
    assert await admit(database, again, third, keyed=[keyed(again, "k"), keyed(third, "other")]) == {3}
    assert await queue(database) == [1, 3]
    found = await idempotency.find(database, KEY, [A, B, Key("key:a", "never")])
    assert found == [Answered(A, 9, 1, "queued", None, None)]


async def test_a_key_is_its_owners(database: Database):
    await people(database)
    mine, theirs = admission(1), admission(2)
    rows = [keyed(mine, "k"), keyed(theirs, "k", "key:b")]
    assert await admit(database, mine, theirs, keyed=rows) == {1, 2}
    assert [each.message_id for each in await idempotency.find(database, KEY, [A, B])] == [1, 2]
    assert await idempotency.find(database, CampaignKey(1, CAMPAIGN + 1), [A]) == []


async def test_a_used_key_leaves_the_conversation_alone(database: Database):
    """C23: a repeat is harmless. Nothing was sent, so nothing may look as if it had been."""
    await people(database)
    first, again = admission(1, state="blocked", code=1202, reason="paused"), admission(2, 1)
    await admit(database, first, keyed=[keyed(first, "k")])
    assert await admit(database, again, keyed=[keyed(again, "k")]) == set()
    assert await conversation(database, 1) is None
    assert await idempotency.find(database, KEY, [A]) == [Answered(A, 1, 1, "blocked", 1202, "paused")]


async def test_a_message_that_is_not_written_uses_no_key(database: Database):
    await people(database)
    late = admission(1, seen_revision=7)
    await admit(database, admission(5, 1))
    assert await admit(database, late, keyed=[keyed(late, "k")]) == set()
    assert await idempotency.find(database, KEY, [A]) == []


async def test_two_workers_with_one_key_at_the_same_instant(database: Database, other: Database):
    """Whoever comes second waits for the first one's commit, and then writes nothing at all."""
    await people(database)
    one = admission(1)
    async with other.transaction() as connection:
        await connection.execute(
            "INSERT INTO idempotency_keys VALUES (1, $1, 'key:a', 'k', 1, 9, 'queued', NULL, NULL, now())",
            CAMPAIGN,
        )
        second = asyncio.create_task(admit(database, one, keyed=[keyed(one, "k")]))
        await _waits_for_a_lock(database)
        assert not second.done()
    assert await second == set()
    assert await conversation(database, 1) is None


async def _waits_for_a_lock(database: Database) -> None:
    """Returns when some statement does."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while not await database.fetch_value(sql):
            pass


async def test_a_batch_has_a_key_of_its_own(database: Database):
    await people(database)
    assert await idempotency.take(database, KEY, A, 5, NOW)
    assert await idempotency.take(database, KEY, A, 5, NOW + 1)
    assert not await idempotency.take(database, KEY, A, 6, NOW + 2)
    assert await idempotency.find(database, KEY, [A]) == [Answered(A, 5, None, "", None, None)]


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_old_keys_go_in_small_pieces(database: Database, limit: int):
    await people(database)
    for nth, at in enumerate([NOW - 3, NOW - 2, NOW - 1, NOW, NOW + 1]):
        await idempotency.take(database, KEY, Key("key:a", str(nth)), 1, at)
    gone = []
    while not gone or gone[-1] == limit:
        gone.append(await idempotency.forget_keys(database, KEY, NOW, limit))
    assert sum(gone) == 3
    assert all(each <= limit for each in gone)
    left = await idempotency.find(database, KEY, [Key("key:a", str(nth)) for nth in range(5)])
    assert [each.key.word for each in left] == ["3", "4"]
