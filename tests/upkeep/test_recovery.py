"""Recovery: what was lost is settled by asking, never by sending again."""

import asyncio

import pytest

from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.registration import Registration
from gateway.core.rules.safeguards import Kind
from gateway.providers.base import AnswerLost, NotSent, Refused
from gateway.store import receipts
from tests.pipeline.scripted_provider import Hangs, Lost
from tests.pipeline.world import FIVE, ON_THE_WIRE_S, SETTLED_S, START_AT, World


@pytest.mark.parametrize("taken", [True, False], ids=["found", "not found"])
def test_unknown_is_settled_by_asking(play, taken: bool):
    async def story(world: World) -> None:
        world.provider.answers.append(Lost(taken))
        outcome = await world.submit(1)
        handed_at = world.clock.now()
        asked_at: list[float] = []
        find = world.provider.find

        async def found(text, since, others):
            asked_at.append(world.clock.now())
            return await find(text, since, others)

        world.provider.find = found
        await world.wait(SETTLED_S + 60)
        assert asked_at[0] >= handed_at + ON_THE_WIRE_S
        row = await world.message(outcome.message_id)
        assert (row["state"], row["attempt"]) == ("sent", 1 if taken else 2)
        assert len(world.provider.taken) == 1
        assert len(asked_at) == 1

    play(story)


LAGS_S = 40.0


@pytest.mark.parametrize("shown_after", [1, 2, 3], ids=["once", "twice", "three times"])
def test_a_list_that_lags_is_asked_again_before_never_is_believed(play, shown_after: int):
    """Twilio has the text and its list does not show it yet: to believe that would be to send it twice."""

    async def story(world: World) -> None:
        world.provider.find_lags_s = LAGS_S
        world.provider.answers.append(Lost(taken=True))
        asked_at: list[float] = []
        find = world.provider.find

        async def found(text, since, others):
            asked_at.append(world.clock.now())
            return await find(text, since, others) if len(asked_at) >= shown_after else None

        world.provider.find = found
        outcome = await world.submit(1)
        await world.wait(SETTLED_S + 2 * LAGS_S)
        row = await world.message(outcome.message_id)
        assert (row["state"], row["attempt"], len(asked_at)) == ("sent", 1, shown_after)
        world.nobody_got_a_text_twice()

    play(story)


def test_never_is_believed_when_it_is_said_again_later(play):
    async def story(world: World) -> None:
        world.provider.find_lags_s = LAGS_S
        world.provider.answers.extend([Lost(taken=False), Lost(taken=False)])
        asked: dict[int, list[float]] = {}
        find = world.provider.find

        async def found(text, since, others):
            asked.setdefault(text.attempt, []).append(world.clock.now())
            return await find(text, since, others)

        world.provider.find = found
        outcome = await world.submit(1)
        await world.wait(3 * (SETTLED_S + LAGS_S))
        row = await world.message(outcome.message_id)
        assert (row["state"], row["attempt"]) == ("sent", 3)
        for each in (asked[1], asked[2]):  # what was heard of one attempt says nothing of the next
            assert each[-1] - each[0] >= LAGS_S
            assert len(each) == 3  # every 30 s
        assert len(world.provider.taken) == 1

    play(story)


def test_what_never_arrives_ends_with_its_window(play):
    async def story(world: World) -> None:
        world.provider.answers.extend(Lost(taken=False) for _ in range(1000))
        outcome = await world.submit(1)
        await world.wait(FIVE - START_AT + 600)
        assert await world.state(outcome.message_id) in ("failed", "blocked")
        assert await world.queued() == []

    play(story)


def test_a_search_that_fails_is_repeated_until_it_answers(play):
    async def story(world: World) -> None:
        world.provider.answers.append(Lost(taken=True))
        find, failures = world.provider.find, [AnswerLost(), NotSent(503), AnswerLost()]

        async def fails_at_first(text, since, others):
            if failures:
                raise failures.pop()
            return await find(text, since, others)

        world.provider.find = fails_at_first
        outcome = await world.submit(1)
        await world.wait(300)
        assert await world.state(outcome.message_id) == "sent"
        assert failures == []
        assert len(world.handed) == 1

    play(story)


@pytest.mark.parametrize("said", ["sent", "delivered"])
def test_a_callback_that_proves_it_arrived_beats_a_search_that_finds_nothing(play, said: str):
    """The provider's list may lag behind: perhaps never beats perhaps twice."""

    async def story(world: World) -> None:
        world.provider.answers.append(Lost(taken=True))
        world.provider.forgets = True
        await world.submit(1)
        await world.wait(5)
        await world.provider.say(world.handed[0].text, said)
        await world.wait(1200)
        assert len(world.handed) == 1
        assert (await world.states()).popitem()[1] == said
        world.nobody_got_a_text_twice()

    play(story)


def test_a_callback_after_a_search_that_found_nothing_stops_the_next_attempt(play):
    """It was requeued as never arrived; then the provider says that it has sent it."""

    async def story(world: World) -> None:
        world.provider.answers.append(Lost(taken=True))
        world.provider.forgets = True
        outcome = await world.submit(1)
        while await world.state(outcome.message_id) != "queued":
            await world.wait(1)
        await world.provider.say(world.handed[0].text, "sent")
        await world.wait(1200)
        assert len(world.handed) == 1
        world.nobody_got_a_text_twice()

    play(story)


