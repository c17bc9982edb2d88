"""What people write: kept once, their STOP and START honoured, and who waits for an answer (C9)."""

import asyncio
import math

import pytest

from gateway.store import buckets, conversations, opt_outs, recipients
from gateway.store.conversations import Attention, Heard, Inbox, Stored
from gateway.store.database import Database
from tests.store.rows import (
    ACTION,
    GROUP,
    KEY,
    NOW,
    SCOPE,
    admission,
    admit,
    conversation,
    heard,
    opt_out,
    opted_out,
    people,
    phone,
)

SOMEBODY_ELSE = 99


async def hear(database: Database, *texts: Heard) -> list[Stored]:
    async with database.connection() as connection:
        return await conversations.hear(connection, KEY, SCOPE, texts)


async def attention_at(database: Database, contact_id: int) -> float | None:
    talk = await conversation(database, contact_id)
    assert talk is not None
    return None if talk["attention_at"] is None else talk["attention_at"].timestamp()


async def ask(
    database: Database,
    volunteer_id: int,
    *,
    take_over_before: float = 0,
    now: float = NOW + 100,
    limit: int = 10,
    open_groups: tuple[str, ...] = (GROUP,),
) -> list[Attention]:
    inbox = await look(
        database,
        volunteer_id,
        take_over_before=take_over_before,
        now=now,
        limit=limit,
        open_groups=open_groups,
    )
    return inbox.found


async def look(
    database: Database,
    volunteer_id: int,
    *,
    take_over_before: float = 0,
    now: float = NOW + 100,
    limit: int = 10,
    open_groups: tuple[str, ...] = (GROUP,),
) -> Inbox:
    return await conversations.attention(
        database,
        KEY,
        ACTION,
        volunteer_id,
        opt_out_scope=SCOPE,
        texts_since=0,
        open_groups=open_groups,
        take_over_before=take_over_before,
        limit=limit,
        now=now,
    )


async def texted(database: Database, count: int = 2) -> None:
    """Contacts 1 to `count` were texted and are assigned to volunteer 7."""
    await people(database, count)
    await admit(database, *(admission(each) for each in range(1, count + 1)))
    await database.execute(
        "INSERT INTO assignments SELECT 1, $1, n, $2, 0, 7, to_timestamp($3) FROM generate_series(1, $4) n",
        ACTION,
        GROUP,
        NOW,
        count,
    )


# ---------------------------------------------------------------- kept once


async def test_a_text_is_kept_whole_and_opens_the_conversation(database: Database):
    await texted(database)
    text = heard(5, 1, "No, wrong person ☎", suggests_opt_out=True, wrong_number=True)
    assert await hear(database, text) == [Stored(5, 1, volunteer_id=7)]
    row = await database.fetch_row("SELECT * FROM inbound")
    assert row is not None
    assert (row["contact_id"], row["phone"], row["body"]) == (1, phone(1), "No, wrong person ☎")
    assert (row["suggests_opt_out"], row["wrong_number"]) == (True, True)
    talk = await conversation(database, 1)
    assert talk is not None
    assert (talk["revision"], talk["unread"]) == (2, 1)
    assert talk["last_inbound_at"].timestamp() == NOW + 60
    assert await attention_at(database, 1) == NOW + 60


async def test_a_text_that_comes_again_changes_nothing(database: Database):
    await texted(database)
    await hear(database, heard(1, 1))
    before = await conversation(database, 1)
    assert await hear(database, heard(2, 1, provider_sid="SM1")) == []
    assert await conversation(database, 1) == before


async def test_a_text_twice_in_one_batch_is_kept_once(database: Database):
    await texted(database)
    twice = [heard(1, 1), heard(2, 1, provider_sid="SM1"), heard(3, 2)]
    assert await hear(database, *twice) == [Stored(1, 1, volunteer_id=7), Stored(3, 2, volunteer_id=7)]
    talk = await conversation(database, 1)
    assert talk is not None
    assert talk["unread"] == 1


async def test_a_stranger_is_kept_and_their_stop_counts(database: Database):
    await people(database, 1)
    told = await hear(database, heard(1, 50, "STOP", intent="stop"), heard(2, 51))
    assert told == [Stored(1, None, NOW + 60), Stored(2, None)]
    assert await opted_out(database) == [phone(50)]
    assert await conversation(database, 50) is None


async def test_a_person_who_writes_first_opens_a_conversation(database: Database):
    await people(database, 1)
    await hear(database, heard(1, 1))
    talk = await conversation(database, 1)
    assert talk is not None
    assert (talk["revision"], talk["unread"], talk["last_outbound_at"]) == (1, 1, None)


