"""Contacts that are kept for somebody whose place in the campaign is taken away at that very moment (F184)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest

from gateway.store import campaign_actions, kept, publishing, reassignments
from gateway.store.database import Database
from gateway.store.reassignments import Move, Scope, Undone
from tests.store.rows import ACTION, KEY, NOW, an_action, people

ANN, BEN = 7, 8
CONTACTS = 6


@pytest.fixture
async def bank(database: Database) -> None:
    """Six people are kept for Ann."""
    await people(database, CONTACTS)
    for user_id in (ANN, BEN):
        await database.execute(
            "INSERT INTO users (organisation_id, user_id, email, name, language, created_at) VALUES (1, $1::bigint, $1::text, 'A', 'en', now())",
            user_id,
        )
        await database.execute("INSERT INTO memberships VALUES (1, 1, $1, 'volunteer', now())", user_id)
    await database.execute("UPDATE contacts SET assignee_id = $1", ANN)
    await database.execute("UPDATE campaigns SET settings = '{\"keep_assignments\": true}'")
    await campaign_actions.create(database, KEY, an_action())
    await publishing.assign(database, KEY, ACTION, 1, (), 1)


async def kept_for(database: Database) -> list[int | None]:
    """Of the assignments, and of the contacts."""
    rows = await database.fetch(
        "SELECT DISTINCT kept_for FROM assignments UNION SELECT DISTINCT assignee_id FROM contacts ORDER BY 1"
    )
    return [row[0] for row in rows]


async def moved(database: Database, to_id: int) -> None:
    scope = Scope(from_id=ANN)
    begun = await reassignments.begin(database, KEY, 1, "user:1", NOW, None, 0)
    moves = [Move(each, to_id) for each in range(1, CONTACTS + 1)]
    await reassignments.move(database, KEY, begun, scope, moves, NOW + 100)


@asynccontextmanager
async def place_taken_away(database: Database, user_id: int) -> AsyncIterator[list[Awaitable[object]]]:
    """While that is being written, what stands in the list begins; it ends when all of that is done."""
    begun: list[Awaitable[object]] = []
    async with database.transaction() as transaction:
        await transaction.execute("UPDATE memberships SET deactivated_at = now() WHERE user_id = $1", user_id)
        await kept.no_longer_kept(transaction, KEY, user_id)
        yield begun
        tasks = [asyncio.ensure_future(each) for each in begun]
        async with asyncio.timeout(20.0):
            while not all(each.done() for each in tasks) and not await transaction.fetchval(
                "SELECT count(*) FROM pg_locks WHERE NOT granted"
            ):
                pass
    await asyncio.gather(*tasks)


@pytest.mark.usefixtures("bank")
async def test_an_undo_gives_nobody_back_to_whoever_goes_at_that_moment(
    database: Database, other: Database
) -> None:
    await moved(database, BEN)
    assert await kept_for(database) == [BEN]
    async with place_taken_away(database, ANN) as meanwhile:
        meanwhile.append(reassignments.undo(other, KEY, 1, NOW + 200))
    assert await kept_for(database) == [None]


@pytest.mark.usefixtures("bank")
async def test_whoever_goes_while_an_undo_is_written_keeps_nobody(
    database: Database, other: Database
) -> None:
    await moved(database, BEN)
    async with other.transaction() as transaction:
        await kept.hold(transaction, KEY)
        undoing = asyncio.ensure_future(reassignments.undo(database, KEY, 1, NOW + 200))
        assert await undoing == Undone(CONTACTS, 0, [])
    async with place_taken_away(database, ANN):
        pass
    assert await kept_for(database) == [None]


@pytest.mark.usefixtures("bank")
async def test_nobody_is_moved_to_whoever_goes_at_that_moment(database: Database, other: Database) -> None:
    """They stay with whoever has them."""
    async with place_taken_away(database, BEN) as meanwhile:
        meanwhile.append(moved(other, BEN))
    assert await kept_for(database) == [ANN]


@pytest.mark.usefixtures("bank")
async def test_an_action_that_is_published_at_that_moment_keeps_nobody_for_them(
    database: Database, other: Database
) -> None:
    await publishing.unassign(database, KEY, ACTION, 1)
    async with place_taken_away(database, ANN) as meanwhile:
        meanwhile.append(publishing.assign(other, KEY, ACTION, 1, (), 1))
    assert await kept_for(database) == [None]


@pytest.mark.usefixtures("bank")
async def test_a_list_that_names_somebody_who_is_gone_keeps_nobody_for_them(database: Database) -> None:
    """It was begun before, and took them from the list of those who were there then."""
    await publishing.unassign(database, KEY, ACTION, 1)
    async with place_taken_away(database, ANN):
        pass
    await database.execute("UPDATE contacts SET assignee_id = $1", ANN)
    await publishing.assign(database, KEY, ACTION, 1, (), 1)
    rows = await database.fetch("SELECT DISTINCT kept_for FROM assignments")
    assert [row[0] for row in rows] == [None]
