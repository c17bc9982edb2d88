"""Ids in blocks."""

import asyncio
from datetime import UTC, datetime

import pytest

from gateway.clock import Clock
from gateway.store.database import Database
from gateway.store.ids import BLOCK, Ids, IdsByMonth


@pytest.mark.parametrize("counts", [[1, 1, 1], [0, 5], [BLOCK, 1], [BLOCK - 1, 3, 2 * BLOCK], [3 * BLOCK]])
async def test_ids_rise_and_are_never_given_twice(database: Database, counts: list[int]):
    ids = Ids(database)
    taken = [await ids.take(count) for count in counts]
    assert [len(some) for some in taken] == counts
    everything = [each for some in taken for each in some]
    assert everything == sorted(set(everything))
    assert all(each > 0 for each in everything)


async def test_a_block_costs_one_round_trip(database: Database):
    ids = Ids(database)
    for _ in range(BLOCK):
        await ids.take(1)
    assert await database.fetch_value("SELECT last_value FROM id_blocks") == 1


async def test_workers_share_no_id(database: Database, other: Database):
    workers = [Ids(database), Ids(other), Ids(database)]
    taken = await asyncio.gather(*(worker.take(700) for worker in workers for _ in range(3)))
    everything = [each for some in taken for each in some]
    assert len(set(everything)) == len(everything) == 6300


async def test_ids_of_what_grows_begin_with_their_month(database: Database):
    seconds = [datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC).timestamp()]
    ids = IdsByMonth(database, _Set(seconds))
    before = await ids.take(BLOCK - 1)
    seconds[0] += 1.0
    [same_block, other_block] = await ids.take(2)
    assert [each // 10**10 for each in (before[0], before[-1], same_block, other_block)] == [
        2611,
        2611,
        2612,
        2612,
    ]
    assert other_block == same_block + 1
    assert len({each % 10**10 for each in [*before, same_block, other_block]}) == BLOCK + 1


async def test_ids_of_a_month_begin_again_when_the_sequence_outgrows_it(database: Database):
    ids = IdsByMonth(database, _Set([datetime(2026, 11, 1, tzinfo=UTC).timestamp()]))
    await database.execute("SELECT setval('id_blocks', $1)", 10**7 - 2)
    taken = await ids.take(BLOCK + 1)
    assert taken[0] == 2611_9999999000
    assert taken[-1] == 2611_0000000000


class _Set(Clock):
    """A clock that shows what it is set to."""

    def __init__(self, seconds: list[float]) -> None:
        self._seconds = seconds

    def now(self) -> float:
        return self._seconds[0]
