"""Scripts over HTTP: written, put in order, changed while people use them, checked, previewed, and what sending one does."""

from typing import Any

import pytest

from tests.http.house import CAMPAIGN, UNDER_WAY, House, phone
from tests.http.test_actions import INITIAL, PATH, STOP, THANKS, draft, published

CHECK = f"/v1/campaigns/{CAMPAIGN}/scripts:check"
CONVERSATION = f"/v1/campaigns/{CAMPAIGN}/conversations/1"


async def scripts_of(house: House, action: Any) -> dict[str, Any]:
    listed = await house.call("GET", f"{PATH}/{action['action_id']}/scripts")
    assert listed.status == 200, listed.body
    return {each["name"]: each for each in listed.body["scripts"]}


async def label(house: House, kind: str, body: dict[str, object]) -> Any:
    made = await house.call("POST", f"/v1/campaigns/{CAMPAIGN}/{kind}", body)
    assert made.status == 201, made.body
    return made.body


async def test_scripts_in_the_admins_order(house: House) -> None:
    """F085, F086, F110: names, places, and the keys of the first ten responses."""
    responses = [{"kind": "response", "source": f"Answer {n}"} for n in range(12)]
    action = await draft(house, scripts=[INITIAL, {**INITIAL, "source": STOP + "!"}, *responses])
    found = await scripts_of(house, action)
    assert list(found)[:3] == ["initial-1", "initial-2", "response-1"]
    assert [each["key"] for each in found.values()] == [None, None, *"1234567890", None, None]
    ids = [each["script_id"] for each in found.values()]
    ids[2], ids[13] = ids[13], ids[2]
    order = f"{PATH}/{action['action_id']}/scripts:order"
    put = await house.call("POST", order, {"script_ids": ids})
    assert [each["script_id"] for each in put.body["scripts"]] == ids
    assert put.body["scripts"][2]["name"] == "response-12"
    assert (await house.call("POST", order, {"script_ids": ids[1:]})).status == 422


async def test_names_are_ones_own(house: House) -> None:
    action = await draft(house)
    path = f"{PATH}/{action['action_id']}/scripts"
    taken = await house.call("POST", path, THANKS)
    assert (taken.status, taken.body["errors"][0]["field"]) == (422, "scripts[0].name")
    other = (await house.call("POST", path, {**THANKS, "name": "Other"})).body
    renamed = await house.call("PUT", f"{path}/{other['script_id']}", THANKS)
    assert (renamed.status, renamed.body["errors"][0]["field"]) == (422, "name")
    assert (await house.call("DELETE", f"{path}/{other['script_id']}")).status == 204
    assert (await house.call("DELETE", f"{path}/{other['script_id']}")).status == 404
    assert (
        await house.call("POST", path, {**THANKS, "name": "Other"})
    ).status == 201  # of a draft it is gone


async def test_once_it_is_published_only_what_responses_say_may_change(house: House) -> None:
    """A change makes a new revision, by which an earlier text under somebody's thumb is known."""
    action = await published(house)
    path = f"{PATH}/{action['action_id']}/scripts"
    found = await scripts_of(house, action)
    thanks, initial = found["Thanks"], found["initial-1"]
    changed = await house.call("PUT", f"{path}/{thanks['script_id']}", {**THANKS, "source": "Thanks!"})
    assert (changed.status, changed.body["revision"]) == (200, 2)
    refused = await house.call("PUT", f"{path}/{initial['script_id']}", {**INITIAL, "source": STOP + " Now"})
    assert (refused.status, refused.body["errors"][0]["field"]) == (422, "source")
    wrong = await house.call("PUT", f"{path}/{thanks['script_id']}", {**THANKS, "source": "Hi {{frst_name}}"})
    assert (wrong.status, wrong.body["errors"][0]["field"]) == (422, "source")
    last = await house.call("DELETE", f"{path}/{initial['script_id']}")
    assert last.status == 422
    assert (await house.call("POST", path, {**INITIAL, "source": "Hi"})).status == 422  # no opt-out wording
    assert (await house.call("POST", path, {**INITIAL, "source": STOP + "!"})).status == 201
    assert (await house.call("DELETE", f"{path}/{initial['script_id']}")).status == 204
    again = await house.call("POST", path, {**INITIAL, "name": "initial-1", "source": STOP})
    assert again.status == 422  # its uses are counted by that name
    assert list(await scripts_of(house, action)) == ["initial-2", "Thanks"]


