"""Imports over a real PostgreSQL: merged by phone, put on a list, foreseen without a trace, resumed without a double."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import BadInput
from gateway.core.rules.idempotency import Key
from gateway.p2p.contacts import ContactLists, Contacts, HowToImport, NewContact, TakenOver
from gateway.p2p.list_mapping import read_mapping
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.providers.base import Line
from gateway.store import contact_lists
from gateway.store.database import Database
from gateway.store.troubles import DatabaseGone
from gateway.turns import Floor
from tests.p2p.desk import NOW, a_desk

KEY = CampaignKey(1, 1)
AGAIN = Key("key:1", "the first import")


async def no_look_up(_phones: Sequence[str]) -> list[Line]:
    raise AssertionError


class Office:
    """Somebody who imports into campaign 1."""

    def __init__(self, database: Database, campaign: Campaign) -> None:
        self.database = database
        self.campaign = campaign
        self.opted_out: list[int] = []
        self.lists = ContactLists(database, lambda: NOW, no_look_up, self.opted_out.append)

    async def imports(self, text: str, **how: Any) -> Contacts:
        return await self.lists.from_csv(
            self.campaign, given(text), Floor(), HowToImport(owner="key:1", **how)
        )

    async def person(self, phone: str) -> dict[str, Any]:
        row = await self.database.fetch_row("SELECT * FROM contacts WHERE phone = $1", phone)
        return dict(row)

    async def everything(self) -> list[Any]:
        """All that an import may write."""
        tables = (
            "contacts",
            "contact_lists",
            "list_members",
            "contact_imports",
            "import_rejects",
            "opt_outs",
        )
        return [await self.database.fetch(f"SELECT * FROM {table}") for table in tables]

    async def members(self, name: str) -> int:
        count: int = await self.database.fetch_value(
            "SELECT count(*) FROM list_members JOIN contact_lists USING (organisation_id, campaign_id, list_id)"
            " WHERE name = $1",
            name,
        )
        return count


def given(text: str) -> Callable[[Path], Awaitable[None]]:
    async def receive(path: Path) -> None:
        await asyncio.to_thread(path.write_text, text, encoding="utf-8")

    return receive


@pytest.fixture
async def office(database: Database) -> Office:
    await a_desk(database)
    return await another(database)


async def another(database: Database) -> Office:
    known = Campaigns(database)
    await known.load()
    return Office(database, known[1])


def people(first: int, last: int, header: str = "phone,first_name,zip") -> str:
    rows = [f"215555{each:04},Ann{each},19103" for each in range(first, last + 1)]
    return "\n".join((header, *rows)) + "\n"


# ---------------------------------------------------------------- merging


async def test_a_phone_that_is_there_is_filled_in_and_never_emptied(office: Office):
    await office.imports("phone,first_name,zip,custom_field_pet\n2155550101,Ann,,cat\n")
    told = await office.imports(
        "phone,first_name,last_name,zip,custom_field_pet,custom_field_friend\n2155550101,Bea,Li,08540,dog,Cy\n"
    )
    assert (told.new, told.known, told.merged) == (0, 1, 1)
    person = await office.person("+12155550101")
    assert (person["first_name"], person["last_name"], person["zip"]) == ("Ann", "Li", "08540")
    assert person["fields"] == '{"pet": "dog", "friend": "Cy"}'
    assert "NJ" in person["hours_group"]
    assert person["version"] == 2


async def test_what_changes_nothing_is_not_merged(office: Office):
    for merged in (0, 0):
        told = await office.imports(people(1, 3))
        assert told.merged == merged
    assert (told.new, told.known) == (0, 3)
    assert (await office.person("+12155550001"))["version"] == 1


async def test_a_later_list_undoes_no_opt_out(office: Office):
    """F121, F122: also via later lists."""
    await office.imports("phone,opted out\n2155550101,yes\n")
    told = await office.imports("phone,opted out\n2155550101,no\n2155550102,no\n")
    assert (told.new, told.opted_out) == (2, 1)
    assert await office.database.fetch("SELECT phone FROM opt_outs") == [("+12155550101",)]


async def test_who_waits_in_an_action_moves_to_the_hours_of_the_new_zip(office: Office):
    await office.imports("phone\n2155550101\n")
    contact = (await office.person("+12155550101"))["contact_id"]
    await office.database.execute("INSERT INTO actions VALUES (1, 1, 'Polls', '{}', '{}', now(), 1)")
    await office.database.execute(
        "INSERT INTO assignments (organisation_id, campaign_id, action_id, contact_id, hours_group, turn)"
        " VALUES (1, 1, 1, $1, 'old', 1)",
        contact,
    )
    await office.imports("phone,zip\n2155550101,90001\n")
    person = await office.person("+12155550101")
    assert "CA" in person["hours_group"]
    assert await office.database.fetch_value("SELECT hours_group FROM assignments") == person["hours_group"]


# ---------------------------------------------------------------- lists and columns


async def test_a_list_is_made_and_extended(office: Office):
    """F076: a list is a thing of its own; a person stands on it once."""
    first = await office.imports(people(1, 5), list_name="North  End")
    assert (first.joined, first.list_id is not None) == (5, True)
    second = await office.imports(people(4, 8), list_name="North End")
    assert (second.list_id, second.joined, second.new, second.known) == (first.list_id, 3, 3, 2)
    assert await office.members("North End") == 8
    assert await office.database.fetch_value("SELECT rows FROM contact_lists") == 8


async def test_counts_of_landlines_duplicates_and_opt_outs_are_told(office: Office):
    """F062, F064."""
    told = await office.imports(
        "phone,phone type,opted out\n2155550101,mobile,\n2155550101,mobile,\n2155550102,landline,\n2155550103,,yes\n12,,\n"
    )
    assert told.rejected == {"duplicate": 1, "landline": 1, "opted_out": 1, "too_short": 1}
    assert [row.line for row in told.rejects] == [3, 4, 5, 6]
    assert (told.rows, told.new) == (5, 1)
    assert office.opted_out == [1]


async def test_custom_fields_come_by_prefix_by_bare_slug_and_by_mapping(office: Office):
    """F103, F105, C21; F104: a header that is taken for nothing is told."""
    await office.database.execute(
        "INSERT INTO custom_fields (organisation_id, campaign_id, field_id, slug, label, kind, place, by_default)"
        " VALUES (1, 1, 1, 'issue_ID', 'Issue', 'text', 1, false)"
    )
    told = await office.imports(
        "Mobile,custom_field_remind_a_friend,Issue ID,Pet,Shoe\n2155550101,Bo,7,cat,9\n",
        taken_for=read_mapping(["pet=custom_field_pet"]),
    )
    assert told.columns == {
        "Mobile": "phone",
        "custom_field_remind_a_friend": "custom_field_remind_a_friend",
        "Issue ID": "custom_field_issue_ID",
        "Pet": "custom_field_pet",
    }
    assert told.ignored == ["Shoe"]
    fields = (await office.person("+12155550101"))["fields"]
    assert fields == '{"pet": "cat", "issue_ID": "7", "remind_a_friend": "Bo"}'


async def test_a_mapping_wins_over_the_header(office: Office):
    told = await office.imports(
        "Number,Phone,First Name\n2155550101,9,Ann\n",
        taken_for=read_mapping(["Number=phone", "Phone=custom_field_rooms", "First Name=last_name"]),
    )
    assert told.columns == {"Number": "phone", "Phone": "custom_field_rooms", "First Name": "last_name"}
    assert (await office.person("+12155550101"))["last_name"] == "Ann"


@pytest.mark.parametrize("text", ["Phone", "=phone", "Phone=shoe", "Phone=custom_field_"])
def test_what_maps_no_column_is_refused(text: str):
    with pytest.raises(BadInput, match="maps no column"):
        read_mapping([text])


async def test_a_column_that_is_mapped_and_not_there_is_refused(office: Office):
    before = await office.everything()
    with pytest.raises(BadInput, match="no column is called 'pets'"):
        await office.imports("Phone,Pet\n2155550101,cat\n", taken_for=read_mapping(["Pets=custom_field_pet"]))
    assert await office.everything() == before


async def test_assignees_are_people_of_the_campaign_by_address_or_name(office: Office):
    """C8, F185, F186: who should text them stands in the list; whom nobody knows is told, and the row is kept."""
    for user_id, name, email in ((7, "Ann Li", "ann@x.org"), (8, "Bo", "bo@x.org"), (9, "Bo", "b@x.org")):
        await office.database.execute(
            "INSERT INTO users VALUES (1, $1, $2, $3, 'en', NULL, NULL, now())", user_id, email, name
        )
        await office.database.execute(
            "INSERT INTO memberships VALUES (1, 1, $1, 'volunteer', now(), NULL)", user_id
        )
    told = await office.imports(
        "phone,assignee\n2155550101,ann  li\n2155550102,B@X.org\n2155550103,Bo\n2155550104,Zed\n2155550105,\n2155550106,Zed\n"
    )
    assert (told.new, told.assigned, told.unknown_assignees) == (6, 2, {"Zed": 2, "Bo": 1})
    rows = await office.database.fetch("SELECT assignee_id FROM contacts ORDER BY phone")
    assert [row[0] for row in rows] == [7, 9, None, None, None, None]
    await office.imports("phone,assignee\n2155550101,bo@x.org\n2155550102,\n")
    rows = await office.database.fetch("SELECT assignee_id FROM contacts ORDER BY phone")
    assert [row[0] for row in rows[:2]] == [8, 9]


# ---------------------------------------------------------------- dry runs


async def test_a_dry_run_tells_what_a_run_then_does_and_writes_nothing(office: Office):
    await office.imports(people(1, 4), list_name="North")
    await office.database.execute(
        "INSERT INTO opt_outs (organisation_id, scope, phone, source, opted_out_at)"
        " VALUES (1, 1, '+12155550002', 'keyword', now())"
    )
    text = people(2, 7, "phone,last_name,zip") + "12,Li,\n2155550003,Li,\n"
    before = await office.everything()
    foreseen = await office.imports(text, list_name="North", dry_run=True)
    assert await office.everything() == before
    done = await office.imports(text, list_name="North")
    told = {name: getattr(done, name) for name in done.__struct_fields__}
    changing = ("dry_run", "import_id", "done_at")
    assert {name: getattr(foreseen, name) for name in told if name not in changing} == {
        name: value for name, value in told.items() if name not in changing
    }
    assert (done.new, done.merged, done.joined, done.opted_out) == (3, 3, 3, 1)


async def test_a_dry_run_pays_for_no_look_up(office: Office):
    with pytest.raises(BadInput, match="a dry run asks the provider nothing"):
        await office.imports(people(1, 2), dry_run=True, look_up=True)


async def test_rows_are_merged_put_on_a_list_and_foreseen_too(office: Office):
    rows = [NewContact(phone="2155550101", first_name="Ann"), NewContact(phone="12")]
    foreseen = await office.lists.from_rows(
        office.campaign, rows, Floor(), HowToImport(owner="key:1", list_name="South", dry_run=True)
    )
    assert (foreseen.new, foreseen.joined, foreseen.contact_ids) == (1, 1, [None, None])
    for new in (1, 0):
        told = await office.lists.from_rows(
            office.campaign, rows, Floor(), HowToImport(owner="key:1", list_name="South")
        )
        assert (told.new, told.known, told.joined) == (new, 1 - new, new)
    assert await office.members("South") == 1


# ---------------------------------------------------------------- broken off


class Broken(Exception):
    """The process died here."""


def breaks_after(batches: int, go_on: Any) -> Any:
    """So many batches are committed; the next one dies within its transaction."""
    left = [batches]

    async def until(*arguments: Any) -> bool:
        left[0] -= 1
        if left[0] < 0:
            raise Broken
        done: bool = await go_on(*arguments)
        return done

    return until


LONG = people(1, 4500) + "12,Bad,\n2155550001,Double,\n"


@pytest.mark.parametrize("batches", [0, 1, 2])
async def test_an_import_that_was_broken_off_resumes_without_doubles(
    office: Office, other: Database, monkeypatch: pytest.MonkeyPatch, batches: int
):
    """Repeated with its key, it tells in the end what it would have told at once."""
    with monkeypatch.context() as patch, contextlib.suppress(Broken):
        patch.setattr(contact_lists, "go_on", breaks_after(batches, contact_lists.go_on))
        await office.imports(LONG, list_name="North", key=AGAIN)
        raise AssertionError
    assert await office.members("North") == 2000 * batches
    second = await another(other)
    told = await second.imports(LONG, list_name="North", key=AGAIN)
    assert (told.rows, told.new, told.known, told.joined) == (4502, 4500, 0, 4500)
    assert told.rejected == {"duplicate": 1, "too_short": 1}
    assert [row.line for row in told.rejects] == [4502, 4503]
    assert await office.members("North") == 4500
    assert await office.database.fetch_value("SELECT count(*) FROM contacts") == 4500
    again = await office.imports(LONG, list_name="North", key=AGAIN)
    assert again == told


async def test_a_connection_that_is_cut_in_the_middle_loses_and_doubles_nothing(
    office: Office, other: Database, monkeypatch: pytest.MonkeyPatch
):
    go_on, seen = contact_lists.go_on, []

    async def cut(transaction: Any, *arguments: Any) -> bool:
        seen.append(1)
        if len(seen) == 2:
            backend = await transaction.fetchval("SELECT pg_backend_pid()")
            await other.fetch("SELECT pg_terminate_backend($1)", backend)
        done: bool = await go_on(transaction, *arguments)
        return done

    monkeypatch.setattr(contact_lists, "go_on", cut)
    with pytest.raises(DatabaseGone):
        await office.imports(LONG, list_name="North", key=AGAIN)
    assert await office.members("North") == 2000
    told = await office.imports(LONG, list_name="North", key=AGAIN)
    assert (told.new, told.joined, await office.members("North")) == (4500, 4500, 4500)


async def test_the_first_of_two_that_repeat_one_import_writes_no_more(
    office: Office, other: Database, monkeypatch: pytest.MonkeyPatch
):
    second, go_on, taken = await another(other), contact_lists.go_on, []

    async def overtaken(*arguments: Any) -> bool:
        if not taken:
            taken.append(1)
            monkeypatch.setattr(contact_lists, "go_on", go_on)
            await contact_lists.begin_import(
                second.database,
                KEY,
                import_id=1,
                list_id=None,
                owner="key:1",
                word=AGAIN.word,
                request_hash=arguments[2].request_hash,
                headers="[]",
                now=NOW,
            )
        done: bool = await go_on(*arguments)
        return done

    monkeypatch.setattr(contact_lists, "go_on", overtaken)
    with pytest.raises(TakenOver):
        await office.imports(people(1, 10), key=AGAIN)
    assert await office.database.fetch_value("SELECT count(*) FROM contacts") == 0
    assert (await second.imports(people(1, 10), key=AGAIN)).new == 10


async def test_a_key_is_for_one_file_read_in_one_way(office: Office):
    await office.imports(people(1, 3), key=AGAIN)
    for text, how in ((people(1, 4), {}), (people(1, 3), {"list_name": "North"})):
        with pytest.raises(BadInput, match="this key was used for another import"):
            await office.imports(text, key=AGAIN, **how)


async def test_cells_that_postgresql_does_not_keep_are_no_stumbling_block(office: Office):
    told = await office.imports('phone,first_name,pe\0t\n12,"a\0b",\n2155550101,Ann,cat\n')
    assert (told.new, told.rejected) == (1, {"too_short": 1})


# ---------------------------------------------------------------- several at once


async def test_imports_of_the_same_people_at_once_make_each_of_them_once(office: Office, other: Database):
    """Whatever order their rows come in: nobody is doubled, nobody waits for ever, both lists are whole."""
    second = await another(other)
    backwards = people(1, 300).splitlines()
    turned = "\n".join((backwards[0], *reversed(backwards[1:]), "2155559999,Zed,19103")) + "\n"
    told = await asyncio.gather(
        office.imports(people(1, 300), list_name="North"),
        second.imports(turned, list_name="South"),
        office.imports(people(100, 400), list_name="North"),
        second.imports(turned, list_name="North"),
    )
    assert await office.database.fetch_value("SELECT count(*) FROM contacts") == 401
    assert sum(each.new for each in told) == 401
    assert await office.members("North") == 401
    assert await office.members("South") == 301
    rows = await office.database.fetch("SELECT name, rows FROM contact_lists ORDER BY name")
    assert [tuple(row) for row in rows] == [("North", 401), ("South", 301)]


async def test_rows_of_thousands_of_cells_stop_nobody(office: Office) -> None:
    """Forty rows that are not used, of 50,000 cells each: no step of the loop takes longer than a blink."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        began = time.thread_time()  # this thread's own, whatever else runs on the machine
        while True:
            await asyncio.sleep(0)
            longest, began = max(longest, time.thread_time() - began), time.thread_time()

    watching = asyncio.create_task(watch())
    told = await office.imports("phone,a\n" + (50_000 * "," + "\n") * 40, list_name="Wide")
    watching.cancel()
    assert told.rejected == {"blank_phone": 40}
    assert longest < 0.08
