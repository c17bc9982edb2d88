"""Dispatch: straight on or through the queue, who goes first, how fast, and the second look."""

import asyncio
from collections import Counter
from itertools import pairwise

import msgspec
import pytest

from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.lifecycle import State
from gateway.core.rules.registration import Registration
from gateway.core.rules.safeguards import Kind, Policy
from gateway.core.sending.numbers import PoolPolicy
from gateway.providers.base import NotSent
from gateway.store import campaigns
from tests.pipeline.world import (
    ACTION,
    CAMPAIGN,
    FIVE,
    KEY,
    SCOPE,
    SETTINGS,
    START_AT,
    World,
    number_phone,
    phone,
)

SLOW = CampaignSettings(registration=Registration(total_per_s=12))
NO_LOCK = Policy(lock_enabled=False)
MARGIN_S = SETTINGS.dispatch.closing_margin_s


def one_per_s(settings: CampaignSettings = SLOW) -> CampaignSettings:
    return msgspec.structs.replace(settings, registration=Registration(total_per_s=1))


# ---------------------------------------------------------------- the way


def test_a_message_that_need_not_wait_goes_straight_on(play):
    async def story(world: World) -> None:
        await world.wait(1)
        outcome = await world.submit(1)
        assert outcome.state is State.SENDING
        assert await world.queued() == []
        await world.wait(1)
        row = await world.message(outcome.message_id)
        assert (row["state"], row["attempt"], row["spent"]) == ("sent", 1, 1)
        assert row["accepted_at"] is not None
        assert (await world.conversation(1))["number_id"] == row["number_id"] == 1

    play(story)


def test_what_is_handed_over(play):
    async def story(world: World) -> None:
        outcome = await world.submit(1, "Hello 👋 " * 20)
        await world.wait(2)
        text = world.handed[0].text
        assert (text.campaign_id, text.message_id, text.attempt) == (CAMPAIGN, outcome.message_id, 1)
        assert (text.phone, text.number_phone, text.body) == (phone(1), number_phone(1), "Hello 👋 " * 20)
        assert text.segments == 3
        assert text.validity_s <= FIVE - START_AT - MARGIN_S

    play(story)


def test_others_wait_in_the_queue_and_all_go_in_order(play):
    async def story(world: World) -> None:
        await world.wait(1)
        outcomes = await world.send_all(range(1, 21))
        waiting = await world.queued()
        assert waiting
        assert {outcome.state for outcome in outcomes} == {State.SENDING, State.QUEUED}
        await world.wait(30)
        assert [each.text.phone for each in world.handed] == [phone(each) for each in range(1, 21)]
        assert set((await world.states()).values()) == {"sent"}

    play(story, campaign=one_per_s())


def test_replies_go_before_initials(play):
    async def story(world: World) -> None:
        await world.wait(1)
        await world.send_all(range(1, 16))
        await world.write(17, "Who is this?")
        await world.wait(0.5)
        asked_at = world.clock.now()
        await world.submit(17, "You asked", kind=Kind.REPLY)
        await world.wait(30)
        reply = next(each for each in world.handed if each.text.phone == phone(17))
        between = [each for each in world.handed if asked_at < each.at < reply.at]
        # only those whose slots were taken when it came: one horizon, at one a second
        assert len(between) <= SETTINGS.dispatch.horizon_s + 1
        assert len(world.handed) == 16

    play(story, campaign=one_per_s())


def test_twelve_a_second_is_never_passed_and_is_used(play):
    async def story(world: World) -> None:
        await world.wait(1)
        began = world.clock.now()
        await world.send_all(range(1, 61))
        await world.wait(20)
        times = [each.at for each in world.handed]
        assert len(times) == 60
        assert min(after - before for before, after in pairwise(times)) >= 1 / 12 - 1e-6
        assert times[-1] - began <= 60 / 12 + 0.5

    play(story, campaign=SLOW, people=60)