async def test_sending_a_response_tags_the_contact_and_sets_fields_each_time(house: House) -> None:
    """F112 to F115, F117, F118: no report is needed; the answer may carry a picture (F090)."""
    tag = await label(house, "tags", {"name": "supporter"})
    await label(house, "fields", {"slug": "issue", "label": "Issue", "kind": "text"})
    picture = ["https://example.org/thanks.png"]
    marks = {"tag_ids": [tag["tag_id"]], "fields": {"issue": "taxes"}, "media": picture}
    bad = await house.call("POST", PATH, {"title": "x", "scripts": [{**INITIAL, "tag_ids": [tag["tag_id"]]}]})
    assert (bad.status, bad.body["errors"][0]["field"]) == (422, "scripts[0].tag_ids")
    action = await published(house, scripts=[INITIAL, {**THANKS, **marks}])
    sent = await house.send(1, action_id=action["action_id"], sender_id=7, script="initial-1")
    assert sent.status == 202
    for n, words in enumerate(("Yes", "Sure")):
        await house.writes(1, words)
        revision = (await house.call("GET", CONVERSATION)).body["conversation"]["revision"]
        answer = {"response": "Thanks", "revision": revision, "sender_id": 7}
        said = await house.call("POST", f"{CONVERSATION}/answers", answer)
        assert said.status == 202, said.body
        if said.body["state"] == "blocked":  # the same words within a day say nothing of the person again
            assert (n, said.body["code"]) == (1, 1001)
    tagged = await house.store.fetch("SELECT contact_id, tag_id FROM contact_tags")
    assert [tuple(row) for row in tagged] == [(1, tag["tag_id"])]
    fields = await house.store.fetch_value("SELECT fields ->> 'issue' FROM contacts WHERE contact_id = 1")
    assert fields == "taxes"
    media = await house.store.fetch_value(
        "SELECT media FROM messages WHERE script = 'Thanks' AND state <> 'blocked'"
    )
    assert media == picture
    uses = (await house.call("GET", f"{PATH}/{action['action_id']}/scripts:count")).body["uses"]
    assert uses == {"Thanks": 1, "initial-1": 1}


async def test_labels_that_the_campaign_does_not_have(house: House) -> None:
    action = await draft(house)
    path = f"{PATH}/{action['action_id']}/scripts"
    wrong = {"kind": "response", "source": "Hi", "tag_ids": [99], "fields": {"nothing": "x"}}
    refused = await house.call("POST", path, wrong)
    assert [each["field"] for each in refused.body["errors"]] == ["tag_ids", "fields.nothing"]


@pytest.mark.parametrize("everybody", [False, True])
async def test_a_check_says_what_is_wrong_and_what_it_costs(house: House, everybody: bool) -> None:
    """F006 to F008, F089, C3: for a sample, or for all."""
    await house.store.execute("UPDATE contacts SET first_name = 'Łukasz' WHERE contact_id = 3")
    asked = {
        "scripts": [
            {"kind": "initial", "name": "A", "source": STOP},
            {"kind": "initial", "name": "B", "source": "Hi {{fist_name}}"},
            {"kind": "response", "name": "C", "source": "Hi {% if %}"},
        ],
        "everybody": everybody,
    }
    checked = await house.call("POST", CHECK, asked)
    assert checked.status == 200, checked.body
    good, wrong, broken = checked.body["scripts"]
    assert (good["findings"], wrong["findings"][0]["rule"]) == ([], "missing-opt-out")
    assert (good["checked"]["people"], good["checked"]["looked_at"], good["checked"]["ucs2"]) == (10, 10, 1)
    assert good["checked"]["culprits"][0]["character"] == "Ł"
    assert good["checked"]["segments"] == {"min": 1, "typical": 1, "max": 1, "legacy": 1}
    assert good["checked"]["cost_cents"] == pytest.approx(10 * 1.23, abs=0.01)
    assert (broken["checked"], broken["findings"][0]["rule"]) == (None, "syntax")
    assert {each["encoding"] for each in good["texts"]} <= {"gsm7", "ucs2", "GSM-7", "UCS-2"}


