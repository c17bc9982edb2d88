"""Results over the API: figures with their rows, scripts, volunteers, codes; text these again; what was used."""

import asyncio
import io
import zipfile
from typing import Any

import msgspec
import pytest

from gateway.core.bank.labels import Marks
from gateway.core.rules.campaign import CampaignKey
from gateway.p2p import results as told
from gateway.store import contacts, conversations, counts, opt_outs, reports
from gateway.store.contacts import ContactRow
from gateway.store.conversations import Heard
from gateway.store.reports import ReportRow
from tests.http.house import CAMPAIGN, GROUP, OTHER_CAMPAIGN, START_AT, Answer, House, phone
from tests.http.persons import somebody

ACTION, VERA, BEN = 5, 7, 8
PATH = f"/v1/campaigns/{CAMPAIGN}/actions/{ACTION}"
_ACTION = """
INSERT INTO actions (organisation_id, campaign_id, action_id, title, scripts, state, published_at)
VALUES (1, 1, 5, 'Polls', '{}', 'private', to_timestamp($1))
"""


async def published(house: House) -> None:
    """An action for contacts 1 to 10; contacts 9 and 10 are nobody's yet."""
    await house.store.execute(_ACTION, START_AT - 60)
    await house.store.execute(
        "INSERT INTO assignments SELECT 1, 5, c, 'g', c, CASE WHEN c < 9 THEN 8 - c % 2 END, NULL, 1"
        " FROM generate_series(1, 10) c"
    )
    await house.store.execute(
        "INSERT INTO users (organisation_id, user_id, email, name, language, created_at) VALUES"
        " (1, 7, 'v@example.org', 'Vera', 'en', now()), (1, 8, 'b@example.org', 'Ben', 'en', now())"
    )
    await house.store.execute(
        "INSERT INTO memberships (organisation_id, campaign_id, user_id, role, joined_at)"
        " SELECT 1, 1, u, 'volunteer', now() FROM generate_series(7, 8) u"
    )


async def initial(house: House, contact_id: int, status: str = "delivered", code: int | None = None) -> None:
    sender = VERA if contact_id % 2 else BEN
    script = f"initial-{1 + contact_id % 2}"
    sent = await house.send(contact_id, f"Hi {contact_id}", action_id=ACTION, sender_id=sender, script=script)
    assert sent.body["state"] != "blocked", sent.body
    await house.says(await house.provider.next_text(), status, code)


async def bank(house: House) -> None:
    """Ten texts that end in every way, two answers, a reply, an opt-out, a report."""
    await published(house)
    for contact_id in (1, 2, 3, 4):
        await initial(house, contact_id)
    await initial(house, 5, "undelivered", 30003)
    await initial(house, 6, "undelivered", 30007)
    await initial(house, 7, "sent")
    await house.writes(1, "Who is this?")
    await house.send(
        1, "Vera, for the library", kind="reply", action_id=ACTION, sender_id=VERA, script="response-1"
    )
    await house.says(await house.provider.next_text(), "delivered")
    await house.writes(2, "STOP")
    await house.writes(3, "Yes!")
    await house.send(2, "Hi again", action_id=ACTION, sender_id=BEN, script="initial-1")  # 1302
    said = Marks(tags=(5,), fields={"job": "baker"})
    report = ReportRow(
        report_id=9, contact_id=1, action_id=ACTION, user_id=VERA, at=START_AT + 60, marks=said
    )
    await reports.file(house.store, CampaignKey(1, CAMPAIGN), report)
    await house.store.execute(
        "INSERT INTO links VALUES (1, 1, 3, 'vote', 'https://example.org/vote', 1, now())"
    )
    await house.store.execute(
        "INSERT INTO clicks VALUES (1, 1, 1, 3, 1, 2, 5, NULL, 7, now()), (1, 1, 2, 3, 1, 2, 5, NULL, 7, now())"
    )
    await house.store.execute("INSERT INTO tags VALUES (1, 1, 5, 'supporter', 'Supporter', 1, true)")


async def results(house: House, more: str = "") -> Any:
    answer = await house.call("GET", f"{PATH}/results{more}")
    assert answer.status == 200, answer.body
    return answer.body


