"""Ids in blocks."""

import asyncio

import pytest

from gateway.store.database import Database
from gateway.store.ids import BLOCK, Ids


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
