"""A claim is a lease: no call begins after its deadline, nor long after the last look at its text."""

import asyncio
import datetime as dt
from collections.abc import Iterable, Sequence

import msgspec
import pytest

from gateway.app import Gateway
from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.registration import Registration
from gateway.core.rules.safeguards import Kind
from gateway.pipeline import answers
from gateway.pipeline.dispatch import Dispatch
from gateway.pipeline.lease import LOOK_VALID_S, Held, lease_s
from gateway.providers.base import Found, InboundText, OutboundText
from gateway.store.troubles import DatabaseBusy
from tests.pipeline.scripted_provider import Hangs, Lost
from tests.pipeline.world import ON_THE_WIRE_S, SETTINGS, SETTLED_S, World, number_phone, phone

TEN_PER_S = CampaignSettings(registration=Registration(total_per_s=10))
ONE_PER_S = CampaignSettings(registration=Registration(total_per_s=1))
WIDE = CampaignSettings(
    registration=Registration(
        total_per_s=1e5,
        number_per_s=1e5,
        small_carrier_number_per_s=1e5,
        carrier_per_s=dict.fromkeys(("att", "tmobile", "verizon", "uscellular"), 1e5),
    )
)
CALLS = 5
LINE = 150
SLOW_S = 4.0
LONG_AGO = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def calls_at_once(concurrency: int):
    dispatch = msgspec.structs.replace(SETTINGS.dispatch, concurrency=concurrency)
    return msgspec.structs.replace(SETTINGS, dispatch=dispatch)


async def second_worker(world: World) -> Gateway:
    other, _ = world.new_gateway()
    await other.start()
    world.provider.listen(world.gateway)
    return other


async def stop(worker: Gateway, world: World, contact_id: int) -> float:
    """When the STOP is acknowledged."""
    text = InboundText(f"IN{contact_id}", phone(contact_id), number_phone(1), "STOP", world.clock.now())
    await worker.inbound(text)
    return world.clock.now()


def called_after(world: World, acknowledged: dict[int, float]) -> list[int]:
    """Whom a call began for after their STOP was acknowledged."""
    return [each for each, at in acknowledged.items() if any(text.at > at for text in world.texts_to(each))]


# ---------------------------------------------------------------- STOP and pause, wherever texts wait


@pytest.mark.parametrize("concurrency", [1, CALLS, 100])
@pytest.mark.parametrize("takes_s", [0.2, SLOW_S])
def test_no_call_begins_after_a_stop_is_acknowledged_by_another_worker(
    play, concurrency: int, takes_s: float
):
    async def story(world: World) -> None:
        other = await second_worker(world)
        world.provider.takes_s = takes_s
        await world.wait(1)
        await world.send_all(range(1, 41))
        acknowledged: dict[int, float] = {}

        async def stops(contact_id: int) -> None:
            await world.wait(contact_id * 0.11)
            acknowledged[contact_id] = await stop(other, world, contact_id)

        await asyncio.gather(*(stops(each) for each in range(1, 41)))
        await world.wait(SETTLED_S + 40 * takes_s / concurrency)
        assert called_after(world, acknowledged) == []
        assert set((await world.states()).values()) <= {"sent", "blocked"}
        other.crash()

    play(story, people=40, settings=calls_at_once(concurrency), campaign=TEN_PER_S)


@pytest.mark.parametrize("concurrency", [CALLS, 100])
def test_no_call_begins_after_a_pause_is_answered(play, concurrency: int):
    async def story(world: World) -> None:
        other = await second_worker(world)
        world.provider.takes_s = SLOW_S
        await world.wait(1)
        outcomes = await world.send_all(range(1, 41))
        await world.wait(1.7)
        await world.pause(other)
        answered_at = world.clock.now()
        await world.wait(SETTLED_S)
        assert [each for each in world.handed if each.at > answered_at] == []
        assert 0 < len(world.handed) < 40
        await world.pause(other, paused=False)
        await world.wait(SETTLED_S)
        assert {await world.state(each.message_id) for each in outcomes} == {"sent"}
        world.nobody_got_a_text_twice()
        other.crash()

    play(story, people=40, settings=calls_at_once(concurrency), campaign=TEN_PER_S)