async def rows(house: House, result: str, **query: Any) -> list[dict[str, Any]]:
    asked = "".join(f"&{name}={value}" for name, value in query.items())
    found = []
    cursor = ""
    while True:
        page = await results(house, f"/rows?result={result}{asked}{cursor}")
        found += page["rows"]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


async def test_every_figure_and_its_rows(house: House) -> None:
    """F156, F157, F158, F159, F160, F161, F162, F163, F164, F165, F166, F167: each figure lists exactly what it counts."""
    await bank(house)
    whole = await results(house)
    figures = {each["result"]: each["number"] for each in whole["figures"]}
    told_by_counts = {
        "initials": 5,
        "responses": 3,
        "follow_ups": 1,
        "opt_outs": 1,
        "under_way": 0,
        "twilio_errors": 1,
        "carrier_filtering": 1,
        "safeguards": 1,
        "remaining": 2,
        "needs_attention": 1,
        "reports_filled": 1,
        "clicks": 2,
    }
    assert told_by_counts.items() <= figures.items()
    for result in set(told_by_counts) - {"reports_filled"}:
        assert len(await rows(house, result)) == figures[result], result
        assert len(await rows(house, result, limit=1)) == figures[result], result
    assert next(each["people"] for each in whole["figures"] if each["result"] == "clicks") == 1
    [filtered] = await rows(house, "carrier_filtering")
    assert (filtered["phone"], filtered["code"], filtered["user"]) == (phone(6), 30007, "Ben")
    assert (await house.call("GET", filtered["story"])).status == 200
    assert await rows(house, "twilio_errors", code=30007) == []
    assert [each["contact_id"] for each in await rows(house, "initials", user_id=VERA)] == [1, 3, 7]
    assert {each["contact_id"] for each in await rows(house, "remaining")} == {9, 10}


async def test_who_left_in_other_words_is_an_opt_out_of_whoever_noted_it(house: House) -> None:
    """F161 and F168: noted once, however often it is noted; the script's rate has only what people wrote themselves."""
    await bank(house)
    path = f"/v1/campaigns/{CAMPAIGN}/conversations/3/opt-out"
    for _ in range(2):
        assert (await house.call("POST", path, {"noted_by": BEN})).status == 200
    whole = await results(house)
    assert next(each["number"] for each in whole["figures"] if each["result"] == "opt_outs") == 2
    by_hand = (await rows(house, "opt_outs"))[1]
    assert (by_hand["contact_id"], by_hand["kind"], by_hand["user"]) == (3, "manual", "Ben")
    people = (await results(house, "/volunteers"))["volunteers"]
    assert [each["opt_outs"] for each in people] == [0, 2]
    rates = {each["script"]: each["rates"]["opted_out"]["number"] for each in whole["scripts"]}
    assert (rates["initial-1"], rates["initial-2"]) == (1, 0)


async def test_who_is_texted_by_the_office_meanwhile_is_one_person_who_answered(house: House) -> None:
    """F159: `people` are different ones; a first text outside any action begins no other answer to the action."""
    await bank(house)
    lenient = {"settings": {"safeguards": {"lock_enabled": False}}}
    assert (await house.call("PATCH", f"/v1/campaigns/{CAMPAIGN}", lenient)).status == 200
    sent = await house.send(1, "From the office", kind="initial")
    assert sent.body["state"] != "blocked", sent.body
    await house.says(await house.provider.next_text(), "delivered")
    await house.writes(1, "And once more")
    figures = {each["result"]: each for each in (await results(house))["figures"]}
    assert (figures["responses"]["number"], figures["responses"]["people"]) == (4, 3)


async def test_what_the_provider_refused_is_no_use_of_its_script(house: House) -> None:
    """F118, in the results and beside the scripts."""
    await bank(house)
    used = {each["script"]: each["used"] for each in (await results(house))["scripts"]}
    counted = (await house.call("GET", f"{PATH}/scripts:count")).body["uses"]
    assert used == counted
    await initial(house, 8, "failed", 21610)
    whole = await results(house)
    assert {each["script"]: each["used"] for each in whole["scripts"]} == used
    assert (await house.call("GET", f"{PATH}/scripts:count")).body["uses"] == counted
    assert next(each["number"] for each in whole["figures"] if each["result"] == "twilio_errors") == 2


