"""Chores: one worker at a time, how far they came, and that a dead worker's turn comes again."""

import asyncio

from gateway.store import chores
from gateway.store.chores import Turn
from gateway.store.database import Database
from tests.store.rows import NOW


async def test_one_of_all_workers_takes_a_turn(database: Database, other: Database) -> None:
    turns = await asyncio.gather(
        *(chores.take(each, "poll", NOW, 60) for each in (database, other, database))
    )
    assert sorted(turns, key=str) == [None, None, Turn(None)]
    assert await chores.take(other, "another", NOW, 60) == Turn(None)


async def test_what_is_done_is_remembered_and_the_next_turn_comes_when_due(database: Database) -> None:
    assert await chores.take(database, "poll", NOW, 60) == Turn(None)
    await chores.done(database, "poll", NOW - 5, NOW + 100)
    assert await chores.take(database, "poll", NOW + 99.9, 60) is None
    assert await chores.take(database, "poll", NOW + 100, 60) == Turn(NOW - 5)


async def test_the_turn_of_who_died_comes_again(database: Database, other: Database) -> None:
    assert await chores.take(database, "poll", NOW, 60) is not None
    assert await chores.take(other, "poll", NOW + 59, 60) is None
    assert await chores.take(other, "poll", NOW + 60, 60) == Turn(None)
