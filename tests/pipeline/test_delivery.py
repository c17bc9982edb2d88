"""Delivery: callbacks come late, twice and in any order, and the end is the same."""

import asyncio
from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.rules.lifecycle import State, fold, provider_word
from gateway.core.rules.months import first_id, month_of
from gateway.core.rules.retry import RetryPolicy
from gateway.core.rules.safeguards import Kind
from gateway.providers.base import NotSent, StatusReport
from gateway.store.group_commit import TooMuchWaits
from gateway.store.ids import BLOCK
from tests.pipeline.scripted_provider import Hangs, Lost
from tests.pipeline.world import CAMPAIGN, START_AT, World

ON_THE_WAY = ("queued", "sending", "sent")
FIRST_ID = first_id(month_of(START_AT)) + BLOCK


async def sent_to(world: World, contact_id: int = 1):
    await world.submit(contact_id)
    await world.wait(2)
    return world.texts_to(contact_id)[-1].text


@pytest.mark.parametrize(
    ("status", "code", "state"),
    [
        ("delivered", None, "delivered"),
        ("undelivered", 30003, "undelivered"),
        ("failed", 30007, "failed"),
        ("canceled", None, "failed"),
        ("read", None, "sent"),
    ],
)
def test_the_receipt_is_the_end(play, status: str, code: int | None, state: str):
    async def story(world: World) -> None:
        text = await sent_to(world)
        await world.provider.say(text, "sent")
        await world.provider.say(text, status, code)
        row = await world.message(text.message_id)
        assert (row["state"], row["code"]) == (state, code)
        assert (row["final_at"] is not None) == (state != "sent")
        assert row["sent_at"] is not None

    play(story)


def test_a_callback_returns_when_it_is_durable(play):
    async def story(world: World) -> None:
        text = await sent_to(world)
        await world.provider.say(text, "delivered")
        world.crash()
        assert await world.state(text.message_id) == "delivered"

    play(story)


def test_the_callback_before_the_answer(play):
    async def story(world: World) -> None:
        world.provider.takes_s = 5.0
        outcome = await world.submit(1)
        await world.wait(1)
        text = world.handed[0].text
        await world.provider.say(text, "sent")
        assert await world.state(outcome.message_id) == "sent"
        await world.provider.say(text, "delivered")
        await world.wait(10)
        row = await world.message(outcome.message_id)
        assert row["state"] == "delivered"
        assert row["accepted_at"] is not None

    play(story)


@pytest.mark.parametrize("order", list(permutations([*ON_THE_WAY, "delivered"]))[::3])
def test_every_order_of_callbacks_is_delivered(play, order: tuple[str, ...]):
    async def story(world: World) -> None:
        text = await sent_to(world)
        for status in order:
            await world.provider.say(text, status)
        await asyncio.gather(*(world.provider.say(text, status) for status in order))
        assert await world.state(text.message_id) == "delivered"

    play(story)


