"""Publishing under concurrency, over several connections: once, whole, and what the settings said at its end."""

import asyncio
from typing import cast

import pytest

from gateway.clock import Clock
from gateway.core.bank.actions import ActionSettings, Audience, State
from gateway.core.bank.permissions import Actor, Role
from gateway.core.bank.scripts import ScriptKind, ScriptText
from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.hours import group_key
from gateway.entropy import secret
from gateway.p2p.actions import ActionChange, ActionClash, Actions
from gateway.p2p.publishing import NotReady, Publishing
from gateway.pipeline.campaigns import Campaigns
from gateway.store import campaigns, contacts, publishing
from gateway.store.campaigns import CampaignRow
from gateway.store.contacts import ContactRow
from gateway.store.database import Database
from tests.p2p.desk import NOW, OURS, Watch

ADMIN = Actor(Role.KEY_ADMIN, key_id="0123456789ab")
TEXT = ScriptText(kind=ScriptKind.INITIAL, source="Hi {{first_name}}! Reply STOP to unsubscribe.")
PEOPLE = 40


class Worker:
    """A worker's use cases over its own connections."""

    def __init__(self, database: Database) -> None:
        self.campaigns = Campaigns(database)
        shared = database, self.campaigns, cast("Clock", Watch())
        self.actions = Actions(*shared, secret)
        self.publishing = Publishing(*shared, self.actions)

    async def publish(self, action_id: int) -> object:
        try:
            return await self.publishing.publish(ADMIN, OURS.campaign_id, action_id, State.PUBLIC)
        except (ActionClash, NotReady) as refused:
            return refused


@pytest.fixture
async def workers(database: Database, other: Database) -> tuple[Worker, Worker]:
    row = CampaignRow(OURS.campaign_id, 1, "Bank", CampaignSettings().to_json(), False)
    await campaigns.create(database, row, NOW)
    group = group_key("PA", ["America/New_York"])
    people = [
        ContactRow(each, f"+1215555{each:04d}", group, first_name="Ann") for each in range(1, PEOPLE + 1)
    ]
    await contacts.add(database, OURS, people)
    for list_id in (5, 6):
        await database.execute(
            "INSERT INTO contact_lists (organisation_id, campaign_id, list_id, name, made_at) "
            "VALUES (1, 1, $1::bigint, $1::text, now())",
            list_id,
        )
    await database.execute(
        "INSERT INTO list_members (organisation_id, campaign_id, list_id, contact_id) "
        "SELECT 1, 1, 5 + n % 2, n FROM generate_series(1, $1::int) n",
        PEOPLE,
    )
    pair = Worker(database), Worker(other)
    for each in pair:
        await each.campaigns.load()
    return pair


async def drafted(worker: Worker, *lists: int) -> int:
    settings = ActionSettings(audience=Audience(contact_list_ids=lists))
    made = await worker.actions.create(ADMIN, OURS.campaign_id, "Polls", settings, [TEXT])
    return made.record.action_id


async def assigned(database: Database, action_id: int) -> list[int]:
    rows = await database.fetch(
        "SELECT contact_id FROM assignments WHERE action_id = $1 ORDER BY contact_id", action_id
    )
    return [row[0] for row in rows]


async def lines(database: Database) -> int:
    count: int = await database.fetch_value("SELECT count(*) FROM audit_log WHERE act = 'action published'")
    return count


async def test_two_who_publish_at_once_publish_it_once(
    workers: tuple[Worker, Worker], database: Database
) -> None:
    """F177: each contact once, one line in the audit log, whoever was first."""
    for _ in range(5):
        action_id, before = await drafted(workers[0]), await lines(database)
        outcomes = await asyncio.gather(*(each.publish(action_id) for each in (*workers, *workers)))
        assert sum(not isinstance(each, Exception) for each in outcomes) == 1
        assert await assigned(database, action_id) == list(range(1, PEOPLE + 1))
        assert await lines(database) == before + 1


