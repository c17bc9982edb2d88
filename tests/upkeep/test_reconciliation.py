"""The provider's list against the books: late receipts are told, what only one side has is named, none guessed."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.clock import Clock
from gateway.metrics import Metrics
from gateway.pipeline.campaigns import Campaigns
from gateway.providers.base import Found, InboundText, Listed, OurPhones, StatusReport
from gateway.store.database import Database
from gateway.upkeep.reconciliation import Differences, Reconciliation
from tests.store.cluster import Cluster
from tests.store.rows import CAMPAIGN, NOW, own_number, people, phone

DAY_S = 86_400.0


class ScriptedHistory:
    """A provider's memory, and the sink for what is told of it."""

    def __init__(self) -> None:
        self.texts: list[Listed] = []
        self.heard: list[InboundText] = []
        self.fetched: list[str] = []
        self.told: list[StatusReport] = []
        self.came_in: list[InboundText] = []
        self.since: list[float] = []

    away_since = None
    skew_s = None

    async def inbound_since(
        self, since: float, until: float | None, our_phones: OurPhones
    ) -> AsyncIterator[InboundText]:
        self.since.append(since)
        for text in self.heard:
            if until is None or text.at <= until:
                yield text

    async def outbound_since(self, number_phone: str, since: float) -> AsyncIterator[Listed]:
        self.since.append(since)
        for text in self.texts:
            yield text

    async def fetch(self, provider_sid: str) -> Found | None:
        self.fetched.append(provider_sid)
        return Found(provider_sid, "delivered", None) if provider_sid == "SMlisted-late" else None

    def status(self, report: StatusReport) -> "asyncio.Future[None]":
        self.told.append(report)
        return _done()

    def inbound(self, text: InboundText) -> "asyncio.Future[None]":
        self.came_in.append(text)
        return _done()


def _done() -> "asyncio.Future[None]":
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done


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


async def comparing(database: Database, history: ScriptedHistory) -> tuple[Reconciliation, Metrics]:
    campaigns, metrics = Campaigns(database), Metrics()
    await campaigns.load()
    clock = Clock(asyncio.get_running_loop(), NOW)
    return Reconciliation(database, campaigns, clock, metrics, history, history), metrics


async def booked(
    database: Database, message_id: int, state: str, sid: str | None, *, slot_at: float = NOW - DAY_S
) -> None:
    """A message of the person with the same number, on its second attempt."""
    await database.execute(
        """
        INSERT INTO messages (campaign_id, message_id, contact_id, kind, body, segments, text_hash, state, lane,
                              number_id, attempt, provider_sid, requested_at, slot_at)
        VALUES ($1, $2, $2, 'initial', 'Hello', 1, 1, $3, 2, 1, 2, $4, to_timestamp($5), to_timestamp($5))
        """,
        CAMPAIGN,
        message_id,
        state,
        sid,
        slot_at,
    )


CASES = [
    # the books, the provider's word, what is told, and which difference is named
    ("sent", "delivered", "delivered", None),
    ("sent", "undelivered", "undelivered", None),
    ("sent", "failed", "failed", None),
    ("unknown", "sent", "sent", None),
    ("sending", "delivered", "delivered", None),
    ("sent", "sent", None, None),
    ("sent", "queued", None, None),
    ("sent", "levitating", None, None),
    ("delivered", "delivered", None, None),
    ("delivered", "sent", None, None),
    ("delivered", "undelivered", None, "disagrees"),
    ("failed", "delivered", None, "disagrees"),
]


@pytest.mark.parametrize(("state", "status", "told", "difference"), CASES)
async def test_what_is_told_of_a_listed_text(
    database: Database, state: str, status: str, told: str | None, difference: str | None
) -> None:
    await booked(database, 1, state, "SM1")
    history = ScriptedHistory()
    history.texts = [Listed("SM1", phone(1), status, 30003 if status == "undelivered" else None, NOW - 60)]
    reconciliation, metrics = await comparing(database, history)
    found = await reconciliation.run(NOW - 2 * DAY_S)
    code = 30003 if status == "undelivered" else None
    wanted = [StatusReport(CAMPAIGN, 1, 2, told, code, NOW - 60, "SM1")] if told else []
    assert history.told == wanted
    assert found == Differences(listed=1, told=len(wanted), disagrees=difference == "disagrees")
    assert history.fetched == []
    counted = metrics.registry.get_sample_value(
        "p2p_reconciliation_differences_total", {"difference": "disagrees"}
    )
    assert counted == (difference == "disagrees")


