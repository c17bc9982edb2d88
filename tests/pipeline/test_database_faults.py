"""The database is slow, breaks, refuses, holds a lock, or breaks just after it has done what it was asked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from gateway.core.rules.campaign import CampaignKey, CampaignSettings
from gateway.core.rules.registration import Registration
from gateway.core.sending.numbers import Number
from gateway.pipeline import written_answers
from gateway.providers.base import InboundText, StatusReport
from gateway.store import campaigns, contacts, numbers
from gateway.store.campaigns import CampaignRow
from gateway.store.contacts import ContactRow
from gateway.store.database import Database
from gateway.store.group_commit import TooMuchWaits
from gateway.store.numbers import NumberRow
from tests.pipeline.scripted_provider import Lost, sid
from tests.pipeline.world import (
    CAMPAIGN,
    GROUP,
    SCOPE,
    SETTINGS,
    SETTLED_S,
    START_AT,
    World,
    number_phone,
    phone,
)

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
        assert await world.store.fetch_value("SELECT count(*) FROM inbound") == 1
        assert await world.store.fetch_value("SELECT phone FROM opt_outs") == phone(1)

    play(story)


def test_a_block_that_fails_is_done_later(play):
    """1203 for all, and the connection breaks at the very write."""

    async def story(world: World) -> None:
        async def breaks() -> None:
            await world.cut_connections()

        met = world.database.once(world.database.before, "SET state = 'blocked'", breaks)
        await world.send_all(range(1, 4))
        await world.wait(400)
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
    """The message is written, then the STOP, and only then admission knows: no call begins after the STOP's answer."""

    async def story(world: World) -> None:
        await world.wait(1)
        acknowledged: list[float] = []

        async def write_stop() -> None:
            await world.write(1, "STOP")
            acknowledged.append(world.clock.now())

        async def stops() -> None:
            stopping = asyncio.ensure_future(write_stop())
            while not await world.store.fetch("SELECT FROM opt_outs"):
                assert not stopping.done()

        met = world.database.once(world.database.after, ADMIT, stops)
        await world.submit(1)
        assert met.done()
        await world.wait(60)
        assert all(each.at <= acknowledged[0] for each in world.handed)

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


# ---------------------------------------------------------------- one campaign's trouble is its own

OTHER, OTHER_SCOPE, OTHER_NUMBER = 2, 22, 50
OTHER_KEY = CampaignKey(1, OTHER)


async def another_campaign(world: World) -> None:
    row = CampaignRow(OTHER, OTHER_SCOPE, "Other", CampaignSettings().to_json(), paused=False)
    await campaigns.create(world.store, row, START_AT)
    await contacts.add(world.store, OTHER_KEY, [ContactRow(1, phone(1), GROUP, first_name="Ann")])
    number = Number(number_id=OTHER_NUMBER, phone=number_phone(OTHER_NUMBER), area_code="267")
    details = msgspec.json.encode(number).decode()
    numbered = NumberRow(OTHER_NUMBER, number.phone, "PN50", "active", "capacity", details)
    await numbers.add(world.store, OTHER_KEY, numbered, START_AT)
    await world.gateway.campaigns.load()


@contextlib.asynccontextmanager
async def locked(world: World, sql: str, *arguments: object) -> AsyncIterator[None]:
    """Another session holds the rows. The clock goes on meanwhile: nobody waits inside this one."""
    holder = world.new_database()
    try:
        async with holder.transaction() as connection:
            assert await connection.fetch(sql, *arguments)
            holder.in_flight -= 1
            try:
                yield
            finally:
                holder.in_flight += 1
    finally:
        await holder.close()


A_PERSON = "SELECT FROM conversations WHERE campaign_id = $1 AND contact_id = $2 FOR UPDATE"
A_MESSAGE = "SELECT FROM messages WHERE campaign_id = $1 AND message_id = $2 FOR UPDATE"
IN_THE_QUEUE = "SELECT FROM queue WHERE campaign_id = $1 AND message_id = $2 FOR UPDATE"
LOCK_S = 8.0  # a few tries: each of the server's lock time-outs takes as long in real time, none in ours


