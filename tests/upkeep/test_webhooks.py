"""Other systems are told: once in each person's order, through failures and kills, and never a stranger to the campaign."""

import asyncio
import random
from collections.abc import Callable

import msgspec
import pytest

from gateway.core.bank.labels import Marks
from gateway.core.bank.limits import Forecast, Level, Limit
from gateway.core.bank.webhooks import GIVE_UP_S, Answered, Package
from gateway.core.rules.campaign import CampaignKey
from gateway.metrics import Metrics
from gateway.store import (
    audit_log,
    campaign_limits,
    contact_records,
    conversations,
    deliveries,
    endpoints,
    events,
    opt_outs,
    reports,
    user_notices,
)
from gateway.store.database import Database
from gateway.store.endpoints import Cursor, EndpointRow
from gateway.store.receipts import Word, tell
from gateway.store.reports import ReportRow
from gateway.store.user_notices import UserNotice
from gateway.upkeep import webhook_follower, webhooks
from gateway.upkeep.webhook_follower import WebhookFollower
from gateway.upkeep.webhook_sender import WebhookSender
from gateway.upkeep.webhooks import Webhooks
from tests.p2p.desk import Watch
from tests.store.conftest import database, dsn  # noqa: F401 - fixtures
from tests.store.rows import KEY, NOW, SCOPE, heard, phone, sending

TAKEN = Answered(is_taken=True, status=200)
BROKEN = Answered(is_taken=False, status=500, why="it answered 500")


class Receiver:
    """Somebody's system: `answer` says what it makes of a package; `taken` is what it has, in the order of arrival."""

    def __init__(self) -> None:
        self.answer: Callable[[Package], Answered] = lambda _: TAKEN
        self.tried: list[Package] = []
        self.taken: list[dict[str, object]] = []

    async def __call__(self, package: Package) -> Answered:
        self.tried.append(package)
        answer = self.answer(package)
        await asyncio.sleep(0)
        if answer.is_taken:
            self.taken.append(msgspec.json.decode(package.body) | {"word": package.word})
        return answer

    def heard_of(self, contact_id: int) -> list[tuple[object, object]]:
        told = [each for each in self.taken if each["data"]["contact"]["contact_id"] == contact_id]
        return [
            (each["type"], each["data"].get("text_id") or each["data"].get("message_id")) for each in told
        ]


class Stage:
    """A worker's part that tells an endpoint, with a clock that is set by hand."""

    def __init__(self, database: Database) -> None:  # noqa: F811
        self.database = database
        self.watch = Watch(NOW + 100)
        self.receiver = Receiver()
        self.metrics = Metrics()
        turns = asyncio.Semaphore(2)
        self.follower = WebhookFollower(database, self.watch, turns)
        self.sender = WebhookSender(database, self.watch, self.metrics, self.receiver, turns)

    async def endpoint(self, *topics: str, endpoint_id: int = 1) -> EndpointRow:
        row = EndpointRow(
            organisation_id=KEY.organisation_id,
            campaign_id=KEY.campaign_id,
            endpoint_id=endpoint_id,
            kind="webhook",
            url="https://crm.example.org/hooks",
            topics=list(topics or ("delivered", "replied", "opted_out")),
            secrets=["whsec_AAAA"],
            van=None,
            active=True,
            inactive_because=None,
            failing_since=None,
            made_at=NOW,
        )
        place = await events.end(self.database)
        async with self.database.transaction() as transaction:
            await endpoints.create(transaction, row, Cursor(place.xid, place.event_id, 0))
        return row

    async def again(self, endpoint_id: int = 1) -> EndpointRow:
        found = await endpoints.find(self.database, KEY, endpoint_id, self.watch.now())
        assert found is not None
        return found

    async def round(self, endpoint_id: int = 1) -> None:
        """Everything that can be told now."""
        while await self.follower.follow(await self.again(endpoint_id)):
            pass
        while await self.sender.send(await self.again(endpoint_id)):
            pass

    async def states(self) -> list[str]:
        rows = await deliveries.page(self.database, KEY, 1, None, None, 1000)
        return [row.state for row in reversed(rows)]


@pytest.fixture
async def stage(database: Database) -> Stage:  # noqa: F811
    await sending(database, 3)
    return Stage(database)


async def write(stage: Stage, inbound_id: int, contact_id: int, body: str = "Yes", **more: object) -> None:
    text = heard(inbound_id, contact_id, body, **more)
    await conversations.hear(stage.database, KEY, SCOPE, [text])


async def deliver(stage: Stage, *message_ids: int) -> None:
    words = [Word(each, 1, "delivered", final_at=NOW + 50) for each in message_ids]
    await tell(stage.database, KEY, SCOPE, words, NOW + 50)