def test_segments_not_texts_are_paced(play):
    async def story(world: World) -> None:
        await world.wait(1)
        bodies = ["x" * (150 * size) for size in (1, 3, 2, 1)]
        await asyncio.gather(*(world.submit(each, body) for each, body in enumerate(bodies, start=1)))
        await world.wait(20)
        gaps = [round(after.at - before.at) for before, after in pairwise(world.handed)]
        assert gaps == [before.text.segments for before in world.handed[:-1]]
        assert sum(each.text.segments for each in world.handed) == 7

    play(story, campaign=one_per_s())


def test_beyond_what_memory_holds_nobody_is_forgotten(play):
    small = msgspec.structs.replace(
        SETTINGS, dispatch=msgspec.structs.replace(SETTINGS.dispatch, look_ahead=7)
    )

    async def story(world: World) -> None:
        await world.send_all(range(1, 61))
        await world.wait(60)
        assert Counter(each.text.phone for each in world.handed) == Counter(phone(n) for n in range(1, 61))
        assert await world.queued() == []

    play(story, campaign=SLOW, people=60, settings=small)


def test_a_new_message_does_not_wait_for_anothers_retry(play):
    """Somebody's second attempt is due in half a minute; what comes meanwhile goes now."""

    async def story(world: World) -> None:
        await world.wait(1)
        world.provider.answers.append(NotSent())
        await world.submit(1)
        await world.wait(2)
        assert await world.queued() != []
        await world.submit(2)
        await world.wait(5)
        assert [each.text.phone for each in world.handed] == [phone(1), phone(2)]

    play(story)


# ---------------------------------------------------------------- one contact, one number


@pytest.mark.parametrize("kind", [Kind.INITIAL, Kind.REPLY])
def test_texts_that_wait_together_go_from_one_number(play, kind: Kind):
    """Invariant 6: also when neither had a number yet when they began to wait."""
    pool = PoolPolicy(rotate_after=1, max_numbers=3)

    async def story(world: World) -> None:
        await world.wait(1)
        if kind is Kind.REPLY:
            await world.write(1, "Who is this?")
        await world.send_all(range(5, 12))
        first, second = await asyncio.gather(
            world.submit(1, "One", action_id=ACTION), world.submit(1, "Two", action_id=ACTION + 1, kind=kind)
        )
        assert first.admitted
        assert second.admitted
        await world.wait(30)
        numbers = [each.text.number_phone for each in world.texts_to(1)]
        assert len(numbers) == 2
        assert len(set(numbers)) == 1

    settings = CampaignSettings(registration=Registration(total_per_s=2), pool=pool, safeguards=NO_LOCK)
    play(story, campaign=settings, own_numbers=3)


def test_a_conversation_keeps_its_number(play):
    pool = PoolPolicy(rotate_after=1, max_numbers=3)

    async def story(world: World) -> None:
        await world.send_all(range(1, 10))
        await world.wait(10)
        first = {each.text.phone: each.text.number_phone for each in world.handed}
        assert len(set(first.values())) == 3
        for contact in range(1, 10):
            await world.write(contact, "Who is this?")
        await asyncio.gather(*(world.submit(each, "Again", kind=Kind.REPLY) for each in range(1, 10)))
        await world.wait(10)
        second = {each.text.phone: each.text.number_phone for each in world.handed[9:]}
        assert second == first

    play(story, campaign=CampaignSettings(pool=pool), own_numbers=3)


# ---------------------------------------------------------------- the second look


def test_opted_out_while_it_waited(play):
    async def story(world: World) -> None:
        await world.wait(1)
        outcomes = await world.send_all(range(1, 11))
        await world.write(9, "STOP")
        await world.wait(30)
        assert world.texts_to(9) == []
        row = await world.message(outcomes[8].message_id)
        assert (row["state"], row["code"]) == ("blocked", 1302)
        assert len(world.handed) == 9

    play(story, campaign=one_per_s())


