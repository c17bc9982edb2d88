"""The database is slow, breaks, or breaks just after it has done what it was asked."""

import msgspec
import pytest

from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.registration import Registration
from gateway.store.database import Database
from tests.pipeline.world import CAMPAIGN, SETTINGS, SETTLED_S, World, phone

ADMIT, CLAIM, HEAR = (
    "INSERT INTO messages",
    "attempt = m.attempt + 1",
    "INSERT INTO inbound",
)
ONE_PER_S = CampaignSettings(registration=Registration(total_per_s=1))
LONG_S = 3 * SETTLED_S
# With two connections, as in production; a story within a statement, while the clock stands still, needs no window.
AT_ONCE = msgspec.structs.replace(
    SETTINGS, windows=msgspec.structs.replace(SETTINGS.windows, admission_s=0, inbound_s=0)
)


async def everybody_was_texted_once(world: World, people: range) -> None:
    got = sorted(each.text.phone for each in world.provider.taken)
    assert got == sorted(phone(each) for each in people)
    assert set((await world.states()).values()) == {"sent"}
    assert await world.queued() == []


def test_a_broken_connection_stops_nothing_for_long(play):
    async def story(world: World) -> None:
        await world.wait(1)
        await world.send_all(range(1, 4))
        await world.cut_connections()
        await world.wait(5)
        outcomes = await world.send_all(range(4, 7))
        assert all(outcome.admitted for outcome in outcomes)
        await world.wait(LONG_S)
        await everybody_was_texted_once(world, range(1, 7))

    play(story, campaign=ONE_PER_S)


def test_connections_that_break_again_and_again(play):
    async def story(world: World) -> None:
        asked = []
        for each in range(1, 13):
            asked.append(world.submit(each))
            await world.wait(0.7)
            if each % 3 == 0:
                await world.cut_connections()
        assert all([(await each).admitted for each in asked])
        await world.wait(LONG_S)
        await everybody_was_texted_once(world, range(1, 13))

    play(story, campaign=ONE_PER_S)


@pytest.mark.parametrize("busy", [False, True], ids=["straight on", "queued"])
def test_admitted_and_the_answer_lost(play, busy: bool):
    """Written, but admission does not know: it looks back, and the message goes its way all the same."""

    async def story(world: World) -> None:
        await world.wait(1)
        others = range(2, 7) if busy else range(2, 2)
        await world.send_all(others)
        met = world.database.once(world.database.after, ADMIT, world.lose_the_answer)
        assert (await world.submit(1)).admitted
        assert met.done()
        await world.wait(LONG_S)
        await everybody_was_texted_once(world, range(1, 7) if busy else range(1, 2))

    play(story, campaign=ONE_PER_S)


def test_claimed_and_the_answer_lost(play):
    """Its intent is durable, and nobody hands it over: it is asked about, then sent."""

    async def story(world: World) -> None:
        await world.wait(1)
        met = world.database.once(world.database.after, CLAIM, world.lose_the_answer)
        await world.send_all(range(1, 9))
        await world.wait(LONG_S)
        assert met.done()
        await everybody_was_texted_once(world, range(1, 9))

    play(story, campaign=ONE_PER_S)


def test_a_text_heard_and_the_answer_lost_is_kept_once(play):
    async def story(world: World) -> None:
        met = world.database.once(world.database.after, HEAR, world.lose_the_answer)
        await world.write(1, "STOP")
        assert met.done()
        assert await world.store.fetch_value("SELECT count(*) FROM inbound_texts") == 1
        assert await world.store.fetch_value("SELECT phone FROM opt_outs") == phone(1)

    play(story)


def test_a_block_that_fails_is_done_later(play):
    """1203 for all, and the connection breaks at the very write."""

    async def story(world: World) -> None:
        async def breaks() -> None:
            await world.cut_connections()

        met = world.database.once(world.database.before, "SET state = 'blocked'", breaks)
        await world.send_all(range(1, 4))
        await world.wait(LONG_S)
        assert met.done()
        assert set((await world.states()).values()) == {"blocked"}
        assert await world.queued() == []

    play(story, own_numbers=0)


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_message_that_enters_while_the_queue_is_read_is_not_forgotten(play, nth: int):
    """The road's nth read of the queue is carried out; before its answer is there, a message is admitted."""

    async def story(world: World) -> None:
        await world.wait(1)
        reads = 0

        async def enters() -> None:
            nonlocal reads
            reads += 1
            if reads == nth:
                assert (await world.submit(9)).admitted

        world.database.after.append((lambda sql, _count: "FROM queue" in sql, enters))
        world.gateway.dispatch.roads[CAMPAIGN].look_in_store()
        await world.wait(50)  # before the sweep, which looks at everything
        assert reads >= nth
        assert phone(9) in {each.text.phone for each in world.handed}

    play(story, settings=AT_ONCE, connections=2)


def test_a_stop_that_overtakes_the_answer_of_an_admission(play):
    """The message is written, the STOP is written and acknowledged, and only then admission knows."""

    async def story(world: World) -> None:
        await world.wait(1)

        async def stops() -> None:
            await world.write(1, "STOP")

        met = world.database.once(world.database.after, ADMIT, stops)
        await world.submit(1)
        assert met.done()
        await world.wait(60)
        assert world.handed == []

    play(story, settings=AT_ONCE, connections=2)


def test_the_callers_wait_while_the_database_is_away(play):
    async def story(world: World) -> None:
        await world.wait(1)
        connect = Database._connect

        async def refused(self: Database):
            if self is world.database and away:
                raise ConnectionRefusedError
            return await connect(self)

        away = True
        Database._connect = refused
        try:
            await world.cut_connections()
            asked = world.submit(1)
            await world.wait(60)
            assert not asked.done()
            away = False
            assert (await asked).admitted
        finally:
            Database._connect = connect
        await world.wait(LONG_S)
        await everybody_was_texted_once(world, range(1, 2))

    play(story)
