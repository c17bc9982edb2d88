"""What waits when its window ends: an action holds its first texts until the next day, or lets them end."""

import asyncio
from typing import Any, Literal

import msgspec
import pytest

from gateway.core.bank.actions import ActionSettings
from gateway.core.bank.permissions import Actor, Role
from gateway.core.rules.hours import CampaignHours, group_key
from gateway.core.rules.safeguards import Kind
from gateway.entropy import secret
from gateway.p2p.actions import ActionChange, Actions
from gateway.p2p.bank import Scripts
from gateway.pipeline.admission import Outcome
from gateway.providers.base import Refused
from tests.pipeline.scripted_provider import Lost
from tests.pipeline.test_changed_settings import change
from tests.pipeline.test_dispatch import one_per_s
from tests.pipeline.world import CAMPAIGN, FIVE, NINE, World

ADMIN = Actor(Role.KEY_ADMIN, key_id="0123456789ab")
ACTION, DAY_S = 5, 86_400.0
OPENS, SHUTS = NINE + DAY_S, FIVE + DAY_S  # the next day
PEOPLE = range(1, 13)


def actions(world: World) -> Actions:
    gateway = world.gateway
    return Actions(gateway.database, gateway.campaigns, gateway.clock, secret)


async def until(world: World, at: float) -> None:
    await world.wait(at - world.clock.now())


async def evening(
    world: World, overflow: Literal["next_day", "end"] = "next_day", last: ActionChange | None = None
) -> list[Outcome]:
    """Twelve first texts, one a second, a few seconds before no more may go; returns those that wait."""
    await world.gateway.bank.publish(CAMPAIGN, ACTION, "Title", Scripts(initials=("Hello",)), seed=1)
    await actions(world).change(
        ADMIN, CAMPAIGN, ACTION, ActionChange(settings=ActionSettings(overflow=overflow))
    )
    await until(world, FIVE - 72)
    outcomes = await asyncio.gather(*(world.submit(each, action_id=ACTION) for each in PEOPLE))
    if last is not None:
        await actions(world).change(ADMIN, CAMPAIGN, ACTION, last)
    await until(world, FIVE + 120)
    waiting = [each for each in outcomes if not handed(world, each)]
    assert 5 < len(waiting) < len(PEOPLE)
    return waiting


def handed(world: World, outcome: Outcome) -> list[float]:
    return [each.at for each in world.handed if each.text.message_id == outcome.message_id]


async def ends(world: World, outcomes: list[Outcome]) -> set[tuple[str, int | None, str | None]]:
    rows = [await world.message(each.message_id) for each in outcomes]
    return {(row["state"], row["code"], row["reason"]) for row in rows}


def test_they_go_the_next_morning_each_once(play):
    async def story(world: World) -> None:
        waiting = await evening(world)
        assert await ends(world, waiting) == {("queued", None, None)}
        await until(world, OPENS - 5)
        assert not any(handed(world, each) for each in waiting)
        await until(world, OPENS + 60)
        for each in waiting:
            [at] = handed(world, each)
            assert OPENS <= at < OPENS + 30
            assert (await world.message(each.message_id))["not_after"].timestamp() == SHUTS
        world.nobody_got_a_text_twice()

    play(story, campaign=one_per_s())


@pytest.mark.parametrize("action_id", [ACTION, None])
def test_others_end_with_their_window(play, action_id: int | None):
    async def story(world: World) -> None:
        if action_id is not None:
            waiting = await evening(world, "end")
        else:
            await until(world, FIVE - 72)
            waiting = (await asyncio.gather(*(world.submit(each) for each in PEOPLE)))[-5:]
            await until(world, FIVE + 120)
        assert await ends(world, waiting) == {("blocked", 1202, "expired_in_queue")}
        await until(world, OPENS + 60)
        assert not any(handed(world, each) for each in waiting)

    play(story, campaign=one_per_s())


def test_a_reply_of_the_action_ends_with_its_window(play):
    async def story(world: World) -> None:
        await evening(world)
        await until(world, OPENS + 120)
        await world.write(1, "Who is this?")
        await world.gateway.campaigns.load()
        slow = msgspec.structs.replace(one_per_s(), hours=CampaignHours(end_minute=9 * 60 + 10))
        await change(world, slow)
        await until(world, OPENS + 600 - 62)
        reply = await world.submit(1, "A volunteer", kind=Kind.REPLY, action_id=ACTION)
        await until(world, OPENS + 800)
        assert await ends(world, [reply]) == {("blocked", 1202, "expired_in_queue")}

    play(story, campaign=one_per_s())


def test_who_leaves_in_the_night_is_not_texted_in_the_morning(play):
    async def story(world: World) -> None:
        waiting = await evening(world)
        row = await world.message(waiting[0].message_id)
        await world.write(row["contact_id"], "STOP")
        await until(world, OPENS + 60)
        assert await ends(world, waiting[:1]) == {("blocked", 1302, "found while it waited")}
        assert not handed(world, waiting[0])
        assert all(len(handed(world, each)) == 1 for each in waiting[1:])

    play(story, campaign=one_per_s())