def texted(world: World, contact_id: int, number_id: int, nth: int) -> InboundText:
    return InboundText(f"IN9{nth}", phone(contact_id), number_phone(number_id), "STOP", world.clock.now())


def test_a_locked_person_holds_up_nobody_elses_stop(play):
    async def story(world: World) -> None:
        await another_campaign(world)
        await world.send_all([1, 2])
        receive = world.gateway.inbound
        async with locked(world, A_PERSON, CAMPAIGN, 1):
            waits = receive(texted(world, 1, 1, 1))
            other_person = receive(texted(world, 2, 1, 2))
            other_campaign = receive(texted(world, 1, OTHER_NUMBER, 3))
            await other_campaign
            await world.wait(LOCK_S)
            assert (other_person.done(), waits.done()) == (True, False)
        await waits
        scopes = await world.store.fetch("SELECT scope, phone FROM opt_outs ORDER BY scope, phone")
        assert [tuple(row) for row in scopes] == [
            (SCOPE, phone(1)),
            (SCOPE, phone(2)),
            (OTHER_SCOPE, phone(1)),
        ]

    play(story, settings=AT_ONCE, connections=4)


def test_a_locked_message_holds_up_no_other_receipt(play):
    async def story(world: World) -> None:
        await another_campaign(world)
        first, second = [each.message_id for each in await world.send_all([1, 2])]
        await world.wait(1)

        def receipt(message_id: int) -> StatusReport:
            text = next(each.text for each in world.handed if each.text.message_id == message_id)
            return StatusReport(CAMPAIGN, message_id, 1, "delivered", None, world.clock.now(), sid(text))

        async with locked(world, A_MESSAGE, CAMPAIGN, first):
            waits = world.gateway.status(receipt(first))
            goes = world.gateway.status(receipt(second))
            await world.wait(LOCK_S)
            assert (goes.done(), waits.done()) == (True, False)
            assert world.gateway.delivery.windows.waiting(OTHER) == 0
        await waits
        assert set((await world.states()).values()) == {"delivered"}

    play(story, settings=AT_ONCE, connections=4)


@pytest.mark.parametrize("row", [A_MESSAGE, A_PERSON, IN_THE_QUEUE])
def test_a_locked_row_holds_up_no_other_claim_and_is_found_again_soon(play, row: str):
    people, held = range(1, 11), 8

    async def story(world: World) -> None:
        await world.wait(1)
        outcomes = await world.send_all(people)
        message_id = outcomes[held - 1].message_id
        assert message_id in await world.queued()
        async with locked(world, row, CAMPAIGN, held if row is A_PERSON else message_id):
            await world.wait(20)
            assert [each.text.phone for each in world.handed] == [phone(n) for n in people if n != held]
        await world.wait(SETTINGS.dispatch.idle_poll_s + 5)
        await everybody_was_texted_once(world, people)

    play(story, campaign=ONE_PER_S, connections=4)


def test_texts_to_a_number_that_has_to_be_looked_up_keep_their_order(play):
    """The first of them waits for the look-up; the next, which comes meanwhile, must not overtake it."""

    async def story(world: World) -> None:
        number, person = number_phone(1), phone(1)

        def said(nth: int, body: str) -> InboundText:
            return InboundText(f"IN{nth}", person, number, body, world.clock.now())

        later = []

        async def meanwhile() -> None:
            later.append(world.gateway.inbound(said(2, "START")))
            later.append(world.gateway.inbound(said(3, "STOP")))

        world.database.once(world.database.after, "FROM numbers", meanwhile)
        await world.gateway.inbound(said(1, "STOP"))
        for each in later:
            await each
        rows = await world.store.fetch("SELECT provider_sid FROM inbound ORDER BY inbound_id")
        assert [row[0] for row in rows] == ["IN1", "IN2", "IN3"]
        assert await world.store.fetch_value("SELECT phone FROM opt_outs") == person

    play(story, settings=AT_ONCE, connections=2)


