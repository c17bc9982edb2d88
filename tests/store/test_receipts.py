"""The provider's words: the SQL moves along the table of core.lifecycle, and nowhere else."""

import itertools
import math

import msgspec
import pytest

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.lifecycle import MOVES, TERMINAL, State
from gateway.store import receipts
from gateway.store.database import Database
from gateway.store.receipts import Asked, AskTimes, Moved, Requeue, Word
from tests.store.rows import (
    ASK_AT,
    CAMPAIGN,
    KEY,
    NOW,
    NUMBER,
    OUR_PHONE,
    OWNER,
    SCOPE,
    admission,
    admit,
    claim,
    claiming,
    conversation,
    message,
    opted_out,
    owned,
    people,
    phone,
    queue,
    sending,
    states,
)

PAIRS = list(itertools.product(State, State))
NEVER_TOLD = {State.QUEUED, State.BLOCKED}  # no attempt is under way: a word about one is late


async def tell(database: Database, *words: Word) -> list[Moved]:
    async with database.connection() as connection:
        return await receipts.tell(connection, KEY, SCOPE, words, NOW + 100)


async def late(database: Database, *words: Word) -> set[int]:
    async with database.connection() as connection:
        return await receipts.late(connection, KEY, words, NOW + 100)


async def requeue(database: Database, *rows: Requeue) -> None:
    async with database.transaction() as connection:
        ids = [row.message_id for row in rows]
        await receipts.lock(connection, KEY, ids)
        await receipts.requeue(connection, KEY, rows, NOW + 50)


def again(message_id: int, *, attempt: int = 1, spends: bool = True) -> Requeue:
    return Requeue(message_id, attempt, "failed", 30001, "SM1", 1, NOW + 90, spends)


async def test_the_sql_agrees_with_the_table_for_every_state_and_word(database: Database):
    await sending(database, len(PAIRS))
    before = {number: pair[0] for number, pair in enumerate(PAIRS, start=1)}
    await database.execute(
        """
        UPDATE messages m SET state = t.state
        FROM unnest($1::bigint[], $2::text[]) AS t (message_id, state) WHERE m.message_id = t.message_id
        """,
        list(before),
        list(before.values()),
    )
    words = [Word(number, 1, word) for number, (_, word) in enumerate(PAIRS, start=1)]
    moved = {each.message_id: each for each in await tell(database, *words)}
    after = await states(database)
    for number, (state, word) in enumerate(PAIRS, start=1):
        legal = word in MOVES[state] and state not in NEVER_TOLD
        assert after[number] == (word if legal else state), (state, word)
        if state in NEVER_TOLD:
            assert number not in moved
        else:
            assert (moved[number].before, moved[number].after) == (state, after[number])
    assert list(moved) == sorted(moved)


async def test_a_legal_word_is_written_with_all_it_says(database: Database):
    await sending(database)
    told = Word(1, 1, "undelivered", 30003, "off", "SM9", NOW + 1, NOW + 2, NOW + 3, NOW + 999)
    assert await tell(database, told) == [
        Moved(1, 1, "sending", "undelivered", 30003, 1, NUMBER, None, 1, "initial", None, NOW + 1)
    ]
    row = await message(database, 1)
    assert (row["state"], row["code"], row["reason"], row["provider_sid"]) == (
        "undelivered",
        30003,
        "off",
        "SM9",
    )
    times = [row[name].timestamp() for name in ("accepted_at", "sent_at", "final_at")]
    assert times == [NOW + 1, NOW + 2, NOW + 3]


async def test_an_illegal_word_changes_neither_state_code_nor_end(database: Database):
    await sending(database)
    await tell(database, Word(1, 1, "delivered", provider_sid="SM1", final_at=NOW + 3))
    before = await message(database, 1)
    moved = await tell(database, Word(1, 1, "failed", 30008, "late", "SM2", final_at=NOW + 9))
    assert (moved[0].before, moved[0].after) == ("delivered", "delivered")
    assert await message(database, 1) == before


