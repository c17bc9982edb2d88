"""An action's own area codes: its first texts go from numbers there while the pool has any (F026)."""

import asyncio
from collections.abc import Iterable

import msgspec
import pytest

from gateway.core.bank.actions import ActionSettings
from gateway.core.bank.permissions import Actor, Role
from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.safeguards import Kind
from gateway.core.sending.numbers import Number
from gateway.core.sending.pool_policy import PoolPolicy
from gateway.entropy import secret
from gateway.p2p.actions import ActionChange, Actions
from gateway.p2p.bank import Scripts
from gateway.pipeline.admission import Outcome
from gateway.store import campaigns, numbers
from gateway.store.numbers import NumberRow
from tests.pipeline.test_changed_settings import change
from tests.pipeline.test_dispatch import one_per_s
from tests.pipeline.world import CAMPAIGN, KEY, START_AT, World, number_phone

ADMIN = Actor(Role.KEY_ADMIN, key_id="0123456789ab")
PITTSBURGH, ANYWHERE = 5, 6
NEAR, FAR = number_phone(1), "+14125550001"


async def two_cities(world: World) -> None:
    """A number near everybody, and one in Pittsburgh, which one action wants."""
    world.crash()
    number = Number(number_id=2, phone=FAR, area_code="412")
    row = NumberRow(2, FAR, "PN2", "active", "capacity", msgspec.json.encode(number).decode())
    await numbers.add(world.store, KEY, row, START_AT)
    await world.restart()
    for action_id in (PITTSBURGH, ANYWHERE):
        await world.gateway.bank.publish(CAMPAIGN, action_id, "Title", Scripts(initials=("Hello",)), seed=1)
    await wish(world, "412")


async def wish(world: World, *area_codes: str) -> None:
    gateway = world.gateway
    actions = Actions(gateway.database, gateway.campaigns, gateway.clock, secret)
    settings = ActionSettings(area_codes=area_codes)
    await actions.change(ADMIN, CAMPAIGN, PITTSBURGH, ActionChange(settings=settings))


async def send(world: World, contact_ids: Iterable[int], action_id: int | None) -> list[Outcome]:
    return list(await asyncio.gather(*(world.submit(each, action_id=action_id) for each in contact_ids)))


def numbers_to(world: World, contact_ids: Iterable[int]) -> set[str]:
    return {each.text.number_phone for contact_id in contact_ids for each in world.texts_to(contact_id)}


@pytest.mark.parametrize("waits", [False, True])
def test_its_first_texts_go_from_there_and_others_do_not(play, waits: bool):
    async def story(world: World) -> None:
        await two_cities(world)
        await world.wait(1)
        await send(world, range(1, 5), PITTSBURGH)
        await send(world, range(5, 8), ANYWHERE)
        await send(world, range(8, 10), None)
        await world.wait(30)
        assert numbers_to(world, range(1, 5)) == {FAR}
        assert numbers_to(world, range(5, 10)) == {NEAR}

    play(story, campaign=one_per_s() if waits else CampaignSettings())


def test_a_conversation_keeps_its_number(play):
    async def story(world: World) -> None:
        await two_cities(world)
        await send(world, [1], ANYWHERE)
        await world.wait(5)
        await world.write(1, "Who is this?")
        await world.submit(1, "A volunteer", kind=Kind.REPLY, action_id=PITTSBURGH)
        await world.wait(5)
        assert numbers_to(world, [1]) == {NEAR}

    play(story)


def test_a_wish_that_changes_counts_for_what_waits(play):
    async def story(world: World) -> None:
        await two_cities(world)
        await world.wait(1)
        await send(world, range(1, 11), PITTSBURGH)
        await world.wait(3)
        await wish(world)
        at = world.clock.now() + 3
        await world.wait(30)
        late = {each.text.number_phone for each in world.handed if each.at > at}
        assert late == {NEAR}
        assert FAR in {each.text.number_phone for each in world.handed}

    play(story, campaign=one_per_s())


def test_what_the_campaign_gave_up_is_preferred_by_none_of_its_actions(play):
    async def story(world: World) -> None:
        await two_cities(world)
        pool = PoolPolicy(preferred_area_codes=("267",))
        await change(world, CampaignSettings(pool=pool))
        assert world.gateway.campaigns[CAMPAIGN].area_codes == {}
        await send(world, [1], PITTSBURGH)
        await world.wait(5)
        assert numbers_to(world, [1]) == {NEAR}
        [row] = await campaigns.load(world.store)
        assert row.area_codes == '{"5": ["412"]}'

    play(story)
