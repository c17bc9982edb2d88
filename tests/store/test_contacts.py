"""Contacts, campaigns and numbers: what is put in comes out, and duplicates harm nobody."""

import asyncio

import asyncpg
import numpy as np
import pytest

from gateway.core.rules.campaign import CampaignKey
from gateway.store import audit_export, campaigns, contacts, numbers
from gateway.store.campaigns import CampaignRow
from gateway.store.contacts import ContactRow
from gateway.store.database import Database
from gateway.store.numbers import NumberRow
from simulator.audit.records import KINDS, STATES
from simulator.rehearsal.books import stored_books
from tests.store.rows import (
    GROUP,
    KEY,
    NOW,
    OUR_PHONE,
    SCOPE,
    admission,
    admit,
    claim,
    claiming,
    opt_out,
    own_number,
    people,
    phone,
)


async def test_every_column_of_a_contact_is_kept(database: Database):
    await people(database, 0)
    full = ContactRow(
        1,
        phone(1),
        GROUP,
        first_name="Zoë",
        last_name="O'Hara",
        email="z@example.org",
        zip="19103",
        state="PA",
        line_type="mobile",
        carrier="att",
        fields='{"polling_place": "Städtisches “Haus”"}',
    )
    assert await contacts.add(database, KEY, [full, ContactRow(2, phone(2), GROUP)]) == 2
    columns = (
        "contact_id, phone, hours_group, first_name, last_name, email, zip, state, line_type, carrier, fields"
    )
    rows = await database.fetch(f"SELECT {columns} FROM contacts ORDER BY contact_id")
    assert ContactRow(*rows[0]) == full
    assert ContactRow(*rows[1]) == ContactRow(2, phone(2), GROUP)


async def test_a_phone_that_is_there_keeps_its_row(database: Database):
    await people(database, 2)
    again = [ContactRow(3, phone(1), GROUP, first_name="Bob"), ContactRow(4, phone(4), GROUP)]
    assert await contacts.add(database, KEY, again) == 1
    assert await contacts.count(database, KEY) == 3
    assert await database.fetch_value("SELECT first_name FROM contacts WHERE phone = $1", phone(1)) == "Ann"


async def test_of_a_phone_that_comes_twice_the_first_is_kept(database: Database):
    await people(database, 0)
    twice = [ContactRow(8, phone(1), GROUP, first_name="Second"), ContactRow(7, phone(1), GROUP)]
    assert await contacts.add(database, KEY, twice) == 1
    assert await database.fetch_value("SELECT contact_id FROM contacts") == 7


async def test_two_campaigns_may_know_the_same_person(database: Database):
    await people(database, 1)
    await people(database, 1, campaign_id=2)
    assert [await contacts.count(database, CampaignKey(1, each)) for each in (1, 2, 3)] == [1, 1, 0]


async def test_nobody_is_added_twice_by_the_same_batch_again(database: Database):
    await people(database, 3)
    rows = [ContactRow(each, phone(each), GROUP) for each in (1, 2, 3)]
    assert await contacts.add(database, KEY, rows) == 0
    assert await contacts.add(database, KEY, []) == 0


async def test_hours_groups_are_those_of_the_campaign(database: Database):
    await people(database, 1)
    await contacts.add(database, KEY, [ContactRow(9, phone(9), "CA@America/Los_Angeles")])
    assert await contacts.hours_groups(database, KEY) == ["CA@America/Los_Angeles", GROUP]
    assert await contacts.hours_groups(database, CampaignKey(1, 2)) == []


async def test_a_campaign_is_read_as_it_was_written(database: Database):
    one = CampaignRow(
        1,
        SCOPE,
        "One",
        '{"keep_assignments": true}',
        paused=False,
        paused_actions=[],
        broadcasts=[],
        held_pairs=[],
    )
    two = CampaignRow(2, SCOPE, "Two", "{}", paused=True, paused_actions=[], broadcasts=[], held_pairs=[])
    await campaigns.create(database, two, NOW)
    await campaigns.create(database, one, NOW)
    assert await campaigns.load(database) == [one, two]
    assert await campaigns.load(database, [2]) == [two]
    await campaigns.pause(database, CampaignKey(1, 1), True)
    assert [row.paused for row in await campaigns.load(database)] == [True, True]


