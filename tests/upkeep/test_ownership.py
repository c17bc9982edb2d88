"""Owning, taking over, sharing out and giving up campaigns: several workers over one database, in virtual time."""

import asyncio
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest

from gateway.app import Gateway
from gateway.config import OptOuts, Workers
from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.registration import Registration
from gateway.core.rules.safeguards import Kind, Request
from gateway.core.sending.workers import share_of
from gateway.store import campaigns
from gateway.store.campaigns import CampaignRow
from gateway.store.ownership import FencingToken
from tests.pipeline.world import CAMPAIGN, SCOPE, SETTINGS, START_AT, World, play
from tests.store.cluster import Cluster, shared

ONE_PER_S = CampaignSettings(registration=Registration(total_per_s=1))
BEAT_S = 2.0
SEVERAL = msgspec.structs.replace(SETTINGS, workers=Workers(beat_s=BEAT_S))
DEAD_S = 12.5  # from a worker's last beat until its campaigns are another one's
MANY = range(2, 31)


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Cluster:
    return shared(pytestconfig)


@pytest.fixture
def alone(cluster: Cluster) -> Callable[..., Any]:
    return partial(play, cluster.empty())


@pytest.fixture
def several(cluster: Cluster) -> Callable[..., Any]:
    return partial(play, cluster.empty(), settings=SEVERAL)


async def one_more(world: World) -> Gateway:
    """Another worker; the provider's words go on coming to the first."""
    gateway, _ = world.new_gateway()
    await gateway.start()
    await gateway.adopted()
    world.provider.listen(world.gateway)
    return gateway


async def create(world: World, campaign_ids, settings: str = "{}") -> None:
    for campaign_id in campaign_ids:
        row = CampaignRow(campaign_id, SCOPE, "Bank", settings, paused=False)
        await campaigns.create(world.store, row, START_AT)


def freeze(gateway: Gateway) -> None:
    """Its beats stop, as those of a process that was stopped; what it has begun goes on later."""
    gateway.ownership._task.cancel()  # type: ignore[union-attr]


def owned(*gateways: Gateway) -> list[int]:
    return sorted(each for gateway in gateways for each in gateway.dispatch.roads)


def is_shared(*gateways: Gateway) -> bool:
    """Whether each dispatches its share and nothing else."""
    ids = [gateway.ownership.worker_id for gateway in gateways]
    return all(
        share_of(each, ids) == gateway.ownership.worker_id
        for gateway in gateways
        for each in gateway.dispatch.roads
    )


async def row_of(world: World, campaign_id: int = CAMPAIGN) -> Any:
    return await world.store.fetch_row("SELECT * FROM campaigns WHERE campaign_id = $1", campaign_id)


# ---------------------------------------------------------------- one adoption a campaign


def test_two_adoptions_at_once_make_one_dispatcher(alone):
    """A campaign made over the API, beside the round that looks for campaigns without an owner."""

    async def story(world: World) -> None:
        await create(world, [2])
        await world.gateway.campaigns.load()
        world.gateway.ownership.look_now()
        await asyncio.gather(*(world.gateway.adopt(2) for _ in range(3)))
        await world.wait(40)
        running = [task for task in asyncio.all_tasks() if task.get_name() == "road 2"]
        assert len(running) == 1
        assert (await row_of(world, 2))["owner_epoch"] == 1

    alone(story)


def test_a_token_that_is_out_of_date_ends_its_road_alone_and_a_new_one_follows(alone):
    async def story(world: World) -> None:
        await create(world, [2])
        await world.gateway.campaigns.load()
        await world.gateway.adopt(2)
        other = world.gateway.dispatch.roads[2]
        outcomes = await world.send_all(range(1, 6))
        await world.store.execute("UPDATE campaigns SET owner_epoch = owner_epoch + 1 WHERE campaign_id = 1")
        await world.wait(30)
        assert {await world.state(each.message_id) for each in outcomes} == {"sent"}
        assert world.gateway.dispatch.token_of(CAMPAIGN) == FencingToken(world.gateway.ownership.worker_id, 3)
        assert world.gateway.dispatch.roads[2] is other
        world.nobody_got_a_text_twice()

    alone(story, campaign=ONE_PER_S)