words = st.lists(st.sampled_from([*ON_THE_WAY, "read"]), max_size=5)
receipts = st.sampled_from([("delivered", None), ("undelivered", 30005), ("failed", 30007)])


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_state_is_the_fold_whatever_the_order_the_batches_and_the_repeats(play_anew, data):
    """A law: 12 messages at once, each with its own drawn callbacks, cut into batches at random."""

    async def story(world: World) -> None:
        await world.send_all(range(1, 13))
        await world.wait(5)
        expected = {}
        for handed in world.handed:
            said = [(word, None) for word in data.draw(words)]
            said += data.draw(st.lists(receipts, max_size=3))
            said = data.draw(
                st.permutations(said + data.draw(st.lists(st.sampled_from(said or [("sent", None)]))))
            )
            batches = data.draw(st.integers(1, 3))
            for start in range(batches):
                part = said[start * len(said) // batches : (start + 1) * len(said) // batches]
                await asyncio.gather(*(world.provider.say(handed.text, *each) for each in part))
            known = [state for word, _ in said if (state := provider_word(word)) is not None]
            expected[handed.text.message_id] = fold(State.SENT, known)[0].value
        assert await world.states() == expected

    play_anew(story)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_answer_may_come_after_any_callbacks(play_anew, data):
    """The same law while the provider still owes its answer: some words before it, some after, all repeated."""

    async def story(world: World) -> None:
        world.provider.takes_s = 5.0
        await world.send_all(range(1, 9))
        await world.wait(3)
        said = {}
        for handed in world.handed:
            of_one = [(word, None) for word in data.draw(words)] + data.draw(st.lists(receipts, max_size=2))
            said[handed.text.message_id] = data.draw(st.permutations(of_one * 2))
        cut = {message_id: data.draw(st.integers(0, len(each))) for message_id, each in said.items()}
        for is_before in (True, False):
            told = [
                world.provider.say(handed.text, *each)
                for handed in world.handed
                for nth, each in enumerate(said[handed.text.message_id])
                if (nth < cut[handed.text.message_id]) is is_before
            ]
            await asyncio.gather(*told)
            await world.wait(20)
        expected = {}
        for message_id, each in said.items():
            known = [state for word, _ in each if (state := provider_word(word)) is not None]
            expected[message_id] = fold(State.SENDING, [*known, State.SENT])[0].value
        assert await world.states() == expected

    play_anew(story)


def test_a_replay_changes_nothing_at_all(play):
    async def story(world: World) -> None:
        texts = [await sent_to(world, each) for each in (1, 2, 3)]
        said = [("delivered", None), ("undelivered", 30003), ("failed", 21610)]
        for text, (status, code) in zip(texts, said, strict=True):
            await world.provider.say(text, "sent")
            await world.provider.say(text, status, code)
        tables = ("messages", "conversations", "opt_outs", "attempts", "queue")
        before = [await world.store.fetch(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]
        await world.wait(3600)
        for _ in range(2):
            for text, (status, code) in zip(texts, said, strict=True):
                await world.provider.say(text, "sent")
                await world.provider.say(text, status, code)
        after = [await world.store.fetch(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]
        assert after == before

    play(story)


@pytest.mark.parametrize(
    "report",
    [
        StatusReport(9, FIRST_ID, 1, "delivered", None, 0.0, "SMx"),
        StatusReport(CAMPAIGN, 4, 1, "delivered", None, 0.0, "SMx"),
        StatusReport(CAMPAIGN, FIRST_ID, 9, "delivered", None, 0.0, "SMx"),
        StatusReport(CAMPAIGN, FIRST_ID, 1, "nonsense", None, 0.0, "SMx"),
    ],
    ids=["campaign", "message", "attempt", "word"],
)
def test_a_callback_about_nothing_we_know_changes_nothing(play, report: StatusReport):
    async def story(world: World) -> None:
        text = await sent_to(world)
        assert text.message_id == FIRST_ID
        await world.gateway.status(report)
        assert await world.states() == {FIRST_ID: "sent"}

    play(story)


def test_one_bad_callback_harms_only_itself(play):
    async def story(world: World) -> None:
        first, second = await sent_to(world, 1), await sent_to(world, 2)
        bad = StatusReport(CAMPAIGN, first.message_id, 2**40, "delivered", None, 0.0, "SMx")
        told = await asyncio.gather(
            world.provider.say(first, "delivered"),
            world.gateway.status(bad),
            world.provider.say(second, "delivered"),
            return_exceptions=True,
        )
        assert [told[0], told[2]] == [None, None]
        assert set((await world.states()).values()) == {"delivered"}

    play(story)


# ---------------------------------------------------------------- another attempt


def test_a_late_delivery_of_a_failed_attempt_stops_the_next(play):
    """Never twice: the phone has it after all."""

    async def story(world: World) -> None:
        text = await sent_to(world)
        await world.provider.say(text, "failed", 30001)
        assert await world.state(text.message_id) == "queued"
        await world.provider.say(text, "delivered")
        await world.wait(600)
        assert len(world.handed) == 1
        assert await world.state(text.message_id) == "delivered"
        assert await world.queued() == []

    play(story)


@pytest.mark.parametrize("at_once", [False, True])
def test_a_failure_that_allows_another_attempt(play, at_once: bool):
    async def story(world: World) -> None:
        text = await sent_to(world)
        said = [("sent", None), ("failed", 30001), ("sent", None), ("failed", 30001)]
        if at_once:
            await asyncio.gather(*(world.provider.say(text, *each) for each in said))
        else:
            for each in said:
                await world.provider.say(text, *each)
        row = await world.message(text.message_id)
        assert (row["state"], row["attempt"], row["spent"]) == ("queued", 1, 1)
        assert await world.store.fetch_value("SELECT count(*) FROM attempts") == 1
        await world.wait(600)
        row = await world.message(text.message_id)
        assert (row["state"], row["attempt"], row["spent"]) == ("sent", 2, 2)
        await world.provider.say(text, "failed", 30001)  # the first attempt's, once more
        assert await world.state(text.message_id) == "sent"

    play(story)


def test_attempts_come_to_an_end(play):
    async def story(world: World) -> None:
        outcome = await world.submit(1)
        for _ in range(20):
            await world.wait(1200)
            text = world.handed[-1].text
            await world.provider.say(text, "failed", 30001)
        row = await world.message(outcome.message_id)
        assert (row["state"], row["code"]) == ("failed", 30001)
        assert row["attempt"] == len(world.handed) == RetryPolicy().max_attempts

    play(story)


@pytest.mark.parametrize("code", [30003, 30008, 30007])
def test_undelivered_is_never_sent_again(play, code: int):
    """The phone may have it: perhaps never beats perhaps twice."""

    async def story(world: World) -> None:
        text = await sent_to(world)
        await world.provider.say(text, "undelivered", code)
        await world.wait(5 * 3600)
        assert len(world.handed) == 1
        assert await world.state(text.message_id) == "undelivered"

    play(story)


# ---------------------------------------------------------------- what was lost comes to light


def test_unknown_is_settled_by_the_callback(play):
    async def story(world: World) -> None:
        world.provider.answers.append(Lost(taken=True))
        text = await sent_to(world)
        assert await world.state(text.message_id) == "unknown"
        await world.provider.say(text, "sent")
        assert await world.state(text.message_id) == "sent"
        await world.provider.say(text, "delivered")
        assert await world.state(text.message_id) == "delivered"
        await world.wait(600)
        assert len(world.handed) == 1

    play(story)


def test_a_callback_and_the_lost_answer_in_one_window(play):
    async def story(world: World) -> None:
        world.provider.answers.append(Lost(taken=True))
        world.provider.takes_s = 1.0
        await world.wait(1)
        outcome = await world.submit(1)
        await world.wait(0.98)
        await world.provider.say(world.handed[0].text, "sent")
        await world.wait(1)
        assert await world.state(outcome.message_id) == "sent"

    play(story)


def test_a_message_under_way_is_moved_by_callbacks_alone(play):
    async def story(world: World) -> None:
        world.provider.answers.append(Hangs())
        outcome = await world.submit(1)
        await world.wait(2)
        await world.provider.say(world.handed[0].text, "delivered")
        assert await world.state(outcome.message_id) == "delivered"

    play(story)


def test_a_reply_may_follow_a_failure_of_the_initial(play):
    async def story(world: World) -> None:
        world.provider.answers.extend([NotSent()])
        await world.submit(1)
        await world.wait(2)
        await world.write(1, "Who is this?")
        assert (await world.submit(1, "A second text", kind=Kind.REPLY)).admitted
        await world.wait(600)
        assert len(world.provider.taken) == 2

    play(story)


def test_a_word_about_a_campaign_that_can_not_be_read_here_is_to_be_brought_again(play):
    """A newer release made its settings: to acknowledge the word would be to lose it."""

    async def story(world: World) -> None:
        outcome = await world.submit(1)
        await world.wait(5)
        text = world.handed[0].text
        settings = await world.store.fetch_value("SELECT settings::text FROM campaigns")
        await world.store.execute("""UPDATE campaigns SET settings = '{"pool": 7}'""")
        await world.gateway.campaigns.load()
        with pytest.raises(TooMuchWaits):
            await world.provider.say(text, "delivered")
        await world.store.execute("UPDATE campaigns SET settings = $1::text::jsonb", settings)
        await world.gateway.campaigns.load()
        await world.provider.say(text, "delivered")
        assert await world.state(outcome.message_id) == "delivered"

    play(story)