async def test_what_the_books_do_not_know_is_named_and_left_alone(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    await booked(database, 1, "sent", "SM1", slot_at=NOW)
    await booked(database, 2, "unknown", None)
    history = ScriptedHistory()
    history.texts = [
        Listed("SM-another-system's", phone(1), "delivered", None, NOW),
        Listed("SM-a-stranger's", "+12155559999", "delivered", None, NOW),
        Listed("SM-lost-answer", phone(2), "sent", None, NOW),  # recovery settles it
    ]
    reconciliation, _ = await comparing(database, history)
    assert await reconciliation.run(NOW - DAY_S) == Differences(listed=3, unknown=2)
    assert history.told == []
    told = "".join(capsys.readouterr())
    assert "SM-another-system's" in told
    assert phone(1) not in told


async def test_what_the_provider_does_not_list_is_asked_for_once_it_must_have_left(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    await booked(database, 1, "sent", "SM1")
    await booked(database, 2, "sent", "SMlisted-late")
    await booked(database, 3, "sent", "SM3", slot_at=NOW - 3600)  # may still wait in the provider's queue
    await booked(database, 4, "sent", "SM4")
    await booked(database, 5, "delivered", "SM5")
    history = ScriptedHistory()
    history.texts = [Listed("SM4", phone(4), "sent", None, NOW)]
    reconciliation, metrics = await comparing(database, history)
    assert await reconciliation.run(NOW - 2 * DAY_S) == Differences(listed=1, told=1, missing=1)
    assert history.fetched == ["SM1", "SMlisted-late"]
    assert [report.message_id for report in history.told] == [2]
    assert "SM1" in "".join(capsys.readouterr())
    assert metrics.registry.get_sample_value("p2p_recovered_total", {"what": "receipt"}) == 1


async def test_an_attempt_that_was_given_up_and_arrived_after_all(database: Database) -> None:
    await booked(database, 1, "queued", None)
    await database.execute(
        """
        INSERT INTO attempts (campaign_id, message_id, attempt, number_id, provider_sid, ended_at, state)
        VALUES ($1, 1, 1, 1, 'SM1', to_timestamp($2), 'failed')
        """,
        CAMPAIGN,
        NOW,
    )
    history = ScriptedHistory()
    history.texts = [Listed("SM1", phone(1), "delivered", None, 0.0)]
    reconciliation, _ = await comparing(database, history)
    assert await reconciliation.run(NOW - DAY_S) == Differences(listed=1, told=1)
    assert (history.told[0].attempt, history.told[0].status) == (1, "delivered")
    assert history.told[0].at == pytest.approx(NOW, abs=60)


async def test_many_texts_are_compared_in_slices(database: Database) -> None:
    history = ScriptedHistory()
    history.texts = [Listed(f"SM{n}", phone(1), "delivered", None, NOW) for n in range(1201)]
    reconciliation, _ = await comparing(database, history)
    assert (await reconciliation.run(NOW - DAY_S)).unknown == 1201


@pytest.mark.parametrize(("done_until", "since"), [(None, NOW - 3 * DAY_S), (NOW - DAY_S, NOW - 4 * DAY_S)])
async def test_each_run_looks_back_as_long_as_receipts_take(
    database: Database, done_until: float | None, since: float
) -> None:
    history = ScriptedHistory()
    reconciliation, _ = await comparing(database, history)
    assert await reconciliation.catch_up(done_until) == pytest.approx(NOW, abs=60)
    assert history.since == [pytest.approx(since, abs=60)]
