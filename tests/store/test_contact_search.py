"""Contacts found: every filter, alone and with others, finds whom a plain look at the rows finds."""

from collections.abc import Callable
from typing import Any

import pytest

from gateway.core.rules.campaign import CampaignKey
from gateway.store import campaigns, contact_lists, contact_search, contacts
from gateway.store.campaigns import CampaignRow
from gateway.store.contact_search import Found, Search, Wanted
from gateway.store.contacts import ContactRow
from gateway.store.database import Database
from tests.store.held import loose
from tests.store.rows import GROUP, KEY, NOW, SCOPE, people, phone

COUNT = 60
LIST, TAG = 11, 22
NAMES = (("Maria", "Lopez"), ("MARIO", "Li"), ("Lopes", "Ann"), ("Zoë", "O'Hara"))


def a_contact(nth: int) -> ContactRow:
    first, last = NAMES[nth % len(NAMES)]
    return ContactRow(
        nth,
        phone(nth),
        GROUP,
        first_name=first,
        last_name=last,
        zip=("08540", "08541-1234", "19103", "")[nth % 4],
        state=("NJ", "NJ", "PA", "")[nth % 4],
        fields='{"pet": "cat"}' if nth % 3 == 0 else None,
        assignee_id=7 if nth % 5 == 0 else None,
    )


@pytest.fixture
async def bank(database: Database) -> Database:
    """Sixty people of one campaign, and somebody of another one and of another organisation."""
    await people(database, 0)
    await contacts.add(database, KEY, [a_contact(nth) for nth in range(1, COUNT + 1)])
    async with database.transaction() as transaction:
        await contact_lists.make(transaction, KEY, LIST, "North", NOW)
        await contacts.join(transaction, KEY, LIST, range(2, COUNT + 1, 2))
    for key in (CampaignKey(1, 2), CampaignKey(2, 3)):
        await database.execute("INSERT INTO organisations VALUES (2, 'x', now()) ON CONFLICT DO NOTHING")
        row = CampaignRow(key.campaign_id, SCOPE + 1, "x", "{}", False, key.organisation_id)
        await campaigns.create(database, row, NOW)
        await contacts.add(database, key, [a_contact(6)])
    await database.execute(
        "INSERT INTO contact_tags (organisation_id, campaign_id, contact_id, tag_id, tagged_at)"
        " SELECT 1, 1, n, $1, now() FROM generate_series(1, 60, 7) n",
        TAG,
    )
    await database.execute(
        "INSERT INTO conversations (organisation_id, campaign_id, contact_id, last_outbound_at, attention_at, archived_at)"
        " SELECT 1, 1, n, CASE WHEN n % 4 < 3 THEN to_timestamp($1) END, CASE WHEN n % 6 = 0 THEN to_timestamp($1) END,"
        " CASE WHEN n % 12 = 0 THEN to_timestamp($1) END FROM generate_series(1, 30) n",
        NOW,
    )
    await database.execute("UPDATE conversations SET last_inbound_at = now() WHERE contact_id % 8 = 0")
    await database.execute(
        "INSERT INTO messages (organisation_id, campaign_id, message_id, contact_id, kind, body, segments, text_hash, state,"
        " lane, code, requested_at) SELECT 1, 1, 100 + n + 50 * t, n, 'initial', 'x', 1, 1, 'undelivered', 2,"
        " CASE WHEN t = n % 2 THEN 30005 END, to_timestamp($1 + t)"
        " FROM generate_series(1, 20) n, generate_series(0, 1) t",
        NOW,
    )
    await database.execute(
        "INSERT INTO opt_outs (organisation_id, scope, phone, source, opted_out_at)"
        " SELECT 1, $1, phone, 'keyword', now() FROM contacts WHERE organisation_id = 1 AND campaign_id = 1"
        " AND contact_id % 9 = 0",
        SCOPE,
    )
    await database.execute("UPDATE contacts SET deleted_at = now() WHERE campaign_id = 1 AND contact_id = 6")
    return database


CASES: list[tuple[dict[str, Any], Callable[[int], bool]]] = [
    ({}, lambda _: True),
    ({"list_id": LIST}, lambda n: n % 2 == 0),
    ({"tag_id": TAG}, lambda n: n % 7 == 1),
    ({"assignee_id": 7}, lambda n: n % 5 == 0),
    ({"state": "NJ"}, lambda n: n % 4 < 2),
    ({"zip_prefix": "085"}, lambda n: n % 4 < 2),
    ({"zip_prefix": "08541"}, lambda n: n % 4 == 1),
    ({"field": ("pet", "cat")}, lambda n: n % 3 == 0),
    ({"opted_out": True}, lambda n: n % 9 == 0),
    ({"opted_out": False}, lambda n: n % 9 != 0),
    ({"texted": True}, lambda n: n <= 30 and n % 4 < 3),
    ({"texted": False}, lambda n: n > 30 or n % 4 == 3),
    ({"replied": True}, lambda n: n <= 30 and n % 8 == 0),  # F129: the others may be reminded, once or twice
    ({"replied": False, "texted": True}, lambda n: n <= 30 and n % 4 < 3 and n % 8 != 0),
    ({"needs_attention": True}, lambda n: n <= 30 and n % 6 == 0 and n % 12 != 0),
    ({"needs_attention": False}, lambda n: not (n <= 30 and n % 6 == 0 and n % 12 != 0)),
    ({"error_code": 30005}, lambda n: n <= 20 and n % 2 == 1 and n % 4 < 3),
    ({"phone": phone(8)}, lambda n: n == 8),
    ({"last_digits": phone(8)[-4:]}, lambda n: n == 8),
    ({"name": ("mari",)}, lambda n: n % 4 < 2),
    ({"name": ("lope",)}, lambda n: n % 4 in (0, 2)),
    ({"name": ("zoë",)}, lambda n: n % 4 == 3),
    ({"name": ("o'h",)}, lambda n: n % 4 == 3),
    ({"name": ("lopez", "mar")}, lambda n: n % 4 == 0),
    ({"name": ("mar", "lopez")}, lambda n: n % 4 == 0),
]