# ---------------------------------------------------------------- refusing for now

DISK_FULL = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '{code}'; END $$;
CREATE TRIGGER refuses BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION refuse()
"""
SPACE_AGAIN = "DROP FUNCTION refuse() CASCADE"


@pytest.mark.parametrize("code", ["53100", "53200", "57014", "40P01", "25006"])
@pytest.mark.parametrize("table", ["messages", "inbound", "opt_outs"])
def test_while_the_database_refuses_nothing_is_lost_or_called_a_defect(play, table: str, code: str):
    async def story(world: World) -> None:
        await world.send_all([1])
        await world.wait(5)
        await world.store.script(DISK_FULL.format(table=table, code=code))
        try:
            asked = world.submit(2)
            text = world.handed[0].text
            told = world.gateway.status(
                StatusReport(CAMPAIGN, text.message_id, 1, "delivered", None, world.clock.now(), sid(text))
            )
            heard = world.gateway.inbound(texted(world, 3, 1, 1))
            await world.wait(20)
        finally:
            await world.store.script(SPACE_AGAIN)
        assert (await asked).admitted
        await told
        await heard
        await world.wait(LONG_S)
        assert set((await world.states()).values()) == {"sent", "delivered"}
        assert await world.store.fetch_value("SELECT phone FROM opt_outs") == phone(3)

    play(story)


def test_an_answer_of_the_provider_that_can_not_be_written_is_kept(play):
    """The claim is written, then the disk fills while the call is under way."""

    async def story(world: World) -> None:
        await world.wait(1)
        filled = []

        async def fill() -> None:
            await world.store.script(DISK_FULL.format(table="messages", code="53100"))
            filled.append(True)

        world.database.once(world.database.after, ADMIT, fill)
        outcome = await world.submit(1)
        await world.wait(30)
        assert filled
        assert await world.state(outcome.message_id) == "sending"
        await world.store.script(SPACE_AGAIN)
        await world.wait(5)
        assert await world.state(outcome.message_id) == "sent"

    play(story)


ANSWERS_LOCKED = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'lock' USING ERRCODE = '55P03'; END $$;
CREATE TRIGGER refuses BEFORE UPDATE ON messages FOR EACH ROW WHEN (NEW.accepted_at IS NOT NULL)
EXECUTE FUNCTION refuse()
"""


def test_answers_that_can_not_be_written_stop_the_claims(play, monkeypatch):
    """What the provider said is never dropped, so no more may be asked of it than memory may hold."""

    async def story(world: World) -> None:
        await world.wait(1)
        await world.store.script(ANSWERS_LOCKED)
        await world.send_all(range(1, 21))
        await world.wait(60)
        assert 5 <= len(world.handed) <= 15  # some places are kept for replies
        await world.store.script(SPACE_AGAIN)
        await world.wait(60)
        await everybody_was_texted_once(world, range(1, 21))

    monkeypatch.setattr(written_answers, "MOST_UNWRITTEN", 15)
    play(story, campaign=ONE_PER_S)


def test_an_outage_with_clients_who_repeat_is_bounded(play):
    """Batches of 5,000 again and again; who gave up is forgotten, and beyond the bound nobody is taken."""

    async def story(world: World) -> None:
        await world.store.script(DISK_FULL.format(table="messages", code="53100"))
        refused, admission = 0, world.gateway.admission
        for _ in range(30):
            try:
                admission.require_room(CAMPAIGN, 5000)
            except TooMuchWaits:
                refused += 1
                continue
            given_up = [world.submit(1 + each % 20) for each in range(5000)]
            await world.wait(1)
            for each in given_up:
                each.cancel()
        assert sum(len(window) for window in admission.windows) <= 20_000
        assert refused > 20
        await world.store.script(SPACE_AGAIN)
        await world.wait(10)
        assert (await world.submit(1)).message_id
        assert (
            await world.store.fetch_value("SELECT count(*) FROM messages") <= SETTINGS.windows.max_rows + 20
        )

    play(story)