async def test_the_answer_after_the_callback_still_says_when_it_was_accepted(database: Database):
    await sending(database)
    await tell(database, Word(1, 1, "delivered", provider_sid="SM1", sent_at=NOW + 2, final_at=NOW + 3))
    await tell(database, Word(1, 1, "sent", provider_sid="SM1", accepted_at=NOW + 1))
    row = await message(database, 1)
    assert (row["state"], row["accepted_at"].timestamp()) == ("delivered", NOW + 1)
    assert row["sent_at"].timestamp() == NOW + 2


@pytest.mark.parametrize("attempt", [0, 2, 7])
async def test_a_word_about_another_attempt_is_not_for_this_one(database: Database, attempt: int):
    await sending(database)
    assert await tell(database, Word(1, attempt, "delivered")) == []
    assert await states(database) == {1: "sending"}


async def test_unknown_messages_and_campaigns_are_not_told(database: Database):
    await sending(database)
    assert await tell(database, Word(99, 1, "delivered")) == []
    async with database.connection() as connection:
        assert await receipts.tell(connection, CampaignKey(1, 2), SCOPE, [Word(1, 1, "delivered")], NOW) == []
    assert await states(database) == {1: "sending"}


@pytest.mark.parametrize("order", [(1, 2), (2, 1), None], ids=["for good last", "for good first", "at once"])
async def test_what_failed_for_good_is_not_forgotten_for_a_lesser_failure(
    database: Database, order: tuple[int, int] | None
):
    """Two texts to one person end one after the other, or in one window: the longer memory stays, with its code."""
    await sending(database, 1)
    await admit(database, admission(2, 1, seen_revision=1))
    assert await claim(database, claiming(2, 1)) == {2: 1}
    words = {
        1: Word(1, 1, "undelivered", 30003, memory_until=NOW + 500),
        2: Word(2, 1, "failed", 21614, permanent=True),
    }
    for batch in ([1, 2],) if order is None else ([each] for each in order):
        await tell(database, *(words[each] for each in batch))
    row = await database.fetch_row("SELECT failure_code, failure_until = 'infinity' FROM conversations")
    assert tuple(row) == (21614, True)


@pytest.mark.parametrize(
    ("word", "until"),
    [
        (Word(1, 1, "undelivered", 30003, memory_until=NOW + 500), NOW + 500),
        (Word(1, 1, "undelivered", 30006, permanent=True), math.inf),
    ],
    ids=["for a while", "for good"],
)
async def test_a_failure_is_remembered(database: Database, word: Word, until: float):
    await sending(database)
    before = await conversation(database, 1)
    await tell(database, word)
    after = await conversation(database, 1)
    assert before is not None
    assert after is not None
    assert after["failure_code"] == word.code
    assert after["revision"] == before["revision"] + 1  # what was remembered of the person is stale
    stored = await database.fetch_value(
        "SELECT CASE WHEN failure_until = 'infinity' THEN 'infinity' ELSE extract(epoch FROM failure_until) END"
        " FROM conversations"
    )
    assert float(stored) == until


async def test_a_word_that_moves_nothing_is_not_remembered(database: Database):
    await sending(database)
    await tell(database, Word(1, 1, "delivered"))
    await tell(database, Word(1, 1, "undelivered", 30006, permanent=True))
    talk = await conversation(database, 1)
    assert talk is not None
    assert talk["failure_until"] is None


async def test_the_providers_opt_out_becomes_ours(database: Database):
    await sending(database, 2)
    stopped = Word(1, 1, "failed", 21610, opts_out=True)
    await tell(database, stopped, Word(2, 1, "failed", 21211))
    assert await opted_out(database) == [phone(1)]
    await tell(database, stopped)
    assert await opted_out(database) == [phone(1)]
    assert await database.fetch_value("SELECT scope FROM opt_outs") == SCOPE


# ---------------------------------------------------------------- another attempt