# ---------------------------------------------------------------- what is told


async def test_delivered_replied_and_opted_out_are_told(stage: Stage) -> None:
    await stage.endpoint()
    await deliver(stage, 1, 2)
    await write(stage, 71, 1, "Yes I will")
    await write(stage, 72, 2, "STOP", intent="stop")
    assert await opt_outs.opt_out(stage.database, KEY, SCOPE, 3, "manual", NOW, 7)
    await stage.round()
    told = [(each["type"], each["data"]["contact"]["contact_id"]) for each in stage.receiver.taken]
    assert sorted(told) == [
        ("delivered", 1), ("delivered", 2), ("opted_out", 2), ("opted_out", 3), ("replied", 1), ("replied", 2),
    ]  # fmt: skip
    reply = next(each for each in stage.receiver.taken if each["type"] == "replied")
    assert reply["data"] == {
        "contact": {"contact_id": 1, "phone": "+12155550101", "first_name": "Ann", "last_name": "", "fields": {}},
        "action_id": 5,
        "text_id": 71,
        "user_id": 7,
        "body": "Yes I will",
    }  # fmt: skip
    how = {each["data"]["how"] for each in stage.receiver.taken if each["type"] == "opted_out"}
    assert how == {"keyword", "manual"}
    counted = stage.metrics.registry.get_sample_value
    assert counted("p2p_webhooks_sent_total", {"topic": "replied", "result": "delivered"}) == 2


async def test_reports_tags_notices_and_limits_are_told(stage: Stage) -> None:
    await stage.endpoint("reported", "tagged", "notice", "limit")
    await stage.database.execute(
        "INSERT INTO tags VALUES (1, $1, 5, 'Supporter', 'Supporter', 1, true)", KEY.campaign_id
    )
    marks = Marks(tags=(5,), fields={"issue": "parks"})
    async with stage.database.transaction() as transaction:
        for report_id, each in ((81, marks), (82, Marks(fields={"issue": None}))):
            row = ReportRow(report_id=report_id, contact_id=1, action_id=5, user_id=7, at=NOW, marks=each)
            await reports.file(transaction, KEY, row)
    notice = UserNotice(
        notice_id=91, user_id=7, kind="message", title="Tonight", body="Pizza at eight", at=NOW
    )
    await user_notices.tell(stage.database, KEY, [notice])
    full = Forecast(
        limit=Limit.NUMBERS, level=Level.WARNED, used=40, most=49, hit_at=NOW + 600, resets_at=None
    )
    await campaign_limits.write(stage.database, KEY, [full], NOW)
    await campaign_limits.write(stage.database, KEY, [full], NOW + 15)
    await stage.round()
    told = sorted(stage.receiver.taken, key=lambda each: int(each["word"].rpartition("-")[2]))
    assert [(each["type"], each["data"].get("tags"), each["data"].get("fields")) for each in told] == [
        ("reported", ["Supporter"], {"issue": "parks"}),
        ("tagged", ["Supporter"], None),
        ("reported", [], {"issue": None}),
        ("notice", None, None),
        ("limit", None, None),
    ]
    assert told[3]["data"]["body"] == "Pizza at eight"
    assert told[4]["data"] == {
        "limit": "numbers", "level": "warned", "used": 40, "most": 49, "hit_at": NOW + 600, "resets_at": None,
    }  # fmt: skip


async def test_only_what_was_asked_for_and_only_from_then_on(stage: Stage) -> None:
    await write(stage, 70, 1, "before")
    await stage.endpoint("replied")
    await deliver(stage, 1)
    await write(stage, 71, 1, "after")
    await stage.round()
    assert stage.receiver.heard_of(1) == [("replied", 71)]


async def test_what_a_stranger_writes_is_nobodys(stage: Stage) -> None:
    await stage.endpoint("replied")
    await write(stage, 71, 500)
    await stage.round()
    assert stage.receiver.taken == []


async def test_several_endpoints_each_at_their_own_place(stage: Stage) -> None:
    await stage.endpoint("replied")
    await write(stage, 71, 1)
    await stage.endpoint("replied", endpoint_id=2)
    await write(stage, 72, 1)
    await stage.round(1)
    assert stage.receiver.heard_of(1) == [("replied", 71), ("replied", 72)]
    stage.receiver.taken.clear()
    await stage.round(2)
    assert stage.receiver.heard_of(1) == [("replied", 72)]


# ---------------------------------------------------------------- order and failures


