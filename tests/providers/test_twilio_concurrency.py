"""The gate: never wider than allowed, narrowed by a 429, widened again, and nobody forgotten."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.base import ProviderError, Refused
from gateway.providers.twilio.concurrency import Concurrency
from gateway.providers.twilio.provider import TwilioProvider
from tests.providers.conftest import MakeProvider, outbound
from tests.providers.fake_twilio import FakeTwilio, Says
from tests.providers.payloads import classic, created


async def turn() -> None:
    """Lets those who were woken run."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_one_too_many_waits_for_a_place() -> None:
    gate = Concurrency(2, patience_s=60)
    await gate.enter()
    await gate.enter()
    third = asyncio.create_task(gate.enter())
    await turn()
    assert (gate.busy, third.done()) == (2, False)
    gate.leave()
    await third
    assert gate.busy == 2


async def test_impatience_is_a_refusal_that_costs_nothing() -> None:
    gate = Concurrency(1, patience_s=0)
    await gate.enter()
    with pytest.raises(Refused) as raised:
        await gate.enter()
    assert raised.value.code == 20429
    gate.leave()
    await gate.enter()
    assert gate.busy == 1


async def test_a_place_given_to_somebody_who_left_is_given_on() -> None:
    gate = Concurrency(1, patience_s=60)
    await gate.enter()
    gone, next_one = asyncio.create_task(gate.enter()), asyncio.create_task(gate.enter())
    await turn()
    gate.leave()  # gives the place to `gone`, who is cancelled before it can take it
    gone.cancel()
    await asyncio.wait_for(next_one, 5)
    assert gate.busy == 1


async def test_a_round_that_is_half_refused_halves_the_width() -> None:
    gate = Concurrency(64, patience_s=60)
    for _ in range(16):
        await gate.enter()
    for _ in range(8):
        gate.pushed_back()
        gate.leave()
    assert (gate.width, gate.busy) == (8, 8)


async def test_many_at_once_and_a_low_limit_are_found_out_in_one_round() -> None:
    gate = Concurrency(64, patience_s=60)
    for _ in range(16):
        await gate.enter()
    for _ in range(13):  # Twilio takes three at once
        gate.pushed_back(16)
        gate.leave()
    assert gate.width == 3


async def test_others_on_the_account_count_as_twilio_counts_them() -> None:
    """We have one request under way and 40 others have theirs: the account is full, not we."""
    gate = Concurrency(64, patience_s=60)
    await gate.enter()
    gate.pushed_back(41)
    assert gate.width == 40


async def test_a_chance_429_among_many_costs_one_place_of_many() -> None:
    gate = Concurrency(100, patience_s=60)
    for _ in range(30):
        await gate.enter()
    gate.width = 30.0
    gate.pushed_back(30)
    assert gate.width == 29
    for _ in range(33):
        gate.went_well(None)
    assert 30 < gate.width < 31


async def test_it_widens_by_one_a_round() -> None:
    gate = Concurrency(64, patience_s=60)
    gate.width = 10.0
    for _ in range(10):
        gate.went_well(None)
    assert 10.9 < gate.width < 11
    gate.went_well(64)  # others fill the account
    assert gate.width < 11


async def test_retry_after_holds_everybody() -> None:
    gate = Concurrency(8, patience_s=0)
    await gate.enter()
    gate.pushed_back(retry_after_s=3600)
    gate.leave()
    with pytest.raises(Refused):
        await gate.enter()


async def test_other_requests_take_turns_with_texts_at_a_width_of_one() -> None:
    gate = Concurrency(1, patience_s=60)
    await gate.enter()
    order: list[str] = []

    async def enter(name: str) -> None:
        await gate.enter(is_text=name == "text")
        order.append(name)

    waiting = [asyncio.create_task(enter(name)) for name in ("text", "text", "text", "other", "other")]
    await turn()
    gate.leave()
    for nth in range(1, 6):
        await turn()
        assert len(order) == nth
        gate.leave(is_text=order[-1] == "text")
    await asyncio.gather(*waiting)
    assert order == ["other", "text", "other", "text", "text"]
    assert (gate.busy, gate.busy_others, gate.free) == (0, 0, 1)