async def test_several_texts_of_one_person_wait_since_the_first(database: Database):
    await texted(database)
    await hear(database, heard(1, 1, received_at=NOW + 9), heard(2, 1, received_at=NOW + 5))
    await hear(database, heard(3, 1, received_at=NOW + 7))
    talk = await conversation(database, 1)
    assert talk is not None
    assert (talk["unread"], talk["last_inbound_at"].timestamp()) == (3, NOW + 9)
    assert await attention_at(database, 1) == NOW + 5


# ---------------------------------------------------------------- STOP and START


STOP = {"body": "STOP", "intent": "stop"}
START = {"body": "START", "intent": "start"}


async def test_stop_is_in_force_and_needs_no_answer(database: Database):
    await texted(database)
    await hear(database, heard(1, 1))
    await hear(database, heard(2, 1, **STOP))
    assert await opted_out(database) == [phone(1)]
    assert await attention_at(database, 1) is None  # F125
    row = await database.fetch_row(
        "SELECT source, words, extract(epoch FROM opted_out_at)::float8 FROM opt_outs"
    )
    assert tuple(row) == ("keyword", "STOP", NOW + 60)


async def test_what_an_opted_out_person_writes_needs_no_answer(database: Database):
    await texted(database)
    await opt_out(database, 1)
    await hear(database, heard(1, 1))
    assert await attention_at(database, 1) is None
    assert await opted_out(database) == [phone(1)]


async def test_only_the_persons_own_start_lifts_it(database: Database):
    await texted(database)
    await opt_out(database, 1)
    await opt_out(database, 2)
    await hear(database, heard(1, 1, **START))
    assert await opted_out(database) == [phone(2)]
    assert await attention_at(database, 1) == NOW + 60


@pytest.mark.parametrize(
    ("first", "last", "out"),
    [
        ({"body": "STOP", "intent": "stop"}, START, []),
        ({"body": "START", "intent": "start"}, STOP, [phone(1)]),
        ({"body": "hm"}, STOP, [phone(1)]),
        (STOP, {"body": "sorry"}, [phone(1)]),
    ],
    ids=["stop, start", "start, stop", "words, stop", "stop, words"],
)
@pytest.mark.parametrize("before", [False, True], ids=["in", "out before"])
async def test_the_last_word_of_a_batch_decides(
    database: Database, first: dict, last: dict, out: list[str], before: bool
):
    await texted(database)
    if before:
        await opt_out(database, 1)
    await hear(database, heard(1, 1, **first), heard(2, 1, **last))
    assert await opted_out(database) == out
    assert (await attention_at(database, 1) is None) == bool(out)


async def test_a_second_stop_keeps_the_first_ones_date(database: Database):
    await texted(database)
    await hear(database, heard(1, 1, **STOP))
    await hear(database, heard(2, 1, **STOP, received_at=NOW + 999))
    assert (
        await database.fetch_value("SELECT extract(epoch FROM opted_out_at)::float8 FROM opt_outs")
        == NOW + 60
    )


async def test_a_volunteers_opt_out(database: Database):
    await texted(database)
    await hear(database, heard(1, 1))

    async def manual(contact_id: int) -> str | None:
        return await opt_outs.opt_out(database, KEY, SCOPE, contact_id, "manual", NOW + 90)

    assert await manual(1) == phone(1)
    assert await manual(1) is None
    assert await manual(77) is None
    assert await database.fetch_value("SELECT source FROM opt_outs") == "manual"
    assert await attention_at(database, 1) is None
    assert await opted_out(database) == [phone(1)]


# ---------------------------------------------------------------- attention (C9)


async def test_attention_is_open_between_a_text_and_an_answer_or_report(database: Database):
    await texted(database)
    assert await ask(database, 7) == []
    await hear(database, heard(1, 1, "Where?"), heard(2, 2, "When?"))
    assert [each.contact_id for each in await ask(database, 7)] == [1, 2]
    assert await conversations.waiting(database, KEY) == 2
    talk = await conversation(database, 1)
    assert talk is not None
    reply = admission(9, 1, kind="reply", seen_revision=talk["revision"])
    assert await admit(database, reply) == {9}
    await conversations.report(database, KEY, 2, NOW + 90)
    assert await ask(database, 7) == []
    assert await conversations.waiting(database, KEY) == 0
    await hear(database, heard(3, 2, "Still there?"))
    assert [each.body for each in await ask(database, 7)] == ["Still there?"]


