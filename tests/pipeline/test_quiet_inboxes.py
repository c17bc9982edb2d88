"""Volunteers look again and again: where nobody waits one look speaks for all, and no reply is kept from a screen."""

import random
from math import inf
from typing import Any

import pytest

from gateway.core.rules.safeguards import Kind
from gateway.p2p.bank import Scripts
from gateway.p2p.quiet_inboxes import Nothing, QuietInboxes
from gateway.store import conversations
from tests.pipeline.world import ACTION, CAMPAIGN, GROUP, KEY, SCOPE, VOLUNTEER, World, phone

TAKE_OVER_S = 600.0


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The volunteers whose looks went to the store."""
    volunteers: list[int] = []
    attention = conversations.attention

    async def counted(database, key, action_id, volunteer_id, **more):
        volunteers.append(volunteer_id)
        return await attention(database, key, action_id, volunteer_id, **more)

    monkeypatch.setattr(conversations, "attention", counted)
    return volunteers


async def screen(world: World, volunteer: int = VOLUNTEER) -> list[int]:
    shown = await world.gateway.bank.inbox(CAMPAIGN, ACTION, volunteer, take_over_s=TAKE_OVER_S)
    return [each.contact_id for each in shown]


async def reported(world: World, person: int) -> None:
    await conversations.report(world.gateway.database, KEY, person, world.clock.now())


async def published(world: World) -> None:
    await world.gateway.bank.publish(CAMPAIGN, ACTION, "Title", Scripts(initials=("Hello",)), seed=1)
    await world.submit(1, action_id=ACTION)
    await world.submit(2, action_id=ACTION)
    await world.wait(5)


def test_where_nobody_waits_one_look_speaks_for_all(play, looks: list[int]):
    async def story(world: World) -> None:
        await published(world)
        for volunteer in range(100):
            assert await screen(world, volunteer) == []
        assert len(looks) == 1
        await world.wait(601)
        await screen(world)
        assert len(looks) == 2

    play(story)


def test_a_reply_is_on_the_screen_whoever_looked_before(play, looks: list[int]):
    async def story(world: World) -> None:
        await published(world)
        for person in (1, 2):
            assert await screen(world) == []
            await world.write(person, "Who is this?")
            assert await screen(world) == [person]
            await reported(world, person)
        assert await screen(world) == []
        before = len(looks)
        assert await screen(world, 99) == []
        assert len(looks) == before

    play(story)


def test_while_somebody_waits_others_look_again_when_it_may_change_hands(play, looks: list[int]):
    async def story(world: World) -> None:
        await published(world)
        await world.write(1, "Who is this?")
        for _ in range(5):
            assert await screen(world, 99) == []
            await world.wait(60)
        assert looks == [99]
        await world.wait(TAKE_OVER_S - 5 * 60 + 1)
        assert await screen(world, 99) == [1]
        assert await screen(world, 98) == []  # it is on a screen now
        assert looks == [99, 99, 98]
        await world.wait(TAKE_OVER_S - 5)
        assert await screen(world, 98) == []
        await world.wait(10)
        assert await screen(world, 98) == [1]

    play(story)


def test_a_text_concerns_only_the_volunteer_whose_person_wrote(play, looks: list[int]):
    async def story(world: World) -> None:
        await published(world)
        await world.submit(3, action_id=ACTION, sender_id=99)
        await world.wait(61)
        await world.write(1, "Who is this?")
        assert await screen(world, 99) == []
        looks.clear()
        await world.write(2, "And who are you?")
        assert await screen(world, 99) == []
        assert looks == []
        await world.write(3, "What is it about?")
        assert await screen(world, 99) == [3]

    play(story)


def test_whom_a_volunteer_texts_is_theirs_though_they_looked_before(play, looks: list[int]):
    """The person wrote meanwhile, and still waits for an answer."""

    async def story(world: World) -> None:
        await published(world)
        await world.write(1, "Who is this?")
        assert await screen(world, 99) == []
        await world.submit(1, "Hi again", kind=Kind.REPLY, action_id=ACTION, sender_id=99)
        await world.write(1, "Hm")
        await world.store.execute("UPDATE conversations SET volunteer_id = 99 WHERE contact_id = 1")
        assert await screen(world, 99) == [1]

    play(story)


@pytest.mark.parametrize("seed", range(12))
def test_when_a_look_is_spared_the_books_have_nothing(play, monkeypatch: pytest.MonkeyPatch, seed: int):
    """Ten people and three volunteers, who do whatever can be done, in any order and at any distance."""
    spared = looked = 0
    is_quiet = QuietInboxes.is_quiet

    async def story(world: World) -> None:
        nonlocal spared, looked
        luck = random.Random(seed)
        bank = world.gateway.bank
        quiet: list[bool] = []

        def noted(self: QuietInboxes, *who: int, **more: object) -> bool:
            quiet.append(is_quiet(self, *who, **more))
            return quiet[-1]

        monkeypatch.setattr(QuietInboxes, "is_quiet", noted)
        await bank.publish(CAMPAIGN, ACTION, "Title", Scripts(initials=("Hello",)), seed=1)
        for person in range(1, 11):
            await world.submit(person, action_id=ACTION, sender_id=luck.randrange(3))
        for _ in range(150):
            person, volunteer = luck.randint(1, 10), luck.randrange(3)
            take_over_s = (TAKE_OVER_S, 6 * TAKE_OVER_S)[volunteer % 2]
            what = luck.random()
            if what < 0.12:
                await world.write(person, luck.choice(["Who?", "Yes", "Where?", "STOP", "START"]))
            elif what < 0.2:
                await reported(world, person)
            elif what < 0.28:
                await world.submit(person, f"{what}", kind=Kind.REPLY, action_id=ACTION, sender_id=volunteer)
            elif what < 0.5:
                await world.wait(luck.choice([1.0, 30.0, 200.0]))
            else:
                await bank.inbox(CAMPAIGN, ACTION, volunteer, take_over_s=take_over_s)
                looked += 1
                if quiet[-1]:
                    spared += 1
                    assert await in_books(world, volunteer, take_over_s) == []

    play(story, people=10)
    assert 0.05 < spared / looked < 0.95


async def in_books(world: World, volunteer: int, take_over_s: float) -> list[int]:
    now = world.clock.now()
    inbox = await conversations.attention(
        world.store,
        KEY,
        ACTION,
        volunteer,
        opt_out_scope=SCOPE,
        texts_since=0.0,
        open_groups=[GROUP],
        take_over_before=now - take_over_s,
        limit=20,
        now=now,
    )
    return [each.contact_id for each in inbox.found]


def test_a_look_that_began_before_a_reply_was_written_speaks_for_nobody_after_it(play, looks: list[int]):
    async def story(world: World) -> None:
        await published(world)
        attention = conversations.attention

        async def slow(*args, **more):
            found = await attention(*args, **more)
            await world.write(1, "Who is this?")  # written while the answer is under way
            return found

        conversations.attention = slow
        try:
            assert await screen(world) == []
        finally:
            conversations.attention = attention
        assert await screen(world) == [1]

    play(story)


def test_a_reply_that_another_worker_wrote_is_seen_when_the_look_is_too_old(play):
    async def story(world: World) -> None:
        await published(world)
        assert await screen(world) == []
        await world.store.execute(
            "INSERT INTO conversations AS v (organisation_id, campaign_id, contact_id) VALUES ($1, $2, 1)"
            " ON CONFLICT (organisation_id, campaign_id, contact_id) DO UPDATE SET attention_at = to_timestamp($3)",
            *KEY,
            world.clock.now(),
        )
        await world.store.execute(
            "INSERT INTO inbound (organisation_id, campaign_id, inbound_id, provider_sid, contact_id, phone,"
            " number_phone, body, intent, suggests_opt_out, wrong_number, received_at)"
            " SELECT $1, $2, 99, 'SM99', 1, $3, $3, 'Hi', 'reply', false, false, to_timestamp($4)",
            *KEY,
            phone(1),
            world.clock.now(),
        )
        await world.wait(601)
        assert await screen(world) == [1]

    play(story)


GROUPS = ["PA@America/New_York"]


def nothing(quiet: QuietInboxes, at: float, oldest_at: float = inf) -> Nothing:
    return Nothing(quiet.changes(7), at, at, GROUPS, oldest_at)


def is_quiet(quiet: QuietInboxes, volunteer: int, at: float, **other: Any) -> bool:
    asked = {"open_groups": GROUPS, "waited_since": at - 100, "texted_at": -inf, **other}
    return quiet.is_quiet(7, ACTION, volunteer, **asked)


def test_what_a_look_is_good_for():
    now = 1000.0
    quiet = QuietInboxes(lambda: now, known_for_s=600.0)
    assert not is_quiet(quiet, 1, now)
    quiet.found(7, ACTION, 1, nothing(quiet, now, oldest_at=950.0), nobody=False)
    assert is_quiet(quiet, 1, now)
    assert not is_quiet(quiet, 2, now)
    assert not is_quiet(quiet, 1, now, open_groups=["CA@America/Los_Angeles"])
    assert not is_quiet(quiet, 1, now, texted_at=941.0)
    assert is_quiet(quiet, 1, now, waited_since=949.0)
    assert not is_quiet(quiet, 1, now, waited_since=950.0)
    quiet.wrote(7, [2], oldest_at=930.0)  # it was fetched late
    assert is_quiet(quiet, 1, now, waited_since=929.0)
    assert not is_quiet(quiet, 1, now, waited_since=930.0)
    quiet.wrote(7, [1, 3], oldest_at=1000.0)
    assert not is_quiet(quiet, 1, now)
    quiet.found(7, ACTION, 1, nothing(quiet, now, oldest_at=950.0), nobody=False)
    assert is_quiet(quiet, 1, now)
    now = 1600.0
    assert not is_quiet(quiet, 1, now, waited_since=0.0)


@pytest.mark.parametrize("change", ["unsure", "wrote", "found"])
def test_a_look_that_began_before_a_change_is_good_for_nothing_after_it(change: str):
    quiet = QuietInboxes(lambda: 0.0, known_for_s=600.0)
    began = nothing(quiet, 0.0)
    if change == "unsure":
        quiet.unsure(7)
    elif change == "wrote":
        quiet.wrote(7, [1], oldest_at=0.0)
    else:
        quiet.found(7, ACTION, 1, None, nobody=False)
    quiet.found(7, ACTION, 1, began, nobody=True)
    assert not is_quiet(quiet, 1, 0.0)
    quiet.found(7, ACTION, 1, nothing(quiet, 0.0), nobody=True)
    assert is_quiet(quiet, 1, 0.0)
    assert is_quiet(quiet, 2, 0.0)


def test_what_was_written_is_remembered_no_longer_than_a_look_is_good():
    now = 0.0
    quiet = QuietInboxes(lambda: now, known_for_s=600.0)
    for nth in range(10_000):
        now = float(nth)
        quiet.wrote(7, [1], oldest_at=now)
    assert len(quiet._campaigns[7].written) <= 602
