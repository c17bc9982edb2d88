"""The one door: first come first served, lost connections, and nobody counted twice or forgotten."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from gateway.core.rules.errors import BadInput
from gateway.store.database import Database
from gateway.store.troubles import DatabaseGone

HANG_S = 3.0  # only a test that would never end meets it
NOBODY = "postgresql://nobody@/none?host=/nonexistent"


async def backend(database: Database) -> int:
    return await database.fetch_value("SELECT pg_backend_pid()")


async def kill(killer: Database, victim: int) -> None:
    assert await killer.fetch_value("SELECT pg_terminate_backend($1, 5000)", victim)


async def test_open_connects_once_and_close_ends_it(dsn: str):
    database = Database(dsn, connections=2)
    await database.open()
    assert database.generation == 1
    assert await database.fetch_value("SELECT 1") == 1
    assert database.generation == 1
    await database.close()
    assert database.in_flight == 0


async def test_each_wait_for_a_connection_is_told(dsn: str):
    database, waits = Database(dsn, connections=1), []
    await database.open()
    database.waited = waits.append
    assert database.in_use == 0
    async with database.connection():
        assert (database.in_use, waits) == (1, [0.0])
        second = asyncio.ensure_future(database.fetch_value("SELECT pg_backend_pid()"))
        while not database._waiting:  # noqa: ASYNC110 - it waits for us
            await asyncio.sleep(0)
        assert len(waits) == 1
    await second
    assert len(waits) == 2
    assert waits[1] > 0
    assert database.in_use == 0
    await database.close()


@pytest.mark.parametrize("dsn_of", ["nowhere", "no such database", "no address"])
async def test_a_server_that_cannot_be_used_is_bad_input(dsn_of: str, dsn: str):
    bad = {
        "nowhere": NOBODY,
        "no such database": dsn.replace("/common", "/none"),
        "no address": "postgres:///%",
    }
    database = Database(bad[dsn_of], connections=1)
    with pytest.raises(BadInput, match="does not answer"):
        await database.open()
    assert database.in_flight == 0


async def test_one_connection_serves_in_the_order_of_the_callers(dsn: str):
    database = Database(dsn, connections=1)
    order: list[int] = []

    async def work(number: int) -> None:
        async with database.connection() as connection:
            await connection.fetch("SELECT 1")
            order.append(number)

    await asyncio.gather(*(work(number) for number in range(20)))
    await database.close()
    assert order == list(range(20))


async def test_a_caller_who_comes_again_goes_to_the_end(dsn: str):
    database = Database(dsn, connections=1)
    order: list[str] = []

    async def work(name: str) -> None:
        for turn in (1, 2):
            async with database.connection() as connection:
                await connection.fetch("SELECT 1")
                order.append(f"{name}{turn}")

    await asyncio.gather(work("a"), work("b"))
    await database.close()
    assert order == ["a1", "b1", "a2", "b2"]


async def test_never_more_connections_than_allowed(dsn: str):
    database = Database(dsn, connections=3)
    pids = await asyncio.gather(*(backend(database) for _ in range(30)))
    assert len(set(pids)) == 3
    assert database.generation == 3
    await database.close()


async def test_in_flight_counts_from_before_the_connection_until_after_the_answer(dsn: str):
    database = Database(dsn, connections=1)
    calls = [asyncio.ensure_future(database.fetch("SELECT pg_sleep(0)")) for _ in range(3)]
    await asyncio.sleep(0)
    assert database.in_flight == 3
    await asyncio.gather(*calls)
    assert database.in_flight == 0
    await database.close()


async def test_an_error_of_the_statement_is_the_callers_and_the_connection_goes_on(database: Database):
    pid = await backend(database)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await database.fetch("SELECT 1 / 0")
    with pytest.raises(asyncpg.DataError):
        await database.fetch("SELECT $1::bigint", 2**70)
    assert await backend(database) == pid
    assert database.in_flight == 0


async def test_a_connection_that_broke_while_nobody_used_it_harms_nobody(dsn: str, other: Database):
    database = Database(dsn, connections=1)
    victim = await backend(database)
    await kill(other, victim)
    while not database._idle[0].is_closed():  # noqa: ASYNC110 - the loop has yet to hear of it
        await asyncio.sleep(0)
    assert await backend(database) != victim
    await database.close()


@pytest.mark.parametrize("when", ["within it", "within a transaction"])
async def test_a_lost_connection_is_gone_and_the_next_call_has_a_new_one(
    dsn: str, other: Database, when: str
):
    database = Database(dsn, connections=1)
    victim = await backend(database)

    async def use() -> None:
        async with database.transaction() as connection:
            await kill(other, victim)
            await connection.fetch("SELECT 1")

    if when == "within it":
        work = database.fetch("SELECT pg_terminate_backend(pg_backend_pid())")
    else:
        work = use()
    with pytest.raises(DatabaseGone):
        await work
    assert database.in_flight == 0
    assert await backend(database) != victim
    assert database.generation == 2
    await database.close()


async def test_a_transaction_that_fails_leaves_nothing(other: Database):
    database = other
    await database.script("CREATE TEMP TABLE kept (one integer)")

    async def fails() -> None:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO kept VALUES (1)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fails()
    assert await database.fetch_value("SELECT count(*) FROM kept") == 0
    assert database.in_flight == 0


async def test_cancelled_while_it_waits_for_a_connection(dsn: str):
    database = Database(dsn, connections=1)
    async with database.connection():
        waiting = [asyncio.ensure_future(database.fetch("SELECT 1")) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        await asyncio.sleep(0)
        assert database.in_flight == 3
    done = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(done[1], asyncio.CancelledError)
    assert [done[0][0][0], done[2][0][0]] == [1, 1]
    assert database.in_flight == 0
    await database.close()


async def test_cancelled_when_its_turn_has_just_come_hands_the_turn_on(dsn: str):
    database = Database(dsn, connections=1)
    async with database.connection():
        first = asyncio.ensure_future(database.fetch("SELECT 1"))
        second = asyncio.ensure_future(database.fetch("SELECT 2"))
        await asyncio.sleep(0)
    first.cancel()  # the connection is free and the first was told, but has not run yet
    assert (await asyncio.wait_for(second, HANG_S))[0][0] == 2
    assert database.in_flight == 0
    await database.close()


async def test_cancelled_within_a_statement_the_connection_can_be_used_again(dsn: str):
    database = Database(dsn, connections=1)
    await database.open()
    slow = asyncio.ensure_future(database.fetch("SELECT pg_sleep(60)"))
    for _ in range(3):
        await asyncio.sleep(0)
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert database.in_flight == 0
    assert await asyncio.wait_for(database.fetch_value("SELECT 1"), HANG_S) == 1
    await database.close()


async def test_when_no_connection_can_be_made_everybody_who_waits_is_told(tmp_path: Path):
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    server = await asyncio.start_unix_server(hang_up, tmp_path / ".s.PGSQL.5432")  # hangs up on everybody
    database = Database(f"postgresql://nobody@/none?host={tmp_path}", connections=1)
    calls = asyncio.gather(*(database.fetch("SELECT 1") for _ in range(3)), return_exceptions=True)
    try:
        told = await asyncio.wait_for(calls, HANG_S)
    finally:
        server.close()
        await server.wait_closed()
    assert [type(each) for each in told] == [DatabaseGone] * 3
    assert database.in_flight == 0


async def test_copy_and_script(other: Database):
    database = other
    await database.script("CREATE TEMP TABLE one (a integer, b text); INSERT INTO one VALUES (0, 'zero')")
    await database.copy("one", ("a", "b"), [(1, "one"), (2, None)])
    assert [tuple(row) for row in await database.fetch("SELECT a, b FROM one ORDER BY a")] == [
        (0, "zero"),
        (1, "one"),
        (2, None),
    ]
    assert await database.fetch_row("SELECT 1 WHERE false") is None
    assert await database.fetch_value("SELECT 1 WHERE false") is None