async def test_one_persons_events_wait_for_each_other_and_others_go_on(stage: Stage) -> None:
    await stage.endpoint("replied")
    for inbound_id, contact_id in ((71, 1), (72, 2), (73, 1), (74, 2)):
        await write(stage, inbound_id, contact_id)
    stage.receiver.answer = lambda package: BROKEN if '"text_id":71' in package.body else TAKEN
    await stage.round()
    assert (stage.receiver.heard_of(1), len(stage.receiver.heard_of(2))) == ([], 2)
    stage.receiver.answer = lambda _: TAKEN
    await stage.round()
    assert stage.receiver.heard_of(1) == [], "it is not its time yet"
    stage.watch.at += 10
    await stage.round()
    assert stage.receiver.heard_of(1) == [("replied", 71), ("replied", 73)]


async def test_whatever_fails_whenever_each_persons_order_is_kept(stage: Stage) -> None:
    luck = random.Random(7)
    await stage.endpoint("replied")
    stage.receiver.answer = lambda _: BROKEN if luck.random() < 0.4 else TAKEN
    written: dict[int, list[int]] = {1: [], 2: [], 3: []}
    for inbound_id in range(100, 160):
        contact_id = luck.randint(1, 3)
        written[contact_id].append(inbound_id)
        await write(stage, inbound_id, contact_id)
        if luck.random() < 0.5:
            await stage.round()
            stage.watch.at += luck.choice((1, 10, 60))
    for _ in range(200):
        await stage.round()
        stage.watch.at += 300
        if set(await stage.states()) == {"delivered"}:
            break
    for contact_id, expected in written.items():
        assert [each for _, each in stage.receiver.heard_of(contact_id)] == expected


async def test_what_nobody_takes_for_three_days_is_parked_and_the_endpoint_switched_off(stage: Stage) -> None:
    await stage.endpoint("replied")
    await write(stage, 71, 1)
    await write(stage, 72, 1)
    stage.receiver.answer = lambda _: BROKEN
    began_at = stage.watch.at
    while (await stage.again()).active:
        await stage.round()
        stage.watch.at += 1800
        assert stage.watch.at < began_at + GIVE_UP_S + 86_400
    assert stage.watch.at >= began_at + GIVE_UP_S
    assert await stage.states() == ["parked", "parked"]
    off = await stage.again()
    assert "three days" in (off.inactive_because or "")
    line = (await audit_log.page(stage.database, KEY, None, 1))[0]
    assert (line.who, line.act) == ("textbank", "endpoint switched off")
    assert "whsec" not in (line.before or "") + (line.after or "")


async def test_who_is_gone_is_switched_off_at_once(stage: Stage) -> None:
    await stage.endpoint("replied")
    await write(stage, 71, 1)
    stage.receiver.answer = lambda _: Answered(is_taken=False, status=410, is_gone=True)
    await stage.round()
    assert not (await stage.again()).active
    assert await stage.states() == ["waiting"]


async def test_a_broken_endpoint_is_probed_and_not_flooded(stage: Stage) -> None:
    await stage.endpoint("replied")
    for contact_id in (1, 2, 3):
        for nth in range(20):
            await write(stage, 100 * contact_id + nth, contact_id)
    stage.receiver.answer = lambda _: BROKEN
    for _ in range(60):
        await stage.round()
        stage.watch.at += 1
    assert len(stage.receiver.tried) <= 12, "five failures, then a probe after each rest"
    stage.receiver.answer = lambda _: TAKEN
    stage.watch.at += 300
    for _ in range(3):
        await stage.round()
        stage.watch.at += 60
    assert set(await stage.states()) == {"delivered"}


async def test_a_wait_that_is_asked_for_is_kept(stage: Stage) -> None:
    await stage.endpoint("replied")
    await write(stage, 71, 1)
    stage.receiver.answer = lambda _: Answered(is_taken=False, status=429, wait_s=600)
    await stage.round()
    stage.watch.at += 590
    await stage.round()
    assert len(stage.receiver.tried) == 1
    stage.watch.at += 20
    await stage.round()
    assert len(stage.receiver.tried) == 2


# ---------------------------------------------------------------- kills


class Killed(Exception):
    """As kill -9 does."""