def test_a_stop_is_answered_soon(play):
    async def story(world: World) -> None:
        asked_at = world.clock.now()
        await world.write(1, "STOP")
        assert world.clock.now() - asked_at < 2 * LOOK_VALID_S

    play(story)


# ---------------------------------------------------------------- free calls are a meter


@pytest.mark.parametrize("concurrency", [1, 2, CALLS])
def test_a_reply_waits_for_one_call_at_most(play, concurrency: int):
    async def story(world: World) -> None:
        world.provider.takes_s = SLOW_S
        await world.write(30, "Where do I vote?")
        await world.wait(1)
        await world.send_all(range(1, 30))
        await world.wait(3 * SLOW_S + 0.5)
        asked_at = world.clock.now()
        reply = await world.submit(30, "At the school", kind=Kind.REPLY)
        await world.wait(2 * SLOW_S)
        (handed,) = world.texts_to(30)
        assert handed.at - asked_at <= SLOW_S + 0.5
        assert await world.state(reply.message_id) == "sent"

    play(story, people=30, settings=calls_at_once(concurrency), campaign=TEN_PER_S)


def test_who_waits_for_a_call_on_a_meter_that_nothing_fills_keeps_the_slot(play, monkeypatch):
    """There every moment is late by more than half a segment's time: with each call that ended, all that waited were
    given new slots, and the calls stood idle meanwhile."""
    new_slots: list[float] = []
    take_new_slot = Held.take_new_slot

    def counted(held: Held, now: float) -> None:
        new_slots.append(now)
        take_new_slot(held, now)

    monkeypatch.setattr(Held, "take_new_slot", counted)

    async def story(world: World) -> None:
        world.provider.takes_s = 0.2
        await world.wait(1)
        await world.send_all(range(1, 41))
        await world.wait(10)
        assert len(world.handed) == 40
        assert new_slots == []

    play(story, people=40, settings=calls_at_once(CALLS), campaign=WIDE)


