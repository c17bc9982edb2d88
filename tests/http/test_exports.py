"""Exports over the API: files that a spreadsheet can open, that go on where they broke off, and end when nobody reads."""

import asyncio
import csv
import io
import json
import sys
import zipfile
from typing import Any

import aiohttp
import pytest
from pyarrow import parquet

from gateway.core.bank.exports import COLUMNS, Subject
from gateway.core.bank.permissions import Role
from gateway.core.rules.errors import consequence
from gateway.core.rules.months import first_id, month_of
from gateway.http import exports as door
from gateway.p2p import exports as exporting
from gateway.store import exports as stored
from gateway.store.database import Database
from tests.http.house import CAMPAIGN, NUMBER, START_AT, Answer, House, phone
from tests.http.persons import somebody

FIRST = first_id(month_of(START_AT)) + 1
PATH = f"/v1/campaigns/{CAMPAIGN}/exports"
_MANY = """
INSERT INTO messages (organisation_id, campaign_id, message_id, contact_id, action_id, kind, sender_id, body, segments,
                      text_hash, state, lane, requested_at, number_id, attempt, provider_sid, code)
SELECT 1, 1, $1::bigint + n, 1 + n % 10, 1 + n % 2, 'initial', 7, 'Hi ' || n, 1 + n % 3, 1,
       CASE n % 4 WHEN 3 THEN 'undelivered' ELSE 'delivered' END, 2, to_timestamp($2::float8 + n), 1, 1, 'SM' || n,
       CASE n % 4 WHEN 3 THEN 30007 END
FROM generate_series(1, $3::int) n
"""


async def many_in(database: Database, count: int) -> None:
    """Texts of the day before, a second apart: every fourth is stopped by its carrier."""
    await database.execute(_MANY, FIRST, START_AT - 86_400, count)


async def many(house: House, count: int) -> None:
    await many_in(house.store, count)


async def export(house: House, subject: str, **query: Any) -> Answer:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return await house.call("GET", f"{PATH}/{subject}?{asked}")


def rows_of(answer: Answer) -> list[dict[str, str]]:
    assert answer.status == 200, answer.body
    return list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig"), newline="")))


async def test_every_message_with_its_code_in_words(house: House) -> None:
    """F009, F010, F011, F021, F066, F067, F068, F073, F175, F176."""
    await house.send(1, "Hello Ann", sender_id=7)
    await house.says(await house.provider.next_text(), "delivered")
    await house.send(2, "é" * 200)
    await house.says(await house.provider.next_text(), "undelivered", 30003)
    await house.writes(3, "STOP")
    await house.send(3)
    answer = await export(house, "messages")
    assert answer.body.startswith(b"\xef\xbb\xbfmessage_id,requested_at,")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    good, undelivered, blocked = rows_of(answer)
    assert list(good) == [each.name for each in COLUMNS[Subject.MESSAGES]]
    told = {"phone": phone(1), "sender_number": NUMBER, "twilio_status": "delivered", "error_code": ""}
    assert told.items() <= good.items()
    assert (good["twilio_segments"], good["attempts"], good["body"]) == ("1", "1", "Hello Ann")
    assert (undelivered["twilio_status"], undelivered["error_code"]) == ("undelivered", "30003")
    assert undelivered["aasm_message"] == consequence(30003).title
    assert undelivered["twilio_segments"] == "2"  # it was attempted, and is billed
    assert (blocked["state"], blocked["error_code"], blocked["aasm_message"]) == (
        "blocked",
        "1302",
        "Unsubscribed",
    )
    free = {"twilio_segments": "0", "cost_usd": "0.00000", "twilio_status": "", "attempts": "0"}
    assert free.items() <= blocked.items()
    story = await house.call("GET", good["story"].removeprefix("https://texts.example.org/bank"))
    assert story.status == 200
    assert story.body["cost_usd"] == pytest.approx(float(good["cost_usd"]), abs=1e-5)


