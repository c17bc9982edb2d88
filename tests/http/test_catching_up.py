"""Callbacks that never came, fetched from the carrier server: a real worker, a real provider, no webhook gets through."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import msgspec
import pytest

from gateway.app import chores_of, reconciliation_of
from gateway.clock import Clock
from gateway.config import CatchUp, Mail, Settings
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.safeguards import Kind, Request
from gateway.core.sending.numbers import Number
from gateway.metric_families import CHORE
from gateway.providers.base import BoughtNumber, InboundText, OutboundText
from gateway.providers.twilio.account import Account
from gateway.providers.twilio.provider import TwilioProvider
from gateway.serve import Worker, running
from gateway.store import campaigns, contacts, numbers
from gateway.store.campaigns import CampaignRow
from gateway.store.contacts import ContactRow
from gateway.store.database import Database
from gateway.store.numbers import NumberRow
from gateway.store.troubles import DatabaseBusy
from gateway.upkeep.reconciliation import Differences
from simulator.model.scenario import load
from simulator.twin.accounts import DEFAULT_SID, DEFAULT_TOKEN
from simulator.twin.server import ServerOptions, TwilioServer
from tests.http.house import CAMPAIGN, GROUP, SETTINGS, CampaignSettings

SOME_DAY = 1_793_718_000.0  # 3 November 2026, 10:00 in New York
PERSON = "+12155550123"
NOBODY_LISTENS = "http://127.0.0.1:9"
PATIENCE_S = 20.0


class TwinsClock(Clock):
    """The market's time, which runs a hundred times faster."""

    def __init__(self, server: TwilioServer) -> None:
        super().__init__(asyncio.get_running_loop(), SOME_DAY)
        self._world = server.world

    def now(self) -> float:
        return self._world.start_at + self._world.env.now


@dataclass
class Scene:
    """A worker whose webhooks are all lost."""

    worker: Worker
    server: TwilioServer
    provider: TwilioProvider
    ours: BoughtNumber
    store: Database

    async def says(self, body: str, phone: str = PERSON) -> None:
        """The person texts our number."""
        order = {"from": phone, "to": self.ours.phone, "body": body}
        url = f"{self.server.url}/twin/texts"
        async with aiohttp.ClientSession() as session, session.post(url, json=order) as answer:
            assert answer.status in (201, 202)

    async def metric(self, name: str, **labels: str) -> float | None:
        await self.store.fetch_value("SELECT 1")  # the loop's other work gets its turn
        return self.worker.gateway.metrics.registry.get_sample_value(name, labels)


@asynccontextmanager
async def a_scene(dsn: str, catch_up: CatchUp) -> AsyncIterator[Scene]:
    options = ServerOptions(speed=100.0, contacts=100)
    server = TwilioServer(load("election-day"), start_at=SOME_DAY, options=options)
    await server.start()
    url = f"twilio://{DEFAULT_SID}:{DEFAULT_TOKEN}@{server.url.removeprefix('http://')}?scheme=http"
    provider = TwilioProvider(Account.from_url(url, public_url=NOBODY_LISTENS))
    ours = await provider.buy(CAMPAIGN, "267")
    store = Database(dsn, connections=1)
    await campaigns.create(
        store, CampaignRow(CAMPAIGN, CAMPAIGN, "Bank", CampaignSettings().to_json(), paused=False), SOME_DAY
    )
    await contacts.add(store, CampaignKey(1, CAMPAIGN), [ContactRow(1, PERSON, GROUP)])
    details = msgspec.json.encode(Number(number_id=1, phone=ours.phone, area_code="267")).decode()
    row = NumberRow(1, ours.phone, ours.provider_sid, "active", "first_number", details)
    await numbers.add(store, CampaignKey(1, CAMPAIGN), row, SOME_DAY)
    settings: Settings = msgspec.structs.replace(SETTINGS, catch_up=catch_up)
    try:
        async with running(settings, dsn, provider, clock=TwinsClock(server)) as worker:
            yield Scene(worker, server, provider, ours, store)
    finally:
        await store.close()
        await server.stop()


async def until(done: Callable[[], "asyncio.Future[bool] | object"]) -> None:
    """Asks until the market has done it in its own time; each question is a round trip."""
    async with asyncio.timeout(3 * PATIENCE_S):  # its chores take their turns with everybody's
        while not await done():  # type: ignore[misc]
            pass


async def test_a_lost_stop_is_fetched_once_and_is_in_force(dsn: str) -> None:
    async with a_scene(dsn, CatchUp(inbound_poll_s=0.05, reconcile_s=0)) as scene:
        await scene.says("STOP")

        async def is_fetched() -> bool:
            return (await scene.metric("p2p_recovered_total", what="inbound") or 0) >= 1

        await until(is_fetched)
        assert await scene.store.fetch_value("SELECT count(*) FROM opt_outs") == 1
        request = Request(campaign_id=CAMPAIGN, contact_id=1, kind=Kind.INITIAL, body="Hi", sender_id=1)
        assert (await scene.worker.gateway.admission.submit(request)).code == 1302
        poll = chores_of(scene.worker.settings, scene.worker.gateway)[0]
        await poll._work(SOME_DAY)
        assert await scene.store.fetch_value("SELECT count(*) FROM inbound") == 1
        assert await scene.metric("p2p_recovered_total", what="inbound") == 1
        assert await scene.metric("p2p_webhooks_total", type="inbound", result="duplicate") == 0
        done = await scene.store.fetch_value("SELECT done_until FROM chores WHERE name = 'inbound_poll'")
        assert done is not None


