"""A database that takes its time to answer: texts go on, and a STOP still holds from its answer on."""

import asyncio

import msgspec
import pytest

from gateway.config import Workers
from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.registration import Registration
from gateway.pipeline.lease import LOOK_VALID_S, MOST_LOOK_VALID_S, LookValidity
from gateway.pipeline.recent_durations import RecentDurations
from gateway.providers.base import InboundText
from tests.pipeline.world import SETTINGS, SETTLED_S, World, number_phone, phone

TEN_PER_S = CampaignSettings(registration=Registration(total_per_s=10))
SEVERAL = msgspec.structs.replace(SETTINGS, workers=Workers(beat_s=2.0))


async def slow_workers(world: World, answer_s: float):
    other, database = world.new_gateway()
    await other.start()
    world.provider.listen(world.gateway)
    await world.wait(10)
    world.database.answer_s = database.answer_s = answer_s
    return other, database


@pytest.mark.parametrize("answer_s", [0.1, 0.4, 1.0, 2.0])
def test_a_slow_database_slows_the_bank_and_does_not_stop_it(play, answer_s: float):
    async def story(world: World) -> None:
        other, database = await slow_workers(world, answer_s)
        asked = [world.submit(each) for each in range(1, 41)]
        await world.wait(20 + 20 * answer_s)
        assert len(world.handed) == 40
        assert all([(await each).admitted for each in asked])
        world.database.answer_s = database.answer_s = 0.0
        await world.wait(SETTLED_S)
        assert set((await world.states()).values()) == {"sent"}
        world.nobody_got_a_text_twice()
        other.crash()

    play(story, people=40, settings=SEVERAL, campaign=TEN_PER_S)


@pytest.mark.parametrize("answer_s", [0.1, 0.4, 2.0])
def test_no_call_begins_after_a_stop_is_acknowledged_while_looks_are_long(play, answer_s: float):
    async def story(world: World) -> None:
        other, database = await slow_workers(world, answer_s)
        asked = [world.submit(each) for each in range(1, 61)]
        acknowledged: dict[int, float] = {}

        async def stops(contact_id: int) -> None:
            await world.wait(6 * answer_s + (61 - contact_id) * 0.2)
            stop = InboundText(
                f"IN{contact_id}", phone(contact_id), number_phone(1), "STOP", world.clock.now()
            )
            await other.inbound(stop)
            acknowledged[contact_id] = world.clock.now()

        await asyncio.gather(*(stops(each) for each in range(1, 61)))
        await asyncio.gather(*asked)
        world.database.answer_s = database.answer_s = 0.0
        await world.wait(SETTLED_S)
        late = [
            each for each, at in acknowledged.items() if any(text.at > at for text in world.texts_to(each))
        ]
        assert late == []
        assert len(world.handed) > 0
        other.crash()

    play(story, people=60, own_numbers=10, settings=SEVERAL, campaign=TEN_PER_S)


def test_the_longest_look_of_all_workers_is_waited_for(play):
    async def story(world: World) -> None:
        other, database = world.new_gateway()
        await other.start()
        world.provider.listen(world.gateway)
        await world.wait(10)
        database.answer_s = 1.0
        other.dispatch.hand_over.look_validity.took.saw(world.clock.steady(), 1.0)
        await world.wait(10)
        asked_at = world.clock.now()
        await world.write(1, "STOP")
        assert world.clock.now() - asked_at >= other.dispatch.hand_over.look_validity.now_s > 4 * LOOK_VALID_S
        other.crash()

    play(story, settings=SEVERAL)


def test_a_look_is_good_for_as_long_as_was_told_when_it_began(play):
    """A worker whose looks become good for longer gives no longer life to those that began before: a STOP may have
    been answered meanwhile that they do not know of."""

    async def story(world: World) -> None:
        other, _ = world.new_gateway()
        await other.start()
        world.provider.listen(world.gateway)
        await world.wait(20)
        owner = next(each for each in (world.gateway, other) if each.dispatch.roads)
        for contact_id in range(1, 20):  # calls are short, so that the next may wait for one
            await world.submit(contact_id, gateway=owner)
            await world.wait(1)
        world.provider.takes_s = 4.0
        await world.submit(20, gateway=owner)
        await world.wait(0.1)
        await world.submit(21, gateway=owner)
        await world.wait(0.1)
        assert world.texts_to(20)
        assert len(owner.dispatch.hand_over) == 2  # it waits for the only call to end
        await world.write(21, "STOP")
        owner.dispatch.hand_over.look_validity.took.saw(
            world.clock.now(), 2.0
        )  # the database has become slow
        await world.wait(SETTLED_S)
        assert world.texts_to(21) == []
        other.crash()

    one_call = msgspec.structs.replace(SEVERAL.dispatch, concurrency=1)
    settings = msgspec.structs.replace(SEVERAL, dispatch=one_call)
    play(story, people=21, settings=settings, campaign=TEN_PER_S)


# ---------------------------------------------------------------- the validity itself


def test_a_longer_look_is_told_before_it_is_used():
    validity = LookValidity(0.25)
    validity.took.saw(100.0, 0.4)
    assert validity.now_s == 0.25
    told_s = validity.to_tell(100.0)
    assert (told_s, validity.now_s) == (1.0, 0.25)
    validity.told(told_s)
    assert validity.now_s == 1.0


def test_a_shorter_look_is_used_before_it_is_told():
    validity = LookValidity(0.25)
    validity.took.saw(0.0, 0.8)
    validity.told(validity.to_tell(0.0))
    validity.took.saw(200.0, 0.01)
    assert validity.to_tell(200.0) == 2.0
    assert validity.now_s == 0.25
    validity.told(2.0)
    assert validity.now_s == 0.25
    assert validity.to_tell(201.9) == 2.0
    assert validity.to_tell(202.1) == 0.25


def test_a_look_is_never_good_for_ever():
    validity = LookValidity(0.25)
    validity.took.saw(0.0, 60.0)
    assert validity.to_tell(0.0) == MOST_LOOK_VALID_S


def test_what_was_told_before_stands_until_the_looks_of_then_are_over():
    """Also when the validity is shortened twice in a row."""
    validity = LookValidity(0.25)
    validity.took.saw(0.0, 2.0)
    validity.told(validity.to_tell(0.0))
    assert validity.now_s == 5.0
    validity.took.saw(102.0, 0.8)
    assert validity.to_tell(102.0) == 5.0
    assert validity.now_s == 2.0
    validity.took = RecentDurations()
    assert validity.to_tell(104.0) == 5.0
    assert validity.to_tell(106.9) == 5.0
    assert validity.to_tell(107.1) == 0.25
