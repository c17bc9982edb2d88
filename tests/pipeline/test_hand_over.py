"""Handing over: what each of the provider's answers leads to."""

import itertools
import math
from collections.abc import Sequence

import msgspec
import pytest

from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.registration import Registration
from gateway.core.rules.retry import RetryPolicy
from gateway.pipeline.lease import Held
from gateway.providers.base import NotSent, OutboundText, Refused
from gateway.store import contacts
from gateway.store.contacts import ContactRow
from tests.pipeline.scripted_provider import Hangs, Lost
from tests.pipeline.world import (
    FIVE,
    KEY,
    ON_THE_WIRE_S,
    SETTINGS,
    SETTLED_S,
    START_AT,
    World,
    phone,
)

TIMER_S = 0.051  # how late a slot may be used
PEOPLE_IN_LINE = 800
WIDE = CampaignSettings(
    registration=Registration(
        total_per_s=1e12,
        number_per_s=1e12,
        carrier_per_s=dict.fromkeys(("att", "tmobile", "verizon", "uscellular"), 1e12),
        small_carrier_number_per_s=1e12,
    )
)
FIRST_DELAY_S, MOST_ATTEMPTS = RetryPolicy().first_delay_s, RetryPolicy().max_attempts


def one_call_at_a_time():
    return msgspec.structs.replace(
        SETTINGS, dispatch=msgspec.structs.replace(SETTINGS.dispatch, concurrency=1)
    )


def ten_a_second():
    return CampaignSettings(registration=Registration(total_per_s=10))


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("code", "memory_s"),
    [(21211, math.inf), (21614, math.inf), (21635, math.inf), (30005, 90 * 86_400.0), (21617, None)],
)
def test_a_refusal_for_good(play, code: int, memory_s: float | None):
    async def story(world: World) -> None:
        world.provider.answers.append(Refused(code))
        outcome = await world.submit(1)
        refused_at = world.clock.now()
        await world.wait(3600)
        row = await world.message(outcome.message_id)
        assert (row["state"], row["code"], row["attempt"]) == ("failed", code, 1)
        assert row["final_at"] is not None
        assert len(world.handed) == 1
        sql = """
            SELECT failure_code, CASE WHEN failure_until = 'infinity' THEN 'infinity'::float8
                ELSE extract(epoch FROM failure_until)::float8 END FROM conversations
            """
        failure_code, until = await world.store.fetch_row(sql)
        if memory_s is None:
            assert failure_code is None
        else:
            assert failure_code == code
            assert until == pytest.approx(refused_at + memory_s, abs=1)

    play(story)


def test_an_outcome_that_the_refusal_leaves_open_is_asked_about(play):
    """The catalogue says of 20500: ask the provider, never resend."""

    async def story(world: World) -> None:
        world.provider.answers.append(Refused(20500))
        outcome = await world.submit(1)
        await world.wait(5)
        assert await world.state(outcome.message_id) == "unknown"
        await world.wait(SETTLED_S)
        assert len(world.provider.finds) == 1

    play(story)


def test_a_number_to_blame_is_not_used_again_for_that_text(play):
    """The catalogue says of 21606: from another number."""

    async def story(world: World) -> None:
        world.provider.answers.append(Refused(21606))
        await world.submit(1)
        await world.wait(5 * FIRST_DELAY_S)
        numbers = [each.text.number_phone for each in world.texts_to(1)]
        assert len(numbers) == len(set(numbers)) == 2

    play(story, own_numbers=2)


# ---------------------------------------------------------------- slower


