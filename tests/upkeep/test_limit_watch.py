"""Admins are told of a limit at two thirds and at the whole, once, by whichever worker; an idle campaign costs nothing."""

import msgspec

from gateway.app import Gateway
from gateway.core.bank.events import EventKind
from gateway.core.bank.limits import Level, Limit
from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.registration import Registration
from gateway.p2p.limits import LimitsTold
from gateway.store import events, users
from gateway.store.events import FIRST
from gateway.store.users import UserRow
from gateway.upkeep.limit_watch import LimitWatch
from tests.pipeline.world import CAMPAIGN, KEY, World

CAPPED = CampaignSettings(registration=Registration(tmobile_daily_cap=30, total_per_s=50.0))


def watch_of(gateway: Gateway, waiting: int = 0) -> LimitWatch:
    return LimitWatch(
        gateway.database,
        gateway.clock,
        gateway.metrics,
        gateway.dispatch,
        lambda _: waiting,
        lambda _: 0,
    )


async def said(world: World) -> list[tuple[str | None, int | None]]:
    found = await events.read(world.database, KEY, FIRST, 5000)
    return [
        (each.state, each.code) for event in found if event.kind is EventKind.LIMIT for each in event.items()
    ]


async def level_of(world: World, limit: Limit) -> str:
    states = await LimitsTold(world.database).of(world.gateway.campaigns[CAMPAIGN])
    return next(each.level for each in states if each.limit is limit)


async def an_admin(world: World) -> None:
    user = UserRow(user_id=9, email="a@example.org", name="Ann", language="en")
    async with world.database.transaction() as transaction:
        await users.sign_up(transaction, KEY, user, "admin", world.clock.now())


def test_tmobiles_day_is_told_at_two_thirds_and_when_it_is_full(play):
    async def story(world: World) -> None:
        await an_admin(world)
        watch = watch_of(world.gateway)
        await watch.run_once()
        assert await said(world) == []
        for first in (1, 11, 21):
            await world.send_all(range(first, first + 10))
            await world.wait(5)
            for _ in range(3):
                await watch.run_once()
        assert [each for each in await said(world) if each[0] == "tmobile_day"] == [
            ("tmobile_day", 1), ("tmobile_day", 2),
        ]  # fmt: skip
        assert await level_of(world, Limit.TMOBILE_DAY) == "reached"
        told = world.gateway.metrics.registry.get_sample_value
        for level in ("warned", "reached"):
            assert told("p2p_limit_warnings_total", {"limit": "tmobile_day", "level": level}) == 1
        rows = await world.store.fetch("SELECT user_id, title FROM user_notices WHERE title LIKE 'T-Mobile%'")
        assert [tuple(row) for row in rows] == [
            (9, "T-Mobile's day is two thirds used"), (9, "T-Mobile's day is used up"),
        ]  # fmt: skip

    play(story, people=40, campaign=CAPPED)


def test_another_owner_says_nothing_again(play):
    async def story(world: World) -> None:
        await world.send_all(range(1, 31))
        await world.wait(30)
        await watch_of(world.gateway).run_once()
        before = await said(world)
        assert ("tmobile_day", 2) in before
        await watch_of(world.gateway).run_once()
        assert await said(world) == before

    play(story, people=40, campaign=CAPPED)


def test_an_idle_campaign_costs_no_statement(play):
    async def story(world: World) -> None:
        watch = watch_of(world.gateway)
        await watch.run_once()
        row = "SELECT at FROM campaign_limits ORDER BY name"
        before = await world.store.fetch(row)
        await world.wait(600)
        await watch.run_once()
        assert await world.store.fetch(row) == before

    play(story, campaign=msgspec.structs.replace(CAPPED, registration=Registration(total_per_s=50.0)))


def test_what_can_not_be_sent_before_the_window_ends_is_told_with_its_end(play):
    async def story(world: World) -> None:
        await world.send_all(range(1, 11))
        await world.wait(30)
        watch = watch_of(world.gateway, waiting=10_000_000)
        await watch.run_once()
        await world.send_all(range(11, 21))
        await world.wait(30)
        await watch.run_once()
        [window] = [
            each
            for each in await LimitsTold(world.database).of(world.gateway.campaigns[CAMPAIGN])
            if each.limit is Limit.WINDOW
        ]
        assert (window.level, window.hit_at) == (Level.REACHED.name.lower(), window.resets_at)

    play(story, people=40, campaign=CAPPED)
