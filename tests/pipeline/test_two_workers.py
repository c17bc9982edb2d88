"""Two workers over one database: one owner, and whatever comes through the other's doors goes its way too."""

import asyncio
from functools import partial

import msgspec
import pytest

from gateway.config import Workers
from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.registration import Registration
from gateway.providers.base import InboundText, StatusReport
from gateway.store import campaigns
from gateway.store.campaigns import CampaignRow
from tests.pipeline.scripted_provider import sid
from tests.pipeline.world import CAMPAIGN, SETTINGS, SETTLED_S, World, number_phone, phone

TWO_WORKERS = msgspec.structs.replace(SETTINGS, workers=Workers())
ONE_PER_S = CampaignSettings(registration=Registration(total_per_s=1))
TAKE_OVER_S = 300.0


@pytest.fixture
def play(play):
    return partial(play, settings=TWO_WORKERS)


async def second_worker(world: World):
    other, _ = world.new_gateway()
    await other.start()
    await other.adopted()
    world.provider.listen(world.gateway)
    return other


def test_only_the_owner_dispatches(play):
    async def story(world: World) -> None:
        other = await second_worker(world)
        assert (len(world.gateway.dispatch.roads), len(other.dispatch.roads)) == (1, 0)
        await world.send_all(range(1, 6))
        await world.wait(30)
        assert len(world.handed) == 5
        world.nobody_got_a_text_twice()
        other.crash()

    play(story, campaign=ONE_PER_S)


@pytest.mark.parametrize("begun", [False, True], ids=["quiet", "busy"])
def test_what_the_other_admits_the_owner_sends(play, begun: bool):
    async def story(world: World) -> None:
        other = await second_worker(world)
        await world.wait(5)
        if begun:
            await world.send_all(range(1, 4))
        outcome = await world.submit(9, gateway=other)
        assert outcome.admitted
        await world.wait(60)
        assert await world.state(outcome.message_id) == "sent"
        other.crash()

    play(story, campaign=ONE_PER_S)


def test_callbacks_may_come_to_either(play):
    async def story(world: World) -> None:
        other = await second_worker(world)
        await world.submit(1)
        await world.wait(5)
        text = world.handed[0].text
        report = StatusReport(CAMPAIGN, text.message_id, 1, "delivered", None, world.clock.now(), sid(text))
        await other.status(report)
        await world.gateway.status(report)
        assert await world.state(text.message_id) == "delivered"
        other.crash()

    play(story)


def test_a_retry_decided_by_the_other_is_sent_by_the_owner(play):
    async def story(world: World) -> None:
        other = await second_worker(world)
        await world.submit(1)
        await world.wait(5)
        text = world.handed[0].text
        report = StatusReport(CAMPAIGN, text.message_id, 1, "failed", 30001, world.clock.now(), sid(text))
        await other.status(report)
        await world.wait(600)
        assert await world.state(text.message_id) == "sent"
        other.crash()

    play(story)


def test_a_stop_acknowledged_by_the_other_holds_at_the_owner(play):
    """Invariant 1: also for what the owner has claimed and not handed over yet."""

    async def story(world: World) -> None:
        other = await second_worker(world)
        await world.wait(1)
        await world.send_all(range(1, 4))
        await world.wait(0.2)
        stop = InboundText("IN1", phone(3), number_phone(1), "STOP", world.clock.now())
        await other.inbound(stop)
        assert world.texts_to(3) == []
        await world.wait(30)
        assert world.texts_to(3) == []
        other.crash()

    play(story, campaign=ONE_PER_S)


def test_when_the_owner_dies_the_other_takes_over(play):
    async def story(world: World) -> None:
        other = await second_worker(world)
        await world.wait(1)
        outcomes = await world.send_all(range(1, 9))
        world.crash()
        await world.database.close()
        world.provider.listen(other)
        await world.wait(TAKE_OVER_S + 2 * SETTLED_S)
        assert {await world.state(each.message_id) for each in outcomes} == {"sent"}
        world.nobody_got_a_text_twice()
        other.crash()

    play(story, campaign=ONE_PER_S)


def test_an_owner_without_its_connection_is_the_owner_again(play):
    async def story(world: World) -> None:
        await world.wait(1)
        outcomes = await world.send_all(range(1, 9))
        await world.cut_connections()
        await world.wait(TAKE_OVER_S + 2 * SETTLED_S)
        assert len(world.gateway.dispatch.roads) == 1
        assert {await world.state(each.message_id) for each in outcomes} == {"sent"}
        world.nobody_got_a_text_twice()

    play(story, campaign=ONE_PER_S)


def test_a_worker_that_drains_leaves_the_campaign_to_the_other(play):
    async def story(world: World) -> None:
        await world.wait(1)
        outcomes = await world.send_all(range(1, 9))
        await world.gateway.drain()
        other = await second_worker(world)
        assert len(other.dispatch.roads) == 1
        await world.wait(60)
        assert {await world.state(each.message_id) for each in outcomes} == {"sent"}
        world.nobody_got_a_text_twice()
        other.crash()

    play(story, campaign=ONE_PER_S)


def test_a_campaign_is_given_up_also_while_others_are_busy(play):
    """Words about another campaign's texts come without a break: nobody waits until they end."""

    async def story(world: World) -> None:
        other_campaign = CampaignRow(2, 12, "Other", CampaignSettings().to_json(), paused=False)
        await campaigns.create(world.store, other_campaign, world.clock.now())
        await world.gateway.campaigns.load()

        async def words() -> None:
            while True:
                world.gateway.status(StatusReport(2, 99, 1, "delivered", None, world.clock.now(), "SM99"))
                await world.wait(0.01)

        world.database.answer_s = 0.05
        talking = asyncio.create_task(words())
        await world.send_all(range(1, 4))
        async with asyncio.timeout(60):
            await world.gateway.dispatch.close_road(CAMPAIGN)
        talking.cancel()

    play(story, settings=SETTINGS)
