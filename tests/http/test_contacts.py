"""Contacts over the API: brought in on lists, found, changed without overwriting others, and forgotten."""

import asyncio
import csv
import io
from typing import Any

import aiohttp
import pytest

from gateway.core.bank.permissions import Role
from gateway.core.rules.campaign import CampaignKey
from gateway.http.csv_lists import CSV
from gateway.store import contact_lists, opt_outs
from gateway.store.troubles import DatabaseAway
from tests.http.house import CAMPAIGN, OTHER_CAMPAIGN, START_AT, House, phone
from tests.http.persons import code_of, somebody

PATH = f"/v1/campaigns/{CAMPAIGN}"
PEOPLE = "phone,first_name,last_name,zip,email,custom_field_pet\n2155550190,Zoë,Li,19103,z@example.org,cat\n12,Bad,,,,\n"


async def upload(house: House, text: str = PEOPLE, query: str = "?list=North", **headers: str) -> Any:
    return await house.call(
        "POST", f"{PATH}/contacts{query}", data=text.encode(), headers={"Content-Type": CSV, **headers}
    )


async def the_only(house: House, query: str) -> Any:
    answer = await house.call("GET", f"{PATH}/contacts?{query}")
    assert answer.status == 200, answer.body
    [found] = answer.body["contacts"]
    return found


# ---------------------------------------------------------------- lists


async def test_a_list_tells_how_it_was_read_and_hands_out_its_rejects(house: House) -> None:
    told = (await upload(house)).body
    assert (told["new"], told["joined"], told["rejected"]) == (1, 1, {"too_short": 1})
    [listed] = (await house.call("GET", f"{PATH}/contact-lists")).body["lists"]
    assert (listed["name"], listed["rows"], listed["list_id"]) == ("North", 1, told["list_id"])
    one = (await house.call("GET", f"{PATH}/contact-lists/{told['list_id']}")).body
    result = one["imports"][0]["result"]
    assert result["columns"]["custom_field_pet"] == "custom_field_pet"
    assert (result["import_id"], result["rejected"]) == (told["import_id"], {"too_short": 1})
    file = await house.call("GET", f"{PATH}/contact-imports/{told['import_id']}/rejects")
    assert file.headers["Content-Type"].startswith(CSV)
    assert file.body.startswith("\ufefflin".encode())
    head = await house.call("HEAD", f"{PATH}/contact-imports/{told['import_id']}/rejects")
    assert (head.status, head.body) == (200, b"")
    assert (await house.call("GET", f"{PATH}/contact-imports/9/rejects")).status == 404
    header, row = csv.reader(io.StringIO(file.body.decode("utf-8-sig")))
    assert header[:5] == ["line", "column", "reason", "text", "phone"]
    assert row[:3] == ["3", "phone", "too_short"]
    assert row[4:6] == ["12", "Bad"]


async def test_a_rejects_file_runs_nothing_in_a_spreadsheet(house: House) -> None:
    told = (await upload(house, "phone,=first\n12,=cmd|' /C calc'!A0\n")).body
    file = await house.call("GET", f"{PATH}/contact-imports/{told['import_id']}/rejects")
    header, row = csv.reader(io.StringIO(file.body.decode("utf-8-sig")))
    assert (header[5], row[5]) == ("'=first", "'=cmd|' /C calc'!A0")


async def test_an_import_that_is_repeated_with_its_key_is_told_the_same(house: House) -> None:
    first = await upload(house, **{"Idempotency-Key": "north-1"})
    second = await upload(house, **{"Idempotency-Key": "north-1"})
    assert (first.status, first.body) == (200, second.body)
    other = await upload(house, "phone\n2155550191\n", **{"Idempotency-Key": "north-1"})
    assert other.status == 422
    assert await house.store.fetch_value("SELECT count(*) FROM contacts WHERE phone LIKE '%019_'") == 1


async def test_a_dry_run_saves_nothing(house: House) -> None:
    told = (await upload(house, query="?list=North&dry_run=true&map=last_name%3Dcustom_field_clan")).body
    assert (told["dry_run"], told["new"], told["joined"], told["list_id"]) == (True, 1, 1, None)
    assert told["columns"]["last_name"] == "custom_field_clan"
    assert (await house.call("GET", f"{PATH}/contact-lists")).body["lists"] == []
    assert await house.store.fetch_value("SELECT count(*) FROM contacts WHERE phone LIKE '%019_'") == 0
    assert (await upload(house, query="?dry_run=perhaps")).status == 400