def looks_counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts each last look was about."""
    looks: list[int] = []
    look = Dispatch._look

    async def counted(dispatch: Dispatch, campaign_id: int, texts: Sequence[OutboundText]) -> set[int]:
        looks.append(len(texts))
        return await look(dispatch, campaign_id, texts)

    monkeypatch.setattr(Dispatch, "_look", counted)
    return looks


@pytest.mark.parametrize("takes_s", [0.1, 0.2, 1.0])
def test_who_waits_for_a_call_is_looked_at_when_one_is_near(play, monkeypatch, takes_s: float):
    """Not all who wait each time a call ends: most of those looks were over before their call came."""
    looks = looks_counted(monkeypatch)

    async def story(world: World) -> None:
        world.provider.takes_s = takes_s
        await world.wait(1)
        await world.send_all(range(1, LINE + 1))
        await world.wait(LINE * takes_s / CALLS + SETTLED_S)
        assert len(world.handed) == LINE
        assert sum(looks) <= 2 * LINE

    play(story, people=LINE, settings=calls_at_once(CALLS), campaign=WIDE)


def test_a_call_that_came_too_late_is_looked_at_again_and_stays_in_hand(play, monkeypatch):
    """While the process is busy, calls begin late; each was written back to the queue and claimed anew."""
    recalled: list[OutboundText] = []
    monkeypatch.setattr(answers, "recalled", lambda text, _now: recalled.append(text))
    looks = looks_counted(monkeypatch)

    async def story(world: World) -> None:
        world.provider.begins_s = LOOK_VALID_S + 0.05
        await world.wait(1)
        await world.send_all(range(1, 5))
        await world.wait(1)
        assert world.handed == []
        assert len(looks) >= 2
        world.provider.begins_s = 0.0
        await world.wait(3)
        assert len(world.handed) == 4
        assert recalled == []

    play(story, people=4, campaign=WIDE)


@pytest.mark.parametrize("takes_s", [0.2, SLOW_S, 14.0])
def test_what_finds_no_free_call_stays_in_the_queue(play, takes_s: float):
    """Claimed is what is in a call, and a few that will soon be."""

    async def story(world: World) -> None:
        world.provider.takes_s = takes_s
        await world.wait(1)
        await world.send_all(range(1, 41))
        await world.wait(20)
        waiting = len(world.gateway.dispatch.hand_over) - CALLS
        assert waiting <= CALLS * max(1.0, SETTINGS.dispatch.horizon_s / takes_s)
        await world.wait(40 * takes_s / CALLS + SETTLED_S)
        assert set((await world.states()).values()) == {"sent"}
        assert len(world.handed) == 40

    play(story, people=40, settings=calls_at_once(CALLS), campaign=TEN_PER_S)


def test_a_provider_that_stalls_holds_no_text_for_longer_than_its_lease(play):
    async def story(world: World) -> None:
        await world.wait(1)
        world.provider.answers.extend([None] * 10 + [Hangs()] * CALLS)
        await world.send_all(range(1, 41))
        await world.wait(lease_s(SETTINGS.dispatch.horizon_s) + 5)
        assert len(world.gateway.dispatch.hand_over) == CALLS
        await world.wait(3 * SETTLED_S)
        assert set((await world.states()).values()) == {"sent"}
        world.nobody_got_a_text_twice()

    play(story, people=40, settings=calls_at_once(CALLS), campaign=TEN_PER_S)


# ---------------------------------------------------------------- frozen, cut off


def freeze(world: World, frozen_s: float) -> None:
    """The steady clock runs on while the process stands: it wakes, and all its timers are late."""
    steady = world.clock.steady
    world.clock.steady = lambda: steady() + frozen_s


@pytest.mark.parametrize("frozen_s", [1.0, 3.6, 52.0])
def test_a_worker_that_was_frozen_looks_again_before_it_calls(play, frozen_s: float):
    """While it was frozen, people have opted out through another worker."""

    async def story(world: World) -> None:
        await world.wait(1)
        await world.send_all(range(1, 21))
        await world.wait(0.5)
        before = {each.text.phone for each in world.handed}
        rows = [(1, 11, phone(each), "keyword") for each in range(1, 21)]
        await world.store.copy(
            "opt_outs",
            ("organisation_id", "scope", "phone", "source", "opted_out_at"),
            [(*row, LONG_AGO) for row in rows],
        )
        freeze(world, frozen_s)
        await world.wait(SETTLED_S)
        assert {each.text.phone for each in world.handed} == before
        assert set((await world.states()).values()) == {"sent", "blocked"}

    play(story, campaign=TEN_PER_S)


def test_a_worker_that_was_frozen_calls_for_nothing_whose_lease_is_over(play):
    """Another may have taken over and asked the provider, who had never seen it."""

    async def story(world: World) -> None:
        await world.wait(1)
        await world.send_all(range(1, 9))
        await world.wait(0.5)
        held = list(world.gateway.dispatch.hand_over._held.values())
        assert held
        freeze(world, lease_s(SETTINGS.dispatch.horizon_s) + 1)
        claimed = {(each.text.message_id, each.text.attempt) for each in held if each.called_at == 0}
        await world.wait(SETTLED_S)
        assert {(each.text.message_id, each.text.attempt) for each in world.handed} & claimed == set()
        assert set((await world.states()).values()) == {"sent"}
        world.nobody_got_a_text_twice()

    play(story, campaign=ONE_PER_S)


@pytest.mark.parametrize("takes_s", [0.2, SLOW_S, 14.0])
def test_an_owner_that_loses_its_connections_while_calls_are_slow_texts_nobody_twice(play, takes_s: float):
    async def story(world: World) -> None:
        other = await second_worker(world)
        world.provider.takes_s = takes_s
        await world.wait(1)
        outcomes = await world.send_all(range(1, 21))
        for _ in range(3):
            await world.wait(2.3)
            await world.cut_connections()
        await world.wait(20 * takes_s / CALLS + 4 * SETTLED_S)
        world.nobody_got_a_text_twice()
        assert {await world.state(each.message_id) for each in outcomes} == {"sent"}
        other.crash()

    play(story, settings=calls_at_once(CALLS), campaign=TEN_PER_S)


# ---------------------------------------------------------------- whatever is left is asked about


def test_what_nobody_told_of_is_unknown_with_a_reason_and_a_time(play):
    async def story(world: World) -> None:
        await world.wait(1)
        outcomes = await world.send_all(range(1, 9))
        world.crash()
        await world.restart()
        until = world.clock.now() + 4 * SETTLED_S
        while world.clock.now() < until:
            rows = await world.store.fetch("SELECT state, reason, ask_at FROM messages")
            assert all(
                (row["ask_at"] is not None) == (row["state"] in ("sending", "unknown")) for row in rows
            )
            assert all(row["reason"] for row in rows if row["state"] == "unknown")
            await world.wait(7)
        assert {await world.state(each.message_id) for each in outcomes} == {"sent"}
        world.nobody_got_a_text_twice()

    play(story, campaign=ONE_PER_S)


@pytest.mark.parametrize("error", [DatabaseBusy("too many clients"), ValueError("a defect")])
def test_a_last_look_that_fails_leaves_nobody_behind(play, monkeypatch, error: Exception):
    async def story(world: World) -> None:
        hand_over = world.gateway.dispatch.hand_over
        asks, failures = hand_over._look, [error] * 3

        async def look(campaign_id: int, texts: Iterable[object]) -> set[int]:
            if failures:
                raise failures.pop()
            return await asks(campaign_id, texts)

        monkeypatch.setattr(hand_over, "_look", look)
        await world.wait(1)
        outcomes = await world.send_all(range(1, 6))
        await world.wait(60)
        assert failures == []
        assert {await world.state(each.message_id) for each in outcomes} == {"sent"}
        world.nobody_got_a_text_twice()

    play(story, campaign=ONE_PER_S)


def test_an_answer_whose_write_fails_is_written_again_within_a_minute(play):
    async def story(world: World) -> None:
        failures = ["once", "twice"]

        async def fails() -> None:
            if failures:
                failures.pop()
                raise ValueError("a defect")

        world.database.before.append((lambda sql, _count: "WITH told AS" in sql, fails))
        outcome = await world.submit(1)
        await world.wait(60)
        assert failures == []
        assert await world.state(outcome.message_id) == "sent"
        assert len(world.handed) == 1

    play(story)


def test_the_books_tell_the_provider_which_texts_are_others(play):
    """The same person had another text just before: its id is known, and is not this one."""

    async def story(world: World) -> None:
        world.provider.answers.extend([None, Lost(taken=False)])
        asked: list[tuple[str, ...]] = []

        async def find(text, since, others) -> Found | None:
            asked.append(tuple(others))
            return None

        world.provider.find = find
        await world.submit(1)
        await world.wait(1)
        await world.write(1, "Who is this?")
        reply = await world.submit(1, "Ann", kind=Kind.REPLY)
        await world.wait(ON_THE_WIRE_S + SETTLED_S)
        assert asked == [(f"SM{world.handed[0].text.message_id:08d}01",)]
        assert await world.state(reply.message_id) == "sent"
        assert len(world.texts_to(1)) == 3

    play(story)


def test_a_look_that_never_comes_back_holds_nobody_for_good(play, monkeypatch):
    """The database's limits should see to that; should they not, the lease does."""

    async def story(world: World) -> None:
        hand_over = world.gateway.dispatch.hand_over
        asks, hangs = hand_over._look, [True]

        async def look(campaign_id: int, texts: Iterable[object]) -> set[int]:
            if hangs:
                hangs.pop()
                await world.loop.create_future()
            return await asks(campaign_id, texts)

        monkeypatch.setattr(hand_over, "_look", look)
        await world.wait(1)
        outcomes = await world.send_all(range(1, 6))
        await world.wait(SETTLED_S)
        assert {await world.state(each.message_id) for each in outcomes} == {"sent"}
        assert len(hand_over) == 0
        world.nobody_got_a_text_twice()

    play(story, campaign=ONE_PER_S)
