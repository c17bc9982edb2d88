"""An open breaker: first texts of one script wait for one carrier, and nothing else does."""

import asyncio

import pytest

from gateway.core.rules.safeguards import Kind
from gateway.core.sending.breakers import Pair
from gateway.p2p.bank import Scripts
from gateway.p2p.buckets import Item, Press, ScriptChanged, Volunteer
from gateway.pipeline.admission import Outcome
from gateway.pipeline.breakers import ByHand
from gateway.store.troubles import DatabaseAway
from tests.pipeline.test_dispatch import one_per_s
from tests.pipeline.test_paused_actions import breaks
from tests.pipeline.world import ACTION, CAMPAIGN, World

WHO = Volunteer(7, {"first_name": "Sam"})
ATT, VERIZON = "att", "verizon"
GUILTY = Pair(ACTION, ATT, "initial-1")


async def published(world: World, *initials: str) -> None:
    """Contacts with an even id are AT&T's, the others Verizon's."""
    await world.store.execute(
        "UPDATE contacts SET carrier = CASE contact_id % 2 WHEN 0 THEN 'att' ELSE 'verizon' END"
    )
    await world.gateway.bank.publish(
        CAMPAIGN, ACTION, "Title", Scripts(initials=initials or ("Hello",)), seed=1
    )
    await world.wait(1)


async def bucket_of(world: World, size: int = 20, known: int | None = None) -> list[Item]:
    return (await world.gateway.buckets.claim(CAMPAIGN, ACTION, WHO, known=known, size=size)).items


async def press(world: World, items: list[Item]) -> dict[str, list[Outcome]]:
    """By carrier what became of them."""
    presses = [
        world.gateway.buckets.send(CAMPAIGN, ACTION, WHO, Press(each.contact_id, each.script, each.text_hash))
        for each in items
    ]
    outcomes = await asyncio.gather(*presses)
    told = zip(items, outcomes, strict=True)
    return _by_carrier([(each.contact_id, outcome) for each, outcome in told])


def _by_carrier(told: list[tuple[int, Outcome]]) -> dict[str, list[Outcome]]:
    return {
        carrier: [outcome for contact_id, outcome in told if contact_id % 2 == rest]
        for carrier, rest in ((ATT, 0), (VERIZON, 1))
    }


async def put(world: World, act: ByHand, pair: Pair = GUILTY) -> None:
    """As a person would, who knows of the pair."""
    await world.gateway.counting.run_once()
    while world.gateway.counting._written:
        await world.gateway.counting.run_once()
    await world.gateway.breaker_watch.breakers.put(world.gateway.campaigns[CAMPAIGN], pair, act, "key:a")


def handed_of(world: World, outcomes: list[Outcome]) -> int:
    ids = {each.message_id for each in outcomes}
    return sum(each.text.message_id in ids for each in world.handed)


def test_a_breaker_that_is_resumed_at_once_as_the_database_goes_away(play):
    """Nobody has looked in between: what waits goes on all the same."""

    async def story(world: World) -> None:
        await published(world)
        await world.gateway.first_texts.run_once()
        told = await press(world, await bucket_of(world))
        await world.wait(0.2)
        await put(world, "open")
        await world.wait(20)  # the owner has nobody of theirs in hand any more
        world.database.once(world.database.before, "interval '100 years'", breaks)
        with pytest.raises(DatabaseAway):
            await put(world, "resume")
        assert handed_of(world, told[ATT]) < 10
        await world.gateway.campaigns.load()
        for _ in range(3):
            await world.gateway.first_texts.run_once()
            await world.wait(30)
        assert handed_of(world, told[ATT]) == 10

    play(story, campaign=one_per_s())


def test_what_waits_stands_still_and_everything_else_goes_on(play):
    async def story(world: World) -> None:
        await published(world)
        told = await press(world, await bucket_of(world))
        await world.wait(0.2)
        await put(world, "open")
        handed = handed_of(world, told[ATT])
        await world.wait(60)
        assert handed_of(world, told[ATT]) == handed < 8
        assert handed_of(world, told[VERIZON]) == 10
        await put(world, "resume")
        await world.wait(60)
        assert handed_of(world, told[ATT]) == 10

    play(story, campaign=one_per_s())


