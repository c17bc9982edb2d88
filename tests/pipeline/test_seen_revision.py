"""An answer that says which revision of the conversation it answers is written at that one, or not at all."""

import asyncio

import pytest

from gateway.core.rules.safeguards import Kind
from gateway.pipeline.admission import ConversationChanged, Outcome
from gateway.store import conversations
from gateway.store.conversations import Heard
from tests.pipeline.world import CAMPAIGN, KEY, SCOPE, World, number_phone, phone

ADMIT = "INSERT INTO messages"


async def revision(world: World) -> int:
    found: int = await world.database.fetch_value(
        "SELECT revision FROM conversations WHERE campaign_id = $1 AND contact_id = 1", CAMPAIGN
    )
    return found


def answer(
    world: World, seen: int, body: str = "Yes", *, key: str | None = None
) -> "asyncio.Future[Outcome]":
    return world.submit(1, body, kind=Kind.REPLY, revision=seen, key=key)


async def texted(world: World) -> int:
    await world.submit(1)
    await world.write(1, "Who is this?")
    return await revision(world)


async def written_elsewhere(world: World, words: str) -> None:
    """Another worker hears the person."""
    text = Heard(
        inbound_id=1,
        provider_sid="IN-elsewhere",
        phone=phone(1),
        number_phone=number_phone(1),
        body=words,
        intent="stop" if words == "STOP" else "reply",
        suggests_opt_out=False,
        wrong_number=False,
        received_at=world.clock.now(),
    )
    assert await conversations.hear(world.store, KEY, SCOPE, [text])


async def bodies(world: World) -> list[str]:
    rows = await world.database.fetch(
        "SELECT body FROM messages WHERE organisation_id = $1 AND campaign_id = $2 ORDER BY message_id", *KEY
    )
    return [row[0] for row in rows]


@pytest.mark.parametrize("key", [None, "k1"])
def test_an_answer_to_what_was_seen_goes(play, key: str | None):
    async def story(world: World) -> None:
        seen = await texted(world)
        assert (await answer(world, seen, key=key)).admitted
        await world.wait(5)
        assert [each.text.body for each in world.texts_to(1)] == ["Hello", "Yes"]

    play(story)


@pytest.mark.parametrize("key", [None, "k1"])
def test_an_answer_to_what_has_changed_does_not(play, key: str | None):
    async def story(world: World) -> None:
        seen = await texted(world)
        await world.write(1, "STOP")
        with pytest.raises(ConversationChanged):
            await answer(world, seen, key=key)
        await world.wait(5)
        assert await bodies(world) == ["Hello"]
        assert len(world.gateway.admission.keys) == 0

    play(story)


@pytest.mark.parametrize("words", ["One more thing", "STOP"])
def test_what_comes_between_the_look_and_the_write_counts(play, words: str):
    """The person is read at the revision that was seen; the text comes just before the answer is written."""

    async def story(world: World) -> None:
        seen = await texted(world)

        async def in_between() -> None:
            await written_elsewhere(world, words)

        met = world.database.once(world.database.before, ADMIT, in_between)
        with pytest.raises(ConversationChanged):
            await answer(world, seen)
        assert met.done()
        await world.wait(5)
        assert await bodies(world) == ["Hello"]

    play(story)


def test_what_is_remembered_of_a_person_refuses_nobody(play):
    """A bucket brought the person along before they wrote: an answer to what they wrote is not to an old revision."""

    async def story(world: World) -> None:
        seen = await texted(world)
        [known] = await world.gateway.admission.read(CAMPAIGN, [(1, None)])
        known.revision -= 1
        world.gateway.admission.remember(CAMPAIGN, None, [known])
        assert (await answer(world, seen)).admitted

    play(story)


def test_a_repeat_has_the_first_ones_outcome_whatever_has_changed(play):
    async def story(world: World) -> None:
        seen = await texted(world)
        first = await answer(world, seen, key="k1")
        await world.write(1, "Thanks")
        assert await answer(world, seen, key="k1") == first
        assert await bodies(world) == ["Hello", "Yes"]

    play(story)


def test_a_key_whose_answer_was_refused_may_be_used_again(play):
    async def story(world: World) -> None:
        seen = await texted(world)
        await world.write(1, "Hello?")
        with pytest.raises(ConversationChanged):
            await answer(world, seen, key="k1")
        assert (await answer(world, await revision(world), key="k1")).admitted

    play(story)


def test_two_answers_at_once_are_one(play):
    async def story(world: World) -> None:
        seen = await texted(world)
        told = await asyncio.gather(
            answer(world, seen, "Yes"), answer(world, seen, "No"), return_exceptions=True
        )
        assert [type(each) for each in told] == [Outcome, ConversationChanged]
        assert await bodies(world) == ["Hello", "Yes"]

    play(story)


@pytest.mark.parametrize("key", [None, "k1"])
def test_an_answer_that_was_written_and_its_outcome_lost_is_not_refused(play, key: str | None):
    async def story(world: World) -> None:
        seen = await texted(world)
        met = world.database.once(world.database.after, ADMIT, world.lose_the_answer)
        assert (await answer(world, seen, key=key)).admitted
        assert met.done()
        await world.wait(60)
        assert [each.text.body for each in world.texts_to(1)] == ["Hello", "Yes"]

    play(story)
