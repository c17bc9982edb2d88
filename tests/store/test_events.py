"""The journal: each statement notes what it did, in its own transaction, and no reader passes anything over."""

import asyncio
import random
from collections.abc import Sequence

from gateway.core.bank.events import EventKind
from gateway.store import claims, conversations, events, messages, opt_outs, receipts, threads
from gateway.store.claims import Refusal
from gateway.store.database import Database
from gateway.store.events import FIRST, Event, EventPlace, Item
from gateway.store.receipts import Requeue, Word
from tests.store.rows import (
    ACTION,
    ASK_AT,
    KEY,
    NOW,
    SCOPE,
    admission,
    admit,
    claim,
    claiming,
    heard,
    own_number,
    people,
    sending,
)

_MAY_BE_READ = "SELECT NOT EXISTS (SELECT FROM events WHERE xid >= pg_snapshot_xmin(pg_current_snapshot()))"


async def journal(database: Database, after: EventPlace = FIRST) -> list[Event]:
    """All of it: somebody else's transaction in the same PostgreSQL may have to end first."""
    async with asyncio.timeout(30):
        while not await database.fetch_value(_MAY_BE_READ):
            pass
    return await events.read(database, KEY, after)


async def since(database: Database, before: Sequence[Event]) -> list[Event]:
    return await journal(database, before[-1].place if before else FIRST)


def item(**known: object) -> Item:
    return Item(**(dict.fromkeys(Item.__struct_fields__) | known))


TEXT = item(id=1, contact_id=1, action_id=ACTION, user_id=7, kind="initial", segments=1)


def like(row: Item, **changes: object) -> Item:
    return Item(**({name: getattr(row, name) for name in Item.__struct_fields__} | changes))


# ---------------------------------------------------------------- what is noted


async def test_an_admission_is_one_event(database: Database):
    await people(database)
    blocked = admission(2, state="blocked", code=1302, script="B")
    await admit(database, admission(1, script="A"), blocked)
    [event] = await journal(database)
    assert (event.kind, event.at) == (EventKind.ADMITTED, NOW)
    assert list(event.items()) == [
        like(TEXT, script="A", state="queued"),
        like(TEXT, id=2, contact_id=2, script="B", state="blocked", code=1302),
    ]


async def test_what_is_not_written_is_not_noted(database: Database):
    await people(database)
    assert await admit(database, admission(1, seen_revision=9)) == {
        1
    }  # a first text: there is no revision yet
    assert await admit(database, admission(2, 1, seen_revision=0)) == set()
    assert len(await journal(database)) == 1


async def test_a_move_names_both_states_and_a_word_that_changes_nothing_is_not_noted(database: Database):
    await sending(database)
    before = await journal(database)
    await receipts.tell(database, KEY, SCOPE, [Word(1, 1, "delivered", final_at=NOW + 5)], NOW + 5)
    await receipts.tell(database, KEY, SCOPE, [Word(1, 1, "sent")], NOW + 6)
    [event] = await since(database, before)
    assert (event.kind, event.at) == (EventKind.MOVED, NOW + 5)
    assert list(event.items()) == [like(TEXT, before="sending", state="delivered")]


async def test_another_attempt_and_one_that_arrived_after_all(database: Database):
    await sending(database)
    before = await journal(database)
    async with database.transaction() as connection:
        again = Requeue(1, 1, "failed", 30003, "SM1", None, NOW, spends_attempt=True)
        await receipts.requeue(connection, KEY, [again], NOW)
    await receipts.late(database, KEY, [Word(1, 1, "delivered")], NOW)
    moves = [each for event in await since(database, before) for each in event.items()]
    assert moves == [
        like(TEXT, before="sending", state="queued", code=30003),
        like(TEXT, before="queued", state="delivered"),
    ]


async def test_the_second_look(database: Database):
    await people(database)
    await admit(database, admission(1))
    before = await journal(database)
    await claims.block(database, KEY, [Refusal(1, 1202, "the hours ended")], NOW)
    [event] = await since(database, before)
    assert list(event.items()) == [like(TEXT, before="queued", state="blocked", code=1202)]