def test_a_pause_holds_over_its_end_and_a_resume_in_the_night_sends_nothing(play):
    """Paused before the window ends; each day's end is met, and what goes on at night waits for the morning."""

    async def story(world: World) -> None:
        await world.gateway.bank.publish(CAMPAIGN, ACTION, "Title", Scripts(initials=("Hello",)), seed=1)
        settings = ActionChange(settings=ActionSettings(overflow="next_day"))
        await actions(world).change(ADMIN, CAMPAIGN, ACTION, settings)
        await until(world, FIVE - 90)
        outcomes = await asyncio.gather(*(world.submit(each, action_id=ACTION) for each in PEOPLE))
        await world.wait(3)
        await actions(world).change(ADMIN, CAMPAIGN, ACTION, ActionChange(paused=True))
        waiting = [each for each in outcomes if not handed(world, each)]
        assert len(waiting) > 5
        await until(world, SHUTS + 3600)  # a whole day later, in the evening
        assert {state for state, *_ in await ends(world, waiting)} == {"queued"}
        await actions(world).change(ADMIN, CAMPAIGN, ACTION, ActionChange(paused=False))
        await until(world, OPENS + DAY_S - 5)
        assert not any(handed(world, each) for each in waiting)
        await until(world, OPENS + DAY_S + 60)
        assert all(at >= OPENS + DAY_S for each in waiting for at in handed(world, each))
        assert all(len(handed(world, each)) == 1 for each in waiting)

    play(story, campaign=one_per_s())


def test_hours_that_change_in_the_night_hold_for_what_was_held(play):
    async def story(world: World) -> None:
        waiting = await evening(world)
        hours = CampaignHours(start_minute=12 * 60, end_minute=14 * 60)
        await change(world, msgspec.structs.replace(one_per_s(), hours=hours))
        await until(world, OPENS + 3 * 3600 - 5)
        assert not any(handed(world, each) for each in waiting)
        await until(world, OPENS + 3 * 3600 + 60)
        assert all(len(handed(world, each)) == 1 for each in waiting)

    play(story, campaign=one_per_s())


@pytest.mark.parametrize("what", ["settings", "contacts"])
def test_what_nobody_heard_of_is_found_before_the_wire(play, what: str):
    """The worker was down when the hours changed, or a person's address put them into another zone."""

    async def story(world: World) -> None:
        waiting = await evening(world)
        world.crash()
        if what == "settings":
            hours = CampaignHours(start_minute=12 * 60)
            later = msgspec.structs.replace(one_per_s(), hours=hours)
            await world.store.execute("UPDATE campaigns SET settings = $1::text::jsonb", later.to_json())
        else:
            west = group_key("CA", ["America/Los_Angeles"])
            await world.store.execute("UPDATE contacts SET hours_group = $1", west)
        await world.restart()
        await until(world, OPENS + 3 * 3600 - 5)
        assert not any(handed(world, each) for each in waiting)
        assert await ends(world, waiting) == {("queued", None, None)}
        await until(world, OPENS + 3 * 3600 + 60)
        assert all(len(handed(world, each)) == 1 for each in waiting)

    play(story, campaign=one_per_s())


def test_the_text_is_the_one_that_was_asked_for(play):
    """A script that changes in the night changes what is asked for from then on."""

    async def story(world: World) -> None:
        waiting = await evening(world)
        await world.store.execute("UPDATE scripts SET source = 'Another'")
        await until(world, OPENS + 60)
        bodies = {each.text.body for each in world.handed if each.at >= OPENS}
        assert bodies == {"Hello"}
        assert len([each for each in world.handed if each.at >= OPENS]) == len(waiting)

    play(story, campaign=one_per_s())


@pytest.mark.parametrize(
    "last", [ActionChange(archived=True), ActionChange(settings=ActionSettings(overflow="end"))]
)
def test_what_the_action_says_when_the_window_ends_counts(play, last: ActionChange):
    async def story(world: World) -> None:
        waiting = await evening(world, last=last)
        assert await ends(world, waiting) == {("blocked", 1202, "expired_in_queue")}

    play(story, campaign=one_per_s())


Overflow = Literal["next_day", "end"]


async def submitted(world: World, overflow: Overflow, *, at: float, answers: list[Any]) -> int:
    """A first text that the provider answers so, of an action with this overflow; its id."""
    await world.gateway.bank.publish(CAMPAIGN, ACTION, "Title", Scripts(initials=("Hello",)), seed=1)
    settings = ActionChange(settings=ActionSettings(overflow=overflow))
    await actions(world).change(ADMIN, CAMPAIGN, ACTION, settings)
    await until(world, at)
    world.provider.answers.extend(answers)
    message_id: int = (await world.submit(1, action_id=ACTION)).message_id
    return message_id


async def ends_as_its_action_says(world: World, message_id: int, overflow: Overflow) -> None:
    """After the end of the hours, and the next morning."""
    expected = ("queued", None) if overflow == "next_day" else ("blocked", 1202)
    row = await world.message(message_id)
    assert (row["state"], None if expected[1] is None else row["code"]) == expected
    await until(world, OPENS + 120)
    taken = [each for each in world.provider.taken if each.text.message_id == message_id]
    assert len(taken) == (overflow == "next_day")


@pytest.mark.parametrize("overflow", ["next_day", "end"])
def test_what_the_provider_did_not_take_in_time_waits_like_any_other(play, overflow: Overflow):
    """It says "too many requests" up to the end of the hours."""

    async def story(world: World) -> None:
        message_id = await submitted(world, overflow, at=FIVE - 400, answers=[Refused(20429)] * 50)
        await until(world, FIVE + 300)
        world.provider.answers.clear()
        await ends_as_its_action_says(world, message_id, overflow)

    play(story, campaign=one_per_s())


@pytest.mark.parametrize("overflow", ["next_day", "end"])
def test_what_a_crash_left_when_the_window_ends_waits_like_any_other(play, overflow: Overflow):
    """The provider is asked when the hours are over, and never had it: it is held over, or its action lets it end."""

    async def story(world: World) -> None:
        message_id = await submitted(world, overflow, at=FIVE - 75, answers=[Lost(taken=False)])
        await world.wait(0.5)
        world.crash()
        await world.restart(after_s=60)
        await until(world, FIVE + 300)
        await ends_as_its_action_says(world, message_id, overflow)

    play(story, campaign=one_per_s())