async def test_what_a_spreadsheet_would_run_is_text(house: House) -> None:
    await house.store.execute("UPDATE contacts SET first_name = '=HYPERLINK(\"x\")' WHERE contact_id = 1")
    await house.send(1, "+1, see you there\r\nAnn")
    await house.writes(1, "@SUM(1)")
    [message] = rows_of(await export(house, "messages"))
    assert message["first_name"] == '\'=HYPERLINK("x")'
    assert message["body"].startswith("'+1, see you")
    assert message["phone"] == phone(1)
    [reply] = rows_of(await export(house, "replies"))
    assert reply["body"] == "'@SUM(1)"


async def test_the_other_subjects(house: House) -> None:
    await many(house, 10)
    await house.send(1, action_id=1)
    await house.writes(1, "Who is this?")
    await house.writes(2, "STOP")
    await house.store.execute(
        "INSERT INTO users VALUES (1, 7, 'v@example.org', 'Vera', 'en', NULL, NULL, now())"
    )
    await house.store.execute("INSERT INTO memberships VALUES (1, 1, 7, 'volunteer', now())")
    await house.store.execute(
        "INSERT INTO tags VALUES (1, 1, 5, 'supporter', 'Supporter', 1, true), (1, 1, 6, 'moved', 'Moved', 2, true)"
    )
    await house.store.execute(
        "INSERT INTO contact_tags VALUES (1, 1, 1, 5, now(), 7), (1, 1, 1, 6, now(), 7)"
    )
    await house.store.execute(
        "INSERT INTO reports VALUES (1, 1, 9, 1, 1, 7, to_timestamp($1), '{6,5}', '{}', '{\"job\": \"baker\"}')",
        START_AT,
    )
    [first, *_] = rows_of(await export(house, "contacts"))
    assert (first["contact_id"], first["tags"], first["opted_out_at"]) == ("1", "moved; supporter", "")
    second = rows_of(await export(house, "contacts"))[1]
    assert (second["opt_out_source"], second["opted_out_at"] > "2026-03-10T15") == ("keyword", True)
    [report] = rows_of(await export(house, "reports", action_id=1))
    assert (report["volunteer"], report["tags"], report["fields"]) == (
        "Vera",
        "moved; supporter",
        '{"job": "baker"}',
    )
    assert rows_of(await export(house, "reports", action_id=2)) == []
    [left] = rows_of(await export(house, "opt-outs"))
    assert (left["phone"], left["words"], left["contact_id"]) == (phone(2), "STOP", "2")
    [who, stop] = rows_of(await export(house, "replies"))
    assert (who["body"], who["action_id"], stop["read_as"]) == ("Who is this?", "1", "stop")
    await house.store.execute(
        "INSERT INTO links VALUES (1, 1, 3, 'vote', 'https://example.org/vote', 1, now())"
    )
    await house.store.execute(
        "INSERT INTO clicks VALUES (1, 1, 4, 3, 1, 2, 1, $1, 7, to_timestamp($2))", FIRST + 10, START_AT
    )
    [click] = rows_of(await export(house, "clicks", action_id=1))
    assert (click["phone"], click["url"], click["volunteer"]) == (
        phone(1),
        "https://example.org/vote",
        "Vera",
    )
    await house.store.execute("UPDATE contacts SET deleted_at = now() WHERE contact_id = 1")
    assert len(rows_of(await export(house, "contacts"))) == 9
    for subject in ("messages", "reports", "clicks", "replies"):
        assert phone(1) not in (await export(house, subject)).body.decode()


async def test_by_action_and_by_time(house: House) -> None:
    await many(house, 40)
    begin = START_AT - 86_400
    of_one = rows_of(await export(house, "messages", action_id=2))
    assert [int(each["message_id"]) - FIRST for each in of_one] == list(range(1, 41, 2))
    some = rows_of(await export(house, "messages", since=begin + 10, until=begin + 20))
    assert [int(each["message_id"]) - FIRST for each in some] == list(range(10, 20))
    assert rows_of(await export(house, "messages", since=START_AT + 86_400 * 70)) == []


