"""Retention: what is older than it is kept goes, by month or in pieces; what must be known of a person stays."""

import asyncio

import pytest

from gateway.app import chores_of, retention_of
from gateway.clock import Clock
from gateway.config import Retention, load
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import BadInput
from gateway.core.rules.months import after, first_id, month_of
from gateway.core.rules.safeguards import Kind
from gateway.store import buckets, campaigns, counts, months
from gateway.store.campaigns import CampaignRow
from gateway.upkeep import retention
from tests.pipeline.world import ACTION, CAMPAIGN, KEY, SETTINGS, World, phone
from tests.store.rows import publish

DAYS = Retention(messages_days=31, inbound_days=31)


async def pass_days(world: World, days: float) -> None:
    """The books age: everything in them happened so much earlier."""
    for table, columns in (
        ("messages", ("requested_at", "not_after", "slot_at", "final_at")),
        ("inbound", ("received_at",)),
        ("conversations", ("last_initial_at", "last_outbound_at", "last_inbound_at")),
    ):
        changes = ", ".join(f"{column} = {column} - make_interval(secs => $1)" for column in columns)
        await world.store.execute(f"UPDATE {table} SET {changes}", days * retention.DAY_S)


async def count(world: World, table: str) -> int:
    return int(await world.store.fetch_value(f"SELECT count(*) FROM {table}"))


async def each_text_brought_a_picture(world: World) -> None:
    await world.store.execute(
        "INSERT INTO inbound_media (organisation_id, campaign_id, inbound_id, place, contact_id, url, media_type)"
        " SELECT organisation_id, campaign_id, inbound_id, 0, contact_id, '', '' FROM inbound"
    )


async def failed_once_before(world: World) -> None:
    """Each message has an attempt that is over."""
    await world.store.execute(
        "INSERT INTO attempts (organisation_id, campaign_id, message_id, attempt, ended_at, state)"
        " SELECT organisation_id, campaign_id, message_id, 1, now(), 'failed' FROM messages"
    )


async def five_in_this_month(world: World) -> int:
    """Five people are texted in a month that has its partition; returns the month."""
    await months.make_ahead(world.store, world.clock.now())
    await world.send_all(range(1, 6))
    await world.wait(60.0)
    return month_of(world.clock.now())


async def test_by_default_everything_is_kept() -> None:
    assert (Retention().messages_days, Retention().inbound_days) == (None, None)


@pytest.mark.parametrize("days", [-1, 0, 1, 30, 40_000])
def test_a_time_that_is_too_short_or_endless_is_refused(tmp_path, days: int) -> None:
    file = tmp_path / "textbank.toml"
    file.write_text(f"[retention]\nmessages_days = {days}\n")
    with pytest.raises(BadInput, match="messages_days"):
        load(file, {})


def test_what_is_old_and_settled_goes_and_what_is_young_stays(play):
    async def story(world: World) -> None:
        await world.send_all(range(1, 6))
        await world.wait(60.0)
        await world.store.execute("UPDATE messages SET attempt = 2")
        await failed_once_before(world)
        await pass_days(world, 32)
        await world.store.execute("UPDATE messages SET state = 'queued' WHERE contact_id = 1")
        await world.store.execute("UPDATE messages SET state = 'unknown' WHERE contact_id = 2")
        await world.send_all(range(6, 9))
        await retention_of(world.gateway, DAYS).run()
        rows = await world.store.fetch("SELECT contact_id FROM messages ORDER BY contact_id")
        assert [row[0] for row in rows] == [1, 2, 6, 7, 8]
        assert await count(world, "attempts") == 2

    play(story)