async def test_a_preview_shows_real_people_their_texts(house: House) -> None:
    """F008."""
    action = await draft(house)
    path = f"{PATH}/{action['action_id']}/preview"
    shown = (await house.call("GET", f"{path}?people=2&seed=4")).body["texts"]
    assert [each["script"] for each in shown] == ["initial-1", "Thanks"] * 2
    assert shown[0]["text"] == "Hi Ann, will you vote? Reply STOP to unsubscribe."
    assert (await house.call("GET", f"{path}?people=2&seed=4")).body["texts"] == shown
    assert (await house.call("GET", f"{path}?people=99")).status == 422


async def test_a_test_text_to_ones_own_phone_skips_the_lock_alone(house: House) -> None:
    """F039, F146, C12: of a draft, as often as it is changed; what was opted out, or is the same text, stays blocked."""
    action = await draft(house)
    path = f"{PATH}/{action['action_id']}/test-texts"
    mine = {"script": "initial-1", "to": phone(1)}
    strangers = await house.call("POST", path, mine)
    assert (strangers.status, strangers.body["errors"][0]["field"]) == (422, "to")
    settings = {"settings": {"admin_phones": [phone(1), "+12155559999"]}}
    assert (await house.call("PATCH", f"/v1/campaigns/{CAMPAIGN}", settings)).status == 200
    for wrong in ({**mine, "script": "none"}, {**mine, "to": "+12155559999"}, {**mine, "to": "12"}):
        assert (await house.call("POST", path, wrong)).status == 422
    first = await house.call("POST", path, mine)
    assert first.status == 202, first.body
    assert first.body["state"] in UNDER_WAY
    other = await house.call("POST", path, {**mine, "script": "Thanks"})  # at once: no lock between them
    assert other.body["state"] in UNDER_WAY
    same = await house.call("POST", path, mine)
    assert (same.body["state"], same.body["code"], same.body["reason"]) == ("blocked", 1001, "identical_text")
    assert await house.store.fetch_value("SELECT count(*) FROM messages WHERE action_id IS NOT NULL") == 0
    await house.writes(1, "STOP")
    stopped = await house.call("POST", path, {**mine, "script": "Thanks"})
    assert (stopped.body["state"], stopped.body["code"]) == ("blocked", 1302)


async def test_a_fields_default_is_in_force_at_once(house: House) -> None:
    """F101: what is compiled of another catalogue is compiled anew."""
    field = await label(
        house, "fields", {"slug": "issue", "label": "Issue", "kind": "text", "default_value": "taxes"}
    )
    response = {"kind": "response", "source": "About {{issue}}"}
    action = await published(house, scripts=[INITIAL, response])
    await house.send(1, action_id=action["action_id"], sender_id=7, script="initial-1")
    await house.writes(1, "Why?")
    shown = (await house.call("GET", f"{CONVERSATION}/responses")).body["responses"]
    assert shown[0]["text"] == "About taxes"
    path = f"/v1/campaigns/{CAMPAIGN}/fields/{field['field_id']}"
    assert (await house.call("PATCH", path, {"default_value": "schools"})).status == 200
    shown = (await house.call("GET", f"{CONVERSATION}/responses")).body["responses"]
    assert shown[0]["text"] == "About schools"