async def test_a_file_that_broke_off_goes_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "LOOK_AT", 7)
    await many(house, 50)
    whole = await export(house, "messages")
    until = whole.headers["Textbank-Until"]
    await house.send(1)  # comes later, and is in neither
    lines = whole.body.splitlines(keepends=True)
    broken = b"".join(lines[:20])
    last = lines[19].partition(b",")[0].decode()
    rest = await export(house, "messages", after=last, until=until)
    assert broken + rest.body == whole.body
    assert len(rows_of(whole)) == 50
    for wrong in ("x", "-1", str(2**63), "%00"):
        assert (await export(house, "messages", after=wrong)).status == 422


async def test_parquet_says_the_same(house: House) -> None:
    await many(house, 30)
    told = rows_of(await export(house, "messages"))
    answer = await export(house, "messages", format="parquet")
    table = parquet.read_table(io.BytesIO(answer.body)).to_pylist()
    assert [str(each["message_id"]) for each in table] == [each["message_id"] for each in told]
    assert [each["cost_usd"] for each in table] == pytest.approx([float(each["cost_usd"]) for each in told])
    assert table[0]["requested_at"].timestamp() == START_AT - 86_400 + 1
    assert table[2]["error_code"] == 30007
    rest = await export(house, "messages", format="parquet", after=table[9]["message_id"])
    assert parquet.read_table(io.BytesIO(rest.body)).num_rows == 20