async def test_what_was_texted_while_the_gateway_was_down_comes_before_anything_that_is_queued(
    dsn: str,
) -> None:
    """A bank waits, half of the people text STOP, every webhook is given up: nobody of them is texted."""
    people = [f"+1215555{nth:04d}" for nth in range(130, 150)]
    leavers = people[::2]
    async with a_scene(dsn, CatchUp(reconcile_s=0)) as scene:
        rows = [ContactRow(nth, each, GROUP) for nth, each in enumerate(people, 2)]
        await contacts.add(scene.store, CampaignKey(1, CAMPAIGN), rows)
        gateway = scene.worker.gateway
        await gateway.dispatch.drain()  # what is asked for now stays in the queue
        requests = [
            Request(campaign_id=CAMPAIGN, contact_id=nth, kind=Kind.INITIAL, body="Hi", sender_id=1)
            for nth in range(2, 22)
        ]
        decided = await asyncio.gather(*map(gateway.admission.submit, requests))
        assert {each.code for each in decided} == {None}
        await scene.worker.stop()
        for phone in leavers:
            await scene.says("STOP", phone)
        async with running(scene.worker.settings, dsn, scene.provider, clock=TwinsClock(scene.server)):

            async def is_over() -> bool:
                waiting = "SELECT count(*) FROM messages WHERE state IN ('queued', 'sending')"
                return bool(await scene.store.fetch_value(waiting) == 0)

            await until(is_over)
        blocked = "SELECT count(*) FROM messages WHERE state = 'blocked' AND code = 1302"
        assert await scene.store.fetch_value(blocked) == len(leavers)
        ledger = scene.server.world.market.ledger
        assert sorted(f"+{to}" for to in ledger.submissions.columns()["to"]) == people[1::2]


async def test_a_text_that_could_not_be_kept_is_fetched_before_anything_is_sent(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The door answers 503, and the provider may not try again: it may have been a STOP."""
    async with a_scene(dsn, CatchUp(inbound_poll_s=0, reconcile_s=0)) as scene:
        gateway = scene.worker.gateway
        gap = gateway.dispatch.inbound_gap

        async def is_closed() -> bool:
            await scene.store.fetch_value("SELECT 1")
            return not gap.is_open

        await until(is_closed)
        await scene.says("STOP")
        with monkeypatch.context() as patched:
            patched.setattr(gateway.inbound_station, "receive", _refuses)
            with pytest.raises(DatabaseBusy):
                gateway.inbound(InboundText("SM-lost", PERSON, scene.ours.phone, "STOP", SOME_DAY))
            assert gap.is_open
        await until(is_closed)
        request = Request(campaign_id=CAMPAIGN, contact_id=1, kind=Kind.INITIAL, body="Hi", sender_id=1)
        assert (await gateway.admission.submit(request)).code == 1302


def _refuses(_text: InboundText) -> "asyncio.Future[None]":
    raise DatabaseBusy("too many clients")


async def test_a_lost_receipt_is_told_and_what_one_side_lacks_is_named(
    dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with a_scene(dsn, CatchUp(inbound_poll_s=0, reconcile_s=0)) as scene:
        request = Request(campaign_id=CAMPAIGN, contact_id=1, kind=Kind.INITIAL, body="Hi", sender_id=1)
        ours = await scene.worker.gateway.admission.submit(request)
        foreign = OutboundText(9, 9, 1, PERSON, scene.ours.phone, "from another system", 1, 3600.0)
        foreign_sid = (await scene.provider.send(foreign)).provider_sid
        reconciliation = reconciliation_of(scene.worker.gateway, scene.provider)
        found = Differences()

        async def is_told() -> bool:
            nonlocal found
            found = await reconciliation.run(SOME_DAY)
            return found.told == 1

        await until(is_told)
        state = await scene.store.fetch_value(
            "SELECT state FROM messages WHERE message_id = $1", ours.message_id
        )
        assert state in ("delivered", "undelivered", "failed")
        assert (found.listed, found.unknown, found.missing) == (2, 1, 0)
        assert foreign_sid in "".join(capsys.readouterr())
        assert (await reconciliation.run(SOME_DAY)).told == 0


async def test_a_provider_without_history_has_no_chores(dsn: str) -> None:
    async with a_scene(dsn, CatchUp(inbound_poll_s=0, reconcile_s=0)) as scene:
        assert [each.name for each in chores_of(scene.worker.settings, scene.worker.gateway)] == [
            "scheduled_actions",
            "statistics",
            "months",
            "idle_conversations",
            "idle_buckets",
            "promises",
            "webhook_deliveries",
            "retention",
        ]
        scene.worker.gateway.provider = object()  # type: ignore[assignment]
        assert [each.name for each in chores_of(SETTINGS, scene.worker.gateway)] == [
            "scheduled_actions",
            "statistics",
            "months",
            "idle_conversations",
            "idle_buckets",
            "promises",
            "webhook_deliveries",
            "retention",
        ]


async def test_every_chore_has_its_series(dsn: str) -> None:
    async with a_scene(dsn, CatchUp()) as scene:
        settings = msgspec.structs.replace(SETTINGS, mail=Mail(url="smtp://127.0.0.1:1"))
        chores = {each.name for each in chores_of(settings, scene.worker.gateway)}
        assert chores <= set(CHORE.values)
        assert {"mails", "inbound_poll"} <= chores