def test_opted_out_between_claim_and_slot(play):
    async def story(world: World) -> None:
        await world.wait(1)
        outcomes = await world.send_all(range(1, 4))
        await world.wait(0.2)
        claimed = [each for each in outcomes if await world.state(each.message_id) == "sending"]
        last = claimed[-1]
        contact = outcomes.index(last) + 1
        assert world.texts_to(contact) == []
        await world.write(contact, "STOP")
        await world.wait(30)
        assert world.texts_to(contact) == []
        row = await world.message(last.message_id)
        assert (row["state"], row["code"]) == ("blocked", 1302)
        assert len(world.handed) == 2

    play(story, campaign=one_per_s())


@pytest.mark.parametrize(("first_ends", "code"), [(30003, 1204), (21614, 1205), (30006, 1205)])
def test_a_second_text_to_somebody_whose_first_has_just_failed(play, first_ends: int, code: int):
    """C16: it was admitted when nobody knew, and waits; the second look knows."""

    async def story(world: World) -> None:
        await world.wait(1)
        first = await world.submit(1, "First")
        await world.wait(2)
        await world.send_all(range(2, 8))
        second = await world.submit(1, "Second")
        assert (first.admitted, second.admitted) == (True, True)
        await world.provider.say(world.texts_to(1)[0].text, "undelivered", first_ends)
        await world.wait(30)
        row = await world.message(second.message_id)
        assert (row["state"], row["code"]) == ("blocked", code)
        assert [each.text.body for each in world.texts_to(1)] == ["First"]
        assert len(world.handed) == 7

    play(story, campaign=one_per_s(CampaignSettings(safeguards=NO_LOCK)))


def test_a_volunteers_opt_out_stops_what_is_claimed(play):
    async def story(world: World) -> None:
        await world.wait(1)
        await world.send_all(range(1, 4))
        await world.wait(0.2)
        assert await world.gateway.bank.opt_out(CAMPAIGN, 2)
        await world.wait(30)
        assert world.texts_to(2) == []
        assert len(world.handed) == 2

    play(story, campaign=one_per_s())


def test_paused_the_queue_stands_still_until_it_is_resumed(play):
    async def story(world: World) -> None:
        await world.wait(1)
        outcomes = await world.send_all(range(1, 11))
        await world.wait(0.2)
        await campaigns.pause(world.store, KEY, True)
        handed = len(world.handed)
        await world.wait(60)
        assert len(world.handed) == handed < 6
        assert sorted((await world.states()).values()) == ["queued"] * (10 - handed) + ["sent"] * handed
        await campaigns.pause(world.store, KEY, False)
        await world.wait(30)
        assert {each.text.message_id for each in world.handed} == {each.message_id for each in outcomes}
        assert len(world.handed) == 10

    play(story, campaign=one_per_s())


def test_paused_a_moment_ago_nothing_goes_straight_on(play):
    """The second look at a pause: an admin paused the campaign at another worker."""

    async def story(world: World) -> None:
        await world.wait(1)
        await campaigns.pause(world.store, KEY, True)
        await world.submit(1)
        await world.wait(30)
        assert world.handed == []

    play(story)


def test_the_window_ends_while_messages_wait(play):
    async def story(world: World) -> None:
        await world.wait(FIVE - START_AT - MARGIN_S - 12)
        outcomes = await world.send_all(range(1, 16))
        await world.wait(200)
        rows = [await world.message(each.message_id) for each in outcomes]
        sent = [row for row in rows if row["state"] == "sent"]
        over = [row for row in rows if row["state"] == "blocked"]
        assert len(sent) == len(world.handed) > 0
        assert len(over) == 15 - len(sent) > 5
        assert {(row["code"], row["reason"]) for row in over} == {(1202, "expired_in_queue")}
        assert max(each.at + each.text.validity_s for each in world.handed) <= FIVE - MARGIN_S + 1e-6
        assert await world.queued() == []

    play(story, campaign=one_per_s())


