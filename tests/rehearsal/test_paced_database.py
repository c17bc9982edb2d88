"""A rehearsal's database: real statements, whose answers take the same virtual time on every machine."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import simpy

from simulator.rehearsal.loop import VirtualLoop, run
from simulator.rehearsal.paced_database import PacedDatabase

ANSWER_S = 0.5
SLOW = "SELECT pg_sleep(0.05)"


@pytest.fixture
def play(cluster) -> Callable[[Callable[[PacedDatabase], Awaitable[None]]], None]:
    """Runs a story over a paced database of its own, in virtual time."""

    def play(story: Callable[[PacedDatabase], Awaitable[None]]) -> None:
        dsn = cluster.empty()

        async def told(loop: VirtualLoop) -> None:
            database = PacedDatabase(dsn)
            loop.wait_for(database)
            await database.open()
            database.answer_s = ANSWER_S
            await story(database)
            await database.close()

        run(simpy.Environment(), told)

    return play


def virtual_s() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("sql", ["SELECT 1", SLOW])
def test_an_answer_takes_the_same_virtual_time_however_long_it_really_took(play, sql):
    async def story(database):
        await database.fetch(sql)
        assert virtual_s() == ANSWER_S

    play(story)


@pytest.mark.parametrize("sql", ["SELECT 1", SLOW])
def test_the_world_goes_on_meanwhile_and_not_beyond(play, sql):
    async def story(database):
        seen = []
        env = asyncio.get_running_loop().env
        for at_s in (0.1, 0.4, 0.6):
            env.timeout(at_s, at_s).callbacks.append(lambda event: seen.append(event.value))
        await database.fetch(sql)
        assert seen == [0.1, 0.4]

    play(story)


def test_statements_are_carried_out_in_the_order_in_which_they_were_asked(play):
    async def story(database):
        async def ask(sleep_s: float) -> int:
            rows = await database.fetch("SELECT nextval('id_blocks'), pg_sleep($1)", sleep_s)
            assert virtual_s() == ANSWER_S
            return rows[0][0]

        slow, quick, third = await asyncio.gather(ask(0.05), ask(0.0), ask(0.0))
        assert (quick, third) == (slow + 1, slow + 2)

    play(story)


def test_a_transaction_stops_the_clock_also_behind_statements_under_way(play):
    async def story(database):
        under_way = asyncio.create_task(database.fetch(SLOW))
        await asyncio.sleep(0.1)
        async with database.transaction() as connection:
            await connection.fetchval("SELECT 1")
            await connection.fetchval("SELECT 2")
        assert virtual_s() == 0.1
        assert not under_way.done()
        await under_way
        assert virtual_s() == ANSWER_S

    play(story)


def test_a_failed_statement_is_told_in_time_and_harms_no_other(play):
    async def story(database):
        with pytest.raises(Exception, match="division by zero"):
            await database.fetch("SELECT 1 / 0")
        assert virtual_s() == ANSWER_S
        assert await database.fetch_value("SELECT 1") == 1

    play(story)


def test_who_asked_may_be_gone_the_statement_is_carried_out_all_the_same(play):
    async def story(database):
        before = await database.fetch_value("SELECT nextval('id_blocks')")
        asked = asyncio.create_task(database.fetch_value("SELECT nextval('id_blocks')"))
        await asyncio.sleep(0.1)
        asked.cancel()
        assert await database.fetch_value("SELECT nextval('id_blocks')") == before + 2
        assert database.in_flight == 0

    play(story)