async def test_requeue_ends_the_attempt_and_the_message_waits_again(database: Database):
    await sending(database)
    await requeue(database, again(1))
    row = await message(database, 1)
    assert (row["state"], row["attempt"], row["spent"], row["code"]) == ("queued", 1, 1, 30001)
    past = await database.fetch_row("SELECT * FROM attempts")
    assert past is not None
    assert (past["attempt"], past["state"], past["code"], past["number_id"]) == (1, "failed", 30001, NUMBER)
    assert (past["provider_sid"], past["slot_at"].timestamp()) == ("SM1", NOW + 1)
    waiting = await database.fetch_row("SELECT lane, extract(epoch FROM due_at)::float8 FROM queue")
    assert tuple(waiting) == (1, NOW + 90)


async def test_an_attempt_that_was_not_the_messages_fault_is_not_spent(database: Database):
    await sending(database)
    await requeue(database, again(1, spends=False))
    row = await message(database, 1)
    assert (row["attempt"], row["spent"]) == (1, 0)


@pytest.mark.parametrize("state", sorted(TERMINAL | {State.QUEUED}))
async def test_what_may_not_wait_again_does_not(database: Database, state: State):
    await people(database)
    await owned(database)
    await admit(database, admission(1, state="sending", number_id=NUMBER, slot_at=NOW), token=OWNER)
    await database.execute("UPDATE messages SET state = $1", state)
    await requeue(database, again(1))
    assert await states(database) == {1: state}
    assert await queue(database) == []


async def test_requeue_of_an_earlier_attempt_changes_nothing(database: Database):
    await sending(database)
    await requeue(database, again(1, attempt=4))
    assert await states(database) == {1: "sending"}
    assert await queue(database) == []


async def test_requeue_twice_is_once(database: Database):
    await sending(database)
    await requeue(database, again(1))
    await requeue(database, again(1))
    assert await queue(database) == [1]
    assert (await message(database, 1))["spent"] == 1
    assert await database.fetch_value("SELECT count(*) FROM attempts") == 1


async def test_lock_reads_what_the_decision_needs(database: Database):
    await sending(database, 2)
    async with database.transaction() as connection:
        there = await receipts.lock(connection, KEY, [2, 99])
    assert list(there) == [2]
    assert msgspec.structs.astuple(there[2]) == (2, "sending", 1, 1, NOW + 3600, NUMBER, True)


# ---------------------------------------------------------------- late words


async def test_a_late_delivery_takes_the_message_out_of_the_queue(database: Database):
    """Never twice: the phone has the text, whatever was thought of that attempt."""
    await sending(database)
    await requeue(database, again(1))
    word = Word(1, 1, "delivered", provider_sid="SM7")
    assert await tell(database, word) == []
    assert await late(database, word) == {1}
    assert await queue(database) == []
    row = await message(database, 1)
    assert (row["state"], row["code"], row["final_at"].timestamp()) == ("delivered", None, NOW + 100)
    assert await database.fetch_value("SELECT state FROM attempts") == "delivered"


@pytest.mark.parametrize("word", ["failed", "undelivered"])
async def test_any_other_late_word_is_written_to_its_attempt_only(database: Database, word: str):
    await sending(database)
    await requeue(database, again(1))
    assert await late(database, Word(1, 1, word, 30005)) == set()
    assert await queue(database) == [1]
    assert await states(database) == {1: "queued"}
    past = await database.fetch_row("SELECT state, code FROM attempts")
    assert tuple(past) == (word, 30005)


@pytest.mark.parametrize("word", ["sent", "unknown"])
async def test_a_late_word_that_knows_less_changes_nothing(database: Database, word: str):
    """The receipt said how it ended; then "sent" came late, or the call's time was up without an answer."""
    await sending(database)
    await requeue(database, again(1))
    assert await late(database, Word(1, 1, word)) == set()
    assert await states(database) == {1: "queued"}
    assert tuple(await database.fetch_row("SELECT state, code FROM attempts")) == ("failed", 30001)


async def test_a_receipt_of_an_attempt_is_its_last_word(database: Database):
    await sending(database)
    await requeue(database, again(1))
    await late(database, Word(1, 1, "undelivered", 30005))
    await late(database, Word(1, 1, "sent"))
    assert await database.fetch_value("SELECT state FROM attempts") == "undelivered"


