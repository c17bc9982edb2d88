"""Reports over the API: tags and fields of a person, in part and again, by whoever has the conversation (F130 to F139)."""

import asyncio
from typing import Any

import msgspec
import pytest

from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.errors import BadFields
from gateway.p2p.labels import Labels
from tests.http.house import CAMPAIGN, House
from tests.http.persons import somebody
from tests.http.test_inbox import (
    ACTION,
    INBOX,
    VOLUNTEER,
    act,
    bodies,
    ids,
    seen,
    talk,
    texted,
    thread,
    wrote,
)
from tests.http.test_labels import make_field, make_tag


async def form(house: House, contact_id: int = 1, **more: Any) -> dict[str, Any]:
    answer = await house.call("GET", f"{INBOX}/{contact_id}/report-form", **more)
    assert answer.status == 200, answer.body
    return answer.body


async def report(house: House, contact_id: int = 1, **said: Any) -> dict[str, Any]:
    filed = await act(house, "reports", {**await seen(house, contact_id), **said}, contact_id)
    assert filed.status == 200, filed.body
    return filed.body


async def history(house: House, contact_id: int = 1) -> list[dict[str, Any]]:
    return (await house.call("GET", f"{INBOX}/{contact_id}/reports")).body["reports"]


async def test_a_report_is_filed_in_parts_and_again(house: House) -> None:
    """F130, F131 and F132: after a text, and what it does not name stays as it is."""
    supporter, moved = [(await make_tag(house, name, by_default=True))["tag_id"] for name in ("Yes", "Moved")]
    await make_field(house, "ward", kind="choice", options=["First", "Second"], by_default=True)
    assert (await house.call("GET", f"{INBOX}/1/report-form")).status == 404
    assert (await act(house, "reports", {"revision": 0})).status == 404
    await texted(house, 1)
    opened = await form(house)
    assert [(each["label"], each["is_on"]) for each in opened["tags"]] == [("Yes", False), ("Moved", False)]
    assert (opened["fields"][0]["value"], opened["reported_at"]) == (None, None)
    assert opened["messaged_at"] is not None
    await report(house, tags=[supporter])
    await report(house, fields={"ward": "First"})
    await report(house, tags=[moved], removed_tags=[supporter])
    opened = await form(house)
    assert [each["is_on"] for each in opened["tags"]] == [False, True]
    assert (opened["fields"][0]["value"], opened["reported_at"] is None) == ("First", False)
    await report(house, fields={"ward": None})
    assert (await form(house))["fields"][0]["value"] is None
    filed = await history(house)
    assert [each["fields"] for each in filed] == [{"ward": None}, {}, {"ward": "First"}, {}]
    assert (filed[1]["tags"], filed[1]["removed_tags"], filed[1]["action_id"]) == (
        [moved],
        [supporter],
        ACTION,
    )


async def test_nothing_of_a_report_that_can_not_stand_is_kept(house: House) -> None:
    tag = await make_tag(house, "Yes")
    await make_field(house, "ward", kind="choice", options=["First"])
    await talk(house, 1)
    before = await seen(house)
    said = {"tags": [tag["tag_id"], 99], "fields": {"ward": "Third", "p2p_messaged_at": "now"}}
    refused = await act(house, "reports", {**before, **said})
    assert refused.status == 422
    assert [each["field"] for each in refused.body["errors"]] == [
        "tags[1]",
        "fields.ward",
        "fields.p2p_messaged_at",
    ]
    stale = await act(house, "reports", {"revision": before["revision"] - 1, "tags": [tag["tag_id"]]})
    assert stale.status == 409
    assert (await history(house), await house.count("contact_tags")) == ([], 0)
    assert await seen(house) == before


async def test_a_volunteer_reports_what_the_action_shows(house: House) -> None:
    """F133: the thread says that nothing was reported yet; F134, F135: the action's choice, or else the defaults."""
    token, ann = await somebody(house)
    chosen, default = await make_tag(house, "Chosen"), await make_tag(house, "Default", by_default=True)
    await make_field(house, "ward", by_default=True)
    await texted(house, 1, volunteer_id=ann)
    assert [each["label"] for each in (await form(house, key=token))["tags"]] == ["Default"]
    settings = msgspec.json.encode({"report": {"tag_ids": [chosen["tag_id"]], "field_ids": None}})
    await house.store.execute("UPDATE actions SET settings = $1::text::jsonb", settings.decode())
    opened = await form(house, key=token)
    assert [each["label"] for each in opened["tags"]] == ["Chosen"]
    assert [each["slug"] for each in opened["fields"]] == ["ward"]
    assert (await thread(house))["conversation"]["reported_at"] is None
    for tag, status in ((default, 422), (chosen, 200)):
        body = {**await seen(house), "tags": [tag["tag_id"]]}
        assert (await act(house, "reports", body, key=token)).status == status
    assert (await thread(house))["conversation"]["reported_at"] is not None
    assert [each["user_id"] for each in await history(house)] == [ann]


