"""T-Mobile's day is the brand's: two campaigns of it, on one worker or two, through crashes and the carrier's 30023."""

import asyncio

import msgspec
import pytest

from gateway.core.rules.campaign import CampaignKey, CampaignSettings
from gateway.core.rules.registration import Registration
from gateway.core.rules.safeguards import Kind, Request
from gateway.core.sending.numbers import Number
from gateway.pipeline.admission import Outcome
from gateway.providers.base import Refused
from gateway.store import campaigns, contacts, numbers
from gateway.store.campaigns import CampaignRow
from gateway.store.contacts import ContactRow
from gateway.store.numbers import NumberRow
from tests.pipeline.test_changed_settings import change
from tests.pipeline.world import CAMPAIGN, GROUP, SETTINGS, START_AT, World, number_phone, phone

SECOND = 2
CAP = 40


def of_brand(brand: str = "Vote", **more: object) -> CampaignSettings:
    return CampaignSettings(registration=Registration(**{"brand": brand, "tmobile_daily_cap": CAP} | more))


async def add_campaign(world: World, settings: CampaignSettings, people: int = 60) -> None:
    await campaigns.create(
        world.store, CampaignRow(SECOND, 12, "Two", settings.to_json(), paused=False), START_AT
    )
    rows = [ContactRow(each, phone(100 + each), GROUP) for each in range(1, people + 1)]
    await contacts.add(world.store, CampaignKey(1, SECOND), rows)
    number = Number(number_id=1, phone=number_phone(90), area_code="267")
    details = msgspec.json.encode(number).decode()
    row = NumberRow(1, number.phone, "PN90", "active", "capacity", details)
    await numbers.add(world.store, CampaignKey(1, SECOND), row, START_AT)
    await world.gateway.campaigns.load()


async def send_second(world: World, gateway, people: range) -> list[Outcome]:
    requests = [
        Request(
            campaign_id=SECOND, contact_id=each, kind=Kind.INITIAL, body="Hello", action_id=None, sender_id=7
        )
        for each in people
    ]
    return list(await asyncio.gather(*map(gateway.admission.submit, requests)))


async def held(world: World) -> int:
    found = await world.store.fetch_value("SELECT sum(value::int) FROM brand_days, jsonb_each_text(held)")
    return int(found or 0)


@pytest.mark.parametrize("workers", [1, 2])
def test_two_campaigns_of_a_brand_use_one_day(play, workers: int):
    async def story(world: World) -> None:
        await add_campaign(world, of_brand(total_per_s=1.0))
        gateway = world.gateway
        if workers == 2:
            gateway, _ = world.new_gateway()
            await gateway.start()
            world.provider.listen(world.gateway)
        else:
            await gateway.adopt(SECOND)
        await asyncio.gather(world.send_all(range(1, 51)), send_second(world, gateway, range(1, 51)))
        await world.wait(300)
        sent = [each.text.campaign_id for each in world.handed]
        assert len(sent) == CAP
        assert min(sent.count(CAMPAIGN), sent.count(SECOND)) >= 8
        assert await held(world) == CAP
        if workers == 2:
            gateway.crash()

    play(story, campaign=of_brand(total_per_s=1.0), people=60)


def test_without_a_name_each_campaign_is_its_own_brand(play):
    async def story(world: World) -> None:
        await add_campaign(world, of_brand(""))
        await world.gateway.adopt(SECOND)
        await world.send_all(range(1, 51))
        await send_second(world, world.gateway, range(1, 51))
        await world.wait(300)
        assert len(world.handed) == 2 * CAP

    play(story, campaign=of_brand(""), people=60)


def test_crashes_neither_pass_the_day_nor_lose_of_it(play):
    async def story(world: World) -> None:
        for contact in range(1, 11):
            await world.submit(contact)
            await world.wait(3)
            await world.crash_and_restart()
        await world.send_all(range(11, 61))
        await world.wait(400)
        assert len(world.provider.taken) == CAP
        assert await held(world) == CAP

    play(story, campaign=of_brand(), people=60)


def test_what_is_not_used_is_given_back_at_the_end(play):
    async def story(world: World) -> None:
        await world.send_all(range(1, 4))
        await world.wait(10)
        await world.gateway.drain()
        assert (len(world.handed), await held(world)) == (3, 3)

    play(story, campaign=of_brand(), people=60)


def test_other_vendors_use_counts(play):
    async def story(world: World) -> None:
        await world.send_all(range(1, 51))
        await world.wait(200)
        assert len(world.handed) == 10

    play(story, campaign=of_brand(tmobile_elsewhere=CAP - 10), people=60)


def test_after_30023_nobody_of_the_brand_sends_to_t_mobile_until_midnight(play):
    async def story(world: World) -> None:
        await add_campaign(world, of_brand())
        await world.gateway.adopt(SECOND)
        world.provider.answers.extend([None, None, Refused(30023)])
        await world.send_all(range(1, 4))
        await world.wait(20)
        before = len(world.handed)
        await send_second(world, world.gateway, range(1, 21))
        await world.wait(600)
        assert len(world.handed) == before
        assert await world.store.fetch_value("SELECT bool_and(is_reached) FROM brand_days")

    play(story, campaign=of_brand(), people=60)


def test_while_the_database_is_away_nothing_is_lost(play):
    async def story(world: World) -> None:
        away = world.database.once(world.database.after, "INSERT INTO brand_days", world.lose_the_answer)
        outcomes = await world.send_all(range(1, 11))
        await away
        await world.wait(60)
        assert {await world.state(each.message_id) for each in outcomes} == {"sent"}
        world.nobody_got_a_text_twice()

    play(story, campaign=of_brand(), people=60)


@pytest.mark.parametrize("is_raised", [False, True])
def test_who_waits_for_t_mobiles_midnight_stands_in_nobodys_way(play, is_raised: bool):
    """More of them than memory holds; the others go, and a cap that is raised lets them go at once."""
    small = msgspec.structs.replace(
        SETTINGS, dispatch=msgspec.structs.replace(SETTINGS.dispatch, look_ahead=20)
    )

    async def story(world: World) -> None:
        await world.store.execute(
            "UPDATE contacts SET carrier = CASE WHEN contact_id <= 80 THEN 'tmobile' ELSE 'att' END"
        )
        await world.send_all(range(1, 81))
        await world.wait(10)
        await world.send_all(range(81, 111))
        await world.wait(300)
        handed = {each.text.phone for each in world.handed}
        assert len(handed) == CAP + 30
        assert {phone(each) for each in range(81, 111)} <= handed
        if is_raised:
            await change(world, of_brand(tmobile_daily_cap=1000))
            await world.wait(300)
            assert len(world.handed) == 110
        await world.wait(86_400)
        assert await world.queued() == []
        world.nobody_got_a_text_twice()

    play(story, campaign=of_brand(), people=120, settings=small)