def test_nobody_gets_an_actions_first_text_twice_when_the_first_is_gone(play):
    async def story(world: World) -> None:
        await publish(world.store)
        await world.store.execute("UPDATE assignments SET volunteer_id = 7")
        before = await world.submit(1, action_id=ACTION)
        other = await world.submit(2, action_id=ACTION + 1)  # of an action without a bank
        assert before.admitted
        assert other.admitted
        await world.wait(60.0)
        await pass_days(world, 40)
        await retention_of(world.gateway, DAYS).run()
        assert await count(world, "messages") == 0
        await world.restart()
        codes = [
            (await world.submit(contact, "Hello again", action_id=action)).code
            for contact, action in ((1, ACTION), (2, ACTION + 1), (3, ACTION))
        ]
        assert codes[2] is None
        assert None not in codes[:2]
        assert len(await buckets.release(world.store, KEY, ACTION, 7, [1, 4], world.clock.now())) == 1

    play(story)


def test_texts_that_wait_for_an_answer_stay(play):
    async def story(world: World) -> None:
        await world.send_all(range(1, 4))
        await world.wait(60.0)
        for contact in (1, 2, 3):
            await world.write(contact, "Who is this?")
        assert (await world.submit(1, "Ann", kind=Kind.REPLY)).admitted
        await world.write(3, "STOP")
        await each_text_brought_a_picture(world)
        await pass_days(world, 32)
        await retention_of(world.gateway, DAYS).run()
        rows = await world.store.fetch("SELECT contact_id FROM inbound")
        assert [row[0] for row in rows] == [2]
        assert await count(world, "inbound_ids") == await count(world, "inbound_media") == 1
        assert await world.store.fetch_value("SELECT phone FROM opt_outs") == phone(3)  # for good

    play(story)


def test_it_goes_in_pieces_and_leaves_other_campaigns_alone(play, monkeypatch):
    monkeypatch.setattr(retention, "_PIECE", 10)
    monkeypatch.setattr(retention, "_YOUNG_PIECES", 2)

    async def story(world: World) -> None:
        theirs = CampaignKey(1, CAMPAIGN + 1)
        row = CampaignRow(theirs.campaign_id, 5, "Theirs", "{}", paused=False)
        await campaigns.create(world.store, row, 0.0)
        await world.store.execute(
            """
            INSERT INTO messages (organisation_id, campaign_id, message_id, contact_id, kind, body, segments, text_hash,
                                  state, lane, requested_at)
            SELECT organisation, 1, n, n, 'initial', 'Hi', 1, n, 'delivered', 2,
                   CASE WHEN n <= 45 OR n > 90 THEN to_timestamp(0) ELSE to_timestamp($1) END
            FROM generate_series(1, 100) n, generate_series(1, 2) organisation
            """,
            world.clock.now(),
        )
        began_at = world.clock.now()
        await retention_of(world.gateway, DAYS).run()
        left = await world.store.fetch("SELECT message_id FROM messages WHERE organisation_id = 1 ORDER BY 1")
        assert [row[0] for row in left] == list(
            range(46, 101)
        )  # young rows for long: what follows is left for later
        assert await world.store.fetch_value("SELECT count(*) FROM messages WHERE organisation_id = 2") == 100
        assert world.clock.now() > began_at  # it rested between the pieces

    play(story)


# ---------------------------------------------------------------- a month and its partition


def in_days(world: World, days: float) -> retention.Retention:
    """What goes so much later, of messages that are kept for a month."""
    clock = Clock(asyncio.get_running_loop(), world.clock.now() + days * retention.DAY_S)
    return retention.Retention(world.store, world.gateway.campaigns, clock, messages_days=31, inbound_days=31)


def test_a_months_messages_go_together_and_the_next_months_stay(play):
    async def story(world: World) -> None:
        this = await five_in_this_month(world)
        await failed_once_before(world)
        for table in months.MESSAGES:  # and one of the month after, of the same age
            await world.store.execute(
                f"INSERT INTO {table} SELECT * FROM json_populate_record(NULL::{table}, ("
                f"SELECT to_jsonb(m) || jsonb_build_object('message_id', $1::bigint) FROM {table} m LIMIT 1)::json)",
                first_id(after(this)) + 1,
            )
        await in_days(world, 32).run()
        assert await count(world, "messages") == 6  # the month may have messages that are younger
        await in_days(world, 64).run()
        left = await months.there(world.store)
        assert this not in left
        assert {after(this), after(this, 2)} <= set(left)
        assert await count(world, "messages") == await count(world, "attempts") == 1

    play(story)