async def test_without_pyarrow_csv_is_left(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    answer = await export(house, "messages", format="parquet")
    assert answer.status == 422
    assert "textbank[parquet]" in answer.body["detail"]
    assert (await export(house, "messages")).status == 200


async def test_a_file_that_fails_is_never_taken_for_whole(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "LOOK_AT", 7)
    await many(house, 50)
    read = stored.page
    pages = 0

    async def third_fails(*arguments: Any) -> stored.Page:
        nonlocal pages
        pages += 1
        if pages == 3:
            raise OSError("the line broke")
        return await read(*arguments)

    monkeypatch.setattr(stored, "page", third_fails)
    with pytest.raises(aiohttp.ClientError):
        await export(house, "messages")
    monkeypatch.setattr(stored, "page", read)
    await done(house)


async def test_few_at_once_and_who_hangs_up_makes_room(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await many(house, 20)
    reading = asyncio.Semaphore(0)
    read = stored.page

    async def slowly(*arguments: Any) -> stored.Page:
        await reading.acquire()
        page = await read(*arguments)
        return stored.Page(
            page.rows * 1_500, page.last, exporting.LOOK_AT
        )  # so that it does not fit into any buffer

    monkeypatch.setattr(stored, "page", slowly)
    headers = {"Authorization": f"Bearer {house.keys[Role.KEY_READER]}"}
    url = f"{house.worker.url}{PATH}/messages"
    opened = [await_head(house, url, headers) for _ in range(exporting.MOST_AT_ONCE)]
    tasks = [asyncio.create_task(each) for each in opened]
    for _ in tasks:
        reading.release()
    responses = await asyncio.wait_for(asyncio.gather(*tasks), 60)
    refused = await export(house, "messages")
    assert (refused.status, refused.headers["Retry-After"]) == (503, "2")
    for response in responses:
        response.close()
    for _ in range(20):
        reading.release()
    monkeypatch.setattr(stored, "page", read)
    await done(house)
    assert len(rows_of(await export(house, "messages"))) == 20


async def test_who_leaves_before_the_first_byte_meets_no_defect(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, goes_on, read = asyncio.Event(), asyncio.Event(), stored.page

    async def slowly(*arguments: Any) -> stored.Page:
        asked.set()
        await goes_on.wait()
        return await read(*arguments)

    monkeypatch.setattr(stored, "page", slowly)
    headers = {"Authorization": f"Bearer {house.keys[Role.KEY_READER]}"}
    leaving = asyncio.create_task(house.session.get(f"{house.worker.url}{PATH}/messages", headers=headers))
    await asyncio.wait_for(asked.wait(), 10)
    leaving.cancel()
    await asyncio.wait([leaving])
    await house.inside("/metrics")  # meanwhile the door has seen it
    goes_on.set()
    await done(house)
    assert "defect" not in capsys.readouterr().out


async def done(house: House) -> None:
    """Until there are places for as many as may be written at once."""
    async with asyncio.timeout(10):
        while True:
            both = (export(house, "opt-outs") for _ in range(exporting.MOST_AT_ONCE))
            if {each.status for each in await asyncio.gather(*both)} == {200}:
                return


async def await_head(house: House, url: str, headers: dict[str, str]) -> aiohttp.ClientResponse:
    return await house.session.get(url, headers=headers)


async def test_volunteers_take_nothing_out_and_who_did_is_written_down(house: House) -> None:
    await house.send(1)
    for role, status in (("volunteer", 403), ("supervisor", 200)):
        token, _ = await somebody(house, role, f"{role}@example.org")
        assert (await house.call("GET", f"{PATH}/messages", key=token)).status == status
    assert (await export(house, "contacts", action_id=3)).status == 200
    lines = (await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/audit")).body["lines"]
    assert (lines[0]["act"], lines[0]["after"]["action_id"]) == ("export contacts", 3)
    head = await house.call("HEAD", f"{PATH}/messages")
    assert (head.status, head.body) == (200, b"")


async def test_everything_about_one_person(house: House) -> None:
    """N18: texts of both sides with the local hour, their stories, the opt-out, reports, who did what."""
    await house.store.execute(
        "INSERT INTO users VALUES (1, 7, 'v@example.org', 'Vera', 'en', NULL, NULL, now())"
    )
    await house.store.execute("INSERT INTO memberships VALUES (1, 1, 7, 'volunteer', now())")
    await house.send(1, "Hello Ann", sender_id=7)
    await house.says(await house.provider.next_text(), "delivered")
    await house.writes(1, "STOP")
    await house.send(2, "Not about her")
    answer = await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/contacts/1/evidence")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as packed:
        facts = json.loads(packed.read("evidence.json"))
        timeline = packed.read("timeline.txt").decode()
    assert (facts["contact"]["phone"], facts["contact"]["opt_out_words"]) == (phone(1), "STOP")
    assert (facts["is_whole"], facts["people"]) == (True, {"7": "Vera"})
    [sent], [heard] = facts["sent"], facts["heard"]
    assert sent["local"]["America/New_York"].startswith("2026-03-10T11:00:0")
    assert sent["story"]["story"][0]["what"] == "requested"
    assert (heard["reply"]["text"], heard["reply"]["opted_out"]) == ("STOP", True)
    assert "Final: delivered" in timeline
    assert "opted out, which is in force (keyword: 'STOP')" in timeline
    assert "Not about her" not in timeline
    assert (await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/contacts/99/evidence")).status == 404
    lines = (await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/audit")).body["lines"]
    assert (lines[0]["act"], lines[0]["after"]) == ("export evidence", {"contact_id": 1})


async def test_who_takes_nothing_has_left(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await many(house, 20)
    read = stored.page

    async def more_than_fits(*arguments: Any) -> stored.Page:
        page = await read(*arguments)
        return stored.Page(page.rows * 1_500, page.last, exporting.LOOK_AT)

    monkeypatch.setattr(stored, "page", more_than_fits)
    monkeypatch.setattr(door, "SLOWEST_S", 0.2)
    headers = {"Authorization": f"Bearer {house.keys[Role.KEY_READER]}"}
    url = f"{house.worker.url}{PATH}/messages"
    responses = [await house.session.get(url, headers=headers) for _ in range(exporting.MOST_AT_ONCE)]
    monkeypatch.setattr(stored, "page", read)
    await done(house)
    for response in responses:
        response.close()