async def test_what_people_write_belongs_to_the_action_they_were_texted_in(database: Database):
    await people(database)
    await admit(database, admission(1))
    before = await journal(database)
    texts = [
        heard(1, 1),
        heard(2, 1, "STOP", intent="stop"),
        heard(3, 2),
        heard(4, 1, "STOP", intent="stop", received_at=NOW + 61),
    ]
    await conversations.hear(database, KEY, SCOPE, texts[:3])
    await conversations.hear(database, KEY, SCOPE, texts)  # three of them were brought before
    first, second = await since(database, before)
    of_action = item(contact_id=1, action_id=ACTION, user_id=7)
    assert list(first.items()) == [
        like(of_action, id=1, before="first", state="reply"),
        like(of_action, id=2, state="opted_out"),
        item(id=3, contact_id=2, before="first", state="reply"),
    ]
    assert list(second.items()) == [like(of_action, id=4, state="stop")]  # had left already
    rows = await database.fetch(
        "SELECT inbound_id, action_id, volunteer_id, opted_out FROM inbound ORDER BY 1"
    )
    assert [tuple(row) for row in rows] == [
        (1, ACTION, 7, False),
        (2, ACTION, 7, True),
        (3, None, None, False),
        (4, ACTION, 7, False),
    ]


async def test_an_opt_out_by_hand_is_noted_once_with_who_noted_it(database: Database):
    await people(database)
    await admit(database, admission(1))
    before = await journal(database)
    for _ in range(2):
        await opt_outs.opt_out(database, KEY, SCOPE, 1, "manual", NOW, 9)
    [event] = await since(database, before)
    assert event.kind is EventKind.OPTED_OUT
    assert list(event.items()) == [item(contact_id=1, action_id=ACTION, user_id=9, state="manual")]


async def test_a_hand_over_names_whose_it_was(database: Database):
    await people(database)
    await admit(database, admission(1))
    before = await journal(database)
    assert not await threads.hand_over(database, KEY, 1, 99, 8, NOW)
    assert await threads.hand_over(database, KEY, 1, 1, 8, NOW)
    [event] = await since(database, before)
    assert list(event.items()) == [item(contact_id=1, action_id=ACTION, user_id=8, former_user_id=7)]


async def test_a_claim_of_the_dispatcher_is_no_event(database: Database):
    await people(database)
    await own_number(database)
    await admit(database, admission(1))
    before = await journal(database)
    await claim(database, claiming(1))
    assert await since(database, before) == []


# ---------------------------------------------------------------- in which order it is read


async def test_what_commits_late_is_passed_over_by_nobody(database: Database, other: Database):
    """The first transaction to write is the last to commit: what came after it waits for it."""
    await people(database)
    async with other.transaction() as slow:
        await messages.admit(slow, KEY, SCOPE, [admission(1)], ASK_AT)
        await admit(database, admission(2))
        assert await events.read(database, KEY, FIRST) == []
    first, second = await journal(database)
    assert [first.ids, second.ids] == [[1], [2]]
    assert first.place < second.place


async def test_what_is_rolled_back_never_happened(database: Database):
    await people(database)
    async with database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await messages.admit(connection, KEY, SCOPE, [admission(1)], ASK_AT)
        await transaction.rollback()
    assert await journal(database) == []


async def test_a_reader_beside_writers_sees_each_event_once_and_in_order(database: Database, dsn: str):
    count, drawn = 120, random.Random(5)
    await people(database, count)
    writers = Database(dsn, connections=6)
    seen: list[Event] = []

    async def write(ids: Sequence[int]) -> None:
        for each in ids:
            async with writers.transaction() as connection:
                await messages.admit(connection, KEY, SCOPE, [admission(each)], ASK_AT)
                for _ in range(drawn.randrange(30)):
                    await asyncio.sleep(0)

    async def read_all() -> None:
        while len(seen) < count:
            seen.extend(await events.read(database, KEY, seen[-1].place if seen else FIRST, limit=7))
            await asyncio.sleep(0)

    try:
        async with asyncio.timeout(30):
            await asyncio.gather(read_all(), *(write(range(n + 1, count + 1, 6)) for n in range(6)))
    finally:
        await writers.close()
    assert sorted(each for event in seen for each in event.ids) == list(range(1, count + 1))
    assert [each.place for each in seen] == sorted(each.place for each in seen)


async def test_a_reader_that_begins_now_reads_what_is_under_way(database: Database, other: Database):
    await people(database)
    await admit(database, admission(1))
    async with other.transaction() as slow:
        await messages.admit(slow, KEY, SCOPE, [admission(2)], ASK_AT)
        now = await events.end(database)
    await admit(database, admission(3))
    assert [event.ids for event in await journal(database, now)] == [[2], [3]]
