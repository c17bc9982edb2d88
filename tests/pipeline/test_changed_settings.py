"""A campaign's settings that change while its texts wait: in force at its owner within two seconds, on any worker."""

import asyncio
from functools import partial

import msgspec
import pytest

from gateway.app import Gateway
from gateway.config import Workers
from gateway.core.bank.contacts import hours_group_of
from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.hours import CampaignHours
from gateway.core.rules.registration import Registration
from gateway.core.rules.retry import RetryPolicy
from gateway.core.rules.safeguards import Kind
from gateway.core.sending.pool_policy import PoolPolicy
from gateway.store import campaigns, contacts
from gateway.store.contacts import ContactRow
from gateway.store.notices import Subject
from tests.pipeline.test_two_workers import second_worker
from tests.pipeline.world import CAMPAIGN, KEY, SETTINGS, World, number_phone, phone

IN_FORCE_S = 2.0
TWO_WORKERS = msgspec.structs.replace(SETTINGS, workers=Workers())
SLOW = CampaignSettings(registration=Registration(total_per_s=1.0))


async def change(world: World, settings: CampaignSettings, gateway=None) -> None:
    gateway = gateway or world.gateway
    await campaigns.save_settings(gateway.database, KEY, settings.to_json())
    await gateway.campaigns.take_up(CAMPAIGN)


def handed_since(world: World, at: float) -> int:
    return sum(each.at > at for each in world.handed)


def hear_of(gateway: Gateway, campaign_id: int) -> None:
    """What PostgreSQL's notices do, which take real time."""
    gateway._heard(Subject.CAMPAIGN, [campaign_id])


@pytest.mark.parametrize("at_the_owner", [True, False])
def test_a_rate_is_in_force_within_two_seconds(play, at_the_owner: bool):
    async def story(world: World) -> None:
        other = await second_worker(world)
        await world.wait(60)  # the campaign is its last owner's, whichever of the two that is
        owner, door = (world.gateway, other) if world.gateway.dispatch.roads else (other, world.gateway)
        door.campaigns.tell = partial(hear_of, owner)
        await asyncio.gather(*(world.submit(each, gateway=owner) for each in range(1, 21)))
        await world.wait(3)
        waiting = 20 - len(world.handed)
        assert waiting > 12
        fast = CampaignSettings(registration=Registration(total_per_s=100.0))
        await change(world, fast, owner if at_the_owner else door)
        await world.wait(IN_FORCE_S + 1)
        assert len(world.handed) == 20
        other.crash()

    play(story, campaign=SLOW, settings=TWO_WORKERS)


def test_a_lower_rate_holds_for_what_waits(play):
    async def story(world: World) -> None:
        await world.send_all(range(1, 21))
        await world.wait(0.5)
        await change(world, CampaignSettings(registration=Registration(total_per_s=0.2)))
        await world.wait(IN_FORCE_S)
        before = len(world.handed)
        assert before < 20
        await world.wait(20)
        assert 1 <= len(world.handed) - before <= 5

    play(story, campaign=CampaignSettings(registration=Registration(total_per_s=5.0)))


def test_no_text_goes_after_a_window_that_was_shortened(play):
    async def story(world: World) -> None:
        await world.send_all(range(1, 21))
        await world.wait(3)
        minute = 11 * 60  # it is eleven in New York
        hours = CampaignHours(start_minute=9 * 60, end_minute=minute)
        changed_at = world.clock.now()
        await change(world, msgspec.structs.replace(SLOW, hours=hours))
        await world.wait(120)
        assert handed_since(world, changed_at + IN_FORCE_S) == 0
        assert await world.queued() == []
        rows = await world.store.fetch("SELECT code FROM messages WHERE state = 'blocked'")
        assert {row[0] for row in rows} == {1202}
        assert len(rows) >= 14

    play(story, campaign=SLOW)


