"""The inbound poll: what webhooks lost comes in once, oldest first; a worker's gap is closed by it."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.clock import Clock
from gateway.metrics import Metrics
from gateway.pipeline.inbound_gap import InboundGap
from gateway.providers.base import AnswerLost, Found, InboundText, Listed, OurPhones
from gateway.store import chores
from gateway.store.database import Database, DatabaseBusy
from gateway.upkeep.inbound_poll import NAME, InboundPoll
from tests.store.cluster import Cluster
from tests.store.rows import CAMPAIGN, NOW, OUR_PHONE, own_number, people, phone

HOUR_S, DAY_S, PATIENCE_S = 3600.0, 86_400.0, 20.0
ELSEWHERE = "+12675550199"


class Account:
    """What the provider lists, and the station that takes it in."""

    away_since = None
    skew_s = None

    def __init__(self) -> None:
        self.heard: list[InboundText] = []
        self.asked: list[tuple[float, float | None]] = []
        self.failures: list[Exception] = []
        self.came_in: list[str] = []
        self.refusals: dict[str, Exception] = {}

    async def inbound_since(
        self, since: float, until: float | None, our_phones: OurPhones
    ) -> AsyncIterator[InboundText]:
        self.asked.append((since, until))
        if self.failures:
            raise self.failures.pop(0)
        for text in self.heard:
            if since <= text.at and (until is None or text.at <= until):
                yield text

    async def outbound_since(self, number_phone: str, since: float) -> AsyncIterator[Listed]:
        raise NotImplementedError
        yield

    async def fetch(self, provider_sid: str) -> Found | None:
        raise NotImplementedError

    def take_in(self, text: InboundText) -> "asyncio.Future[None]":
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if text.provider_sid in self.refusals:
            kept.set_exception(self.refusals.pop(text.provider_sid))
        else:
            self.came_in.append(text.provider_sid)
            kept.set_result(None)
        return kept


@pytest.fixture
def dsn(cluster: Cluster) -> str:
    return cluster.empty()


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    opened = Database(dsn, connections=2)
    await people(opened, 5)
    await own_number(opened)
    yield opened
    await opened.close()


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
async def gap() -> InboundGap:
    gap = InboundGap(asyncio.get_running_loop().time, lambda: None)
    gap.watch()
    return gap


@pytest.fixture
async def poll(database: Database, account: Account, gap: InboundGap) -> InboundPoll:
    clock = Clock(asyncio.get_running_loop(), NOW)
    return InboundPoll(database, clock, Metrics(), account, account.take_in, gap)


def heard(
    sid: str, body: str, at: float, sender: str = phone(1), number_phone: str = OUR_PHONE
) -> InboundText:
    return InboundText(sid, sender, number_phone, body, at)


async def test_only_what_the_books_lack_comes_in_oldest_first(
    database: Database, poll: InboundPoll, account: Account
) -> None:
    await database.execute(
        """
        WITH known AS (
            INSERT INTO inbound VALUES ($1, 1, 'IN1', 1, $2, $3, 'Hi', 'reply', false, false, now()) RETURNING *
        )
        INSERT INTO inbound_ids SELECT organisation_id, campaign_id, provider_sid, inbound_id FROM known
        """,
        CAMPAIGN,
        phone(1),
        OUR_PHONE,
    )
    account.heard = [
        heard("IN5", "a webhook may still bring this", NOW - 3),
        heard("IN4", "START", NOW - 90),
        heard("IN3", "STOP", NOW - 90),
        heard("IN1", "Hi", NOW - 100),
        heard("IN2", "nobody sent this", NOW - 110, sender=""),
        heard("IN6", "another system's number", NOW - 120, number_phone=ELSEWHERE),
    ]
    assert await poll.poll(NOW - 60) == pytest.approx(NOW, abs=60)
    assert account.came_in == ["IN3", "IN4"]
    assert account.asked == [(NOW - 120, None)], "the account is asked once, whatever numbers it has"


async def test_the_first_poll_looks_a_day_back_in_parts(poll: InboundPoll, account: Account) -> None:
    await poll.poll(None)
    assert account.asked[0][0] == pytest.approx(NOW - DAY_S - 60, abs=60)
    assert [until for _, until in account.asked[:-1]] == [since for since, _ in account.asked[1:]]
    assert account.asked[-1][1] is None
    assert len(account.asked) == 25


async def test_nobody_can_have_texted_a_gateway_without_numbers(
    database: Database, poll: InboundPoll, account: Account
) -> None:
    await database.execute("DELETE FROM numbers")
    await poll.poll(None)
    assert account.asked == []


async def test_a_catch_up_takes_the_youngest_too(
    database: Database, poll: InboundPoll, account: Account
) -> None:
    account.heard = [heard("IN2", "STOP", NOW + 1), heard("IN1", "Hi", NOW - 5)]
    await poll.catch_up()
    assert account.came_in == ["IN1", "IN2"]
    assert await chores.done_until(database, NAME) == pytest.approx(NOW, abs=60)


async def test_a_long_outage_is_fetched_from_where_the_last_poll_was(
    database: Database, poll: InboundPoll, account: Account
) -> None:
    """What came through stays done when the provider fails half-way."""
    await chores.reached(database, NAME, NOW - 3 * HOUR_S)
    account.heard = [heard("IN1", "STOP", NOW - 3 * HOUR_S + 60)]
    fetch = account.inbound_since

    def fails_later(since: float, until: float | None, our_phones: OurPhones) -> AsyncIterator[InboundText]:
        if len(account.asked) == 2:
            account.failures = [AnswerLost(503)]
        return fetch(since, until, our_phones)

    account.inbound_since = fails_later  # type: ignore[method-assign]
    with pytest.raises(AnswerLost):
        await poll.catch_up()
    assert account.came_in == ["IN1"]
    assert await chores.done_until(database, NAME) == pytest.approx(NOW - HOUR_S - 60)


async def test_a_step_back_never_undoes_what_is_reached(database: Database) -> None:
    await chores.reached(database, NAME, NOW)
    await chores.reached(database, NAME, NOW - 60)
    assert await chores.done_until(database, NAME) == NOW


# ---------------------------------------------------------------- the gap


async def closed(gap: InboundGap) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while gap.is_open:  # noqa: ASYNC110 - the gap tells nobody
            await asyncio.sleep(0)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.upkeep.inbound_poll._AGAIN_S", 0.0)
    monkeypatch.setattr("gateway.upkeep.inbound_poll._REST_S", 0.0)


FAILURES: list[Callable[[Account], None]] = [
    lambda account: account.failures.extend([AnswerLost(503), AnswerLost()]),
    lambda account: account.refusals.update({"IN1": DatabaseBusy("too many clients")}),
    lambda account: account.failures.append(KeyError("a defect")),
]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fail", FAILURES)
async def test_the_gap_stays_open_until_all_is_in_the_books(
    poll: InboundPoll, account: Account, gap: InboundGap, fail: Callable[[Account], None]
) -> None:
    account.heard = [heard("IN1", "STOP", NOW - 30)]
    fail(account)
    gap.open("a start")
    running = asyncio.create_task(poll.run())
    await closed(gap)
    assert account.came_in == ["IN1"]
    assert len(account.asked) >= 2
    running.cancel()


@pytest.mark.usefixtures("impatient")
async def test_a_text_that_can_never_be_kept_does_not_hold_everybody_for_ever(
    poll: InboundPoll, account: Account, gap: InboundGap
) -> None:
    account.heard = [heard("IN2", "STOP", NOW - 20), heard("IN1", "odd", NOW - 30)]
    account.refusals["IN1"] = ValueError("a defect")
    gap.open("a start")
    running = asyncio.create_task(poll.run())
    await closed(gap)
    assert account.came_in == ["IN2"]
    running.cancel()