async def test_whom_an_import_marks_is_no_opt_out_of_the_action(house: House) -> None:
    """F161: they did not leave because of its texts, so that the list has no more than the figure counts."""
    await bank(house)
    assert (
        await house.call("POST", f"/v1/campaigns/{CAMPAIGN}/opt-outs", {"phones": [phone(4)]})
    ).status == 200
    whole = await results(house)
    assert next(each["number"] for each in whole["figures"] if each["result"] == "opt_outs") == 1
    assert [each["contact_id"] for each in await rows(house, "opt_outs")] == [2]


async def test_who_left_another_campaign_of_the_organisation_is_no_opt_out_of_the_action(
    house: House,
) -> None:
    """F161: the list of opt-outs is shared, what an action came to is not; the list has what the figure counts."""
    await bank(house)
    for campaign_id in (CAMPAIGN, OTHER_CAMPAIGN):
        shared = f"/v1/campaigns/{campaign_id}/opt-out-scope"
        assert (await house.call("POST", shared, {"opt_out_scope": 0})).status == 200
    neighbour = CampaignKey(1, OTHER_CAMPAIGN)
    for contact_id in (1, 4):
        row = ContactRow(100 + contact_id, phone(contact_id), GROUP)
        await contacts.add(house.store, neighbour, [row])
    said = Heard(900, "SM9", phone(1), "+12675550190", "STOP", "stop", False, False, START_AT + 90)
    await conversations.hear(house.store, neighbour, 0, [said])
    await opt_outs.opt_out(house.store, neighbour, 0, 104, "manual", START_AT + 90, BEN)
    assert await opt_outs.among(house.store, 1, 0, [phone(1), phone(2), phone(4)]) == 3
    whole = await results(house)
    assert next(each["number"] for each in whole["figures"] if each["result"] == "opt_outs") == 1
    assert [each["contact_id"] for each in await rows(house, "opt_outs")] == [2]


async def test_by_script_volunteer_and_code(house: House) -> None:
    """F118, F168, F169, F170."""
    await bank(house)
    whole = await results(house)
    scripts = {each["script"]: each for each in whole["scripts"]}
    assert {name: each["used"] for name, each in scripts.items()} == {
        "initial-1": 3,
        "initial-2": 4,
        "response-1": 1,
    }
    delivered = scripts["initial-2"]["rates"]["delivered"]
    assert (delivered["number"], delivered["of"]) == (2, 3)
    assert delivered["low"] < delivered["share"] < delivered["high"]
    assert scripts["initial-2"]["rates"]["replied"]["number"] == 2
    errors = {each["code"]: each for each in whole["errors"]}
    assert {code: (each["box"], each["number"]) for code, each in errors.items()} == {
        30003: ("twilio_errors", 1),
        30007: ("carrier_filtering", 1),
        1302: ("safeguards", 1),
    }
    assert errors[1302]["title"] == "Unsubscribed"
    people = (await results(house, "/volunteers"))["volunteers"]
    did = ("name", "initials", "follow_ups", "failed", "responses", "opt_outs", "reports")
    assert [tuple(each[what] for what in did) for each in people] == [
        ("Vera", 3, 1, 1, 2, 0, 1),
        ("Ben", 2, 0, 2, 1, 1, 0),
    ]
    page = await results(house, "/volunteers?limit=1")
    assert (await results(house, f"/volunteers?limit=1&cursor={page['next']}"))["volunteers"] == people[1:]
    labels = (await results(house, "/labels"))["labels"]
    assert labels == [
        {"name": "job", "value": "baker", "number": 1},
        {"name": "supporter", "value": None, "number": 1},
    ]


async def test_figures_equal_those_of_the_books(house: House) -> None:
    await bank(house)
    before = await results(house)
    await counts.count_anew(house.store, (1, CAMPAIGN), START_AT)  # type: ignore[arg-type]
    after = await results(house)
    assert after["version"] != before["version"]
    assert after["figures"] == before["figures"]
    assert after["scripts"] == before["scripts"]