def test_a_month_of_which_a_row_is_needed_loses_the_others_and_goes_later(play):
    async def story(world: World) -> None:
        this = await five_in_this_month(world)
        await world.store.execute("UPDATE messages SET state = 'unknown' WHERE contact_id = 2")
        await in_days(world, 64).run()
        assert [row[0] for row in await world.store.fetch("SELECT contact_id FROM messages")] == [2]
        assert this in await months.there(world.store)
        await world.store.execute("UPDATE messages SET state = 'failed'")
        await in_days(world, 64).run()
        assert this not in await months.there(world.store)

    play(story)


def test_a_month_stays_while_a_campaign_with_rows_of_it_can_not_be_read(play):
    """A newer release made its settings: nobody here can say what of it is unsettled, or whom an action has texted."""

    async def story(world: World) -> None:
        this = await five_in_this_month(world)
        readable = await world.store.fetch_value("SELECT settings::text FROM campaigns")
        other = CampaignRow(CAMPAIGN + 1, 5, "Another, which can be read", readable, paused=False)
        await campaigns.create(world.store, other, 0.0)
        set_to = "UPDATE campaigns SET settings = $2::text::jsonb WHERE campaign_id = $1"
        await world.store.execute(set_to, CAMPAIGN, '{"hours": 7}')
        await world.gateway.campaigns.load()
        assert CAMPAIGN in world.gateway.campaigns.unreadable
        await in_days(world, 64).run()
        assert await count(world, "messages") == 5
        await world.store.execute(set_to, CAMPAIGN, readable)
        await world.gateway.campaigns.load()
        await in_days(world, 64).run()
        assert await count(world, "messages") == 0
        assert this not in await months.there(world.store)

    play(story)


def test_nobody_gets_an_actions_first_text_twice_when_its_month_is_gone(play):
    async def story(world: World) -> None:
        await publish(world.store)
        await world.store.execute("UPDATE assignments SET volunteer_id = 7")
        await months.make_ahead(world.store, world.clock.now())
        assert (await world.submit(1, action_id=ACTION)).admitted
        assert (await world.submit(2, action_id=ACTION + 1)).admitted  # of an action without a bank
        await world.wait(60.0)
        await in_days(world, 64).run()
        assert await count(world, "messages") == 0
        await pass_days(world, 64)
        await world.restart()
        for contact, action in ((1, ACTION), (2, ACTION + 1)):
            assert not (await world.submit(contact, "Hello again", action_id=action)).admitted
        assert (await world.submit(3, "Hello again", action_id=ACTION)).admitted

    play(story)


def test_a_months_texts_go_together_once_nobody_waits_for_an_answer(play):
    async def story(world: World) -> None:
        this = month_of(world.clock.now())
        await months.make_ahead(world.store, world.clock.now())
        await world.send_all(range(1, 4))
        await world.wait(60.0)
        for contact in (1, 2, 3):
            await world.write(contact, "Who is this?")
        assert (await world.submit(1, "Ann", kind=Kind.REPLY)).admitted
        await world.write(3, "STOP")
        await each_text_brought_a_picture(world)
        await in_days(world, 32).run()
        assert await count(world, "inbound") == await count(world, "inbound_ids") == 4
        await in_days(world, 64).run()
        assert [row[0] for row in await world.store.fetch("SELECT contact_id FROM inbound")] == [2]
        assert await count(world, "inbound_ids") == await count(world, "inbound_media") == 1
        assert this in await months.there(world.store, months.INBOUND)
        await world.store.execute("UPDATE conversations SET attention_at = NULL")
        await in_days(world, 64).run()
        assert this not in await months.there(world.store, months.INBOUND)
        assert await count(world, "inbound") == await count(world, "inbound_ids") == 0
        assert await count(world, "inbound_media") == 0
        assert await world.store.fetch_value("SELECT phone FROM opt_outs") == phone(3)  # for good

    play(story)