async def test_a_look_that_finds_nothing_says_whether_anybody_waits(database: Database):
    await texted(database)
    assert (await look(database, 7)).nobody_waits
    await hear(database, heard(1, 1, "Who is this?"))
    assert not (await look(database, SOMEBODY_ELSE)).nobody_waits
    assert not (await look(database, 7, open_groups=("CA@America/Los_Angeles",))).nobody_waits
    own = await look(database, 7)
    assert (len(own.found), own.nobody_waits) == (1, False)
    assert (await look(database, SOMEBODY_ELSE)).oldest_at == NOW + 100  # it is on a screen since then
    await conversations.report(database, KEY, 1, NOW + 200)
    assert (await look(database, SOMEBODY_ELSE)).nobody_waits


async def test_a_look_that_finds_nothing_says_since_when_somebody_waits_who_may_change_hands(
    database: Database,
):
    await texted(database, 30)
    assert (await look(database, SOMEBODY_ELSE)).oldest_at == math.inf
    await hear(database, *(heard(each, each, received_at=NOW + each) for each in range(1, 31)))
    await database.execute(
        "UPDATE conversations SET offered_at = to_timestamp($1) WHERE contact_id < 5", NOW + 50
    )
    assert (await look(database, SOMEBODY_ELSE)).oldest_at == NOW + 5
    await database.execute("UPDATE conversations SET offered_at = to_timestamp($1)", NOW + 50)
    assert (await look(database, SOMEBODY_ELSE)).oldest_at == NOW + 20  # of the others nothing is known
    assert (
        await look(database, SOMEBODY_ELSE, open_groups=("CA@America/Los_Angeles",))
    ).oldest_at == math.inf


async def test_a_row_of_the_volunteers_own_that_somebody_holds_may_be_there_at_once(database: Database):
    await texted(database)
    await hear(database, heard(1, 1))
    other = Database(database._dsn, 1)
    async with other.transaction() as connection:
        await connection.fetch("SELECT FROM conversations WHERE contact_id = 1 FOR UPDATE")
        found = await look(database, 7)
    await other.close()
    assert (found.found, found.nobody_waits, found.oldest_at) == ([], False, -math.inf)


async def test_a_text_that_was_kept_says_whose_conversation_it_is(database: Database):
    await texted(database, 3)
    await database.execute("UPDATE conversations SET volunteer_id = NULL WHERE contact_id = 3")
    stored = await hear(database, heard(1, 1), heard(2, 3), heard(3, 1))
    assert [(each.contact_id, each.volunteer_id) for each in stored] == [(1, 7), (3, None), (1, 7)]


async def test_attention_shows_the_last_text_oldest_conversation_first(database: Database):
    await texted(database, 3)
    await hear(database, heard(1, 2, "first", received_at=NOW + 1), heard(2, 1, "x", received_at=NOW + 2))
    await hear(database, heard(3, 2, "Unsubscribe me maybe", suggests_opt_out=True, received_at=NOW + 9))
    shown = await ask(database, 7)
    second, first = await recipients.load(database, KEY, SCOPE, [2, 1], [ACTION, ACTION], texts_since=0)
    people = await buckets.about(database, KEY, ACTION, [2, 1], opt_out_scope=SCOPE, texts_since=0)
    assert [each.known for each in people] == [second, first]
    assert shown == [
        Attention(people[0], NOW + 1, "Unsubscribe me maybe", True, False),
        Attention(people[1], NOW + 2, "x", False, False),
    ]
    assert [each.contact_id for each in await ask(database, 7, limit=1)] == [2]
    assert await ask(database, 7, open_groups=("CA@America/Los_Angeles",)) == []


async def test_a_fresh_conversation_stays_with_its_volunteer(database: Database):
    await texted(database)
    await hear(database, heard(1, 1))
    assert await ask(database, SOMEBODY_ELSE, take_over_before=NOW + 59) == []
    assert len(await ask(database, 7)) == 1


async def assignee(database: Database, contact_id: int) -> int:
    return await database.fetch_value(
        "SELECT volunteer_id FROM assignments WHERE contact_id = $1", contact_id
    )


async def test_what_waited_too_long_changes_hands_with_its_assignment(database: Database):
    await texted(database)
    await hear(database, heard(1, 1))
    now = NOW + 4000
    assert len(await ask(database, SOMEBODY_ELSE, take_over_before=NOW + 400, now=now)) == 1
    assert [await assignee(database, each) for each in (1, 2)] == [SOMEBODY_ELSE, 7]
    assert await ask(database, 7, take_over_before=NOW + 400, now=now) == []
    assert len(await ask(database, SOMEBODY_ELSE, now=now)) == 1