@pytest.mark.parametrize("code", [429, 20429, 21611])
def test_told_to_slow_down_a_message_spends_no_attempt_and_goes_later(play, code: int):
    async def story(world: World) -> None:
        times = MOST_ATTEMPTS + 2
        world.provider.answers.extend(Refused(code) for _ in range(times))
        outcome = await world.submit(1)
        await world.wait(1200)
        row = await world.message(outcome.message_id)
        assert (row["state"], row["attempt"], row["spent"]) == ("sent", times + 1, 1)
        world.nobody_got_a_text_twice()
        past = await world.store.fetch("SELECT attempt, state, code FROM attempts ORDER BY attempt")
        assert [tuple(each) for each in past] == [(n, "failed", code) for n in range(1, times + 1)]
        waits = [after.at - before.at for before, after in zip(world.handed, world.handed[1:], strict=False)]
        assert min(waits) >= RetryPolicy().throttled_delay_s

    play(story)


@pytest.mark.parametrize("code", [429, 20429, 21611])
def test_told_to_slow_down_the_campaign_slows_down(play, code: int):
    async def story(world: World) -> None:
        await world.wait(1)
        world.provider.answers.append(Refused(code))
        await world.submit(20)
        await world.wait(0.5)
        asked_at = world.clock.now()
        await world.send_all(range(1, 6))
        await world.wait(20)
        after = [each.at for each in world.handed[1:6]]
        assert after[-1] - asked_at > 4 * 0.5 * 1.2  # at the full rate of 2/s it would be 2 s

    play(story, campaign=CampaignSettings(registration=Registration(total_per_s=2)))


@pytest.mark.parametrize("code", [30017, 30022])
def test_a_carrier_that_says_slower_slows_the_campaign(play, code: int):
    async def story(world: World) -> None:
        await world.wait(1)
        await world.submit(20)
        await world.wait(0.5)
        await world.provider.say(world.handed[0].text, "undelivered", code)
        asked_at = world.clock.now()
        await world.send_all(range(1, 6))
        await world.wait(20)
        after = [each.at for each in world.handed[1:6]]
        assert after[-1] - asked_at > 4 * 0.5 * 1.2

    play(story, campaign=CampaignSettings(registration=Registration(total_per_s=2)))


def test_one_refusal_among_many_hardly_slows_the_campaign(play):
    """A chance 429 is no congestion."""

    async def story(world: World) -> None:
        await world.wait(1)
        world.provider.answers.extend([None] * 30 + [Refused(429)] + [None] * 100)
        began_at = world.clock.now()
        await world.send_all(range(1, 101))
        await world.wait(30)
        times = sorted(each.at for each in world.handed)
        assert len(times) == 101
        assert times[99] - began_at < 1.15 * 100 / 10

    limits = Registration(total_per_s=10, carrier_per_s={"att": 10, "tmobile": 10, "verizon": 10})
    play(story, people=100, own_numbers=5, campaign=CampaignSettings(registration=limits))


# ---------------------------------------------------------------- certainly not sent


def test_not_sent_is_tried_again(play):
    async def story(world: World) -> None:
        world.provider.answers.extend([NotSent(), NotSent()])
        outcome = await world.submit(1)
        await world.wait(10 * FIRST_DELAY_S)
        row = await world.message(outcome.message_id)
        assert (row["state"], row["attempt"]) == ("sent", 3)
        assert world.handed[1].at - world.handed[0].at >= FIRST_DELAY_S
        assert [each.text.attempt for each in world.handed] == [1, 2, 3]

    play(story)


def test_not_sent_until_the_window_ends_is_blocked_or_failed_never_left(play):
    async def story(world: World) -> None:
        await world.wait(FIVE - START_AT - 600)
        world.provider.answers.extend(NotSent() for _ in range(100))
        outcome = await world.submit(1)
        await world.wait(3600)
        row = await world.message(outcome.message_id)
        assert row["state"] in ("blocked", "failed")
        assert max(each.at for each in world.handed) < FIVE
        assert await world.queued() == []

    play(story)


# ---------------------------------------------------------------- the answer is lost


@pytest.mark.parametrize("taken", [True, False])
def test_a_lost_answer_is_unknown_and_never_sent_again_unasked(play, taken: bool):
    async def story(world: World) -> None:
        world.provider.answers.append(Lost(taken))
        outcome = await world.submit(1)
        await world.wait(ON_THE_WIRE_S - 5)
        assert await world.state(outcome.message_id) == "unknown"
        assert len(world.handed) == 1
        assert world.provider.finds == []

    play(story)


