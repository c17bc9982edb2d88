"""Our own confirmation of an opt-out: only where the provider sends none, once, and nothing else gets through."""

import asyncio
from itertools import pairwise

import msgspec
import pytest

from gateway.config import OptOuts
from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.registration import Registration
from gateway.core.rules.safeguards import Kind
from gateway.providers.base import Refused
from gateway.store import campaigns
from tests.pipeline.world import CAMPAIGN, FIVE, KEY, SETTINGS, START_AT, World, number_phone, phone

TEXT = "You are unsubscribed from Bank and will get no more texts from us. Reply START to resubscribe."
OURS = msgspec.structs.replace(SETTINGS, opt_outs=OptOuts(provider_replies=False))
SLOW = CampaignSettings(registration=Registration(total_per_s=0.5))


def bodies(world: World, contact_id: int = 1) -> list[str]:
    return [each.text.body for each in world.texts_to(contact_id)]


async def confirmations(world: World) -> list[tuple[str, str]]:
    rows = await world.store.fetch(
        "SELECT state, body FROM messages WHERE kind = 'confirmation' ORDER BY message_id"
    )
    return [(row[0], row[1]) for row in rows]


def test_by_default_the_provider_answers(play):
    async def story(world: World) -> None:
        await world.submit(1)
        await world.write(1, "STOP")
        await world.wait(60)
        assert bodies(world) == ["Hello"]
        assert await confirmations(world) == []

    play(story)


@pytest.mark.parametrize("words", ["STOP", "stop please", "Unsubscribe"])
def test_an_opt_out_is_confirmed_from_the_number_the_person_knows(play, words: str):
    async def story(world: World) -> None:
        await world.submit(1)
        await world.wait(5)
        await world.write(1, words)
        assert (await world.submit(1, "Are you sure?", kind=Kind.REPLY)).code == 1302
        await world.wait(5)
        assert bodies(world) == ["Hello", TEXT]
        assert world.texts_to(1)[1].text.number_phone == number_phone(1)
        assert await confirmations(world) == [("sent", TEXT)]
        await world.provider.say(world.texts_to(1)[1].text, "delivered")
        assert await confirmations(world) == [("delivered", TEXT)]

    play(story, settings=OURS)


def test_once_however_often_it_is_said_or_told(play):
    async def story(world: World) -> None:
        for sid in ("IN-a", "IN-a", "IN-b", "IN-a"):
            await world.write(1, "STOP", sid=sid)
        await world.wait(30)
        await world.write(1, "STOP", sid="IN-a")
        await world.crash_and_restart()
        await world.wait(60)
        assert bodies(world) == [TEXT]

    play(story, settings=OURS)


def test_who_comes_back_and_leaves_again_is_told_again(play):
    async def story(world: World) -> None:
        for words in ("STOP", "START", "STOP"):
            await world.write(1, words)
            await world.wait(30)
        assert bodies(world) == [TEXT, TEXT]

    play(story, settings=OURS)


def test_a_crash_before_it_was_requested_is_made_good_by_the_next_worker(play):
    async def story(world: World) -> None:
        async def die() -> None:
            world.crash()
            raise ConnectionResetError("it died before it wrote")

        died = world.database.once(world.database.before, "INSERT INTO messages", die)
        with pytest.raises(asyncio.CancelledError):  # it died before it acknowledged
            await world.write(1, "STOP")
        await died
        assert await confirmations(world) == []
        await world.restart()
        await world.wait(30)
        assert bodies(world) == [TEXT]

    play(story, settings=OURS)


def test_what_the_person_was_still_to_get_is_not_sent(play):
    """It waits for its slot when the STOP comes; the confirmation goes in its place."""

    async def story(world: World) -> None:
        outcomes = await world.send_all(range(1, 12))
        await world.write(11, "STOP")
        await world.wait(120)
        assert (await world.message(outcomes[10].message_id))["code"] == 1302
        assert bodies(world, 11) == [TEXT]

    play(story, settings=OURS, campaign=SLOW)


def test_it_waits_for_its_slot_like_any_text_and_is_not_recalled(play):
    async def story(world: World) -> None:
        await world.send_all(range(1, 6))
        for contact_id in range(1, 6):
            await world.write(contact_id, "STOP")
        await world.wait(120)
        assert [body for each in range(1, 6) for body in bodies(world, each) if body == TEXT] == [TEXT] * 5
        slots = sorted(each.at for each in world.handed)
        assert all(later - earlier >= 1.9 for earlier, later in pairwise(slots))

    play(story, settings=OURS, campaign=SLOW)


def test_a_refused_attempt_follows_the_ordinary_rules(play):
    async def story(world: World) -> None:
        world.provider.answers.append(Refused(20429))
        await world.write(1, "STOP")
        await world.wait(30)
        assert bodies(world) == [TEXT, TEXT]
        assert await confirmations(world) == [("sent", TEXT)]

    play(story, settings=OURS)


@pytest.mark.parametrize("why", ["the window", "a pause"])
def test_it_comes_soon_or_never(play, why: str):
    async def story(world: World) -> None:
        if why == "the window":
            await world.wait(FIVE - START_AT + 60)
        else:
            await campaigns.pause(world.store, KEY, True)
            await world.gateway.campaigns.load()
        await world.write(1, "STOP")
        await world.wait(600)
        await campaigns.pause(world.store, KEY, False)
        await world.gateway.campaigns.load()
        await world.wait(600)
        assert bodies(world) == []
        assert await confirmations(world) == [("blocked", TEXT)]

    play(story, settings=OURS)


def test_a_stranger_is_heard_and_not_answered(play):
    """Without a contact there is no road to them; their opt-out stands."""

    async def story(world: World) -> None:
        await world.write(999, "STOP")
        await world.wait(30)
        assert world.handed == []
        assert await world.store.fetch_value("SELECT phone FROM opt_outs") == phone(999)

    play(story, settings=OURS)


def test_a_manual_opt_out_is_not_answered(play):
    """Nobody asked by text, so nothing is to be confirmed."""

    async def story(world: World) -> None:
        await world.submit(1)
        await world.gateway.bank.opt_out(CAMPAIGN, 1)
        await world.crash_and_restart()
        await world.wait(60)
        assert bodies(world) == ["Hello"]

    play(story, settings=OURS)


def test_an_opt_out_whose_writing_was_not_heard_of_is_confirmed(play):
    """Written, and the connection broke: the second try finds nothing new in it."""

    async def story(world: World) -> None:
        world.database.once(world.database.after, "INTO inbound", world.lose_the_answer)
        await world.write(1, "STOP")
        await world.wait(30)
        assert bodies(world) == [TEXT]

    play(story, settings=OURS)
