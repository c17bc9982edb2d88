"""Every step of the database has a limit: a silent host, a frozen server, a lock, a server that refuses."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.store.database import Database
from gateway.store.limits import NO_TIMERS, ORDINARY, Limits, patient, within
from gateway.store.probe import DatabaseProbe
from gateway.store.troubles import DatabaseAway, DatabaseBusy, DatabaseGone
from tests.store.faulty_line import FaultyLine

HANG_S = 20.0  # only a test that would never end meets it
FAST = Limits(
    connect_s=2.0,  # a busy machine may need that long
    turn_s=2.0,
    answer_s=0.5,
    statement_s=0.3,
    lock_s=0.1,
    idle_in_transaction_s=0.3,
    watch_s=0.1,
)
PATIENT = patient(FAST, 60.0)


@pytest.fixture
async def line(dsn: str) -> AsyncIterator[FaultyLine]:
    async with FaultyLine(dsn) as faulty:
        yield faulty


@asynccontextmanager
async def door(dsn: str, connections: int = 1, limits: Limits = FAST) -> AsyncIterator[Database]:
    database = Database(dsn, connections, limits=limits)
    try:
        yield database
    finally:
        database.hang_up()
        assert database.in_flight == 0


# ---------------------------------------------------------------- nobody answers


async def test_a_host_that_vanished_is_given_up_and_found_again(line: FaultyLine):
    async with door(line.dsn) as database:
        assert await database.fetch_value("SELECT 1") == 1
        line.silence()
        for _ in range(2):  # within an open connection, and at the next one
            with pytest.raises(DatabaseGone):
                await database.fetch_value("SELECT 2")
        assert database.outage.is_on
        line.speak()
        assert await database.fetch_value("SELECT 3") == 3
        assert not database.outage.is_on


async def test_everybody_who_waits_is_told(line: FaultyLine):
    async with door(line.dsn, connections=2) as database:
        await asyncio.gather(*(database.fetch("SELECT 1") for _ in range(2)))
        line.silence()
        calls = (database.fetch("SELECT 2") for _ in range(50))
        told = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(each, DatabaseAway) for each in told)
        line.speak()
        assert await database.fetch_value("SELECT 3") == 3


async def test_a_transaction_on_a_silent_line_ends(line: FaultyLine):
    async def work(database: Database) -> None:
        async with database.transaction() as connection:
            await connection.fetch("SELECT 1")
            line.silence()
            await connection.fetch("SELECT 2")

    async with door(line.dsn) as database:
        with pytest.raises(DatabaseGone):
            await work(database)
        line.speak()
        assert await database.fetch_value("SELECT 3") == 3


async def test_a_frozen_server_process_is_given_up(dsn: str):
    async with door(dsn) as database:
        backend = await database.fetch_value("SELECT pg_backend_pid()")
        os.kill(backend, signal.SIGSTOP)
        try:
            with pytest.raises(DatabaseGone):
                await database.fetch_value("SELECT 1")
            assert await database.fetch_value("SELECT pg_backend_pid()") != backend
        finally:
            os.kill(backend, signal.SIGCONT)


async def test_a_statement_that_we_gave_up_does_not_hold_its_locks(dsn: str, other: Database):
    limits = Limits(answer_s=0.3, statement_s=60.0, watch_s=0.1)
    async with door(dsn, limits=limits) as database:
        with pytest.raises(DatabaseGone):
            await database.fetch("SELECT pg_advisory_lock(7), pg_sleep(60)")
    async with asyncio.timeout(HANG_S):
        await other.script("SET lock_timeout = 0; SELECT pg_advisory_lock(7)")  # else it waits for a minute


async def test_cancelled_in_silence_the_next_caller_does_not_wait_for_ever(line: FaultyLine):
    async with door(line.dsn) as database:
        await database.fetch("SELECT 1")
        line.silence()
        given_up = asyncio.ensure_future(database.fetch("SELECT 2"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        with pytest.raises(DatabaseGone):
            await database.fetch("SELECT 3")


async def test_nobody_waits_for_a_connection_for_ever(dsn: str):
    async with door(dsn) as database, database.connection():
        with pytest.raises(DatabaseBusy, match="no connection was free"):
            await database.fetch("SELECT 1")
        assert not database.outage.is_on


# ---------------------------------------------------------------- refused for now


async def test_a_lock_is_waited_for_no_longer_than_its_limit(dsn: str, other: Database):
    async with door(dsn) as database, other.transaction() as holder:
        await holder.fetch("SELECT pg_advisory_xact_lock(7)")
        backend = await database.fetch_value("SELECT pg_backend_pid()")
        with pytest.raises(DatabaseBusy, match="lock") as told:
            await database.fetch("SELECT pg_advisory_lock(7)")
        assert told.value.is_lock
        assert await database.fetch_value("SELECT pg_backend_pid()") == backend
        assert not database.outage.is_on


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(dsn: str):
    async with door(dsn) as database:
        backend = await database.fetch_value("SELECT pg_backend_pid()")
        with pytest.raises(DatabaseBusy, match="statement timeout"):
            await database.fetch("SELECT pg_sleep(60)")
        assert await database.fetch_value("SELECT pg_backend_pid()") == backend


async def test_a_deadlock_is_no_defect(dsn: str):
    limits = Limits(lock_s=HANG_S)
    async with door(dsn, 2, limits) as database:

        async def takes(first: int, second: int, mine: asyncio.Event, theirs: asyncio.Event) -> None:
            async with database.transaction() as connection:
                await connection.fetch("SELECT pg_advisory_xact_lock($1)", first)
                mine.set()
                await theirs.wait()
                await connection.fetch("SELECT pg_advisory_xact_lock($1)", second)

        one, two = asyncio.Event(), asyncio.Event()
        both = await asyncio.gather(takes(1, 2, one, two), takes(2, 1, two, one), return_exceptions=True)
        assert sorted(type(each) for each in both if each is not None) == [DatabaseBusy]


async def test_too_many_connections_is_refused_for_now(dsn: str, other: Database):
    await other.script("CREATE ROLE a_crowd LOGIN CONNECTION LIMIT 1")
    its_dsn = dsn.replace("postgres:@", "a_crowd:@")
    try:
        async with door(its_dsn) as first, door(its_dsn) as second:
            await first.fetch("SELECT 1")
            with pytest.raises(DatabaseBusy, match="too many connections"):
                await second.fetch("SELECT 1")
            assert second.outage.is_on
            await other.script("ALTER ROLE a_crowd CONNECTION LIMIT 2")
            assert await second.fetch_value("SELECT 1") == 1
            await first.close()
            await second.close()
    finally:
        await other.script("DROP ROLE a_crowd")


async def test_a_transaction_in_which_nothing_is_asked_is_ended_by_the_server(dsn: str):
    async def idles(database: Database) -> None:
        async with database.transaction() as connection:
            await connection.fetch("SELECT 1")
            while not connection.is_closed():  # noqa: ASYNC110 - the server hangs up
                await asyncio.sleep(0.05)

    async with door(dsn) as database:
        with pytest.raises(DatabaseGone):
            await idles(database)
        assert await database.fetch_value("SELECT 1") == 1


# ---------------------------------------------------------------- other limits for other work


async def test_patient_work_has_another_limit_and_takes_no_ordinary_connection(dsn: str):
    async with door(dsn) as database, database.connection(), database.patient(60.0) as other:
        await other.fetch("SELECT pg_sleep(0.6)")  # twice what a statement may take
        await other.script("SELECT pg_sleep(0.6)")


async def test_without_timers_patient_work_goes_through_the_door_itself(dsn: str):
    async with door(dsn, limits=NO_TIMERS) as database:
        async with database.patient(60.0) as other:
            assert other is database
        await database.close()


def test_each_share_of_the_limit_is_within_it():
    assert within(10.0) == ORDINARY
    fast = within(1.0)
    assert fast.connect_s is not None
    assert fast.answer_s is not None
    assert fast.lock_s < fast.statement_s < fast.answer_s
    assert max(fast.connect_s, fast.lock_s) <= 1.0


# ---------------------------------------------------------------- whether it works


async def test_the_probe_tells_the_truth_within_its_limit(line: FaultyLine):
    async with door(line.dsn) as database:
        probe = DatabaseProbe(line.dsn, database)
        await probe.ask()
        line.silence()
        with pytest.raises(DatabaseGone):
            await probe.ask()
        line.speak()
        await probe.ask()
        await probe.close()


async def test_the_probe_never_waits_behind_the_bank(dsn: str):
    async with door(dsn) as database, database.connection():
        probe = DatabaseProbe(dsn, database)
        await probe.ask()
        await probe.close()
