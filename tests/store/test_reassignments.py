"""Contacts change hands while others answer, write, claim and report: over several connections (F193)."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.core.bank.assignment import split
from gateway.core.bank.labels import Marks
from gateway.store import conversations, labels, reassignments, threads
from gateway.store.database import Database
from gateway.store.messages import admit
from gateway.store.reassignments import Begun, Move, Scope
from gateway.store.troubles import DatabaseBusy
from tests.store.rows import ACTION, ASK_AT, GROUP, KEY, NOW, SCOPE, admission, heard, people
from tests.store.rows import admit as admitted
from tests.store.test_conversations import hear

ANN, BEN, CLEO = 7, 8, 9
CONTACTS = 60
TEXTED = 40


async def bank(database: Database) -> None:
    """Ann has all contacts, texted the first forty, who wrote; the others are on her screen."""
    await people(database, CONTACTS)
    await database.execute(
        "INSERT INTO actions (organisation_id, campaign_id, action_id, title, scripts, state) VALUES (1, 1, $1, 'A', '{}', 'public')",
        ACTION,
    )
    await database.execute(
        """
        INSERT INTO assignments (organisation_id, campaign_id, action_id, contact_id, hours_group, turn, volunteer_id)
        SELECT 1, 1, $1, n, $2, n, $3 FROM generate_series(1, $4::int) n
        """,
        ACTION,
        GROUP,
        ANN,
        CONTACTS,
    )
    await database.execute(
        """
        INSERT INTO buckets (organisation_id, campaign_id, action_id, volunteer_id, bucket_id, contact_ids, look_at)
        SELECT 1, 1, $1, $2, 1, array_agg(n), now() FROM generate_series(1, $3::int) n
        """,
        ACTION,
        ANN,
        CONTACTS,
    )
    await admitted(database, *(admission(each, sender_id=ANN) for each in range(1, TEXTED + 1)))
    await hear(database, *(heard(each, each) for each in range(1, TEXTED + 1)))


async def begun(database: Database, number: int = 1) -> Begun:
    known = await reassignments.show(database, KEY, number)
    return known or await reassignments.begin(database, KEY, number, "user:1", NOW, None, 0)


async def moved(database: Database, scope: Scope, *to: int, number: int = 1, at_once: int = 7) -> int:
    found = [each.contact_id for each in await reassignments.find(database, KEY, scope, 1000)]
    moves = [Move(*pair) for pair in split(found, to, number).pairs]
    total, which = 0, await begun(database, number)
    for begin in range(0, len(moves), at_once):
        piece = moves[begin : begin + at_once]
        total += await reassignments.move(database, KEY, which, scope, piece, NOW + 100)
    return total


async def insistently(doing: Callable[[], Awaitable[Any]]) -> Any:
    """Once more where the database says that somebody else goes first."""
    for _ in range(5):
        try:
            return await doing()
        except DatabaseBusy:
            await asyncio.sleep(0)
    return await doing()


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_goes_on_each_contact_has_one_owner_the_new_one(
    database: Database, other: Database, seed: int
) -> None:
    await bank(database)
    rng, counter = random.Random(seed), iter(range(1000, 9000))

    async def answers(contact_id: int) -> bool:
        """As Ann saw it before."""
        row = admission(
            next(counter), contact_id, kind="reply", sender_id=ANN, seen_revision=2, requested_at=NOW + 90
        )
        async with database.connection() as connection:
            return bool(await admit(connection, KEY, SCOPE, [row], ASK_AT))

    async def texts_first(contact_id: int) -> bool:
        row = admission(next(counter), contact_id, sender_id=ANN, requested_at=NOW + 90)
        async with database.connection() as connection:
            return bool(await admit(connection, KEY, SCOPE, [row], ASK_AT))

    async def writes(contact_id: int) -> None:
        number = next(counter)
        await hear(database, heard(number, contact_id, "And?", received_at=NOW + 95))

    async def hands_over(contact_id: int) -> None:
        await threads.hand_over(database, KEY, contact_id, 2, CLEO, NOW + 95)

    async def reports(contact_id: int) -> None:
        async with database.transaction() as transaction:
            await conversations.report(transaction, KEY, contact_id, NOW + 96)
            await labels.apply(transaction, KEY, contact_id, Marks(fields={"pet": "cat"}), ANN, NOW + 96)

    acts: list[Callable[[], Awaitable[Any]]] = [
        *((lambda each=each: answers(each)) for each in range(1, TEXTED + 1)),
        *((lambda each=each: texts_first(each)) for each in range(TEXTED + 1, CONTACTS + 1)),
        *(
            (lambda each=each: rng.choice([writes, reports])(each))
            for each in rng.sample(range(1, TEXTED + 1), 20)
        ),
        *((lambda each=each: hands_over(each)) for each in rng.sample(range(1, TEXTED + 1), 5)),
        lambda: moved(other, Scope(from_id=ANN), BEN),
    ]
    rng.shuffle(acts)
    await asyncio.gather(*(insistently(each) for each in acts))
    rows = await database.fetch(
        """
        SELECT v.volunteer_id, coalesce(a.volunteer_id, a.kept_for) FROM conversations v
        JOIN assignments a ON a.contact_id = v.contact_id WHERE v.last_outbound_at IS NOT NULL
        """
    )
    assert rows
    assert all(row[0] == row[1] and row[0] in (BEN, CLEO) for row in rows)
    left = await database.fetch("SELECT 1 FROM assignments WHERE volunteer_id = $1 OR kept_for = $1", ANN)
    assert left == []
    assert not any([await answers(each) for each in range(1, TEXTED + 1)]), "Ann's screen is of before"


async def test_two_who_reassign_at_once_move_each_contact_once(database: Database, other: Database) -> None:
    await bank(database)
    totals = await asyncio.gather(
        insistently(lambda: moved(database, Scope(from_id=ANN), BEN, number=1)),
        insistently(lambda: moved(other, Scope(from_id=ANN), CLEO, number=2)),
    )
    assert sum(totals) >= CONTACTS
    owners = await database.fetch(
        "SELECT DISTINCT coalesce(volunteer_id, kept_for) FROM assignments ORDER BY 1"
    )
    assert {row[0] for row in owners} <= {BEN, CLEO}
    torn = await database.fetch(
        """
        SELECT 1 FROM conversations v JOIN assignments a USING (contact_id)
        WHERE v.last_outbound_at IS NOT NULL AND v.volunteer_id IS DISTINCT FROM a.volunteer_id
        """
    )
    assert torn == []


async def test_undone_all_is_as_before_but_for_revisions(database: Database) -> None:
    await bank(database)
    columns = "contact_id, volunteer_id, kept_for"
    before = await database.fetch(f"SELECT {columns} FROM assignments ORDER BY contact_id")
    assert await moved(database, Scope(from_id=ANN), BEN, CLEO) == CONTACTS
    undone = await reassignments.undo(database, KEY, 1, NOW + 200, at_once=7)
    assert (undone.undone, undone.changed, undone.changed_ids) == (CONTACTS, 0, [])
    assert await database.fetch(f"SELECT {columns} FROM assignments ORDER BY contact_id") == before
    owners = await database.fetch(
        "SELECT DISTINCT volunteer_id FROM conversations WHERE last_outbound_at IS NOT NULL"
    )
    assert [row[0] for row in owners] == [ANN]
    again = await reassignments.undo(database, KEY, 1, NOW + 300)
    assert (again.undone, again.changed) == (0, 0)  # there is nobody left to look at
