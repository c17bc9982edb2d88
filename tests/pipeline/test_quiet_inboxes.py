"""Volunteers look again and again: where nobody waits one look speaks for all, and no reply is kept from a screen."""

import pytest

from gateway.p2p.bank import Scripts
from gateway.p2p.quiet_inboxes import QuietInboxes
from gateway.store import conversations
from tests.pipeline.world import ACTION, CAMPAIGN, KEY, VOLUNTEER, World, phone

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
            await world.gateway.bank.report(CAMPAIGN, person)
        assert await screen(world) == []
        before = len(looks)
        assert await screen(world, 99) == []
        assert len(looks) == before

    play(story)


def test_while_somebody_waits_everybody_looks(play, looks: list[int]):
    """Until it is taken over, which time alone decides."""

    async def story(world: World) -> None:
        await published(world)
        await world.write(1, "Who is this?")
        assert await screen(world, 99) == []
        assert await screen(world, 99) == []
        assert looks == [99, 99]
        await world.wait(TAKE_OVER_S + 1)
        assert await screen(world, 99) == [1]

    play(story)


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


def test_a_look_is_good_for_so_long_and_until_a_change():
    now = 0.0
    quiet = QuietInboxes(lambda: now, known_for_s=1.0)
    assert not quiet.is_quiet(7)
    quiet.nobody_waits(7, quiet.changes(7), 0.0)
    assert quiet.is_quiet(7)
    assert not quiet.is_quiet(8)
    now = 1.0
    assert not quiet.is_quiet(7)
    changes = quiet.changes(7)
    quiet.changed(7)
    quiet.nobody_waits(7, changes, 1.0)
    assert not quiet.is_quiet(7)
    quiet.nobody_waits(7, quiet.changes(7), 1.0)
    assert quiet.is_quiet(7)
    quiet.changed(7)
    assert not quiet.is_quiet(7)
