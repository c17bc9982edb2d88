"""An action that is taken back, and a person who is erased, while texts wait, are in hand, and have lost their answers."""

import asyncio

import pytest

from gateway.entropy import secret
from gateway.p2p.actions import ActionChange, Actions
from gateway.p2p.bank import Scripts
from gateway.p2p.buckets import Press, Volunteer
from gateway.p2p.contact_book import ContactBook, TextOnItsWay
from gateway.pipeline.admission import Outcome
from gateway.store import counts
from tests.pipeline.scripted_provider import Lost
from tests.pipeline.test_dispatch import one_per_s
from tests.pipeline.test_paused_actions import ADMIN
from tests.pipeline.world import ACTION, CAMPAIGN, KEY, ON_THE_WIRE_S, VOLUNTEER, World

WHO = Volunteer(VOLUNTEER, {"first_name": "Sam"})


async def published(world: World) -> None:
    await world.gateway.bank.publish(CAMPAIGN, ACTION, "Title", Scripts(initials=("Hello",)), seed=1)
    await world.wait(1)
    await counted(world)


async def press(world: World, contact_ids: range) -> list[Outcome]:
    gateway = world.gateway
    bucket = await gateway.buckets.claim(CAMPAIGN, ACTION, WHO, known=None, size=20)
    items = [each for each in bucket.items if each.contact_id in contact_ids]
    presses = [
        gateway.buckets.send(CAMPAIGN, ACTION, WHO, Press(each.contact_id, each.script, each.text_hash))
        for each in items
    ]
    return list(await asyncio.gather(*presses))


def book(world: World) -> ContactBook:
    gateway = world.gateway
    return ContactBook(gateway.database, gateway.campaigns, gateway.clock, gateway.settling.settle)


async def counted(world: World) -> None:
    async with asyncio.timeout(60.0):
        while not await counts.catch_up(world.gateway.database, KEY, world.clock.now()):
            await world.wait(0.1)


async def counts_are_true(world: World) -> None:
    """What was folded from the journal since the action was published is what the books say."""
    await counted(world)
    rows = await world.store.fetch(
        "SELECT action_id, per, name, what, state, code, number, segments FROM counts WHERE number <> 0 OR segments <> 0"
    )
    kept = [counts._count(each) for each in rows]
    async with world.store.connection() as connection:
        books = await counts.recount(connection, KEY)
    assert sorted(kept, key=repr) == sorted(books, key=repr)


@pytest.mark.parametrize("is_taken", [True, False], ids=["taken", "lost on the way"])
def test_an_action_that_is_taken_back_while_an_answer_is_lost(play, is_taken: bool):
    """Paused and archived: nothing of it goes any more, what the provider has is told, and nobody is texted twice."""

    async def story(world: World) -> None:
        await published(world)
        world.provider.answers.extend([None, Lost(taken=is_taken)])
        outcomes = await press(world, range(1, 13))
        await world.wait(1.1)  # the first is sent, the second is on the wire, a third in hand
        gateway = world.gateway
        actions = Actions(gateway.database, gateway.campaigns, gateway.clock, secret)
        change = ActionChange(paused=True, archived=True)
        await actions.change(ADMIN, CAMPAIGN, ACTION, change)
        calls = len(world.handed)
        await world.wait(3 * ON_THE_WIRE_S)
        assert len(world.handed) == calls < 6
        states = sorted((await world.states()).values())
        assert states.count("sent") == calls - (not is_taken)
        assert states.count("queued") == 12 - states.count("sent")
        await world.wait(7 * 3600)  # the window ends
        states = sorted((await world.states()).values())
        assert set(states) == {"sent", "blocked"}
        assert len(outcomes) == len(states) == 12
        assert len(world.handed) == calls
        world.nobody_got_a_text_twice()
        await counts_are_true(world)

    play(story, campaign=one_per_s())


@pytest.mark.parametrize("is_taken", [True, False], ids=["taken", "lost on the way"])
def test_a_person_who_is_erased_while_an_answer_is_lost(play, is_taken: bool):
    """Their words are kept until it is known what became of the text; they get nothing more, whatever becomes known."""

    async def story(world: World) -> None:
        await published(world)
        world.provider.answers.append(Lost(taken=is_taken))
        [outcome] = await press(world, range(1, 2))
        await world.wait(1)
        with pytest.raises(TextOnItsWay):
            await book(world).erase(ADMIN, CAMPAIGN, 1)
        assert (await world.message(outcome.message_id))["body"] == "Hello"
        await world.write(1, "Who is this?")
        await world.wait(3 * ON_THE_WIRE_S)
        await book(world).erase(ADMIN, CAMPAIGN, 1)
        row = await world.message(outcome.message_id)
        assert (row["state"], row["code"]) == (("sent", None) if is_taken else ("blocked", 1302))
        assert row["body"] == ""
        await world.provider.say(world.handed[0].text, "delivered")
        await world.write(1, "Hello?")
        refused = await world.submit(1, "Again")
        await world.wait(60)
        assert (refused.code, len(world.handed)) == (1302, 1)
        assert (await world.conversation(1))["attention_at"] is None
        await counts_are_true(world)

    play(story)


def test_a_person_who_is_erased_while_a_text_waits_and_another_screen_shows_them(play):
    async def story(world: World) -> None:
        await published(world)
        gateway = world.gateway
        bucket = await gateway.buckets.claim(CAMPAIGN, ACTION, WHO, known=None, size=20)
        some = bucket.items
        sends = [
            gateway.buckets.send(CAMPAIGN, ACTION, WHO, Press(each.contact_id, each.script, each.text_hash))
            for each in some[:10]
        ]
        outcomes = await asyncio.gather(*sends)
        waits, on_screen = some[9], some[15]
        for each in (waits, on_screen):
            await book(world).erase(ADMIN, CAMPAIGN, each.contact_id)
        late = await gateway.buckets.send(
            CAMPAIGN, ACTION, WHO, Press(on_screen.contact_id, on_screen.script, on_screen.text_hash)
        )
        await world.wait(60)
        assert late.code == 1302
        assert not world.texts_to(waits.contact_id)
        assert not world.texts_to(on_screen.contact_id)
        row = await world.message(outcomes[9].message_id)
        assert (row["state"], row["code"], row["body"]) == ("blocked", 1302, "")
        assert len(world.handed) == 9
        await counts_are_true(world)

    play(story, campaign=one_per_s())


def test_a_receipt_that_fails_after_its_person_was_erased_sends_nothing_empty(play):
    """They came back of their own, and a text of before may be tried once more: it has no words any more."""

    async def story(world: World) -> None:
        await published(world)
        [outcome] = await press(world, range(1, 2))
        await world.wait(1)
        await book(world).erase(ADMIN, CAMPAIGN, 1)
        await world.wait(5)
        await world.write(1, "START")
        await world.wait(5)
        await world.provider.say(world.handed[0].text, "failed", 30001)
        await world.wait(600)
        assert [each.text.body for each in world.handed] == ["Hello"]
        assert await world.state(outcome.message_id) in ("failed", "blocked")

    play(story)
