"""kill -9 between any two steps: nothing that was acknowledged is lost, nobody is texted twice."""

import asyncio

import pytest

from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.registration import Registration
from gateway.core.rules.safeguards import Kind
from gateway.providers.base import NotSent
from tests.pipeline.scripted_provider import Lost, reference
from tests.pipeline.world import SETTLED_S, World, phone

TWO_PER_S = CampaignSettings(registration=Registration(total_per_s=2))
PEOPLE = 6
STATEMENTS = 30  # of the morning below, each a place to die at


class Morning:
    """A little of everything: texts, a lost answer, a retry, receipts, a STOP, a reply."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.acknowledged: dict[int, int] = {}  # message id -> contact
        self.stop_acknowledged_at: float | None = None

    async def run(self) -> None:
        world = self.world
        world.provider.answers.extend([None, Lost(taken=True), NotSent(), Lost(taken=False)])
        await world.wait(0.5)
        await asyncio.gather(*(self.text(each) for each in range(1, PEOPLE + 1)))
        await world.wait(1.0)
        await asyncio.gather(*(world.provider.say(each.text, "sent") for each in world.handed[:2]))
        await self.stop(PEOPLE)
        await world.write(1, "Where do I vote?")
        await self.text(1, "At the school", Kind.REPLY)
        await world.provider.say(world.handed[0].text, "delivered")

    async def text(self, contact_id: int, body: str = "Hello", kind: Kind = Kind.INITIAL) -> None:
        outcome = await self.world.submit(contact_id, body, kind=kind)
        if outcome.admitted:
            self.acknowledged[outcome.message_id] = contact_id

    async def stop(self, contact_id: int) -> None:
        await self.world.write(contact_id, "STOP")
        self.stop_acknowledged_at = self.world.clock.now()


async def nothing_is_lost_and_nobody_got_it_twice(world: World, morning: Morning) -> None:
    world.nobody_got_a_text_twice()
    states = await world.states()
    assert set(states.values()) <= {"sent", "delivered", "blocked", "failed"}
    assert await world.queued() == []
    assert morning.acknowledged.keys() <= states.keys()
    taken = {reference(each.text)[1] for each in world.provider.taken}
    assert taken == {each for each, state in states.items() if state in ("sent", "delivered")}
    for message_id, contact_id in morning.acknowledged.items():
        assert message_id in taken or contact_id == PEOPLE, (message_id, states[message_id])


def dying_at(play, place: int, moment: str, restart_s: float) -> None:
    async def story(world: World) -> None:
        died: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def die() -> None:
            world.crash()
            died.set_result(None)
            await asyncio.get_running_loop().create_future()  # the dead do not go on

        at = world.database.count + place
        hooks = world.database.before if moment == "before" else world.database.after
        hooks.append((lambda _sql, count: count == at, die))
        morning = Morning(world)
        living = asyncio.ensure_future(morning.run())
        await died
        living.cancel()  # who pressed Send gets no answer
        await asyncio.wait([living])
        await world.restart(restart_s)
        await world.wait(4 * SETTLED_S)
        await nothing_is_lost_and_nobody_got_it_twice(world, morning)

    play(story, campaign=TWO_PER_S)


@pytest.mark.parametrize("place", range(1, STATEMENTS + 1))
def test_dying_after_each_statement(play, place: int):
    dying_at(play, place, "after", 20.0)


@pytest.mark.parametrize("place", range(1, STATEMENTS + 1, 3))
def test_dying_before_a_statement(play, place: int):
    dying_at(play, place, "before", 20.0)


@pytest.mark.parametrize("place", range(2, STATEMENTS, 3))
def test_dying_at_a_statement_and_back_at_once(play, place: int):
    dying_at(play, place, "after", 0.0)


@pytest.mark.parametrize("restart_s", [0.0, 20.0])
@pytest.mark.parametrize("tenth", range(4, 32, 3))
def test_dying_at_any_time(play, tenth: int, restart_s: float):
    async def story(world: World) -> None:
        morning = Morning(world)
        living = asyncio.ensure_future(morning.run())
        await world.wait(tenth / 10 + 0.03)
        world.crash()
        living.cancel()
        await asyncio.wait([living])
        await world.restart(restart_s)
        await world.wait(4 * SETTLED_S)
        await nothing_is_lost_and_nobody_got_it_twice(world, morning)

    play(story, campaign=TWO_PER_S)


def test_a_morning_without_a_crash(play):
    """The measure of the others: without a crash all of it holds, and everybody but one is texted."""

    async def story(world: World) -> None:
        first = world.database.count
        morning = Morning(world)
        await morning.run()
        await world.wait(4 * SETTLED_S)
        await nothing_is_lost_and_nobody_got_it_twice(world, morning)
        assert len(morning.acknowledged) == PEOPLE + 1
        assert {each.text.phone for each in world.provider.taken} >= {phone(n) for n in range(1, PEOPLE)}
        assert world.database.count - first >= STATEMENTS

    play(story, campaign=TWO_PER_S)


def test_crash_after_crash(play):
    async def story(world: World) -> None:
        morning = Morning(world)
        for contact in range(1, PEOPLE):
            await morning.text(contact)
            await world.wait(0.3)
            await world.crash_and_restart(after_s=contact % 3)
        await world.wait(8 * SETTLED_S)
        await nothing_is_lost_and_nobody_got_it_twice(world, morning)
        assert len(world.provider.taken) == PEOPLE - 1

    play(story, campaign=TWO_PER_S)


def test_no_one_is_texted_after_a_stop_however_the_gateway_died(play):
    async def story(world: World) -> None:
        await world.wait(1)
        await world.send_all(range(1, 9))
        await world.write(7, "STOP")
        before = len(world.texts_to(7))
        await world.crash_and_restart()
        await world.wait(2 * SETTLED_S)
        assert len(world.texts_to(7)) == before == 0

    play(story, campaign=TWO_PER_S)


def test_the_dead_write_nothing_more(play):
    async def story(world: World) -> None:
        asked = [world.submit(each) for each in range(1, 6)]
        await world.wait(0.02)
        world.crash()
        before = await world.states()
        await world.wait(60)
        assert await world.states() == before
        assert all(each.cancelled() for each in asked)
        calls = len(world.handed)
        await world.wait(60)
        assert len(world.handed) == calls

    play(story)