# ---------------------------------------------------------------- written after all


async def nothing() -> None:
    """A hook that only says that a statement came."""


async def waits_for_a_lock(watcher: Database) -> int:
    """Returns when a statement does, and its server process: nobody is told, so one asks."""
    sql = """
    SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' ORDER BY pid
    """
    while (pid := await watcher.fetch_value(sql)) is None:
        pass
    return int(pid)


async def has_ended(watcher: Database, pid: int) -> None:
    """Returns when the server process has done its work, and found nobody to tell."""
    while await watcher.fetch_value("SELECT pid FROM pg_stat_activity WHERE pid = $1", pid) is not None:
        pass


@pytest.mark.parametrize("key", [None, "k1"])
@pytest.mark.parametrize("busy", [False, True], ids=["straight on", "queued"])
def test_a_statement_that_outlives_its_connection_and_commits_after_all(play, busy: bool, key: str | None):
    """Its connection breaks while it waits for a lock; nothing of it is found; it commits; and then the next try comes."""

    async def story(world: World) -> None:
        await world.wait(1)
        await world.send_all(range(2, 5) if busy else range(2, 2))
        locker, watcher = world.new_database(), world.new_database()
        talk = (
            f"INSERT INTO conversations (organisation_id, campaign_id, contact_id) VALUES (1, {CAMPAIGN}, 1)"
        )
        await locker.script(f"BEGIN; {talk}")
        unwatched = (
            "SET client_connection_check_interval = 0"  # else the server looks, and may give up in time
        )
        await asyncio.gather(*(world.database.execute(unwatched) for _ in range(2)))
        tries: list[int] = []

        async def goes_on_after_all() -> None:
            tries.append(world.database.count)
            if len(tries) == 2:
                await locker.script("ROLLBACK")
                await has_ended(watcher, first)

        world.database.before.append((lambda sql, _count: ADMIT in sql, goes_on_after_all))
        asked = world.submit(1, key=key)
        await world.database.once(world.database.before, ADMIT, nothing)
        first = await waits_for_a_lock(watcher)
        world.database.hang_up_inside()
        outcome = await asked
        assert outcome.admitted
        assert len(tries) == 2  # it is found after the second, and not tried again
        await world.wait(LONG_S)
        await everybody_was_texted_once(world, range(1, 5) if busy else range(1, 2))
        if key is not None:
            assert await world.submit(1, key=key) == outcome

    play(story, campaign=ONE_PER_S, connections=2)


def test_a_person_who_changes_at_every_try_ends_with_9001(play):
    """Somebody else writes to the same person whenever we are about to: no loop without an end."""

    async def story(world: World) -> None:
        await world.wait(1)
        changed = 0

        async def changes() -> None:
            nonlocal changed
            changed += 1
            await world.store.execute(
                "INSERT INTO conversations AS v (organisation_id, campaign_id, contact_id) VALUES (1, $1, 1)"
                " ON CONFLICT (organisation_id, campaign_id, contact_id) DO UPDATE SET revision = v.revision + 1",
                CAMPAIGN,
            )

        world.database.before.append((lambda sql, _count: ADMIT in sql, changes))
        outcome = await world.submit(1)
        assert (outcome.code, outcome.reason) == (9001, "message_locked_lock_true")
        assert changed < 10

    play(story, settings=AT_ONCE, connections=2)


def test_a_locked_message_keeps_no_other_from_being_asked_about(play):
    async def story(world: World) -> None:
        world.provider.answers.extend([Lost(taken=True)] * 3)
        first, *others = [each.message_id for each in await world.send_all([1, 2, 3])]
        await world.wait(5)
        async with locked(world, A_MESSAGE, CAMPAIGN, first):
            await world.wait(SETTLED_S)
            states = await world.states()
            assert {states[each] for each in others} == {"sent"}
        await world.wait(SETTLED_S)
        assert await world.state(first) == "sent"

    play(story, connections=4, campaign=CampaignSettings(registration=Registration(total_per_s=10)))