def test_nothing_goes_straight_on_along_a_road_that_is_another_workers_by_now(alone):
    """Taken over after the road had chosen a number and a slot: the text waits for its owner, as any other."""

    async def story(world: World) -> None:
        await world.store.execute("UPDATE campaigns SET owner_epoch = owner_epoch + 1 WHERE campaign_id = 1")
        [outcome] = await world.send_all(range(1, 2))
        assert outcome.state == "queued"
        assert await world.state(outcome.message_id) == "queued"
        await world.wait(30)
        assert await world.state(outcome.message_id) == "sent"
        world.nobody_got_a_text_twice()

    alone(story)


# ---------------------------------------------------------------- a campaign that can't be taken up

BROKEN = {
    "a value that this release can't read": '{"hours": {"start_minute": "early"}}',
    "hours that can't be": '{"hours": {"start_minute": 900, "end_minute": 800}}',
    "no settings at all": '["hours"]',
    "a registration that no carrier grants": '{"registration": {"total_per_s": -1}}',
}


@pytest.mark.parametrize("settings", BROKEN.values(), ids=BROKEN)
def test_settings_that_cannot_be_read_harm_their_campaign_alone(alone, settings: str):
    async def story(world: World) -> None:
        await create(world, [2], settings)
        await create(world, [3])
        await world.gateway.drain()
        await world.start()
        assert owned(world.gateway) == [1, 3]
        assert "can't be read" in (await row_of(world, 2))["waits_because"]
        assert (await world.submit(1)).admitted
        await world.store.execute("UPDATE campaigns SET settings = '{}' WHERE campaign_id = 2")
        await world.wait(120)
        assert owned(world.gateway) == [1, 2, 3]
        assert (await row_of(world, 2))["waits_because"] is None

    alone(story)


def test_settings_of_a_newer_release_are_read_as_far_as_they_are_known(alone):
    async def story(world: World) -> None:
        newer = '{"quiet_days": [6], "hours": {"start_minute": 600, "shade": 1}, "registration": {"rate_card": {}}}'
        await create(world, [2], newer)
        await world.gateway.campaigns.load()
        await world.gateway.adopt(2)
        assert owned(world.gateway) == [1, 2]
        assert world.gateway.campaigns[2].settings.hours.start_minute == 600

    alone(story)


def test_a_broken_row_harms_its_campaign_alone(alone):
    async def story(world: World) -> None:
        await create(world, [2])
        await world.store.execute(
            """
            INSERT INTO numbers (campaign_id, number_id, phone, provider_sid, state, bought_at, bought_because, details)
            VALUES (2, 1, '+12675550150', 'PN', 'active', now(), 'capacity', '{"number_id": "one"}')
            """
        )
        await world.gateway.campaigns.load()
        await world.gateway.adopt(2)
        assert owned(world.gateway) == [1]
        assert "number_id" in (await row_of(world, 2))["waits_because"]
        await world.store.execute("DELETE FROM numbers WHERE campaign_id = 2")
        await world.wait(70)
        assert owned(world.gateway) == [1, 2]

    alone(story)


def test_an_adoption_that_hangs_holds_up_nobody(alone):
    async def story(world: World) -> None:
        for each in ("2", "3", "4"):
            await create(world, [int(each)])
        await world.gateway.drain()
        world.gateway, world.database = world.new_gateway()
        hung = asyncio.get_running_loop().create_future()
        opened = world.gateway.dispatch.open

        async def open_all_but_two(campaign, token) -> None:
            if campaign.campaign_id == 2 and not hung.done():
                await asyncio.shield(hung)
            await opened(campaign, token)

        world.gateway.dispatch.open = open_all_but_two  # type: ignore[method-assign]
        await world.gateway.start()
        await world.wait(1)
        assert owned(world.gateway) == [1, 3, 4]
        await world.wait(30)
        assert "longer than" in (await row_of(world, 2))["waits_because"]
        hung.set_result(None)
        await world.wait(60)
        assert owned(world.gateway) == [1, 2, 3, 4]

    alone(story)