def test_what_is_pressed_while_it_is_open_waits_and_a_reply_goes(play):
    async def story(world: World) -> None:
        await published(world)
        items = await bucket_of(world)
        first, rest = items[:10], items[10:]
        assert any(each.contact_id % 2 == 0 for each in first)
        await press(world, first)
        await world.wait(30)
        await put(world, "open")
        texted = next(each.contact_id for each in first if each.contact_id % 2 == 0)
        await world.write(texted, "Who is this?")
        reply = await world.submit(texted, "A volunteer", kind=Kind.REPLY, action_id=ACTION)
        told = await press(world, rest)
        await world.wait(30)
        assert {each.code for each in told[ATT]} == {None}
        assert handed_of(world, told[ATT]) == 0
        assert handed_of(world, told[VERIZON]) == len(told[VERIZON])
        assert handed_of(world, [reply]) == 1
        await put(world, "switch_off")
        await world.wait(30)
        assert handed_of(world, told[ATT]) == len(told[ATT])

    play(story)


def test_what_waits_ends_with_its_window(play):
    async def story(world: World) -> None:
        await published(world)
        items = await bucket_of(world)
        await press(world, items[:4])
        await world.wait(10)
        await put(world, "open")
        await world.store.execute('UPDATE actions SET settings = settings || \'{"overflow": "end"}\'')
        told = await press(world, items[4:])
        await world.wait(7 * 3600)
        ends = [await world.message(each.message_id) for each in told[ATT]]
        assert {(each["state"], each["code"], each["reason"]) for each in ends} == {
            ("blocked", 1202, "expired_in_queue")
        }

    play(story)


def test_a_worker_that_has_not_heard_of_it_hands_nothing_over(play):
    """In force at once: the statements look for themselves, whatever a worker believes."""

    async def story(world: World) -> None:
        await published(world)
        items = await bucket_of(world)
        before = await press(world, items[:10])
        await world.wait(0.2)
        await world.store.execute("UPDATE campaigns SET held_pairs = ARRAY[$1]", GUILTY.word)
        handed = handed_of(world, before[ATT])
        late = await press(world, items[10:])
        await world.wait(60)
        assert handed_of(world, before[ATT]) == handed
        assert handed_of(world, late[ATT]) == 0
        assert handed_of(world, before[VERIZON] + late[VERIZON]) == 10

    play(story, campaign=one_per_s())


def test_nor_does_it_hand_over_what_need_not_wait(play):
    """A text that goes straight on is looked at once, when it is admitted."""

    async def story(world: World) -> None:
        await published(world)
        items = {each.contact_id: each for each in await bucket_of(world)}
        await press(world, [items[2]])
        await world.wait(5)
        await world.store.execute("UPDATE campaigns SET held_pairs = ARRAY[$1]", GUILTY.word)
        told = await press(world, [items[4], items[5]])
        await world.wait(60)
        assert {each.code for each in told[ATT] + told[VERIZON]} == {None}
        assert (handed_of(world, told[ATT]), handed_of(world, told[VERIZON])) == (0, 1)
        await put(world, "resume")
        await world.wait(60)
        assert handed_of(world, told[ATT]) == 1

    play(story)


def test_another_variant_is_offered_to_people_of_that_carrier(play):
    async def story(world: World) -> None:
        await published(world, "Hello", "Good day")
        bucket = await world.gateway.buckets.claim(CAMPAIGN, ACTION, WHO, known=None, size=20)
        items = bucket.items
        shown = next(each for each in items if each.script == "initial-1" and each.contact_id % 2 == 0)
        await press(world, [each for each in items if each is not shown])
        await world.wait(5)
        await put(world, "open")
        later = await bucket_of(world, 20, bucket.bucket_id)
        assert {each.script for each in later if each.contact_id % 2 == 0} == {"initial-2"}
        assert "initial-1" in {each.script for each in later if each.contact_id % 2}
        [changed] = await asyncio.gather(press(world, [shown]), return_exceptions=True)
        assert isinstance(changed, ScriptChanged)  # it is on a screen already: look, and press again
        assert (changed.item.script, changed.item.body) == ("initial-2", "Good day")
        told = await press(world, [changed.item])
        await world.wait(5)
        assert handed_of(world, told[ATT]) == 1

    play(story, people=40)