async def test_a_list_is_made_of_whom_filters_find(house: House) -> None:
    """F192."""
    made = await house.call("POST", f"{PATH}/contact-lists", {"name": "Anns", "filters": {"q": "ann"}})
    assert (made.status, made.body["rows"]) == (201, 10)
    assert made.headers["Location"] == f"{PATH}/contact-lists/{made.body['list_id']}"
    found = await house.call("GET", f"{PATH}/contacts:count?list_id={made.body['list_id']}")
    assert found.body == {"count": 10, "is_exact": True}
    again = await house.call("POST", f"{PATH}/contact-lists", {"name": "Anns"})
    assert again.status == 409


# ---------------------------------------------------------------- found, read


async def test_contacts_come_in_pages(house: House) -> None:
    seen, cursor = [], ""
    while True:
        page = (await house.call("GET", f"{PATH}/contacts?limit=4{cursor}")).body
        seen += [each["contact_id"] for each in page["contacts"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == list(range(1, 11))


@pytest.mark.parametrize(
    "query",
    ["zip=12", "state=New", "field=pet", "q=12", "q=a", "cursor=x", "error_code=0", "shoe=1", "q=%00aa"],
)
async def test_what_is_no_filter_is_refused(house: House, query: str) -> None:
    assert (await house.call("GET", f"{PATH}/contacts?{query}")).status == 422


async def test_a_contact_is_read_with_its_texts_lists_and_tags(house: House) -> None:
    """F124: a tag of one's own, whatever it is called, keeps nobody from being texted."""
    tag = (await house.call("POST", f"{PATH}/tags", {"name": "Do Not Text"})).body
    told = (await upload(house)).body
    found = await the_only(house, "q=2155550190")
    contact_id = found["contact_id"]
    await house.store.execute(
        "INSERT INTO contact_tags (organisation_id, campaign_id, contact_id, tag_id, tagged_at) VALUES (1, 1, $1, $2, now())",
        contact_id,
        tag["tag_id"],
    )
    sent = await house.send(contact_id, "Hi Zoë")
    assert sent.body["state"] != "blocked"
    read = (await house.call("GET", f"{PATH}/contacts/{contact_id}", key=Role.KEY_READER)).body
    assert (read["first_name"], read["fields"], read["zip"]) == ("Zoë", {"pet": "cat"}, "19103")
    assert sum(read["ours"].values()) == 1
    assert (read["theirs"], read["code"]) == (0, None)
    assert read["lists"] == [{"id": told["list_id"], "name": "North"}]
    assert read["tags"] == [{"id": tag["tag_id"], "name": "Do Not Text"}]
    assert (await the_only(house, f"tag_id={tag['tag_id']}&field=pet%3Dcat"))["contact_id"] == contact_id


async def test_a_volunteer_reads_their_own_contacts_alone_and_no_phone(house: House) -> None:
    token, user_id = await somebody(house)
    await house.store.execute("UPDATE contacts SET assignee_id = $1 WHERE contact_id = 2", user_id)
    mine = await house.call("GET", f"{PATH}/contacts/2", key=token)
    assert (mine.status, mine.body["phone"]) == (200, None)
    assert (await house.call("GET", f"{PATH}/contacts/1", key=token)).status == 404
    made = await house.call("POST", f"{PATH}/contact-lists", {"name": "Donors", "filters": {}})
    one_list = f"contact-lists/{made.body['list_id']}"
    for path in ("contacts", "contacts:count", "contact-lists", one_list):
        assert (await house.call("GET", f"{PATH}/{path}", key=token)).status == 404
    assert (await house.call("GET", f"{PATH}/{one_list}")).body["name"] == "Donors"


async def test_only_staff_see_the_admins_phones(house: House) -> None:
    changed = await house.call("PATCH", PATH, {"settings": {"admin_phones": [phone(3)]}})
    assert changed.body["settings"]["admin_phones"] == [phone(3)]
    elsewhere = f"/v1/campaigns/{OTHER_CAMPAIGN}"
    await house.call("PATCH", elsewhere, {"settings": {"admin_phones": [phone(4)]}})
    token, user_id = await somebody(house)
    joined = {"code": (await code_of(house, OTHER_CAMPAIGN))["code"]}
    assert (await house.call("POST", "/v1/join", joined, key=token)).status == 201
    await house.store.execute("UPDATE users SET confirmed_at = now()")
    promoted = await house.call("PATCH", f"{elsewhere}/members/{user_id}", {"role": "supervisor"})
    assert promoted.status == 200
    for campaign_id, seen in ((CAMPAIGN, []), (OTHER_CAMPAIGN, [phone(4)])):
        one = await house.call("GET", f"/v1/campaigns/{campaign_id}", key=token)
        assert one.body["settings"]["admin_phones"] == seen
        listed = (await house.call("GET", "/v1/campaigns", key=token)).body["campaigns"]
        [the_same] = [each for each in listed if each["campaign_id"] == campaign_id]
        assert the_same["settings"]["admin_phones"] == seen


# ---------------------------------------------------------------- changed


async def test_a_change_carries_the_version_it_was_made_from(house: House) -> None:
    change = {"version": 1, "first_name": "  Bea ", "zip": "08540", "fields": {"pet": "dog"}}
    changed = await house.call("PATCH", f"{PATH}/contacts/1", change)
    assert (changed.status, changed.body["version"], changed.body["first_name"]) == (200, 2, "Bea")
    assert changed.body["fields"] == {"pet": "dog"}
    assert "NJ" in await house.store.fetch_value("SELECT hours_group FROM contacts WHERE contact_id = 1")
    late = await house.call("PATCH", f"{PATH}/contacts/1", {"version": 1, "first_name": "Cy"})
    assert (late.status, late.body["stored"]["first_name"]) == (409, "Bea")
    gone = await house.call("PATCH", f"{PATH}/contacts/1", {"version": 2, "fields": {"pet": None}})
    assert gone.body["fields"] == {}
    lines = (await house.call("GET", f"{PATH}/audit")).body["lines"]
    told = [line["after"] for line in lines if line["act"] == "contact changed"]
    assert told == [
        {"contact_id": 1, "changed": ["fields"]},
        {"contact_id": 1, "changed": ["first_name", "zip", "fields"]},
    ]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"zip": "1"}, 422),
        ({"state": "XX"}, 422),
        ({"assignee_id": 99}, 422),
        ({"fields": {"meal": "soup"}}, 422),
        ({"fields": {"meal": "fish"}}, 200),
        ({"shoe": 9}, 422),
        ({}, 200),
    ],
)
async def test_an_impossible_change_is_refused(house: House, change: dict[str, Any], status: int) -> None:
    field = {"slug": "meal", "label": "Meal", "kind": "choice", "options": ["fish", "rice"]}
    assert (await house.call("POST", f"{PATH}/fields", field)).status == 201
    answer = await house.call("PATCH", f"{PATH}/contacts/1", {"version": 1, **change})
    assert answer.status == status, answer.body
    version = await house.store.fetch_value("SELECT version FROM contacts WHERE contact_id = 1")
    assert version == (2 if status == 200 and change else 1)