async def test_a_worker_that_dies_anywhere_loses_nothing_and_makes_nothing_twice(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading the journal and moving on, and between a delivery and its note."""
    monkeypatch.setattr(webhook_follower, "EVENTS_AT_ONCE", 3)
    await stage.endpoint("replied")
    for nth in range(10):
        await write(stage, 100 + nth, 1 + nth % 3)
    for owner, name in ((endpoints, "move"), (deliveries, "tried")):
        whole = getattr(owner, name)

        async def dies(*arguments: object, **more: object) -> None:
            raise Killed

        monkeypatch.setattr(owner, name, dies)
        with pytest.raises(Killed):
            await stage.round()
        monkeypatch.setattr(owner, name, whole)
    await stage.round()
    words = [each["word"] for each in stage.receiver.taken]
    assert sorted(set(words), key=lambda word: int(word.rpartition("-")[2])) == [
        f"1-1-{nth}" for nth in range(1, 11)
    ]
    assert len(words) > 10, "what was taken but not noted comes again, by the same word"


async def test_two_workers_at_once_make_each_delivery_once(stage: Stage, dsn: str) -> None:  # noqa: F811
    await stage.endpoint("replied")
    for nth in range(30):
        await write(stage, 100 + nth, 1 + nth % 3)
    second = Database(dsn, connections=2)
    other = WebhookFollower(second, stage.watch, asyncio.Semaphore(2))
    row = await stage.again()
    await asyncio.gather(*(each.follow(row) for each in (stage.follower, other) * 3))
    await second.close()
    assert len(await stage.states()) == 30


async def test_a_late_commit_is_not_passed_over(stage: Stage) -> None:
    """A statement that began earlier and ends later than one that was told already."""
    await stage.endpoint("replied")
    async with stage.database.transaction() as slow:
        await conversations.hear(slow, KEY, SCOPE, [heard(71, 1)])
        await write(stage, 72, 2)
        await stage.round()
        assert stage.receiver.heard_of(2) == [], "it waits for whatever may still come before it"
    await stage.round()
    assert (stage.receiver.heard_of(1), stage.receiver.heard_of(2)) == ([("replied", 71)], [("replied", 72)])


async def test_who_is_erased_is_erased_here_as_well_and_their_opt_out_is_told(stage: Stage) -> None:
    await stage.endpoint("replied", "opted_out")
    await write(stage, 71, 1, "My address is 5 Elm St")
    await write(stage, 72, 2)
    await stage.round()
    stage.receiver.answer = lambda _: BROKEN
    await write(stage, 73, 1, "and my name is Ann")
    await write(stage, 74, 1, "STOP", intent="stop")
    await stage.round()
    async with stage.database.transaction() as transaction:
        await contact_records.forget(transaction, KEY, SCOPE, 1, phone(1), NOW)
    rows = await deliveries.page(stage.database, KEY, 1, None, None, 100)
    assert sorted((row.contact_id, row.topic) for row in rows) == [(1, "opted_out"), (2, "replied")]
    assert not any("Elm" in row.body for row in rows)


# ---------------------------------------------------------------- a worker's


@pytest.fixture
def owned() -> list[CampaignKey]:
    return [KEY]


async def test_a_worker_tells_for_the_campaigns_that_it_owns(stage: Stage, owned: list[CampaignKey]) -> None:
    telling = Webhooks(stage.database, stage.watch, Metrics(), stage.receiver, lambda: owned)
    await stage.endpoint("replied")
    await write(stage, 71, 1)
    owned.clear()
    await telling.look()
    await settled(telling)
    assert stage.receiver.taken == []
    owned.append(KEY)
    await telling.look()
    await settled(telling)
    assert stage.receiver.heard_of(1) == [("replied", 71)]


async def settled(telling: Webhooks) -> None:
    while telling._telling:
        await asyncio.wait(list(telling._telling.values()))


async def test_a_slow_endpoint_holds_up_no_other(stage: Stage, owned: list[CampaignKey]) -> None:
    gate = asyncio.Event()

    async def courier(package: Package) -> Answered:
        if package.word.startswith("1-1-"):
            await gate.wait()
        return await stage.receiver(package)

    telling = Webhooks(stage.database, stage.watch, Metrics(), courier, lambda: owned)
    for endpoint_id in (1, 2, 3, 4):
        await stage.endpoint("replied", endpoint_id=endpoint_id)
    await write(stage, 71, 1)
    await telling.look()
    while len(telling._telling) > 1:
        await asyncio.wait(list(telling._telling.values()), return_when=asyncio.FIRST_COMPLETED)
    assert (list(telling._telling), len(stage.receiver.taken)) == ([1], 3)
    gate.set()
    await settled(telling)
    assert len(stage.receiver.taken) == 4


async def test_what_is_done_with_is_deleted(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "_PIECE", 2)
    await stage.endpoint("replied")
    for nth in range(5):
        await write(stage, 100 + nth, 1)
    await stage.round()

    class Known:
        def ids(self) -> list[int]:
            return [KEY.campaign_id]

        def __getitem__(self, _campaign_id: int) -> "Known":
            return self

        key = KEY

    sweep = webhooks.DeliverySweep(stage.database, Known(), stage.watch)  # type: ignore[arg-type]
    await sweep.run()
    assert len(await stage.states()) == 5
    stage.watch.at += webhooks.DELIVERED_KEPT_S + 1
    await sweep.run()
    assert await stage.states() == []
