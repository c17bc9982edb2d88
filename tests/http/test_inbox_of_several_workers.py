"""Two workers over one database, each with people at its door: what one does about a conversation holds at the other."""

import asyncio

import pytest

from tests.http.house import House, phone
from tests.http.test_inbox import SOMEBODY_ELSE, VOLUNTEER, act, bodies, listed, seen, talk, thread

Houses = tuple[House, House]
TURNS = range(4)


async def test_a_response_of_an_action_that_another_worker_published(houses: Houses) -> None:
    owner, other = houses
    await talk(owner, 1)
    answer = await act(other, "answers", {**await seen(other), "response": "response-1"})
    assert answer.status == 202
    assert (await bodies(owner))[-1] == "Hi Ann, thanks!"


@pytest.mark.parametrize("turn", TURNS)
async def test_two_volunteers_at_two_workers_answer_one_thread_once(houses: Houses, turn: int) -> None:
    await talk(houses[0], 1)
    before = await seen(houses[0])
    both = await asyncio.gather(
        *(
            act(house, "answers", {**before, "body": f"It is {who}", "sender_id": who})
            for house, who in zip(houses, (VOLUNTEER, SOMEBODY_ELSE), strict=True)
        )
    )
    assert sorted(each.status for each in both) == [202, 409]
    [late] = [each for each in both if each.status == 409]
    assert [each["body"] for each in late.body["thread"]["texts"]] == await bodies(houses[0])
    assert len(await bodies(houses[0])) == 3


@pytest.mark.parametrize("turn", TURNS)
async def test_a_repeat_at_another_worker_is_the_same_answer(houses: Houses, turn: int) -> None:
    await talk(houses[0], 1)
    body = {**await seen(houses[0]), "body": "Yes"}
    key = {"Idempotency-Key": "k1"}
    both = await asyncio.gather(*(act(house, "answers", body, headers=key) for house in houses))
    assert [each.status for each in both] == [202, 202]
    assert both[0].body["message_id"] == both[1].body["message_id"]
    assert await bodies(houses[0]) == ["Hello", "Hi from 1", "Yes"]


@pytest.mark.parametrize("turn", TURNS)
async def test_an_opt_out_at_one_worker_during_an_answer_at_the_other(houses: Houses, turn: int) -> None:
    """Nothing is handed over after the STOP's answer went out, whichever was first in the books."""
    owner, other = houses
    await talk(owner, 1)
    before = await seen(owner)

    def handed() -> int:
        return sum(text.phone == phone(1) for house in houses for text in house.provider.taken)

    async def stop() -> int:
        assert (await other.writes(1, "STOP", sid=f"SM{'f' * 32}")).status < 300
        return handed()

    answer, handed_by_then = await asyncio.gather(act(owner, "answers", {**before, "body": "Yes"}), stop())
    assert answer.status in (202, 409)
    await owner.send(2)
    while (await owner.provider.next_text()).phone != phone(2):
        pass
    assert handed() == handed_by_then
    assert (await thread(other))["conversation"]["opted_out"]


@pytest.mark.parametrize("turn", TURNS)
async def test_a_reply_at_one_worker_during_an_archive_at_the_other(houses: Houses, turn: int) -> None:
    owner, other = houses
    await talk(owner, 1)
    before = await seen(owner)
    archived, wrote = await asyncio.gather(
        act(owner, "archive", before), other.writes(1, "Wait", sid=f"SM{'f' * 32}")
    )
    assert (archived.status in (200, 409), wrote.status < 300) == (True, True)
    for house in houses:
        [row] = await listed(house, "?filter=needs_attention")
        assert (row["archived_at"], row["last"]["preview"]) == (None, "Wait")


@pytest.mark.parametrize("turn", TURNS)
async def test_two_hand_overs_at_once_are_one(houses: Houses, turn: int) -> None:
    await talk(houses[0], 1)
    before = await seen(houses[0])
    both = await asyncio.gather(
        *(
            act(house, "hand-over", {**before, "volunteer_id": volunteer_id})
            for house, volunteer_id in zip(houses, (21, 22), strict=True)
        )
    )
    assert sorted(each.status for each in both) == [200, 409]
    [moved] = [each.body["volunteer_id"] for each in both if each.status == 200]
    assert (await thread(houses[1]))["conversation"]["volunteer_id"] == moved