# ---------------------------------------------------------------- what a crash left


async def test_asked_about_is_what_may_have_left_from_its_time_on(database: Database):
    await sending(database, 5)
    await tell(
        database, Word(message_id=2, attempt=1, state="unknown"), Word(message_id=3, attempt=1, state="sent")
    )
    await database.execute("UPDATE messages SET ask_at = to_timestamp($1) WHERE message_id = 4", NOW + 500)
    assert await receipts.to_ask(database, [KEY], ASK_AT - 1, NOW + 10_000, 10) == []
    left = await receipts.to_ask(database, [KEY, CampaignKey(1, CAMPAIGN + 1)], ASK_AT, NOW + 10_000, 10)
    assert [(each.campaign_id, each.message_id, each.attempt, each.phone, each.slot_at) for each in left] == [
        (CAMPAIGN, each, 1, phone(each), NOW + 1) for each in (1, 2, 5)
    ]
    assert {each.number_phone for each in left} == {OUR_PHONE}
    assert len(await receipts.to_ask(database, [KEY], ASK_AT + 500, NOW + 10_000, 2)) == 2


async def test_the_times_from_when_the_first_and_the_last_may_be_asked_about(database: Database):
    other = CampaignKey(1, CAMPAIGN + 1)
    assert await receipts.ask_times(database, [KEY, other]) is None
    await sending(database, 3)
    await database.execute("UPDATE messages SET ask_at = to_timestamp($1) WHERE message_id = 2", NOW + 500)
    await tell(database, Word(message_id=1, attempt=1, state="unknown"))
    assert await receipts.ask_times(database, [KEY, other]) == AskTimes(ASK_AT, NOW + 500)
    assert await receipts.ask_times(database, [other]) is None
    await tell(database, *(Word(message_id=each, attempt=1, state="sent") for each in (1, 2, 3)))
    assert await receipts.ask_times(database, [KEY, other]) is None


async def test_what_is_asked_about_is_unknown_and_has_its_next_time(database: Database):
    await sending(database, 3)
    await tell(database, Word(message_id=3, attempt=1, state="delivered"))
    asked = [Asked(*KEY, each, 1) for each in (1, 2, 3)] + [Asked(*KEY, 1, 2)]
    assert await receipts.ask_later(database, asked, NOW + 900) == {1: "sending", 2: "sending"}
    row = await message(database, 1)
    assert (row["state"], row["reason"]) == ("unknown", "nobody told what became of it")
    assert row["ask_at"].timestamp() == NOW + 900
    assert (await message(database, 3))["ask_at"] is None
    assert await receipts.to_ask(database, [KEY], NOW + 899, NOW + 10_000, 10) == []


async def test_the_ids_of_a_persons_other_texts_are_known(database: Database):
    """Of other messages, and of earlier attempts of the same one."""
    await sending(database, 2)
    await tell(database, Word(message_id=1, attempt=1, state="sent", provider_sid="SM1"))
    await database.execute("UPDATE messages SET contact_id = 2 WHERE message_id = 1")
    await database.execute(
        "INSERT INTO attempts (organisation_id, campaign_id, message_id, attempt, provider_sid, ended_at, state)"
        " VALUES ($1, $2, 2, 0, 'SM0', now(), 'failed')",
        *KEY,
    )
    (left,) = await receipts.to_ask(database, [KEY], ASK_AT, NOW + 10_000, 10)
    assert (left.message_id, list(left.others)) == (2, ["SM0", "SM1"])


async def test_a_time_that_a_worker_wrote_whose_clock_was_ahead_is_not_waited_for(database: Database):
    await sending(database, 2)
    await database.execute("UPDATE messages SET ask_at = to_timestamp($1) WHERE message_id = 2", NOW + 3600)
    assert await receipts.to_ask(database, [KEY], NOW, NOW + 3600, 10) == []
    (left,) = await receipts.to_ask(database, [KEY], NOW, NOW + 3599, 10)
    assert left.message_id == 2