def test_what_one_worker_cannot_take_up_another_may(several):
    """A newer release runs beside an older one."""

    async def story(world: World) -> None:
        def cannot(*_: object) -> None:
            raise ValueError("made by a newer release")

        world.gateway.dispatch.open = cannot  # type: ignore[method-assign,assignment]
        other = await one_more(world)
        await create(world, MANY)
        await world.wait(40)
        assert owned(other) == [CAMPAIGN, *MANY]
        before = [(await row_of(world, each))["owner_epoch"] for each in MANY]
        await world.wait(120)
        assert owned(other) == [CAMPAIGN, *MANY]
        assert before == [(await row_of(world, each))["owner_epoch"] for each in MANY]  # nothing flaps
        other.crash()

    several(story)


# ---------------------------------------------------------------- taking over


def test_a_dead_workers_campaigns_are_another_ones_within_seconds(several):
    async def story(world: World) -> None:
        await create(world, MANY)
        other = await one_more(world)
        await world.wait(30)
        assert owned(world.gateway, other) == [CAMPAIGN, *MANY]
        assert is_shared(world.gateway, other)
        world.crash()
        await world.wait(DEAD_S)
        assert owned(other) == [CAMPAIGN, *MANY]
        other.crash()

    several(story)


def test_a_worker_that_stops_leaves_its_campaigns_at_once(several):
    async def story(world: World) -> None:
        await create(world, MANY)
        other = await one_more(world)
        await world.wait(30)
        await world.gateway.drain()
        assert (await row_of(world))["owner_id"] in (None, other.ownership.worker_id)
        await world.wait(BEAT_S + 0.5)
        assert owned(other) == [CAMPAIGN, *MANY]
        other.crash()

    several(story)


@pytest.mark.parametrize("frozen_s", [4.0, 52.0])
def test_a_frozen_worker_claims_nothing_when_it_wakes(several, frozen_s: float):
    async def story(world: World) -> None:
        outcomes = await world.send_all(range(1, 11))
        other, _ = world.new_gateway()
        await other.start()
        freeze(world.gateway)
        await world.wait(frozen_s)
        first = world.gateway.dispatch
        assert first.is_trusted == (frozen_s < 3 * BEAT_S)
        await world.wait(60)
        assert {await world.state(each.message_id) for each in outcomes} == {"sent"}
        assert (await row_of(world))["owner_id"] == other.ownership.worker_id
        world.nobody_got_a_text_twice()
        other.crash()

    several(story, campaign=ONE_PER_S)


def test_a_worker_that_doubts_itself_lets_nothing_go_straight_on(several):
    async def story(world: World) -> None:
        freeze(world.gateway)
        await world.wait(3 * BEAT_S + 1)
        assert (await world.submit(1)).state == "queued"
        await world.wait(30)
        assert world.handed == []

    several(story)


def test_after_an_outage_everybody_owns_what_they_owned(several):
    async def story(world: World) -> None:
        await create(world, MANY)
        other = await one_more(world)
        await world.wait(40)
        before = {each: (await row_of(world, each))["owner_epoch"] for each in MANY}

        async def away(_sql: str) -> None:
            raise ConnectionResetError("the database is away")

        databases = [each for each in world._databases if each is not world.store]
        for database in databases:
            database.before.append((lambda _sql, _count: True, lambda: away("")))  # type: ignore[attr-defined]
        await world.wait(45)
        assert not world.gateway.dispatch.is_trusted
        for database in databases:
            database.before.clear()  # type: ignore[attr-defined]
        await world.wait(15)
        assert before == {each: (await row_of(world, each))["owner_epoch"] for each in MANY}
        assert world.gateway.dispatch.is_trusted
        other.crash()

    several(story)


# ---------------------------------------------------------------- sharing out