def wanted_ids(rule: Callable[[int], bool]) -> list[int]:
    return [n for n in range(1, COUNT + 1) if n != 6 and rule(n)]


async def every_page(database: Database, wanted: Wanted, limit: int) -> list[Found]:
    found: list[Found] = []
    after: int | None = 0
    while after is not None:
        rows, after = await contact_search.page(database, KEY, SCOPE, wanted, after, limit)
        found += rows
    return found


@pytest.mark.parametrize(
    ("given", "rule"), CASES, ids=lambda each: str(each) if isinstance(each, dict) else ""
)
async def test_a_filter_finds_whom_it_names(
    bank: Database, given: dict[str, Any], rule: Callable[[int], bool]
):
    """F189: what needs attention among all contacts; an erased person is nowhere."""
    wanted = Wanted(**given)
    assert [each.contact_id for each in await every_page(bank, wanted, 7)] == wanted_ids(rule)
    assert await contact_search.count(bank, KEY, SCOPE, wanted) == (len(wanted_ids(rule)), True)


async def test_filters_are_taken_together(bank: Database):
    for first, one in CASES:
        for second, other in CASES:
            if first.keys() & second.keys() or {"name", "phone", "last_digits"} >= {*first, *second}:
                continue
            wanted = Wanted(**first, **second)
            found = [each.contact_id for each in await every_page(bank, wanted, 50)]
            assert found == [n for n in wanted_ids(one) if other(n)], (first, second)


async def test_a_walk_that_looks_at_many_in_vain_says_where_it_goes_on(
    bank: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(contact_search, "MOST_LOOKED_AT", 10)
    rows, after = await contact_search.page(bank, KEY, SCOPE, Wanted(state="PA", field=("pet", "cat")), 0, 50)
    assert (len(rows), after) == (2, 38)
    assert len(await every_page(bank, Wanted(state="PA", field=("pet", "cat")), 50)) == 4
    monkeypatch.setattr(contact_search, "_MOST_LOOKED_AT_TO_COUNT", 10)
    assert await contact_search.count(bank, KEY, SCOPE, Wanted(texted=False)) == (2, False)


async def test_what_is_told_of_a_contact(bank: Database):
    [found] = await every_page(bank, Wanted(phone=phone(18)), 5)
    assert found == Found(
        contact_id=18,
        version=1,
        phone=phone(18),
        first_name="Lopes",
        last_name="Ann",
        email="",
        zip="19103",
        state="PA",
        line_type=None,
        carrier=None,
        fields='{"pet": "cat"}',
        assignee_id=None,
        opted_out=True,
        volunteer_id=None,
        last_outbound_at=NOW,
        last_inbound_at=None,
        attention_at=NOW,
    )


async def test_a_list_is_filled_from_filters_in_pieces(bank: Database):
    """F192: everybody whom a filter finds, across pages."""
    async with bank.transaction() as transaction:
        await contact_lists.make(transaction, KEY, 12, "Jersey", NOW)
        after: int | None = 0
        joined = 0
        while after is not None:
            found, new, after = await contact_search.fill(
                transaction, KEY, SCOPE, Wanted(state="NJ", list_id=LIST), 12, after, 4
            )
            joined += new
            assert found <= 4
    assert joined == len(wanted_ids(lambda n: n % 4 == 0))
    rows = await bank.fetch("SELECT contact_id FROM list_members WHERE list_id = 12 ORDER BY 1")
    assert [row[0] for row in rows] == wanted_ids(lambda n: n % 4 == 0)


@pytest.mark.parametrize(
    ("given", "_rule"), CASES, ids=lambda each: str(each) if isinstance(each, dict) else ""
)
def test_every_statement_names_its_organisation(given: dict[str, Any], _rule: object):
    tables = {"contacts", "conversations", "list_members", "contact_tags", "messages", "opt_outs"}
    for wanted in (Wanted(**given), Wanted(**{"list_id": 1, "state": "NJ"} | given)):
        search = Search(wanted)
        for sql in (search.page, search.count, search.fill, search.end):
            assert loose(sql, tables) == []