def test_within_the_closing_margin_nothing_is_handed_over(play):
    async def story(world: World) -> None:
        await world.wait(FIVE - START_AT - MARGIN_S + 1)
        outcome = await world.submit(1)
        await world.wait(120)
        row = await world.message(outcome.message_id)
        assert (row["state"], row["code"], row["reason"]) == ("blocked", 1202, "expired_in_queue")
        assert world.handed == []

    play(story)


@pytest.mark.parametrize("left_s", [0.5, 3, 5.9, 6.5])
def test_close_to_the_closing_margin_a_message_is_not_claimed_again_and_again(play, left_s: float):
    async def story(world: World) -> None:
        await world.wait(FIVE - START_AT - MARGIN_S - left_s)
        outcome = await world.submit(1)
        await world.wait(120)
        row = await world.message(outcome.message_id)
        assert row["state"] in ("sent", "blocked")
        assert row["attempt"] <= 1

    play(story)


def test_what_is_blocked_at_the_second_look_was_never_an_attempt(play):
    async def story(world: World) -> None:
        await world.wait(1)
        outcomes = await world.send_all(range(1, 5))
        await world.store.execute(
            "INSERT INTO opt_outs VALUES ($1, $2, 'import', '', now())", SCOPE, phone(4)
        )
        await world.wait(30)
        row = await world.message(outcomes[3].message_id)
        assert (row["state"], row["code"], row["attempt"], row["spent"]) == ("blocked", 1302, 0, 0)

    play(story, campaign=one_per_s())


# ---------------------------------------------------------------- drain


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.06, 0.3, 1.0, 3.0])
def test_drain_leaves_nothing_sending_and_loses_nothing(play, after_s: float):
    async def story(world: World) -> None:
        await world.wait(1)
        asked = [world.submit(each) for each in range(1, 11)]
        await world.wait(after_s)
        await world.gateway.drain()
        outcomes = await asyncio.gather(*asked)
        states = await world.states()
        assert set(states.values()) <= {"queued", "sent"}
        assert len(states) == 10
        waiting = await world.queued()
        assert sorted(waiting) == [each for each, state in states.items() if state == "queued"]
        assert len(world.handed) == 10 - len(waiting)
        await world.crash_and_restart()
        await world.wait(30)
        assert set((await world.states()).values()) == {"sent"}
        assert len(outcomes) == len(world.provider.taken) == 10
        world.nobody_got_a_text_twice()

    play(story, campaign=one_per_s())


@pytest.mark.parametrize("moment", ["before", "after"])
def test_drain_while_a_claim_is_on_its_way(play, moment: str):
    async def story(world: World) -> None:
        await world.wait(1)

        async def begin_to_drain() -> None:
            draining.append(asyncio.ensure_future(world.gateway.drain()))
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        draining: list[asyncio.Future] = []
        hooks = world.database.before if moment == "before" else world.database.after
        met = world.database.once(hooks, "attempt = m.attempt + 1", begin_to_drain)
        await world.send_all(range(1, 11))
        await met
        await draining[0]
        assert set((await world.states()).values()) <= {"queued", "sent"}

    play(story, campaign=one_per_s())


def test_a_message_that_cannot_be_claimed_holds_up_nobody_else(play):
    """Its count of attempts would pass what its column holds."""

    async def story(world: World) -> None:
        first = await world.submit(1)
        await world.wait(2)
        await world.store.execute("UPDATE messages SET state = 'queued', attempt = 32767, ask_at = NULL")
        await world.store.execute(
            "INSERT INTO queue (organisation_id, campaign_id, message_id, lane, due_at)"
            " SELECT organisation_id, campaign_id, message_id, lane, requested_at FROM messages"
        )
        world.gateway.dispatch.roads[CAMPAIGN].look_in_store()
        others = await world.send_all(range(2, 8))
        await world.wait(30)
        assert {await world.state(each.message_id) for each in others} == {"sent"}
        row = await world.message(first.message_id)
        assert (row["state"], row["code"], row["reason"]) == ("blocked", 9001, "a defect of ours")

    play(story)
