"""While the database is away, whatever the reason: 503 and Retry-After within seconds, nothing lost, nobody twice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus

import msgspec
import pytest

from gateway.config import Database as DatabaseSettings
from gateway.http import sending, webhooks
from gateway.store.database import Database
from gateway.store.limits import NO_TIMERS
from tests.http.house import SETTINGS, Answer, House, a_house, phone
from tests.http.signing_provider import PATIENCE_S
from tests.store.faulty_line import FaultyLine

FAST = msgspec.structs.replace(SETTINGS, database=DatabaseSettings(connections=3, answer_s=0.5))
PEOPLE = range(2, 6)
FULL = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER refuses BEFORE INSERT OR UPDATE ON messages EXECUTE FUNCTION refuse();
CREATE TRIGGER refuses BEFORE INSERT OR UPDATE ON inbound EXECUTE FUNCTION refuse()
"""
HANG_UP = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'textbank'
"""

Fault = Callable[[FaultyLine, Database], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def silent(line: FaultyLine, _administrator: Database) -> AsyncIterator[None]:
    line.silence()
    yield
    line.speak()


@asynccontextmanager
async def refused(line: FaultyLine, _administrator: Database) -> AsyncIterator[None]:
    await line.refuse()
    yield
    await line.listen()


@asynccontextmanager
async def full(_line: FaultyLine, administrator: Database) -> AsyncIterator[None]:
    await administrator.script(FULL)
    yield
    await administrator.script("DROP FUNCTION refuse() CASCADE")


@asynccontextmanager
async def a_reader(_line: FaultyLine, administrator: Database) -> AsyncIterator[None]:
    name = await administrator.fetch_value("SELECT current_database()")
    await administrator.script(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await administrator.fetch(HANG_UP)
    yield
    await administrator.script(f"ALTER DATABASE {name} RESET default_transaction_read_only")


FAULTS = {"silent": silent, "refused": refused, "full": full, "a reader": a_reader}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "PATIENCE_S", 1.5)
    monkeypatch.setattr(webhooks, "DURABLE_WITHIN_S", 1.5)


async def until(is_so: Callable[[Answer], bool], ask: Callable[[], object]) -> Answer:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer: Answer = await ask()  # type: ignore[misc]
            if is_so(answer):
                return answer
            assert answer.status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.CONFLICT), answer
            assert answer.headers["Retry-After"]
            await asyncio.sleep(0.1)


def is_done(answer: Answer) -> bool:
    return answer.status in (200, 202, 204)


@pytest.mark.parametrize("name", FAULTS)
async def test_callers_are_told_to_come_again_and_nothing_is_lost(dsn: str, name: str) -> None:
    fault: Fault = FAULTS[name]
    administrator = Database(dsn, connections=1, limits=NO_TIMERS)
    async with FaultyLine(dsn) as line, a_house(dsn, settings=FAST, worker_dsn=line.dsn) as house:
        await house.send(1)
        await house.provider.next_text()
        asks = [
            lambda each=each: house.send(each, f"Hi {each}", idempotency_key=f"k{each}") for each in PEOPLE
        ]
        stop = lambda: house.writes(1, "STOP", sid=f"SM{9:032d}")  # noqa: E731
        batch = lambda: send_batch(house)  # noqa: E731
        async with fault(line, administrator):
            told = await asyncio.gather(*(ask() for ask in [*asks, stop, batch]))
            assert {answer.status for answer in told} == {503}
            assert all(answer.headers["Retry-After"] for answer in told)
            await until_ready(house, 503)
        answers = [await until(is_done, ask) for ask in asks]
        await until(is_done, stop)
        await until(is_done, batch)
        await until_ready(house, 200)
        async with asyncio.timeout(PATIENCE_S):
            handed = [(await house.provider.next_text()).message_id for _ in range(6)]
        assert {answer.body["message_id"] for answer in answers} < set(handed)
        assert len(set(handed)) == 6
        assert await administrator.fetch_value("SELECT phone FROM opt_outs") == phone(1)
    await administrator.close()


async def send_batch(house: House) -> Answer:
    rows = [{"contact_id": each, "body": "Hello", "idempotency_key": f"b{each}"} for each in (7, 8)]
    return await house.call("POST", "/v1/messages:batch", {"campaign_id": 1, "messages": rows})


async def until_ready(house: House, status: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await house.call("GET", "/readyz", key=None)).status != status:  # noqa: ASYNC110 - it is polled
            await asyncio.sleep(0.1)
