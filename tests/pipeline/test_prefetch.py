"""The head of the queue in memory: a suspicion that the store holds more costs few readings, and small ones."""

import asyncio

import msgspec

from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.lifecycle import State
from gateway.core.rules.registration import Registration
from gateway.store import messages
from tests.pipeline.world import CAMPAIGN, SETTINGS, World, phone

A_LOOK = 2  # readings: what is urgent, and first texts


def per_s(total: int) -> CampaignSettings:
    return CampaignSettings(registration=Registration(total_per_s=total))


def readings(monkeypatch) -> list[list[int]]:
    """The messages that each reading of the queue brings from now on."""
    brought: list[list[int]] = []
    waiting = messages.waiting

    async def noted(*arguments: object) -> messages.Head:
        head = await waiting(*arguments)
        brought.append([each.message_id for each in head.messages])
        return head

    monkeypatch.setattr(messages, "waiting", noted)
    return brought


def test_a_reminder_among_steady_arrivals_costs_one_look(play, monkeypatch):
    """Each text that came while the store was looked into used to call for the next look, and to go through it."""
    people, arrives_every_s, answer_s = 300, 0.05, 0.2

    async def story(world: World) -> None:
        await world.wait(2)
        world.database.answer_s = answer_s
        brought = readings(monkeypatch)
        texts = []
        for contact_id in range(1, people + 1):
            texts.append(world.submit(contact_id))
            if contact_id == people // 3:
                world.gateway.dispatch.remind(CAMPAIGN)
            await world.wait(arrives_every_s)
        outcomes = await asyncio.gather(*texts)
        await world.wait(30)
        assert len(brought) == A_LOOK
        assert sum(outcome.state is State.QUEUED for outcome in outcomes) < people // 10
        assert set((await world.states()).values()) == {"sent"}

    play(story, people=people)


def test_what_is_in_hand_is_not_read_again(play, monkeypatch):
    """While many wait for their slots, a reminder brings what is new and not all of them."""

    async def story(world: World) -> None:
        await world.wait(1)
        brought = readings(monkeypatch)
        await world.send_all(range(1, 61))
        for _ in range(10):
            world.gateway.dispatch.remind(CAMPAIGN)
            await world.wait(1)
        assert brought == [[]] * 10 * A_LOOK
        await world.wait(60)
        assert set((await world.states()).values()) == {"sent"}

    play(story, people=60, campaign=per_s(1))


def test_more_than_memory_holds_is_read_piece_by_piece_and_each_text_once(play, monkeypatch):
    dispatch = msgspec.structs.replace(SETTINGS.dispatch, look_ahead=20)

    async def story(world: World) -> None:
        await world.wait(1)
        brought = readings(monkeypatch)
        await world.send_all(range(1, 101))
        await world.wait(30)
        ids = [each for some in brought for each in some]
        assert len(ids) == len(set(ids)) >= 100 - 2 * dispatch.look_ahead
        assert set((await world.states()).values()) == {"sent"}

    settings = msgspec.structs.replace(SETTINGS, dispatch=dispatch)
    play(story, people=100, campaign=per_s(8), settings=settings)


def test_a_slow_carrier_fills_no_memory_and_keeps_its_order(play, monkeypatch):
    """Its texts used to take every place, and everybody else was read at its pace."""
    dispatch = msgspec.structs.replace(SETTINGS.dispatch, look_ahead=20)
    registration = Registration(
        total_per_s=10.0, carrier_per_s={"att": 0.03, "tmobile": 10.0, "verizon": 10.0}
    )
    slow, quick = range(1, 101), range(101, 161)

    async def story(world: World) -> None:
        await world.store.execute(
            "UPDATE contacts SET carrier = CASE WHEN contact_id <= 100 THEN 'att' ELSE 'verizon' END"
        )
        await world.send_all(slow)
        await world.wait(5)
        await world.send_all(quick)
        await world.wait(30)
        handed = [each.text.phone for each in world.handed]
        assert {phone(each) for each in quick} <= set(handed)
        assert len(handed) - len(quick) <= 3
        brought = readings(monkeypatch)
        await world.wait(30)
        world.gateway.dispatch.remind(CAMPAIGN)  # another worker's door: it costs a look at what is new
        await world.wait(1)
        assert sum(map(len, brought)) < 30
        await world.wait(3600)
        to_slow = [each.text.phone for each in world.handed if each.text.phone not in set(map(phone, quick))]
        assert to_slow == [phone(each) for each in slow]
        assert await world.queued() == []
        world.nobody_got_a_text_twice()

    settings = msgspec.structs.replace(SETTINGS, dispatch=dispatch)
    play(story, people=160, campaign=CampaignSettings(registration=registration), settings=settings)


def test_a_carrier_of_which_memory_wants_more_is_read_from_the_beginning(play):
    """Whoever comes late into the store, before those that were looked past, is found."""
    dispatch = msgspec.structs.replace(SETTINGS.dispatch, look_ahead=20)
    registration = Registration(
        total_per_s=10.0, carrier_per_s={"att": 0.02, "tmobile": 10.0, "verizon": 10.0}
    )

    async def story(world: World) -> None:
        await world.store.execute(
            "UPDATE contacts SET carrier = CASE WHEN contact_id <= 50 THEN 'att' ELSE 'verizon' END"
        )
        await world.send_all(range(1, 51))
        await world.send_all(range(51, 71))
        await world.wait(60)
        late = await world.submit(71)
        await world.store.execute(
            "UPDATE queue SET due_at = due_at - interval '1 hour' WHERE message_id = $1", late.message_id
        )
        await world.wait(200)
        assert phone(71) in {each.text.phone for each in world.handed}

    settings = msgspec.structs.replace(SETTINGS, dispatch=dispatch)
    play(story, people=80, campaign=CampaignSettings(registration=registration), settings=settings)