async def test_lists_that_change_while_it_is_published(
    workers: tuple[Worker, Worker], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not published as somebody no longer wants it, and what was assigned for that is not kept."""
    first, second = workers
    action_id = await drafted(first, 5)
    assign = publishing.assign

    async def and_meanwhile(*given: object) -> int:
        count = await assign(*given)  # type: ignore[arg-type]
        changed = ActionChange(settings=ActionSettings(audience=Audience(contact_list_ids=(6,))))
        await second.actions.change(ADMIN, OURS.campaign_id, action_id, changed)
        return count

    monkeypatch.setattr(publishing, "assign", and_meanwhile)
    assert isinstance(await first.publish(action_id), ActionClash)
    assert (await first.actions.read(ADMIN, OURS.campaign_id, action_id)).state is State.DRAFT
    monkeypatch.setattr(publishing, "assign", assign)
    assert not isinstance(await second.publish(action_id), Exception)
    assert await assigned(database, action_id) == list(range(1, PEOPLE + 1, 2))


async def test_an_attempt_that_was_overtaken_assigns_nobody_any_more(
    workers: tuple[Worker, Worker], database: Database
) -> None:
    action_id = await drafted(workers[0], 5)
    stale = (await workers[0].actions.read(ADMIN, OURS.campaign_id, action_id)).record.version
    await workers[1].actions.change(ADMIN, OURS.campaign_id, action_id, ActionChange(title="Other"))
    assert await publishing.assign(database, OURS, action_id, stale, (), 1) == 0
    assert await assigned(database, action_id) == []
    assert not isinstance(await workers[1].publish(action_id), Exception)
    assert len(await assigned(database, action_id)) == PEOPLE // 2


async def test_who_was_overtaken_before_it_began_takes_nobody_away(
    workers: tuple[Worker, Worker], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker stood still in the middle; its admin asked again at another one, which published the action."""
    first, second = workers
    action_id = await drafted(first)
    unassign = publishing.unassign

    async def much_later(*given: object, **named: object) -> None:
        monkeypatch.setattr(publishing, "unassign", unassign)
        assert not isinstance(await second.publish(action_id), Exception)
        await unassign(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(publishing, "unassign", much_later)
    assert isinstance(await first.publish(action_id), ActionClash)
    assert await assigned(database, action_id) == list(range(1, PEOPLE + 1))


async def test_publishing_that_was_broken_off_goes_on(
    workers: tuple[Worker, Worker], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody sees it before all are there."""
    action_id = await drafted(workers[0])
    assign = publishing.assign

    async def half(*given: object) -> int:
        await database.execute(
            "ALTER TABLE assignments ADD CONSTRAINT broken CHECK (contact_id <> 20) NOT VALID"
        )
        try:
            return await assign(*given, at_once=7)  # type: ignore[arg-type]
        finally:
            await database.execute("ALTER TABLE assignments DROP CONSTRAINT broken")

    monkeypatch.setattr(publishing, "assign", half)
    with pytest.raises(Exception, match="broken"):
        await workers[0].publish(action_id)
    assert len(await assigned(database, action_id)) == 14
    assert (await workers[0].actions.read(ADMIN, OURS.campaign_id, action_id)).state is State.DRAFT
    monkeypatch.setattr(publishing, "assign", assign)
    assert not isinstance(await workers[1].publish(action_id), Exception)
    assert await assigned(database, action_id) == list(range(1, PEOPLE + 1))


async def test_a_scheduled_action_is_published_once_by_whichever_worker(
    workers: tuple[Worker, Worker], database: Database
) -> None:
    """F141."""
    action_id = await drafted(workers[0])
    await workers[0].publishing.publish(ADMIN, OURS.campaign_id, action_id, State.PRIVATE, NOW + 60)
    await database.execute("UPDATE actions SET publish_at = to_timestamp($1)", NOW - 1)
    await asyncio.gather(*(each.publishing.publish_due(None) for each in (*workers, *workers)))
    action = await workers[1].actions.read(ADMIN, OURS.campaign_id, action_id)
    assert (action.state, action.record.publish_at) == (State.PRIVATE, None)
    assert await lines(database) == 1
    assert len(await assigned(database, action_id)) == PEOPLE


async def test_the_planner_knows_a_list_that_was_imported_a_moment_ago(
    workers: tuple[Worker, Worker], database: Database
) -> None:
    """Without that, 20,000 contacts looked like one, and counting them was over the limit of a statement."""
    first, _ = workers
    people = [ContactRow(each, f"+1267555{each:04d}", "", first_name="Bo") for each in range(1_000, 4_000)]
    await database.script("TRUNCATE contacts CASCADE")  # nothing is known of it any more
    await contacts.add(database, OURS, people)
    await first.publishing.readiness(ADMIN, OURS.campaign_id, await drafted(first, 5))
    known = await database.fetch_value("SELECT reltuples::bigint FROM pg_class WHERE relname = 'contacts'")
    assert known == len(people)