async def test_what_people_did(house: House) -> None:
    """F151, F152, F153, F154, F155: a person speaks for themselves; a word that is said twice counts once."""
    await published(house)
    token, user_id = await somebody(house)
    assert (await said(house, "seen", token)).status == 404  # nobody let them in
    await house.store.execute("INSERT INTO action_invitees VALUES (1, 1, 5, $1, now(), 'link')", user_id)
    for did in ("seen", "started", "completed", "completed", "started", "completed"):
        answer = await said(house, did, token)
    assert answer.body == {"performs": 2}
    by_key = await house.call("POST", f"{PATH}/progress", {"did": "started", "user_id": VERA})
    assert by_key.body == {"performs": 0}
    assert (await house.call("POST", f"{PATH}/progress", {"did": "started"})).status == 422
    figures = {each["result"]: each["number"] for each in (await results(house))["figures"]}
    expected = {"sent_to": 1, "seen": 2, "started": 2, "completed": 1, "performs": 2}
    assert expected.items() <= figures.items()
    assert [each["user_id"] for each in await rows(house, "completed")] == [user_id]
    assert {each["user_id"] for each in await rows(house, "started", limit=1)} == {VERA, user_id}
    assert [each["user_id"] for each in await rows(house, "sent_to")] == [user_id]


async def said(house: House, did: str, token: str) -> Answer:
    return await house.call("POST", f"{PATH}/progress", {"did": did}, key=token)