def test_a_newcomer_gets_its_share_and_nothing_else_moves(several):
    async def story(world: World) -> None:
        await create(world, MANY)
        second = await one_more(world)
        await world.wait(40)
        before = {each: (await row_of(world, each))["owner_epoch"] for each in MANY}
        third = await one_more(world)
        await world.wait(40)
        assert owned(world.gateway, second, third) == [CAMPAIGN, *MANY]
        assert is_shared(world.gateway, second, third)
        moved = {each for each in MANY if (await row_of(world, each))["owner_epoch"] != before[each]}
        assert moved == set(third.dispatch.roads) - {CAMPAIGN}
        second.crash()
        third.crash()

    several(story)


def test_a_campaign_that_moves_in_the_middle_of_its_bank_loses_and_repeats_nothing(several):
    async def story(world: World) -> None:
        outcomes = await world.send_all(range(1, 21))
        others = [await one_more(world) for _ in range(4)]
        await world.wait(200)
        assert (await row_of(world))["owner_epoch"] > 1
        assert {await world.state(each.message_id) for each in outcomes} == {"sent"}
        world.nobody_got_a_text_twice()
        handed = sorted(each.at for each in world.handed)
        assert all(later - sooner > 0.9 for sooner, later in itertools.pairwise(handed))
        for each in others:
            each.crash()

    several(story, campaign=ONE_PER_S)


# ---------------------------------------------------------------- at rest


def test_an_idle_campaign_costs_no_statement(alone):
    async def story(world: World) -> None:
        async def statements(seconds: float) -> int:
            before = world.database.count
            await world.wait(seconds)
            return world.database.count - before

        await world.wait(60)
        with_one = await statements(600)
        await create(world, range(2, 102))
        await world.gateway.campaigns.load()
        for campaign_id in range(2, 102):
            await world.gateway.adopt(campaign_id)
        await world.wait(60)
        assert len(world.gateway.dispatch.roads) == 101
        assert await statements(600) == with_one

    alone(story)


def test_a_drain_may_be_repeated_and_nothing_is_left(several):
    async def story(world: World) -> None:
        outcomes = await world.send_all(range(1, 6))
        await asyncio.gather(world.gateway.drain(), world.gateway.drain())
        await world.gateway.drain()
        assert {await world.state(each.message_id) for each in outcomes} <= {"sent", "queued"}
        assert await world.store.fetch("SELECT FROM workers") == []
        assert (await row_of(world))["owner_id"] is None

    several(story, campaign=ONE_PER_S)


def test_a_drain_while_people_opt_out_ends_and_keeps_every_stop(cluster: Cluster):
    """Each STOP that is written asks for its confirmation, which opens a window, while the drain goes on."""

    async def story(world: World) -> None:
        await create(world, MANY)
        await world.gateway.campaigns.load()
        await world.send_all(range(1, 11))
        stops = [asyncio.ensure_future(world.write(each, "STOP")) for each in range(1, 11)]
        drains = [asyncio.ensure_future(world.gateway.drain()) for _ in range(2)]
        for each in MANY:  # what arrives meanwhile opens further windows
            request = Request(campaign_id=each, contact_id=1, kind=Kind.CONFIRMATION, body="Bye")
            world.gateway.admission.submit(request).add_done_callback(lambda done: done.exception())
            await world.wait(0.01)
        await asyncio.gather(*stops, *drains)
        await world.gateway.drain()
        assert await world.store.fetch_value("SELECT count(*) FROM opt_outs") == 10
        assert "sending" not in (await world.states()).values()

    replies = msgspec.structs.replace(SEVERAL, opt_outs=OptOuts(provider_replies=False))
    play(cluster.empty(), story, settings=replies, campaign=ONE_PER_S)


def test_a_campaign_whose_leftovers_can_not_be_settled_keeps_no_other_waiting(alone):
    async def story(world: World) -> None:
        settled: list[int] = []

        async def settle(campaign_id: int) -> None:
            if campaign_id == 2:
                raise ValueError("a broken row")
            settled.append(campaign_id)

        await create(world, range(2, 6))
        world.gateway.ownership._settle_left = settle
        await world.gateway.campaigns.load()
        for campaign_id in range(2, 6):
            await world.gateway.ownership.adopt(campaign_id)
        await world.wait(60)
        assert sorted(settled) == [3, 4, 5]

    alone(story)
