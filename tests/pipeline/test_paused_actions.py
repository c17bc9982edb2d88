"""An action's first texts wait while replies, and other actions, go on."""

import asyncio
import contextlib
from functools import partial

import pytest

from gateway.core.bank.permissions import Actor, Role
from gateway.core.rules.safeguards import Kind
from gateway.entropy import secret
from gateway.p2p.actions import ActionChange, Actions
from gateway.p2p.bank import Scripts
from gateway.pipeline.admission import Outcome
from gateway.store.troubles import DatabaseAway
from tests.pipeline.test_dispatch import one_per_s
from tests.pipeline.world import CAMPAIGN, World

ADMIN = Actor(Role.KEY_ADMIN, key_id="0123456789ab")
PAUSED, OTHER = 5, 6


async def published(world: World) -> None:
    for action_id in (PAUSED, OTHER):
        await world.gateway.bank.publish(CAMPAIGN, action_id, "Title", Scripts(initials=("Hello",)), seed=1)


async def pause(world: World, paused: bool) -> None:
    gateway = world.gateway
    actions = Actions(gateway.database, gateway.campaigns, gateway.clock, secret)
    await actions.change(ADMIN, CAMPAIGN, PAUSED, ActionChange(paused=paused))


async def send(world: World, contact_ids: range, action_id: int) -> list[Outcome]:
    return list(await asyncio.gather(*(world.submit(each, action_id=action_id) for each in contact_ids)))


def handed_of(world: World, outcomes: list[Outcome]) -> int:
    ids = {each.message_id for each in outcomes}
    return sum(each.text.message_id in ids for each in world.handed)


def test_what_waits_stands_still_and_others_go_on(play):
    async def story(world: World) -> None:
        await published(world)
        await world.wait(1)
        waiting = await send(world, range(1, 9), PAUSED)
        others = await send(world, range(11, 15), OTHER)
        await world.wait(0.2)
        await pause(world, True)
        handed = handed_of(world, waiting)
        await world.wait(60)
        assert handed_of(world, waiting) == handed < 6
        assert handed_of(world, others) == 4
        late = await world.submit(9, action_id=PAUSED)
        assert (late.code, late.reason) == (1202, "paused")
        await pause(world, False)
        await world.wait(30)
        assert handed_of(world, waiting) == 8
        assert (await world.submit(9, "Again", action_id=PAUSED)).code is None

    play(story, campaign=one_per_s())


def test_replies_of_the_action_go_on(play):
    async def story(world: World) -> None:
        await published(world)
        await world.wait(1)
        await world.submit(1, action_id=PAUSED)
        await world.wait(5)
        await world.write(1, "Who is this?")
        await pause(world, True)
        reply = await world.submit(1, "A volunteer", kind=Kind.REPLY, action_id=PAUSED)
        await world.wait(5)
        assert handed_of(world, [reply]) == 1

    play(story)


def test_a_worker_that_has_not_heard_of_it_admits_and_claims_nothing(play):
    """In force at once: the statements look for themselves, whatever a worker believes."""

    async def story(world: World) -> None:
        await published(world)
        await world.wait(1)
        waiting = await send(world, range(1, 9), PAUSED)
        await world.wait(0.2)
        await world.store.execute("UPDATE campaigns SET paused_actions = ARRAY[$1::bigint]", PAUSED)
        handed = len(world.handed)
        outcome = await world.submit(9, action_id=PAUSED)
        assert (outcome.code, outcome.reason) == (1202, "paused")
        await world.wait(60)
        assert len(world.handed) == handed == handed_of(world, waiting)

    play(story, campaign=one_per_s())


@pytest.mark.parametrize("dies", ["owner", "other"])
def test_who_resumes_it_may_die_before_anything_is_due_again(play, dies: str):
    """The admin's client has given up; what waits goes on all the same, with the next owner or the same one."""

    async def story(world: World) -> None:
        await published(world)
        waiting = await send(world, range(1, 9), PAUSED)
        await world.wait(0.2)
        await pause(world, True)
        await world.wait(5)
        assert handed_of(world, waiting) < 8
        await world.gateway.first_texts.run_once()
        if dies == "owner":
            world.database.once(world.database.before, "interval '100 years'", partial(die, world))
            resume = asyncio.ensure_future(pause(world, False))
            await asyncio.wait([resume], timeout=5)
            await world.restart()
        else:
            await world.store.execute("UPDATE campaigns SET paused_actions = '{}'")
            await world.gateway.campaigns.load()
            await world.gateway.first_texts.run_once()
        await world.wait(30)
        assert handed_of(world, waiting) == 8
        world.nobody_got_a_text_twice()

    play(story, campaign=one_per_s())


def test_a_pause_that_is_taken_back_at_once_as_the_database_goes_away(play):
    """Nobody has looked in between, and the admin's client has given up: what waits goes on all the same."""

    async def story(world: World) -> None:
        await published(world)
        await world.gateway.first_texts.run_once()
        waiting = await send(world, range(1, 9), PAUSED)
        await world.wait(0.2)
        await pause(world, True)
        await world.wait(20)  # the owner has nobody of theirs in hand any more
        world.database.once(world.database.before, "interval '100 years'", breaks)
        with pytest.raises(DatabaseAway):
            await pause(world, False)
        assert handed_of(world, waiting) < 8
        await world.gateway.campaigns.load()
        for _ in range(3):
            await world.gateway.first_texts.run_once()
            await world.wait(30)
        assert handed_of(world, waiting) == 8
        world.nobody_got_a_text_twice()

    play(story, campaign=one_per_s())


def test_a_database_that_is_away_for_long_after_a_resume(play):
    async def story(world: World) -> None:
        await published(world)
        waiting = await send(world, range(1, 9), PAUSED)
        await world.wait(0.2)
        await pause(world, True)
        await world.wait(20)
        await world.gateway.first_texts.run_once()
        await world.store.execute("UPDATE campaigns SET paused_actions = '{}'")
        await world.gateway.campaigns.load()
        for _ in range(8):
            world.database.once(world.database.before, "interval '1 year'", breaks)
            with contextlib.suppress(DatabaseAway):
                await world.gateway.first_texts.run_once()
            await world.wait(30)
        assert handed_of(world, waiting) < 8
        await world.gateway.first_texts.run_once()
        await world.wait(30)
        assert handed_of(world, waiting) == 8

    play(story, campaign=one_per_s())


async def die(world: World) -> None:
    world.crash()
    raise asyncio.CancelledError


async def breaks() -> None:
    """A connection breaks, and no other."""
    raise ConnectionResetError