async def test_text_these_again(house: House) -> None:
    """N16: those whom a code stopped and who may be texted, and nobody else."""
    await published(house)
    for contact_id in range(1, 7):
        await initial(
            house,
            contact_id,
            "undelivered" if contact_id < 6 else "delivered",
            30003 if contact_id < 6 else None,
        )
    await house.store.execute(
        "UPDATE messages SET state = 'blocked', code = 1202, reason = 'expired_in_queue' WHERE code = 30003"
    )
    await house.store.execute("UPDATE conversations SET failure_until = NULL WHERE contact_id <> 3")
    await house.store.execute("UPDATE conversations SET failure_until = 'infinity' WHERE contact_id = 3")
    await house.writes(1, "STOP")
    await house.store.execute("UPDATE contacts SET deleted_at = now() WHERE contact_id = 2")
    await house.store.execute(
        "INSERT INTO messages (organisation_id, campaign_id, message_id, contact_id, action_id, kind, body, segments,"
        " text_hash, state, lane, requested_at) SELECT 1, 1, max(message_id) + 1, 4, 5, 'initial', 'x', 1, 1, 'queued', 2,"
        " now() FROM messages"
    )
    asked = {"codes": [1202], "list_name": "Stopped by the end of hours"}
    counted = await house.call("POST", f"{PATH}/results/text-again", asked | {"dry_run": True})
    told = {"people": 1, "opted_out": 1, "held": 1, "reached": 1, "gone": 1, "listed": 0}
    assert counted.body == told | {"list_id": None}
    assert await house.count("contact_lists") == 0
    made = await house.call("POST", f"{PATH}/results/text-again", asked)
    assert made.body == told | {"list_id": made.body["list_id"]}
    members = await house.store.fetch("SELECT list_id, contact_id FROM list_members")
    assert [tuple(each) for each in members] == [(made.body["list_id"], 5)]
    assert (await house.call("POST", f"{PATH}/results/text-again", asked)).status == 409
    twice = await house.call("POST", f"{PATH}/results/text-again", asked | {"list_name": "Once more"})
    assert (twice.body["people"], twice.body["listed"]) == (0, 1), "two lists would become two texts"
    never = await house.call("POST", f"{PATH}/results/text-again", asked | {"codes": [1302]})
    assert (never.status, "1302" in never.body["detail"]) == (422, True)
    lines = (await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/audit")).body["lines"]
    assert [(each["act"], each["after"]["people"]) for each in lines[:2]] == [
        ("text again", 0),
        ("text again", 1),
    ]


async def test_two_who_ask_at_once_to_text_these_again_get_each_person_once(house: House) -> None:
    await published(house)
    for contact_id in range(1, 7):
        await initial(house, contact_id, "undelivered", 30003)
    await house.store.execute("UPDATE messages SET state = 'blocked', code = 1202")
    await house.store.execute("UPDATE conversations SET failure_until = NULL")
    asked = [{"codes": [1202], "list_name": f"List {n}"} for n in range(4)]
    made = await asyncio.gather(*(house.call("POST", f"{PATH}/results/text-again", each) for each in asked))
    assert sorted((each.body["people"], each.body["listed"]) for each in made) == [(0, 6)] * 3 + [(6, 0)]
    assert await house.count("list_members") == 6


async def test_what_was_used(house: House) -> None:
    """F001, F002, F003, F005, F014: billable segments between two instants, SMS and MMS apart."""
    await published(house)
    await initial(house, 1)
    await house.send(2, "x" * 200, action_id=ACTION, sender_id=BEN)
    await house.says(await house.provider.next_text(), "undelivered", 30003)
    await house.send(3, "x" * 200, media_urls=["https://example.org/cat.png"])
    await house.says(await house.provider.next_text(), "delivered")
    await house.writes(4, "STOP")
    await house.send(4, action_id=ACTION, sender_id=BEN)  # a safeguard's: free
    path = f"/v1/campaigns/{CAMPAIGN}/usage?since={START_AT - 60}&until={START_AT + 3600}"
    whole = (await house.call("GET", path)).body
    assert (whole["total"]["sms"]["texts"], whole["total"]["sms"]["units"]) == (2, 3)
    assert (whole["total"]["mms"]["texts"], whole["total"]["mms"]["units"]) == (1, 1)
    assert [each["usage"] for each in whole["days"]] == [whole["total"]]
    stories = 0.0
    for (message_id,) in await house.store.fetch("SELECT message_id FROM messages"):
        stories += (await house.call("GET", f"/v1/messages/{CAMPAIGN}/{message_id}/story")).body["cost_usd"]
    assert whole["total"]["cost_usd"] == pytest.approx(stories, abs=1e-6)
    assert (await house.call("GET", f"{path}&action_id={ACTION}")).body["total"]["mms"]["texts"] == 0
    later = f"/v1/campaigns/{CAMPAIGN}/usage?since={START_AT + 3600}&until={START_AT + 7200}"
    assert (await house.call("GET", later)).body["total"]["cost_usd"] == 0
    assert (await house.call("GET", path.replace("until=", "until=0&x="))).status == 422
    assert (await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/usage?since=5&until=5")).status == 422


async def test_nobody_elses_and_no_volunteers(house: House) -> None:
    await bank(house)
    token, _ = await somebody(house)
    for more in ("", "/volunteers", "/labels", "/rows?result=initials"):
        assert (await house.call("GET", f"{PATH}/results{more}", key=token)).status == 403
        other = PATH.replace(f"campaigns/{CAMPAIGN}", f"campaigns/{OTHER_CAMPAIGN}")
        assert (await house.call("GET", f"{other}/results{more}")).status == 404
    wrong = await house.call("GET", f"{PATH}/results/rows?result=initials&cursor=x")
    assert wrong.status == 422


async def test_a_key_learns_no_names_of_another_campaigns_people(house: House) -> None:
    """A key names whom it likes as senders: that gives nobody's name away, in figures, rows, files and evidence."""
    await published(house)
    _, anothers = await somebody(house, "volunteer", "zed@example.org", OTHER_CAMPAIGN)
    await house.store.execute("UPDATE users SET name = 'Zedekiah' WHERE user_id = $1", anothers)
    for contact_id, sender in ((1, VERA), (9, anothers)):
        sent = await house.send(contact_id, "Hello", action_id=ACTION, sender_id=sender, script="initial-1")
        assert sent.body["state"] != "blocked", sent.body
        await house.says(await house.provider.next_text(), "delivered")
        await house.writes(contact_id, "Yes")
    here = f"/v1/campaigns/{CAMPAIGN}"
    for path in ("exports/messages", "exports/replies", "actions/5/results/volunteers"):
        told = str((await house.call("GET", f"{here}/{path}")).body)
        assert ("Vera" in told, "Zedekiah" in told) == (True, False), path
    assert [each["user"] for each in await rows(house, "initials")] == ["Vera", None]
    pack = (await house.call("GET", f"{here}/contacts/9/evidence")).body
    with zipfile.ZipFile(io.BytesIO(pack)) as packed:
        assert msgspec.json.decode(packed.read("evidence.json"))["people"] == {}


async def test_a_figure_of_few_among_many_comes_in_short_pages(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told, "LOOK_AT", 2)
    await bank(house)
    assert len(await rows(house, "safeguards")) == 1
    first = await results(house, "/rows?result=initials&limit=3")
    assert (len(first["rows"]), first["next"] is None) == (3, False)
    another = await house.call("GET", f"{PATH}/results/rows?result=follow_ups&cursor={first['next']}")
    assert another.status == 422