def test_a_failure_nobody_foresaw_is_a_lost_answer(play):
    async def story(world: World) -> None:
        world.provider.answers.append(RuntimeError("a bug in the provider"))
        outcome = await world.submit(1)
        await world.wait(10)
        assert await world.state(outcome.message_id) == "unknown"
        await world.wait(SETTLED_S)
        assert await world.state(outcome.message_id) in ("sent", "queued")

    play(story)


# ---------------------------------------------------------------- concurrency


def test_calls_at_once_are_limited_and_nobody_is_left(play):
    async def story(world: World) -> None:
        world.provider.takes_s = 1.0
        await world.send_all(range(1, 11))
        await world.wait(30)
        assert len(world.handed) == 10
        gaps = [after.at - before.at for before, after in zip(world.handed, world.handed[1:], strict=False)]
        assert min(gaps) >= 1.0

    play(story, settings=one_call_at_a_time())


def test_calls_that_all_end_at_once_are_not_made_up_for_in_a_burst(play):
    """Every slot that passed meanwhile is given up for a later one: the rate holds."""

    async def story(world: World) -> None:
        await world.send_all(range(1, 3))
        await world.wait(2)
        world.provider.takes_s = 20.0
        for each in range(3, 20):
            await world.submit(each)
        await world.wait(15)
        world.provider.takes_s = 0.01
        await world.wait(60)
        times = sorted(each.at for each in world.handed)
        assert len(times) == 19
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert min(gaps) > 0.5 - TIMER_S

    five = msgspec.structs.replace(
        SETTINGS, dispatch=msgspec.structs.replace(SETTINGS.dispatch, concurrency=5)
    )
    play(story, settings=five, campaign=CampaignSettings(registration=Registration(total_per_s=2)))


def test_who_waits_for_a_free_call_is_planned_anew_a_few_times_at_most(play, monkeypatch):
    """A slow provider must not cost more than a quick one: not all who wait, each time one has gone."""
    again, times = Held.take_new_slot, itertools.count()
    monkeypatch.setattr(Held, "take_new_slot", lambda held, now: (next(times), again(held, now))[1])

    async def story(world: World) -> None:
        world.provider.takes_s = 1.0
        await world.send_all(range(1, 61))
        await world.wait(80)
        assert len(world.handed) == 60
        assert next(times) <= 3 * 60

    play(story, people=60, settings=one_call_at_a_time(), campaign=ten_a_second())


def test_an_attempt_that_still_hangs_takes_nothing_from_the_next_one(play):
    """A callback tells its end before its answer comes; the next attempt already waits for its slot then."""

    async def story(world: World) -> None:
        world.provider.takes_s = 50.0  # the next attempt is claimed after 41 s, and goes after 61
        submitted = world.submit(1)
        await world.wait(1)
        await world.provider.say(world.handed[0].text, "undelivered", 30001)
        await world.send_all(range(2, 8))
        world.provider.takes_s = 0.01
        await world.wait(10 * FIRST_DELAY_S)
        assert len(world.texts_to(1)) == 2
        assert [len(world.texts_to(each)) for each in range(2, 8)] == [1] * 6
        assert await world.state((await submitted).message_id) == "sent"

    low = Registration(total_per_s=1.0)
    far = msgspec.structs.replace(
        SETTINGS, dispatch=msgspec.structs.replace(SETTINGS.dispatch, horizon_s=20.0, submit_timeout_s=3600.0)
    )
    play(story, settings=far, campaign=CampaignSettings(registration=low))