async def test_numbers_are_kept_changed_and_found(database: Database):
    await people(database, 0)
    await people(database, 0, campaign_id=2)
    first = NumberRow(1, OUR_PHONE, "PN1", "active", "first_number", '{"errors": 0}')
    await numbers.add(database, KEY, first, NOW)
    await numbers.add(
        database, CampaignKey(1, 2), NumberRow(1, "+12675550101", "PN2", "active", "capacity", "{}"), NOW
    )
    assert await numbers.load(database, KEY) == [first]
    await numbers.save(database, KEY, [(1, "retired", '{"errors": 5}')])
    assert await numbers.load(database, KEY) == [
        NumberRow(1, OUR_PHONE, "PN1", "retired", "first_number", '{"errors": 5}')
    ]
    assert (await numbers.load(database, CampaignKey(1, 2)))[0].state == "active"
    asked = [OUR_PHONE, "+12675550101", "+12675550199"]
    assert await numbers.campaigns_of(database, asked) == {OUR_PHONE: KEY, "+12675550101": CampaignKey(1, 2)}


async def test_a_number_belongs_to_one_campaign_only(database: Database):
    await people(database, 0)
    await people(database, 0, campaign_id=2)
    await own_number(database)
    with pytest.raises(asyncpg.UniqueViolationError):
        await numbers.add(
            database, CampaignKey(1, 2), NumberRow(1, OUR_PHONE, "PN9", "active", "capacity", "{}"), NOW
        )


async def test_the_books_are_read_out_in_order(database: Database):
    await people(database, 3)
    await own_number(database)
    await admit(
        database, admission(2), admission(1), admission(3, state="blocked", code=1202, reason="hours")
    )
    await claim(database, claiming(2))
    await opt_out(database, 3)

    async def read(sql: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in await database.fetch(sql, *KEY)]

    told = await read(audit_export.MESSAGES)
    assert [row[:8] for row in told] == [
        (1, 12155550101, 0, "initial", "queued", False, 0, 0),
        (2, 12155550102, 12675550100, "initial", "sending", False, 0, 1),
        (3, 12155550103, 0, "initial", "blocked", True, 1202, 0),
    ]
    assert await read(audit_export.OPT_OUTS) == [(12155550103, NOW, "import")]
    assert [row[:2] for row in await read(audit_export.NUMBERS)] == [(12675550100, "active")]
    assert await read(audit_export.PAST_ATTEMPTS) == []
    assert await read(audit_export.INBOUND) == []

    audited = await stored_books(database, KEY)
    assert audited.messages[
        ["message_id", "phone", "number", "kind", "state", "has_reason", "code"]
    ].tolist() == [
        (1, 12155550101, 0, KINDS.index("initial"), STATES.index("queued"), False, 0),
        (2, 12155550102, 12675550100, KINDS.index("initial"), STATES.index("sending"), False, 0),
        (3, 12155550103, 0, KINDS.index("initial"), STATES.index("blocked"), True, 1202),
    ]
    assert audited.messages["segments"].tolist() == [row[8] for row in told]
    assert audited.messages["requested_at"].tolist() == [row[9] for row in told]
    assert np.isnan(audited.messages["slot_at"]).tolist() == [row[10] is None for row in told]
    assert audited.opt_outs.tolist() == [(12155550103, NOW, "import")]
    assert audited.numbers[["phone", "state"]].tolist() == [(12675550100, "active")]
    assert len(audited.past_attempts) == len(audited.inbound) == 0


@pytest.mark.parametrize("rows", [1, 3])
async def test_books_that_cannot_be_read_are_refused_not_misread(
    database: Database, monkeypatch: pytest.MonkeyPatch, rows: int
):
    unreadable = (
        f"SELECT n, 1.0, NULL::text FROM generate_series(1, {rows}) n WHERE $1::bigint + $2::bigint > 0"
    )
    monkeypatch.setattr(audit_export, "OPT_OUTS", unreadable)
    with pytest.raises(ValueError, match="a value is NULL"):
        await stored_books(database, KEY)


async def test_two_that_bring_the_same_people_take_turns(database: Database, other: Database):
    """Each has somebody whom the other brings next: without turns they would wait for each other."""
    await people(database, 0)
    one, two = ContactRow(1, phone(1), GROUP), ContactRow(2, phone(2), GROUP)

    async def brings_both() -> tuple[contacts.TakenIn, contacts.TakenIn]:
        async with other.transaction() as second:
            return await contacts.take_in(second, KEY, [two]), await contacts.take_in(second, KEY, [one])

    async with database.transaction() as first:
        await contacts.take_in(first, KEY, [one])
        waiting = asyncio.create_task(brings_both())
        while not await first.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            pass
        assert (await contacts.take_in(first, KEY, [two])).new == 1
    assert [each.same for each in await waiting] == [1, 1]
    assert await contacts.count(database, KEY) == 2