OTHERS = st.lists(st.sampled_from(["text", "other", "leave", "good", "bad"]), max_size=60)


@given(OTHERS, st.integers(1, 16))
def test_other_requests_keep_to_their_share(steps: list[str], most: int) -> None:
    asyncio.run(_share(steps, most))


async def _share(steps: list[str], most: int) -> None:
    gate = Concurrency(most, patience_s=60)
    inside: list[bool] = []  # whether a text

    async def enter(*, is_text: bool) -> None:
        await gate.enter(is_text=is_text)
        inside.append(is_text)

    waiting: list[asyncio.Task[None]] = []
    for step in steps:
        if step in ("text", "other"):
            had_room = gate.free > 0
            waiting.append(asyncio.create_task(enter(is_text=step == "text")))
            await turn()
            assert step == "other" or not had_room or waiting[-1].done()
        elif step == "leave" and inside:
            gate.leave(is_text=inside.pop(0))
        elif step == "good":
            gate.went_well(None)
        elif step == "bad":
            gate.pushed_back()
        await turn()
        assert (gate.busy, gate.busy_others) == (len(inside), inside.count(False))
        assert gate.busy_others <= max(1, most // 4)
        assert 0 <= gate.free <= most
    while inside:
        gate.leave(is_text=inside.pop(0))
        await turn()
    assert all(task.done() for task in waiting)
    assert gate.busy == 0


@given(st.lists(st.sampled_from(["enter", "leave", "good", "bad", "cancel"]), max_size=60), st.integers(1, 5))
def test_places_are_neither_lost_nor_invented(steps: list[str], most: int) -> None:
    asyncio.run(_play(steps, most))


async def _play(steps: list[str], most: int) -> None:
    gate = Concurrency(most, patience_s=60)
    inside = 0
    waiting: list[asyncio.Task[None]] = []
    for step in steps:
        if step == "enter":
            waiting.append(asyncio.create_task(gate.enter()))
        elif step == "leave" and inside:
            inside -= 1
            gate.leave()
        elif step == "good":
            gate.went_well(None)
        elif step == "bad":
            gate.pushed_back()
        elif step == "cancel" and waiting:
            waiting.pop().cancel()
        await turn()
        inside += sum(task.done() and not task.cancelled() for task in waiting)
        waiting = [task for task in waiting if not task.done()]
        assert gate.busy == inside
        assert 1 <= gate.width <= most
        assert inside <= most
    while inside:
        gate.leave()
        inside -= 1
        await turn()
        inside += sum(task.done() for task in waiting)
        waiting = [task for task in waiting if not task.done()]
    assert (gate.busy, waiting) == (0, [])


async def test_a_429_over_the_wire_narrows_the_gate(twilio: FakeTwilio, make_provider: MakeProvider) -> None:
    provider = make_provider(concurrency=8)
    twilio.says(Says(429, classic(20429, 429), {"Twilio-Concurrent-Requests": "5"}))
    with pytest.raises(Refused):
        await provider.send(outbound())
    assert provider._wire.concurrency.width == 4
    twilio.says(Says(201, created(), {"Twilio-Concurrent-Requests": "1"}))
    await provider.send(outbound(2))
    assert provider._wire.concurrency.width == 4.25


async def test_a_failed_request_leaves_its_place(twilio: FakeTwilio, provider: TwilioProvider) -> None:
    twilio.says(Says(hangs_up=True), Says(500), Says(400))
    for nth in range(3):
        with pytest.raises(ProviderError):
            await provider.send(outbound(nth))
    assert provider._wire.concurrency.busy == 0
