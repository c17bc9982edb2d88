"""Counts folded from the journal are those of the books, whoever folds, in whatever order things commit (F065 to F074,
F158 to F170)."""

import asyncio
import random
from collections.abc import Callable, Sequence

import asyncpg
import msgspec
import pytest

from gateway.core.bank.labels import Marks
from gateway.core.rules.campaign import CampaignKey
from gateway.store import claims, conversations, counts, messages, opt_outs, receipts, reports, threads
from gateway.store.claims import Claim, Refusal
from gateway.store.counts import Count
from gateway.store.database import Database
from gateway.store.receipts import Requeue, Word
from gateway.store.reports import ReportRow
from tests.store.rows import (
    ACTION,
    ASK_AT,
    CAMPAIGN,
    KEY,
    NOW,
    NUMBER,
    OWNER,
    SCOPE,
    admission,
    admit,
    heard,
    own_number,
    people,
    sending,
)

NOBODYS_ACTION = 0


async def fold_all(database: Database) -> None:
    """Somebody else's transaction in the same PostgreSQL may have to end first."""
    async with asyncio.timeout(30):
        while not await counts.catch_up(database, KEY, NOW):
            pass


async def of(database: Database, action_id: int = ACTION, per: counts.Per = "action") -> list[Count]:
    found = await counts.read(database, KEY, action_id, NOW, (per,))
    assert found is not None
    return found.rows


def numbers(rows: Sequence[Count]) -> dict[str, int]:
    return {" ".join(str(part) for part in (row.name, row.what, row.state, row.code or "") if part): row.number for row in rows}  # fmt: skip


async def counted(database: Database) -> None:
    await counts.count_anew(database, KEY, NOW)


# ---------------------------------------------------------------- what is counted


async def test_texts_by_state_code_script_and_volunteer(database: Database):
    await sending(database, 4)
    await counted(database)
    words = [
        Word(1, 1, "delivered", final_at=NOW),
        Word(2, 1, "undelivered", code=30003, final_at=NOW),
        Word(3, 1, "failed", code=30007, final_at=NOW),
    ]
    await receipts.tell(database, KEY, SCOPE, words, NOW)
    blocked = admission(9, 1, state="blocked", code=1001, kind="reply", script="r", sender_id=8, segments=2)
    await admit(database, blocked)
    await fold_all(database)
    initials = {
        "initial delivered": 1,
        "initial failed 30007": 1,
        "initial under_way": 1,
        "initial undelivered 30003": 1,
    }
    assert numbers(await of(database)) == initials | {"reply blocked 1001": 1}
    assert numbers(await of(database, per="user")) == {f"7 {what}": n for what, n in initials.items()} | {
        "8 reply blocked 1001": 1
    }
    assert numbers(await of(database, per="script")) == {"r reply blocked 1001": 1}
    assert [row.segments for row in await of(database, per="script")] == [2]


async def test_responses_belong_to_the_action_its_script_and_its_volunteer(database: Database):
    """F159, F161: times people wrote, and who opted out by it; a second STOP opts nobody out."""
    await people(database)
    await counted(database)
    await admit(database, admission(1, script="A"), admission(2, script="B"))
    await conversations.hear(
        database, KEY, SCOPE, [heard(1, 1), heard(2, 1), heard(3, 2, "STOP", intent="stop")]
    )
    await conversations.hear(database, KEY, SCOPE, [heard(4, 2, "STOP", intent="stop"), heard(5, 3)])
    await opt_outs.opt_out(database, KEY, SCOPE, 1, "manual", NOW, 7)
    await fold_all(database)
    assert numbers(await of(database)) == {
        "initial under_way": 2,
        "opted_out manual": 1,
        "responder": 2,
        "response opted_out": 1,
        "response reply": 2,
        "response stop": 1,
    }
    assert numbers(await of(database, per="script")) == {
        "A initial under_way": 1,
        "A responder": 1,
        "A response reply": 2,
        "B initial under_way": 1,
        "B responder": 1,
        "B response opted_out": 1,
        "B response stop": 1,
    }
    assert numbers(await of(database, NOBODYS_ACTION)) == {"responder": 1, "response reply": 1}


async def test_reports_and_opt_outs_noted_by_hand(database: Database):
    """F156, F168; C11: automatic and manual opt-outs are counted apart."""
    await people(database)
    row = ReportRow(report_id=1, contact_id=1, action_id=ACTION, user_id=8, at=NOW, marks=Marks())
    async with database.transaction() as connection:
        assert await reports.file(connection, KEY, row)
    await counted(database)
    assert numbers(await of(database)) == {"report": 1}
    async with database.transaction() as connection:
        assert await reports.file(connection, KEY, msgspec.structs.replace(row, report_id=2))
    await fold_all(database)
    assert numbers(await of(database)) == {"report": 2}
    assert numbers(await of(database, per="user")) == {"8 report": 2}