def test_after_a_crash_the_provider_is_asked_not_told_again(play):
    async def story(world: World) -> None:
        world.provider.answers.append(Hangs())
        outcome = await world.submit(1)
        await world.wait(5)
        await world.crash_and_restart(after_s=5)
        await world.wait(SETTLED_S)
        assert await world.state(outcome.message_id) == "sent"
        assert len(world.handed) == 1

    play(story)


@pytest.mark.parametrize("after_s", [0.0, 0.5, 20.0])
def test_after_a_crash_what_never_left_is_sent(play, after_s: float):
    """Claimed, its slot to come: its intent is durable, and it was never handed over."""

    async def story(world: World) -> None:
        await world.wait(1)
        outcome = await world.submit(1)
        while not world.handed:
            await world.wait(0.01)
        later = await world.submit(2)
        assert await world.state(later.message_id) == "sending"
        await world.crash_and_restart(after_s)
        await world.wait(SETTLED_S + 120)
        states = [await world.state(each.message_id) for each in (outcome, later)]
        assert states == ["sent", "sent"]
        assert len(world.provider.taken) == 2
        world.nobody_got_a_text_twice()

    play(story, campaign=CampaignSettings(registration=Registration(total_per_s=0.6)))


def test_unknown_survives_a_crash(play):
    async def story(world: World) -> None:
        world.provider.answers.append(Lost(taken=True))
        outcome = await world.submit(1)
        await world.wait(2)
        await world.crash_and_restart()
        await world.wait(SETTLED_S)
        assert await world.state(outcome.message_id) == "sent"
        assert len(world.handed) == 1

    play(story)


def test_the_person_may_be_answered_while_the_first_text_is_unknown(play):
    async def story(world: World) -> None:
        world.provider.answers.append(Lost(taken=True))
        await world.submit(1)
        await world.wait(2)
        await world.write(1, "Who is this?")
        reply = await world.submit(1, "And this", kind=Kind.REPLY)
        await world.wait(2)
        assert await world.state(reply.message_id) == "sent"

    play(story)


def test_texts_that_nothing_can_be_said_about_keep_nobody_from_being_asked_about(play):
    """The provider refuses the question for some, a number of another account's for instance; they were lost first."""

    async def story(world: World) -> None:
        find = world.provider.find

        async def found(text, since, others):
            if text.message_id in refused:
                raise Refused(20404)
            return await find(text, since, others)

        world.provider.find = found
        world.provider.answers.extend([Lost(taken=True)] * 40)
        outcomes = await world.send_all(range(1, 41))
        refused = {each.message_id for each in outcomes[:20]}
        await world.wait(SETTLED_S + 60)
        states = await world.states()
        assert {states[each.message_id] for each in outcomes[20:]} == {"sent"}

    play(story, people=40, campaign=CampaignSettings(registration=Registration(total_per_s=100)))


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the books were looked at for what is left, by the world's clock."""
    instants: list[float] = []
    look = receipts.ask_times

    async def looks(database, keys):
        instants.append(asyncio.get_running_loop().time())
        return await look(database, keys)

    monkeypatch.setattr(receipts, "ask_times", looks)
    return instants


def test_where_nothing_is_under_way_the_books_are_looked_at_every_ten_minutes(play, looked_at: list[float]):
    async def story(world: World) -> None:
        await world.wait(2 * 3600)
        assert 11 <= len(looked_at) <= 12
        await world.submit(1)
        await world.wait(SETTLED_S)
        looked_at.clear()
        await world.wait(3600)
        assert 5 <= len(looked_at) <= 6

    play(story)


def test_what_another_process_left_is_asked_about_though_nothing_is_claimed_here(play):
    """Ten minutes and a round later at most."""

    async def story(world: World) -> None:
        outcome = await world.submit(1)
        await world.wait(3600)
        assert await world.state(outcome.message_id) == "sent"
        await world.database.execute(
            "UPDATE messages SET state = 'sending', ask_at = to_timestamp($1) WHERE message_id = $2",
            world.clock.now(),
            outcome.message_id,
        )
        await world.wait(600 + 30 + 5)
        assert await world.state(outcome.message_id) == "sent"
        assert len(world.handed) == 1

    play(story)


@pytest.mark.parametrize("idle_s", [600.0, 1000.0, 1777.0, 3600.0])
def test_a_lost_answer_after_an_idle_time_is_asked_about_as_soon_as_any(play, idle_s: float):
    """Twice a minute from its time on, whatever was not looked at before."""

    async def story(world: World) -> None:
        await world.wait(idle_s)
        world.provider.answers.append(Lost(taken=True))
        outcome = await world.submit(1)
        due_at = (await world.message(outcome.message_id))["ask_at"].timestamp()
        await world.wait(due_at - world.clock.now() + 30 + 1)
        assert await world.state(outcome.message_id) == "sent"

    play(story)


def test_a_campaign_that_was_just_taken_is_looked_at_though_another_was(play, looked_at: list[float]):
    async def story(world: World) -> None:
        await world.wait(1300)
        outcome = await world.submit(1)
        await world.wait(60)
        await world.crash_and_restart()
        looked_at.clear()
        await world.database.execute(
            "UPDATE messages SET state = 'sending', ask_at = to_timestamp($1) WHERE message_id = $2",
            world.clock.now(),
            outcome.message_id,
        )
        await world.wait(SETTLED_S)
        assert looked_at
        assert await world.state(outcome.message_id) == "sent"

    play(story)
