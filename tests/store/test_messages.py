"""Admission's write: a decision stands only on the revision it was taken on."""

import asyncio

import pytest

from gateway.store import messages
from gateway.store.database import Database
from gateway.store.messages import Entered
from gateway.store.ownership import FencingToken
from tests.store.rows import (
    KEY,
    NOW,
    OWNER,
    admission,
    admit,
    conversation,
    message,
    opt_out,
    owned,
    people,
    queue,
    states,
)


async def test_a_queued_message_waits_and_opens_the_conversation(database: Database):
    await people(database)
    assert await admit(database, admission(1, requested_at=NOW + 5, script="initial-2")) == {1}
    row = await message(database, 1)
    assert (row["state"], row["attempt"], row["spent"], row["final_at"]) == ("queued", 0, 0, None)
    assert (row["script"], row["requested_at"].timestamp()) == ("initial-2", NOW + 5)
    assert await queue(database) == [1]
    talk = await conversation(database, 1)
    assert talk is not None
    assert (talk["revision"], talk["number_id"], talk["attention_at"]) == (1, None, None)
    assert talk["last_initial_at"].timestamp() == talk["last_outbound_at"].timestamp() == NOW + 5


async def test_a_message_whose_number_and_slot_are_known_is_sending_at_once(database: Database):
    await people(database)
    await owned(database)
    going = admission(1, state="sending", number_id=4, slot_at=NOW + 1)
    for token in (None, FencingToken(OWNER.worker_id, OWNER.epoch - 1)):
        assert await admit(database, going, token=token) == set()  # the road is somebody else's
    assert await conversation(database, 1) is None
    assert await admit(database, going, token=OWNER) == {1}
    row = await message(database, 1)
    assert (row["state"], row["number_id"], row["attempt"], row["spent"]) == ("sending", 4, 1, 1)
    assert row["slot_at"].timestamp() == NOW + 1
    assert await queue(database) == []
    talk = await conversation(database, 1)
    assert talk is not None
    assert talk["number_id"] == 4


async def test_a_blocked_one_is_final_and_changes_no_conversation(database: Database):
    await people(database)
    blocked = admission(1, state="blocked", code=1202, reason="campaign_hours", seen_revision=-5)
    assert await admit(database, blocked) == {1}
    row = await message(database, 1)
    assert (row["code"], row["reason"], row["final_at"].timestamp()) == (1202, "campaign_hours", NOW)
    assert await queue(database) == []
    assert await conversation(database, 1) is None


async def test_a_newer_revision_stops_the_write_of_that_person_alone(database: Database):
    await people(database)
    await admit(database, admission(1), admission(2))
    late = [admission(3, 1, seen_revision=0), admission(4, 2, seen_revision=1), admission(5, 3)]
    assert await admit(database, *late) == {4, 5}
    assert await states(database) == {1: "queued", 2: "queued", 4: "queued", 5: "queued"}
    assert await queue(database) == [1, 2, 4, 5]
    talk = await conversation(database, 1)
    assert talk is not None
    assert talk["revision"] == 1


async def test_a_conversation_that_began_meanwhile_stops_the_write(database: Database):
    await people(database)
    await admit(database, admission(1, seen_revision=0))
    assert await admit(database, admission(2, 1, seen_revision=0)) == set()


async def test_an_opt_out_in_between_stops_the_write(database: Database):
    await people(database)
    await opt_out(database, 1)
    assert await admit(database, admission(1), admission(2)) == {2}
    assert await conversation(database, 1) is None
    assert await queue(database) == [2]


async def test_a_reply_answers_what_waited(database: Database):
    await people(database)
    await admit(database, admission(1))
    await database.execute(
        "UPDATE conversations SET attention_at = to_timestamp($1), unread = 2, number_id = 3", NOW + 1
    )
    await admit(database, admission(2, 1, kind="reply", seen_revision=1, requested_at=NOW + 9, lane=0))
    talk = await conversation(database, 1)
    assert talk is not None
    assert (talk["attention_at"], talk["unread"], talk["number_id"], talk["revision"]) == (None, 0, 3, 2)
    assert talk["last_initial_at"].timestamp() == NOW
    assert talk["last_outbound_at"].timestamp() == NOW + 9


async def test_what_is_in_the_books_is_found_by_its_id(database: Database):
    await people(database)
    await admit(database, admission(1), admission(2, state="blocked", code=1302, reason="left"))
    async with database.connection() as connection:
        found = await messages.by_id(connection, KEY, [1, 2, 3])
    assert found == [Entered(1, "queued", None, None, 0, NOW), Entered(2, "blocked", 1302, "left", 0, NOW)]


async def test_the_same_write_twice_is_one_message(database: Database):
    """The answer was lost, and the batch came again."""
    await people(database)
    row = admission(1, seen_revision=0)
    assert await admit(database, row) == {1}
    assert await admit(database, row) == set()
    assert await queue(database) == [1]


@pytest.mark.parametrize("round_number", range(5))
async def test_of_two_at_once_for_one_person_exactly_one_stands(
    database: Database, other: Database, round_number: int
):
    await people(database)
    pair = [admission(10 + round_number, 1), admission(20 + round_number, 1)]
    written = await asyncio.gather(admit(database, pair[0]), admit(other, pair[1]))
    assert sorted(map(len, written)) == [0, 1]
    assert len(await queue(database)) == 1