async def test_each_fold_is_a_version_and_nothing_new_is_none(database: Database):
    await people(database)
    assert (await counts.fold(database, KEY, NOW)).is_new
    assert await counts.read(database, KEY, ACTION, NOW) is None
    await counted(database)
    assert await counts.fold(database, KEY, NOW) == counts.Folded(0)
    await admit(database, admission(1))
    before = await counts.read(database, KEY, ACTION, NOW + 3)
    assert before is not None
    assert (before.behind_s, before.rows, before.version.version) == (3.0, [], 0)
    assert await counts.uncounted(database, [KEY, CampaignKey(1, 99)]) == [CAMPAIGN, 99]
    await fold_all(database)
    after = await counts.read(database, KEY, ACTION, NOW + 3)
    assert after is not None
    assert (after.behind_s, len(after.rows), after.version.version) == (0.0, 1, 1)
    assert after.version.epoch == before.version.epoch
    assert await counts.uncounted(database, [KEY]) == []


async def test_a_fold_that_breaks_off_counts_nothing(database: Database):
    await people(database)
    await counted(database)
    await admit(database, admission(1))
    async with database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.fetch(counts._FOLD, *KEY, NOW, 10)
        assert (await counts.fold(database, KEY, NOW)).is_more  # nobody else counts meanwhile
        await transaction.rollback()
    assert await of(database) == []
    await fold_all(database)
    assert numbers(await of(database)) == {"initial under_way": 1}


async def test_what_is_under_way_is_counted_once_when_all_is_counted_anew(
    database: Database, other: Database
):
    """A transaction that ended beside one that has not stands in the books, and comes again with the journal."""
    await people(database)
    async with other.transaction() as slow:
        await messages.admit(slow, KEY, SCOPE, [admission(1)], ASK_AT)
        await admit(database, admission(2))
        await counted(database)
        assert await of(database) == []
    await fold_all(database)
    assert numbers(await of(database)) == {"initial under_way": 2}


# ---------------------------------------------------------------- random histories


CONTACTS = 30
CODES = {"failed": 30008, "undelivered": 30003}


class Bank:
    """What several workers do at random to a small bank; each step in a transaction of its own, or taken back."""

    def __init__(self, seed: int, database: Database) -> None:
        self.drawn = random.Random(seed)
        self.database = database
        self.next_id = 0

    def ids(self, count: int) -> list[int]:
        self.next_id += count
        return list(range(self.next_id - count + 1, self.next_id + 1))

    def some(self) -> list[int]:
        """Messages, each once."""
        known = list(range(1, self.next_id + 1))
        return sorted(self.drawn.sample(known, min(len(known), self.drawn.randint(1, 6))))

    async def admit(self, connection: Database) -> None:
        rows = []
        contacts = self.drawn.sample(range(1, CONTACTS + 1), 4)
        revisions = await connection.fetch(
            "SELECT contact_id, revision FROM conversations WHERE contact_id = ANY ($1::bigint[])", contacts
        )
        known = {row[0]: row[1] for row in revisions}
        for message_id, contact in zip(self.ids(4), contacts, strict=True):
            is_blocked = self.drawn.random() < 0.2
            rows.append(
                admission(
                    message_id,
                    contact,
                    kind=self.drawn.choice(["initial", "reply"]),
                    action_id=self.drawn.choice([ACTION, 6, None]),
                    sender_id=self.drawn.choice([7, 8, None]),
                    script=self.drawn.choice(["A", "B", None]),
                    segments=self.drawn.randint(1, 3),
                    state="blocked" if is_blocked else "queued",
                    code=1001 if is_blocked else None,
                    seen_revision=known.get(contact, 0),
                )
            )
        await messages.admit(connection, KEY, SCOPE, rows, ASK_AT)

    async def claim(self, connection: Database) -> None:
        rows = [Claim(each, each, NUMBER, NOW) for each in self.some()]
        found = await connection.fetch("SELECT message_id, contact_id FROM messages ORDER BY message_id")
        contact_of = {row[0]: row[1] for row in found}
        rows = [Claim(row.message_id, contact_of[row.message_id], NUMBER, NOW) for row in rows if row.message_id in contact_of]  # fmt: skip
        await claims.claim(
            connection, KEY, SCOPE, rows, now=NOW, ask_at=ASK_AT, token=OWNER, skips_locked=True
        )

    async def tell(self, connection: Database) -> None:
        states = ["sent", "delivered", "undelivered", "failed", "unknown"]
        words = [
            Word(each, self.drawn.choice([1, 1, 2]), state, code=CODES.get(state), final_at=NOW)
            for each in self.some()
            for state in [self.drawn.choice(states)]
        ]
        await receipts.tell(connection, KEY, SCOPE, words, NOW)

    async def late(self, connection: Database) -> None:
        words = [Word(each, 1, self.drawn.choice(["sent", "delivered"])) for each in self.some()]
        await receipts.late(connection, KEY, words, NOW)

    async def requeue(self, connection: Database) -> None:
        ids = self.some()
        there = await receipts.lock(connection, KEY, ids)
        rows = [Requeue(each, there[each].attempt, "failed", 30008, None, None, NOW, spends_attempt=True) for each in ids if each in there]  # fmt: skip
        await receipts.requeue(connection, KEY, rows, NOW)

    async def block(self, connection: Database) -> None:
        await claims.block(connection, KEY, [Refusal(each, 1202, "late") for each in self.some()], NOW)

    async def hear(self, connection: Database) -> None:
        intents = [self.drawn.choice(["reply", "reply", "stop", "start", "help"]) for _ in range(4)]
        ids = [10_000 + each for each in self.ids(4)]
        texts = [heard(each, self.drawn.randint(1, CONTACTS + 3), intent=intent, received_at=NOW + each) for each, intent in zip(ids, intents, strict=True)]  # fmt: skip
        await conversations.hear(connection, KEY, SCOPE, texts)

    async def opt_out(self, connection: Database) -> None:
        await opt_outs.opt_out(connection, KEY, SCOPE, self.drawn.randint(1, CONTACTS), "manual", NOW, 7)

    async def hand_over(self, connection: Database) -> None:
        await threads.hand_over(connection, KEY, self.drawn.randint(1, CONTACTS), 1, 8, NOW)

    async def step(self) -> None:
        acts = [self.admit, self.claim, self.tell, self.late, self.requeue, self.block, self.hear, self.opt_out, self.hand_over]  # fmt: skip
        act: Callable[..., object] = self.drawn.choices(acts, weights=[4, 4, 5, 4, 5, 1, 3, 1, 1])[0]
        async with self.database.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                await act(connection)
                for _ in range(self.drawn.randrange(20)):
                    await asyncio.sleep(0)
            except asyncpg.DeadlockDetectedError:  # of two random batches: taken back, as a worker would
                await transaction.rollback()
                return
            if self.drawn.random() < 0.1:
                await transaction.rollback()
            else:
                await transaction.commit()

    async def count(self) -> None:
        """A worker that counts, and breaks off now and then in the middle."""
        async with self.database.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await connection.fetch(counts._FOLD, *KEY, NOW, self.drawn.randint(1, 5))
            if self.drawn.random() < 0.3:
                await transaction.rollback()
            else:
                await transaction.commit()