@pytest.mark.parametrize("kind", [Kind.INITIAL, Kind.REPLY])
def test_a_window_that_was_shortened_while_nobody_owned_the_campaign(play, kind: Kind):
    """Neither we nor the provider, which is told until when it may try, text anybody after its new end."""

    async def story(world: World) -> None:
        people = range(1, 13)
        if kind is Kind.REPLY:
            await asyncio.gather(*(world.write(each, "Where do I vote?") for each in people))
        outcomes = await asyncio.gather(*(world.submit(each, kind=kind) for each in people))
        world.crash()
        crashed_at = world.clock.now()
        hours = CampaignHours(start_minute=9 * 60, end_minute=11 * 60 + 5)
        shorter = CampaignSettings(hours=hours, registration=Registration(total_per_s=0.02))
        await world.store.execute("UPDATE campaigns SET settings = $1::text::jsonb", shorter.to_json())
        await world.restart()
        await world.wait(1800)
        after = [each for each in world.handed if each.at > crashed_at]
        assert 2 < len(after) < 8
        assert max(each.at + each.text.validity_s for each in after) <= crashed_at + 300
        ends = [await world.message(each.message_id) for each in outcomes]
        assert {(each["state"], each["code"]) for each in ends} == {("sent", None), ("blocked", 1202)}
        world.nobody_got_a_text_twice()

    play(story, campaign=SLOW)


def test_who_lives_elsewhere_by_a_list_whose_worker_died_then_is_not_texted_too_early(play):
    """The list is in the books, and nobody has shortened what waits: neither in the store nor at the owner."""

    async def story(world: World) -> None:
        outcomes = await world.send_all(range(1, 21))
        await world.wait(3)
        honolulu = [
            ContactRow(0, phone(each), hours_group_of(phone(each), "96801", ""), zip="96801")
            for each in range(1, 21)
        ]
        moved_at = world.clock.now()
        await contacts.add(world.store, KEY, honolulu)
        await world.wait(120)
        assert handed_since(world, moved_at + IN_FORCE_S) == 0
        ends = [await world.message(each.message_id) for each in outcomes]
        assert sum((each["state"], each["code"]) == ("blocked", 1202) for each in ends) >= 14

    play(story, campaign=SLOW)


def test_a_window_that_ends_later_than_the_text_shortens_nothing(play):
    async def story(world: World) -> None:
        await world.send_all(range(1, 6))
        ends = await world.store.fetch("SELECT not_after FROM messages ORDER BY message_id")
        hours = CampaignHours(start_minute=9 * 60, end_minute=20 * 60)
        await change(world, msgspec.structs.replace(SLOW, hours=hours))
        await world.wait(30)
        assert len(world.handed) == 5
        assert await world.store.fetch("SELECT not_after FROM messages ORDER BY message_id") == ends

    play(story, campaign=SLOW)


def test_a_pool_follows_its_new_policy(play):
    async def story(world: World) -> None:
        await world.send_all(range(1, 4))
        await world.wait(5)
        world.provider.on_sale.append(number_phone(2))
        before = {each.text.number_phone for each in world.handed}
        assert before == {number_phone(1)}
        await change(world, CampaignSettings(pool=PoolPolicy(min_numbers=2, settle_s=0.0)))
        await world.wait(120)
        assert len(world.gateway.dispatch.roads[CAMPAIGN].pool.numbers) == 2

    play(story, people=30)


@pytest.mark.parametrize(
    "registration",
    [
        Registration(total_per_s=100.0, brand="Another"),
        Registration(total_per_s=100.0, tmobile_daily_cap=5000),
    ],
    ids=["another brand", "a cap"],
)
def test_what_must_be_counted_anew_goes_on_within_seconds(play, registration: Registration):
    async def story(world: World) -> None:
        await world.send_all(range(1, 21))
        await world.wait(3)
        assert len(world.handed) < 8
        await change(world, CampaignSettings(registration=registration))
        await world.wait(IN_FORCE_S + 3)
        assert len(world.handed) == 20
        world.nobody_got_a_text_twice()

    play(story, campaign=SLOW)


def test_retries_and_pauses_follow_at_once(play):
    async def story(world: World) -> None:
        await world.send_all(range(1, 21))
        await world.wait(3)
        await change(world, msgspec.structs.replace(SLOW, retry=RetryPolicy(max_attempts=1)))
        assert world.gateway.dispatch.roads[CAMPAIGN].campaign.settings.retry.max_attempts == 1
        await world.pause()
        paused_at = world.clock.now()
        await world.wait(60)
        assert handed_since(world, paused_at) == 0

    play(story, campaign=SLOW)