async def test_an_answer_and_its_tags_are_one_act(house: House) -> None:
    tag = (await make_tag(house, "Yes"))["tag_id"]
    await talk(house, 1)
    before = await seen(house)
    bad = await act(house, "answers", {**before, "body": "No", "tags": [99]})
    assert (bad.status, bad.body["errors"][0]["field"]) == (422, "tags[0]")
    body = {**before, "body": "Thanks", "tags": [tag]}
    keyed = {"Idempotency-Key": "one press"}
    for _ in range(2):
        assert (await act(house, "answers", body, headers=keyed)).status == 202
    assert (await act(house, "answers", body)).status == 409
    assert await bodies(house) == ["Hello", "Hi from 1", "Thanks"]
    assert await house.count("contact_tags") == 1
    assert [each["tags"] for each in await history(house)] == [[tag]]


async def test_a_response_tags_whoever_it_is_sent_to(house: House) -> None:
    """F112, F113 and F114: each time, and what whoever sends it says besides goes before; nothing of a blocked one."""
    yes, no = [(await make_tag(house, name))["tag_id"] for name in ("Yes", "No")]
    for slug in ("ward", "pet"):
        await make_field(house, slug)
    await talk(house, 1, 2)
    await house.store.execute(
        "UPDATE scripts SET tag_ids = $1, fields = $2::text::jsonb WHERE kind = 'response'",
        [yes, no],
        '{"ward": "First", "pet": "cat"}',
    )
    await house.store.execute("UPDATE actions SET version = version + 1")
    await house.store.execute("UPDATE campaigns SET actions_version = actions_version + 1")
    await house.worker.gateway.campaigns.load()
    [first, _] = (await house.call("GET", f"{INBOX}/1/responses")).body["responses"]
    assert (first["tag_ids"], first["fields"]["pet"]) == ([yes, no], "cat")
    answer = {"response": first["name"], "removed_tags": [no], "fields": {"pet": "dog"}}
    assert (await act(house, "answers", {**await seen(house), **answer})).status == 202
    [filed] = await history(house)
    assert (filed["tags"], filed["fields"]) == ([yes], {"ward": "First", "pet": "dog"})
    before = await seen(house, 2)
    assert (await act(house, "opt-out", {}, 2)).status == 200
    later = {**before, "revision": before["revision"] + 1, "response": first["name"]}
    assert (await act(house, "answers", later, 2)).body["state"] == "blocked"
    assert await history(house, 2) == []


async def test_who_chose_to_archive_archives_by_reporting(house: House) -> None:
    """F206."""
    token, ann = await somebody(house)
    await texted(house, 1, 2, volunteer_id=ann)
    for contact_id in (1, 2):
        await wrote(house, contact_id)
    mine = f"/v1/campaigns/{CAMPAIGN}/my-settings"
    changed = await house.call("PATCH", mine, {"archive_on_report": True}, key=token)
    assert (changed.status, changed.body["archive_on_report"]) == (200, True)
    assert (await form(house, 1, key=token))["archives"]
    assert (await act(house, "reports", await seen(house, 1), 1, key=token)).body["archived_at"]
    said = {**await seen(house, 2), "archive": False}
    assert (await act(house, "reports", said, 2, key=token)).body["archived_at"] is None
    assert await ids(house, "?filter=archived") == [1]
    assert (await house.call("GET", mine)).status == 404  # a key is nobody


@pytest.mark.parametrize("order", ["answers", "reports"])
async def test_with_the_setting_an_answer_and_a_report_close_together(house: House, order: str) -> None:
    """C9, F188: without it either does."""
    settings = CampaignSettings(require_report=True)
    path = f"/v1/campaigns/{CAMPAIGN}"
    assert (
        await house.call("PATCH", path, {"settings": msgspec.json.decode(settings.to_json())})
    ).status == 200
    await talk(house, 1)
    acts = ["answers", "reports"] if order == "answers" else ["reports", "answers"]
    for turn, what in enumerate(acts):
        body = {**await seen(house), **({"body": "Thanks"} if what == "answers" else {})}
        assert (await act(house, what, body)).status in (200, 202)
        assert await ids(house, "?filter=needs_attention") == ([1] if turn == 0 else [])
    await wrote(house, 1, "And now?")
    assert await ids(house, "?filter=needs_attention") == [1]


async def test_two_who_report_at_once_lose_nothing(house: House) -> None:
    """Of those who have seen the same, one files, and the others learn what it was."""
    tags = [(await make_tag(house, f"tag {number}"))["tag_id"] for number in range(6)]
    await talk(house, 1)
    before = await seen(house)
    filed = await asyncio.gather(*(act(house, "reports", {**before, "tags": [tag]}) for tag in tags))
    assert sorted(each.status for each in filed) == [200, *[409] * 5]
    assert await house.count("reports") == await house.count("contact_tags") == 1
    [won] = [tag for tag, each in zip(tags, filed, strict=True) if each.status == 200]
    assert (await history(house))[0]["tags"] == [won]


async def test_what_an_answer_or_a_list_says_of_a_contact_is_applied(house: House) -> None:
    tag = (await make_tag(house, "Yes"))["tag_id"]
    await make_field(house, "ward")
    gateway = house.worker.gateway
    labels = Labels(gateway.database, gateway.campaigns, gateway.clock)
    for _ in range(2):
        assert await labels.apply(CAMPAIGN, 1, [tag], {"ward": "First"}, VOLUNTEER)
    assert not await labels.apply(CAMPAIGN, 99, [tag])
    assert (
        await house.store.fetch_value("SELECT fields ->> 'ward' FROM contacts WHERE contact_id = 1")
        == "First"
    )
    assert await house.count("contact_tags") == 1
    with pytest.raises(BadFields):
        await labels.apply(CAMPAIGN, 1, [99])