def test_a_month_that_may_not_be_dropped_is_emptied_in_pieces(play, monkeypatch):
    async def refused(*_: object) -> bool:
        return False

    monkeypatch.setattr(months, "drop", refused)

    async def story(world: World) -> None:
        this = await five_in_this_month(world)
        await in_days(world, 64).run()
        assert await count(world, "messages") == 0
        assert this in await months.there(world.store)

    play(story)


def test_idempotency_keys_are_kept_for_three_days(play, monkeypatch):
    monkeypatch.setattr(retention, "_PIECE", 2)

    async def story(world: World) -> None:
        for contact in range(1, 6):
            await world.submit(contact, key=f"k{contact}")
        await world.store.execute("UPDATE idempotency_keys SET created_at = created_at - interval '71 hours'")
        works = retention_of(world.gateway, Retention())
        await works.run()
        assert await count(world, "idempotency_keys") == 5
        await world.wait(3600.0)
        await world.submit(6, key="k6")
        await works.run()
        assert await world.store.fetch_value("SELECT string_agg(key, ' ') FROM idempotency_keys") == "k6"

    play(story)


def test_the_rows_that_an_import_did_not_use_are_kept_for_thirty_days(play, monkeypatch):
    monkeypatch.setattr(retention, "_PIECE", 2)

    async def story(world: World) -> None:
        for import_id, days in ((1, 31), (2, 29)):
            await world.store.execute(
                "INSERT INTO contact_imports (organisation_id, campaign_id, import_id, owner, request_hash, began_at, headers,"
                " report) VALUES ($1, $2, $3, 'key:1', 1, to_timestamp($4), '[]', '{}')",
                *KEY,
                import_id,
                world.clock.now() - days * retention.DAY_S,
            )
            await world.store.execute(
                "INSERT INTO import_rejects (organisation_id, campaign_id, import_id, line, header, reason, words, cells)"
                " SELECT $1, $2, $3, n, '', 'too_short', '', '[]' FROM generate_series(1, 5) n",
                *KEY,
                import_id,
            )
        await retention_of(world.gateway, Retention()).run()
        rows = await world.store.fetch("SELECT import_id, count(*) FROM import_rejects GROUP BY 1")
        assert [tuple(row) for row in rows] == [(2, 5)]
        assert await count(world, "contact_imports") == 2

    play(story)


def test_it_is_a_chore(play):
    async def story(world: World) -> None:
        chores = {each.name: each for each in chores_of(SETTINGS, world.gateway)}
        ahead, chore = chores["months"], chores["retention"]
        assert await ahead.run_once()
        assert await months.there(world.store) == [after(month_of(world.clock.now()), n) for n in range(3)]
        assert await chore.run_once()
        assert not await chore.run_once()  # once in a while

    play(story)


def test_a_month_of_the_journal_goes_once_it_is_counted(play):
    async def story(world: World) -> None:
        this = await five_in_this_month(world)
        await world.store.execute(
            "INSERT INTO events SELECT * FROM json_populate_record(NULL::events, ("
            "SELECT to_jsonb(e) || jsonb_build_object('event_id', 7) FROM events e LIMIT 1)::json)"
        )  # of no month
        clock = Clock(asyncio.get_running_loop(), world.clock.now() + 64 * retention.DAY_S)
        days = {"messages_days": None, "inbound_days": None, "events_days": 31}
        chore = retention.Retention(world.store, world.gateway.campaigns, clock, **days)
        await counts.count_anew(world.store, KEY, world.clock.now())
        await world.store.execute("UPDATE count_progress SET xid = '0', event_id = 0")  # far behind
        before = await count(world, "events")
        await chore.run()
        assert (await count(world, "events"), before > 3) == (before, True)
        while not await counts.catch_up(world.store, KEY, world.clock.now()):
            pass
        await chore.run()
        assert await count(world, "events") == 0
        assert this not in await months.there(world.store, months.EVENTS)
        assert await count(world, "messages") == 5

    play(story)