# ---------------------------------------------------------------- forgotten


async def test_an_erased_person_is_forgotten_and_never_texted_again(house: House) -> None:
    await upload(house)
    contact_id = (await the_only(house, "q=0190"))["contact_id"]
    await house.send(contact_id, "Hi Zoë")
    text = await house.provider.next_text()
    await house.says(text, "delivered")
    erased = await house.call("DELETE", f"{PATH}/contacts/{contact_id}")
    assert erased.status == 204
    for table in (
        "contacts",
        "messages",
        "opt_outs",
        "list_members",
        "import_rejects",
        "audit_log",
        "inbound",
    ):
        rows = await house.store.fetch(f"SELECT * FROM {table}")
        assert "Zoë" not in str(rows)
        assert "example.org" not in str(rows)
    assert (await house.call("GET", f"{PATH}/contacts/{contact_id}")).status == 404
    assert (await house.call("GET", f"{PATH}/contacts?q=0190")).body["contacts"] == []
    assert (await house.call("DELETE", f"{PATH}/contacts/{contact_id}")).status == 404
    assert (await house.send(contact_id, "Hello")).body["code"] == 1302
    again = (await upload(house, query="?list=South")).body
    assert (again["new"], again["rejected"]) == (0, {"erased": 1, "too_short": 1})
    assert (
        await house.store.fetch_value("SELECT first_name FROM contacts WHERE contact_id = $1", contact_id)
        == ""
    )
    look_up = await house.call("POST", f"{PATH}/opt-outs:look-up", {"phone": "2155550190"})
    assert look_up.body["opt_out"]["source"] == "erasure"
    assert (await house.call("GET", f"{PATH}/contact-lists")).body["lists"][1]["rows"] == 0