async def test_whoever_took_it_over_has_it_as_long_as_the_first(database: Database):
    await texted(database)
    await hear(database, heard(1, 1))
    await ask(database, SOMEBODY_ELSE, take_over_before=NOW + 400, now=NOW + 4000)
    assert await ask(database, 55, take_over_before=NOW + 3999, now=NOW + 7000) == []
    assert len(await ask(database, 55, take_over_before=NOW + 4000, now=NOW + 7000)) == 1


@pytest.mark.parametrize("round_number", range(5))
async def test_two_who_take_over_at_once_never_share(database: Database, other: Database, round_number: int):
    await texted(database, 12)
    await hear(database, *(heard(each, each) for each in range(1, 13)))
    both = await asyncio.gather(
        ask(database, 100 + round_number, take_over_before=NOW + 400, now=NOW + 4000, limit=8),
        ask(other, 200 + round_number, take_over_before=NOW + 400, now=NOW + 4000, limit=8),
    )
    taken = [each.contact_id for found in both for each in found]
    assert len(taken) == len(set(taken)) >= 8


@pytest.mark.parametrize("together", [True, False], ids=["in one window", "later"])
async def test_an_old_start_that_comes_late_lifts_no_newer_stop(database: Database, together: bool) -> None:
    """Fetched after its webhook was lost, it comes after a STOP that the person wrote later."""
    await people(database)
    stop = heard(1, 1, intent="stop", received_at=NOW)
    start = heard(2, 1, intent="start", received_at=NOW - 60)
    for texts in [[stop, start]] if together else [[stop], [start]]:
        await hear(database, *texts)
    assert await opted_out(database) == [phone(1)]
    await hear(database, heard(3, 1, intent="start", received_at=NOW + 60))
    assert await opted_out(database) == []


@pytest.mark.parametrize("first", ["STOP", "START"])
async def test_a_start_at_one_worker_lifts_no_stop_that_is_said_at_another_meanwhile(
    database: Database, other: Database, first: str
) -> None:
    """They had left, came back and left again; the webhooks of the last two come at one instant, each at a worker."""
    await texted(database)
    await hear(database, heard(1, 1, **STOP))
    said = {
        "START": heard(2, 1, received_at=NOW + 100, **START),
        "STOP": heard(3, 1, received_at=NOW + 101, **STOP),
    }

    async def hears(worker: Database, text: Heard) -> None:
        async with worker.transaction() as transaction:
            await conversations.hear(transaction, KEY, SCOPE, [text])

    second = "STOP" if first == "START" else "START"
    async with database.transaction() as transaction:
        await transaction.fetch("SELECT FROM conversations WHERE contact_id = 1 FOR UPDATE")
        both = []
        for worker, word in ((database, first), (other, second)):
            both.append(asyncio.ensure_future(hears(worker, said[word])))
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            async with asyncio.timeout(20.0):
                while await transaction.fetchval(waits) < len(both):  # each question is a round trip
                    pass
    await asyncio.gather(*both)
    assert await opted_out(database) == [phone(1)]


async def test_an_old_start_lifts_nothing_that_a_volunteer_has_noted_since(database: Database) -> None:
    """They had left already, so there was nothing to write; their START of before comes late, its webhook was lost."""
    await texted(database)
    await hear(database, heard(1, 1, **STOP))
    assert await opt_outs.opt_out(database, KEY, SCOPE, 1, "manual", NOW + 200) is None
    await hear(database, heard(2, 1, received_at=NOW + 199, **START))
    assert await opted_out(database) == [phone(1)]
    assert await database.fetch_value("SELECT source FROM opt_outs") == "keyword"
    await hear(database, heard(3, 1, received_at=NOW + 201, **START))
    assert await opted_out(database) == []


async def test_a_volunteers_note_waits_for_a_start_that_is_being_heard(
    database: Database, other: Database
) -> None:
    await texted(database)
    await hear(database, heard(1, 1, **STOP))
    async with database.transaction() as transaction:
        await transaction.fetch(conversations._HOLD_OPT_OUTS, KEY.organisation_id, SCOPE, [phone(1)])
        noting = asyncio.ensure_future(opt_outs.opt_out(other, KEY, SCOPE, 1, "manual", NOW + 101))
        async with asyncio.timeout(20.0):
            while not (
                noting.done() or await transaction.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted")
            ):
                pass
        await conversations.hear(transaction, KEY, SCOPE, [heard(2, 1, received_at=NOW + 100, **START)])
    assert await noting == phone(1)
    assert await opted_out(database) == [phone(1)]