@pytest.mark.parametrize("seed", range(6))
async def test_maintained_counts_are_those_of_the_books(database: Database, dsn: str, seed: int):
    await people(database, CONTACTS)
    await own_number(database)
    await database.execute("UPDATE campaigns SET owner_id = $1, owner_epoch = $2", *OWNER)
    many = Database(dsn, connections=6)
    bank = Bank(seed, many)
    steps = 150

    async def act() -> None:
        nonlocal steps
        while (steps := steps - 1) >= 0:
            await bank.step()
            if steps < 75:
                half_way.set()

    async def count() -> None:
        while steps > 0:
            await bank.count()

    half_way = asyncio.Event()

    async def begin_anew() -> None:
        await half_way.wait()
        await counts.count_anew(many, KEY, NOW)

    try:
        await bank.step()
        await counted(database)
        async with asyncio.timeout(60):
            await asyncio.gather(act(), act(), act(), count(), count(), begin_anew())
        await fold_all(database)
        async with database.connection() as connection:
            books = await counts.recount(connection, KEY)
    finally:
        await many.close()
    kept = [row for action in (ACTION, 6, NOBODYS_ACTION) for per in ("action", "script", "user", "pair") for row in await of(database, action, per)]  # fmt: skip
    assert sorted(kept, key=repr) == sorted(books, key=repr)
    assert {"initial", "reply", "response", "responder"} <= {row.what for row in kept}


async def test_two_workers_that_count_anew_at_once_count_the_same(database: Database, other: Database):
    await people(database, 40)
    await admit(database, *(admission(each) for each in range(1, 41)))
    for _ in range(5):
        await asyncio.gather(*(counts.count_anew(each, KEY, NOW) for each in (database, other)))
        await fold_all(database)
        assert numbers(await of(database)) == {"initial under_way": 40}


async def test_two_workers_that_count_at_once_count_each_event_once(database: Database, other: Database):
    await people(database, 40)
    await counted(database)
    for each in range(1, 41):
        await admit(database, admission(each))
    for _ in range(15):
        await asyncio.gather(*(counts.fold(each, KEY, NOW, limit=3) for each in (database, other)))
    await fold_all(database)
    assert numbers(await of(database)) == {"initial under_way": 40}