async def test_who_is_erased_while_a_list_is_made_is_not_on_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their row is read before they are erased, and written after it: either sees the other."""
    grow, erasing = contact_lists.grow, list[asyncio.Future[Any]]()
    waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"

    async def slowly(transaction: Any, *counted: Any) -> None:
        await grow(transaction, *counted)
        erasing.append(asyncio.ensure_future(house.call("DELETE", f"{PATH}/contacts/3")))
        async with asyncio.timeout(20.0):
            while not (erasing[0].done() or await transaction.fetchval(waits)):  # each is a round trip
                pass

    monkeypatch.setattr(contact_lists, "grow", slowly)
    made = await house.call("POST", f"{PATH}/contact-lists", {"name": "Everybody"})
    assert made.status == 201, made.body
    assert (await erasing[0]).status == 204
    [listed] = (await house.call("GET", f"{PATH}/contact-lists")).body["lists"]
    there = (await house.call("GET", f"{PATH}/contacts?list_id={made.body['list_id']}")).body["contacts"]
    assert (listed["rows"], len(there)) == (9, 9)


async def test_a_text_that_waits_for_an_erased_person_is_not_sent(house: House) -> None:
    await house.call("PATCH", PATH, {"paused": False})
    await house.store.execute(
        "INSERT INTO messages (organisation_id, campaign_id, message_id, contact_id, kind, body, segments, text_hash, state,"
        " lane, requested_at) VALUES (1, 1, 77, 3, 'initial', 'Hi Ann', 1, 1, 'queued', 2, now())"
    )
    await house.store.execute(
        "INSERT INTO queue (organisation_id, campaign_id, message_id, lane, due_at) VALUES (1, 1, 77, 2, now() + '1 day')"
    )
    assert (await house.call("DELETE", f"{PATH}/contacts/3")).status == 204
    row = await house.store.fetch_row("SELECT state, code, body FROM messages WHERE message_id = 77")
    assert tuple(row) == ("blocked", 1302, "")
    assert await house.count("queue") == 0


async def test_a_text_on_its_way_is_waited_for(house: House) -> None:
    """The opt-out is in force at once; the rest is done when it is known what became of the text."""
    await house.store.execute(
        "INSERT INTO messages (organisation_id, campaign_id, message_id, contact_id, kind, body, segments, text_hash, state,"
        " lane, requested_at) VALUES (1, 1, 77, 3, 'initial', 'Hi Ann', 1, 1, 'sending', 2, now())"
    )
    answer = await house.call("DELETE", f"{PATH}/contacts/3")
    assert (answer.status, "Retry-After" in answer.headers) == (503, True)
    assert (await house.send(3, "Hello")).body["code"] == 1302
    assert await house.store.fetch_value("SELECT body FROM messages WHERE message_id = 77") == "Hi Ann"
    await house.store.execute("UPDATE messages SET state = 'delivered' WHERE message_id = 77")
    assert (await house.call("DELETE", f"{PATH}/contacts/3")).status == 204
    assert await house.store.fetch_value("SELECT body FROM messages WHERE message_id = 77") == ""
    assert phone(3) in str(await house.store.fetch("SELECT phone FROM opt_outs"))


async def test_whoever_left_a_moment_ago_is_erased_when_that_is_in_force(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer says that no text follows, whoever has opted them out."""
    settled: list[bool] = []

    async def settle() -> None:
        settled.append(True)

    monkeypatch.setattr(house.worker._parts.contact_book, "_settle", settle)
    await opt_outs.opt_out(house.store, CampaignKey(1, CAMPAIGN), CAMPAIGN, 3, "manual", START_AT)
    assert (await house.call("DELETE", f"{PATH}/contacts/3")).status == 204
    assert settled == [True]


async def test_an_erasure_among_sends_leaves_no_words_and_lets_none_follow(house: House) -> None:
    sends = [house.send(3, f"Hi Ann, {nth}", kind="initial") for nth in range(8)]
    answers = await asyncio.gather(house.call("DELETE", f"{PATH}/contacts/3"), *sends)
    erased = answers[0]
    while erased.status == 503:  # a text was on its way
        text = await house.provider.next_text()
        await house.says(text, "delivered")
        erased = await house.call("DELETE", f"{PATH}/contacts/3")
    assert erased.status == 204
    rows = await house.store.fetch("SELECT state, body FROM messages WHERE contact_id = 3")
    assert {row[1] for row in rows if row[0] != "blocked"} <= {""}
    assert not {"queued", "sending"} & {row[0] for row in rows}
    assert (await house.send(3, "Hello")).body["code"] == 1302


async def test_a_rejects_file_that_breaks_off_is_not_taken_for_whole(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = (await upload(house)).body
    pages = contact_lists.rejects

    async def away(*arguments: Any) -> Any:
        monkeypatch.setattr(contact_lists, "rejects", pages)
        raise DatabaseAway("it left")

    monkeypatch.setattr(contact_lists, "rejects", away)
    with pytest.raises(aiohttp.ClientError):
        await house.call("GET", f"{PATH}/contact-imports/{told['import_id']}/rejects")
    assert (await house.call("GET", f"{PATH}/contact-imports/{told['import_id']}/rejects")).status == 200