def test_last_looks_of_changing_length_cost_no_slots(play, monkeypatch):
    """Each takes a fifth longer than the one before; the campaign keeps its rate."""

    async def story(world: World) -> None:
        hand_over = world.gateway.dispatch.hand_over
        asks, lasts_s = hand_over._look, (min(0.2, 0.01 * 1.2**nth) for nth in itertools.count())

        async def look(campaign_id: int, texts: Sequence[OutboundText]) -> set[int]:
            await world.wait(next(lasts_s))
            return await asks(campaign_id, texts)

        monkeypatch.setattr(hand_over, "_look", look)
        await world.send_all(range(1, 18))
        await world.wait(30)
        times = sorted(each.at for each in world.handed)
        assert len(times) == 17
        assert times[-1] - times[0] < 16 * 0.5 * 1.1

    play(story, campaign=CampaignSettings(registration=Registration(total_per_s=2)))


def test_a_last_look_that_is_quicker_than_the_ones_before_leaves_nobody_waiting(play, monkeypatch):
    """The look at the last of five was planned while looks were slow, and comes when they are quick again."""

    async def story(world: World) -> None:
        hand_over = world.gateway.dispatch.hand_over
        asks, takes_s = hand_over._look, [0.15]

        async def look(campaign_id: int, texts: Sequence[OutboundText]) -> set[int]:
            await world.wait(takes_s[0])
            return await asks(campaign_id, texts)

        monkeypatch.setattr(hand_over, "_look", look)
        people = iter(range(1, 20))
        for count, then_s, next_s in ((2, 11.0, 0.0), (2, 12.0, 0.0), (5, 20.0, 0.0)):
            await world.send_all([next(people) for _ in range(count)])
            await world.wait(then_s)
            takes_s[0] = next_s
        assert len(world.handed) == 9
        times = sorted(each.at for each in world.handed)
        assert min(after - before for before, after in itertools.pairwise(times)) > 1 / 2.1 - TIMER_S

    play(story, campaign=CampaignSettings(registration=Registration(total_per_s=2.1)))


def test_recovery_leaves_alone_what_waits_for_a_free_call(play):
    """A new owner looks twice; a text that is claimed and waits for its call is not lost."""

    async def story(world: World) -> None:
        world.provider.takes_s = 3 * ON_THE_WIRE_S
        await world.send_all(range(1, 4))
        await world.wait(10 * ON_THE_WIRE_S)
        assert len(world.handed) == 3
        world.nobody_got_a_text_twice()

    play(story, settings=one_call_at_a_time())


def test_a_call_that_hangs_holds_up_nobody_else(play):
    async def story(world: World) -> None:
        world.provider.answers.append(Hangs())
        await world.send_all(range(1, 6))
        await world.wait(30)
        assert len(world.handed) == 5

    play(story)


def test_one_whose_time_is_over_holds_up_nobody_behind_it(play):
    """Two wait for a free call; the first may not go any more, the second may."""

    async def story(world: World) -> None:
        west = [ContactRow(30, phone(30), "CA@America/Los_Angeles")]
        await contacts.add(world.store, KEY, west)
        await world.wait(FIVE - START_AT - SETTINGS.dispatch.closing_margin_s - 20)
        world.provider.takes_s = 30.0
        slow = world.submit(1)
        await world.wait(1)
        later = world.submit(2), world.submit(3)
        await slow
        await world.wait(120)
        states = [await world.state((await each).message_id) for each in later]
        assert states == ["blocked", "blocked"]
        assert [await world.state((await slow).message_id)] == ["sent"]

    play(story, settings=one_call_at_a_time())


# ---------------------------------------------------------------- a long line


def test_a_long_line_for_few_calls_goes_out_as_calls_end(play):
    """Hundreds wait for a call whose slots have passed: each takes a new one, and none is left standing."""

    async def story(world: World) -> None:
        await world.send_all(range(1, 4))
        await world.wait(5)
        world.provider.takes_s = 0.06
        outcomes = await world.send_all(range(4, PEOPLE_IN_LINE + 1))
        assert [each.admitted for each in outcomes] == [True] * len(outcomes)
        await world.wait(20)
        assert set((await world.states()).values()) == {"sent"}

    play(story, people=PEOPLE_IN_LINE, campaign=WIDE)
