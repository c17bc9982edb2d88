"""The inbox over the API: what a person wrote is read, answered, archived, reported and handed over."""

import asyncio
from typing import Any

import pytest

from gateway.core.bank.permissions import Role
from gateway.core.rules.campaign import CampaignSettings
from gateway.p2p.bank import Scripts
from gateway.p2p.cursors import cursor_of
from tests.http.house import CAMPAIGN, OTHER_CAMPAIGN, UNDER_WAY, Answer, House, phone

INBOX = f"/v1/campaigns/{CAMPAIGN}/conversations"
ACTION, VOLUNTEER, SOMEBODY_ELSE = 5, 7, 8
RESPONSES = ("Hi {{first_name}}, thanks!", "Your polling place is on the map.")


async def texted(house: House, *contact_ids: int, volunteer_id: int = VOLUNTEER) -> None:
    """A volunteer's first texts in an action."""
    bank = house.worker.gateway.bank
    scripts = Scripts(initials=("Hello",), responses=RESPONSES)
    await bank.publish(CAMPAIGN, ACTION, "Polls", scripts, seed=1)
    for contact_id in contact_ids:
        sent = await house.send(contact_id, action_id=ACTION, sender_id=volunteer_id)
        assert sent.status == 202


async def wrote(house: House, contact_id: int, body: str = "Who is this?") -> None:
    assert (await house.writes(contact_id, body)).status < 300


async def talk(house: House, *contact_ids: int) -> None:
    """These were texted and answered."""
    await texted(house, *contact_ids)
    for contact_id in contact_ids:
        await wrote(house, contact_id, f"Hi from {contact_id}")


async def listed(house: House, query: str = "") -> list[dict[str, Any]]:
    answer = await house.call("GET", INBOX + query)
    assert answer.status == 200, answer.body
    return answer.body["conversations"]


async def ids(house: House, query: str = "") -> list[int]:
    return [each["contact_id"] for each in await listed(house, query)]


async def thread(house: House, contact_id: int = 1, query: str = "") -> dict[str, Any]:
    answer = await house.call("GET", f"{INBOX}/{contact_id}{query}")
    assert answer.status == 200, answer.body
    return answer.body


async def seen(house: House, contact_id: int = 1) -> dict[str, int]:
    """The revision, as it travels with an act."""
    return {"revision": (await thread(house, contact_id))["conversation"]["revision"]}


async def act(house: House, what: str, body: Any = None, contact_id: int = 1, **more: Any) -> Answer:
    return await house.call("POST", f"{INBOX}/{contact_id}/{what}", body, **more)


async def bodies(house: House, contact_id: int = 1) -> list[str]:
    return [each["body"] for each in (await thread(house, contact_id))["texts"]]


# ---------------------------------------------------------------- lists and counts


async def test_the_answer_to_a_text_can_be_read(house: House) -> None:
    """F204: with its activity."""
    await texted(house, 1, 2)
    assert await listed(house) == []
    await wrote(house, 1)
    [row] = await listed(house)
    assert (row["contact_id"], row["name"], row["phone"]) == (1, "Ann", phone(1))
    assert (row["activity"], row["volunteer_id"], row["unread"]) == ("Polls", VOLUNTEER, 1)
    assert (row["opted_out"], row["archived_at"]) == (False, None)
    assert row["attention_at"] == row["last_inbound_at"] == row["last"]["at"]
    assert (row["last"]["direction"], row["last"]["preview"]) == ("in", "Who is this?")
    assert row["time_zones"] == ["America/New_York"]


async def test_filters_and_their_counts(house: House) -> None:
    """F200, F201, F202; F203: one filter an action, beside those of states."""
    await talk(house, 1, 2, 3, 4)
    await act(house, "archive", await seen(house, 1), 1)
    await act(house, "read", await seen(house, 2), 2)
    await act(house, "reports", await seen(house, 3), 3)
    expected = {"all": [4, 3, 2], "unread": [4], "needs_attention": [4, 2], "archived": [1]}
    for each, contact_ids in expected.items():
        assert await ids(house, f"?filter={each}") == contact_ids
    counts = await house.call("GET", f"{INBOX}:count")
    assert counts.body == {each: len(contact_ids) for each, contact_ids in expected.items()}
    assert await ids(house, f"?volunteer_id={SOMEBODY_ELSE}") == []
    assert await ids(house, f"?volunteer_id={VOLUNTEER}&action_id={ACTION}") == [4, 3, 2]
    assert (await house.call("GET", f"{INBOX}:count?action_id=99")).body["all"] == 0


async def test_a_list_has_pages(house: House) -> None:
    await talk(house, *range(1, 8))
    found: list[int] = []
    cursor, pages = "", 0
    while cursor is not None:
        answer = await house.call("GET", f"{INBOX}?order=oldest&limit=3" + (cursor and f"&cursor={cursor}"))
        found += [each["contact_id"] for each in answer.body["conversations"]]
        cursor, pages = answer.body["next"], pages + 1
    assert (found, pages) == ([1, 2, 3, 4, 5, 6, 7], 3)


async def test_a_cursor_of_another_list_is_refused(house: House) -> None:
    await talk(house, 1, 2)
    cursor = (await house.call("GET", f"{INBOX}?limit=1")).body["next"]
    other = await house.call("GET", f"{INBOX}?limit=1&filter=unread&cursor={cursor}")
    assert (other.status, other.body["errors"][0]["field"]) == (422, "cursor")
    for word in ("x", "AAAA", "%F0%9F%98%80", cursor + "x"):
        assert (await house.call("GET", f"{INBOX}?cursor={word}")).status == 422
    assert (await house.call("GET", f"{INBOX}/1?cursor={cursor}")).status == 422


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (INBOX, ("all", "newest", 1e300, 1)),
        (INBOX, ("all", "newest", float("nan"), 1)),
        (INBOX, ("all", "newest", float("-inf"), 1)),
        (INBOX, ("all", "newest", 1.0, 2**63)),
        (INBOX, ("all", "newest", 1.0, -1)),
        (f"{INBOX}/1", (1, 1e300, True, 1)),
        (f"{INBOX}/1", (1, 1.0, True, 2**64 - 1)),
        (f"/v1/campaigns/{CAMPAIGN}/opt-outs", ("+1\x00",)),
        (f"/v1/campaigns/{CAMPAIGN}/opt-outs", (7,)),
    ],
)
async def test_a_cursor_that_somebody_made_up_is_refused(house: House, path: str, place: tuple) -> None:
    await talk(house, 1)
    answer = await house.call("GET", f"{path}?cursor={cursor_of(place)}")
    assert (answer.status, answer.body["errors"][0]["field"]) == (422, "cursor")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=many", "limit"),
        ("filter=everything", "filter"),
        ("order=random", "order"),
        ("volunteer_id=0", "volunteer_id"),
        ("action_id=99999999999999999999", "action_id"),
        ("filtre=all", "filtre"),
    ],
)
async def test_a_bad_query_is_told_by_its_field(house: House, query: str, field: str) -> None:
    answer = await house.call("GET", f"{INBOX}?{query}")
    assert answer.status == 422
    assert field in answer.body["detail"]


# ---------------------------------------------------------------- a thread


async def test_a_thread_tells_states_in_words_and_the_cure(house: House) -> None:
    await talk(house, 1)
    [first] = house.provider.taken
    await house.says(first, "undelivered", 30003)
    assert (await house.call("POST", f"{INBOX}/1/answers", {**await seen(house), "body": " "})).body["state"]
    found = await thread(house)
    texts = found["texts"]
    assert [each["direction"] for each in texts] == ["out", "in", "out"]
    assert (texts[0]["state"], texts[0]["words"], texts[0]["code"]) == ("undelivered", "not delivered", 30003)
    assert texts[0]["explanation"]
    assert texts[0]["cure"]
    assert (texts[0]["sender_id"], texts[1]["words"]) == (VOLUNTEER, "received")
    assert (texts[2]["state"], texts[2]["words"]) == ("blocked", "blocked")
    assert texts[2]["cure"]


async def test_a_text_that_may_be_an_opt_out_is_marked(house: House) -> None:
    await texted(house, 1)
    await wrote(house, 1, "please take me off your list")
    found = await thread(house)
    assert found["texts"][1]["suggests_opt_out"]
    assert (await listed(house))[0]["last"]["suggests_opt_out"]
    assert not found["conversation"]["opted_out"]


async def test_a_thread_is_read_backwards(house: House) -> None:
    await texted(house, 1)
    for number in range(6):
        await wrote(house, 1, f"line {number}")
    whole = [each["body"] for each in (await thread(house))["texts"]]
    assert whole == ["Hello", *(f"line {number}" for number in range(6))]
    found: list[str] = []
    earlier = ""
    while earlier is not None:
        page = await thread(house, 1, "?limit=3" + (earlier and f"&cursor={earlier}"))
        found = [each["body"] for each in page["texts"]] + found
        earlier = page["earlier"]
    assert found == whole


async def test_reading_is_an_act_and_leaves_what_came_meanwhile(house: House) -> None:
    await talk(house, 1)
    before = await seen(house)
    assert (await thread(house))["conversation"]["unread"] == 1, "a look reads nothing"
    await wrote(house, 1, "Hello?")
    assert (await act(house, "read", before)).body["unread"] == 2
    now = await act(house, "read", await seen(house))
    assert (now.body["unread"], now.body["revision"]) == (0, before["revision"] + 1)


# ---------------------------------------------------------------- answers


async def test_an_answer_goes_and_closes_what_waited(house: House) -> None:
    await talk(house, 1)
    answer = await act(house, "answers", {**await seen(house), "body": "A neighbour", "sender_id": 8})
    assert (answer.status, answer.body["state"] in UNDER_WAY) == (202, True)
    assert answer.headers["Location"] == f"/v1/messages/{CAMPAIGN}/{answer.body['message_id']}"
    conversation = (await thread(house))["conversation"]
    assert (conversation["attention_at"], conversation["unread"], conversation["volunteer_id"]) == (
        None,
        0,
        8,
    )
    assert await bodies(house) == ["Hello", "Hi from 1", "A neighbour"]


async def test_a_response_is_sent_by_its_name(house: House) -> None:
    """F111."""
    await talk(house, 1)
    offered = await house.call("GET", f"{INBOX}/1/responses")
    assert [(each["name"], each["text"]) for each in offered.body["responses"]] == [
        ("response-1", "Hi Ann, thanks!"),
        ("response-2", RESPONSES[1]),
    ]
    answer = await act(house, "answers", {**await seen(house), "response": "response-1"})
    assert answer.status == 202
    [last] = (await thread(house))["texts"][-1:]
    assert (last["body"], last["script"], last["kind"]) == ("Hi Ann, thanks!", "response-1", "reply")
    unknown = await act(house, "answers", {**await seen(house), "response": "response-9"})
    assert (unknown.status, "response-2" in unknown.body["detail"]) == (422, True)


async def test_where_own_words_are_not_allowed_a_response_is(house: House) -> None:
    """F119: the switch is the campaign's, and holds for everybody. F213."""
    await talk(house, 1)
    settings = CampaignSettings(custom_replies=False)
    changed = await house.call("PATCH", f"/v1/campaigns/{CAMPAIGN}", {"settings": settings})
    assert changed.status == 200
    own = await act(house, "answers", {**await seen(house), "body": "My own words"})
    assert (own.status, own.body["errors"][0]["field"]) == (422, "body")
    assert (await act(house, "answers", {**await seen(house), "response": "response-2"})).status == 202


async def test_an_answer_after_hours_says_so_with_its_code_and_cure(house: House) -> None:
    """F034: never "check your connection"; the code, and what it means for this person now (C18)."""
    await talk(house, 1)
    shut = {"hours": {"start_minute": 540, "end_minute": 600}}
    assert (await house.call("PATCH", f"/v1/campaigns/{CAMPAIGN}", {"settings": shut})).status == 200
    told = (await act(house, "answers", {**await seen(house), "body": "See you there"})).body
    assert (told["state"], told["code"], told["reason"]) == ("blocked", 1202, "campaign_hours")
    assert "texting" in told["explanation"].lower()


@pytest.mark.parametrize("words", ["What?", "STOP"])
async def test_an_answer_to_what_has_changed_brings_the_new_texts(house: House, words: str) -> None:
    await talk(house, 1)
    before = await seen(house)
    await wrote(house, 1, words)
    answer = await act(house, "answers", {**before, "body": "Yes"})
    assert (answer.status, answer.headers["Content-Type"]) == (409, "application/problem+json")
    told = answer.body["thread"]
    assert [each["body"] for each in told["texts"]] == ["Hello", "Hi from 1", words]
    assert told["conversation"]["opted_out"] == (words == "STOP")
    again = await act(house, "answers", {"revision": told["conversation"]["revision"], "body": "Yes"})
    assert (again.status, again.body.get("code")) == (202, 1302 if words == "STOP" else None)


async def test_a_repeated_answer_is_one(house: House) -> None:
    await talk(house, 1)
    body = {**await seen(house), "body": "Yes"}
    key = {"Idempotency-Key": "k1"}
    first = await act(house, "answers", body, headers=key)
    await wrote(house, 1, "Thanks")
    again = await act(house, "answers", body, headers=key)
    assert (again.status, again.body) == (202, first.body)
    other = await act(house, "answers", {**body, "body": "No"}, headers=key)
    assert other.status == 422
    assert await bodies(house) == ["Hello", "Hi from 1", "Yes", "Thanks"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"revision": 2}, "body"),
        ({"revision": 2, "body": "a", "response": "response-1"}, "body"),
        ({"body": "Yes"}, "revision"),
        ({"revision": -1, "body": "Yes"}, "revision"),
        ({"revision": 2, "body": ""}, "body"),
        ({"revision": 2, "body": "x" * 1601}, "body"),
        ({"revision": 2, "body": "Yes", "sender": 7}, "sender"),
    ],
)
async def test_a_bad_answer_is_told_by_its_field(house: House, body: dict[str, Any], field: str) -> None:
    await talk(house, 1)
    answer = await act(house, "answers", body)
    assert answer.status == 422
    assert field in answer.body["detail"]
    assert await bodies(house) == ["Hello", "Hi from 1"]


# ---------------------------------------------------------------- archive, report, opt-out, hand-over


async def test_a_reply_brings_an_archived_conversation_back(house: House) -> None:
    await talk(house, 1)
    archived = await act(house, "archive", await seen(house))
    assert archived.body["archived_at"] is not None
    assert await ids(house) == []
    await wrote(house, 1, "Wait")
    for each in ("all", "unread", "needs_attention"):
        assert await ids(house, f"?filter={each}") == [1]
    await act(house, "archive", await seen(house))
    assert (await act(house, "unarchive")).body["archived_at"] is None
    assert await ids(house) == [1]


async def test_what_has_changed_is_neither_archived_nor_reported_nor_handed_over(house: House) -> None:
    await talk(house, 1)
    before = await seen(house)
    await wrote(house, 1, "One more thing")
    for what, more in (("archive", {}), ("reports", {}), ("hand-over", {"volunteer_id": SOMEBODY_ELSE})):
        answer = await act(house, what, {**before, **more})
        assert answer.status == 409
        assert answer.body["thread"]["texts"][-1]["body"] == "One more thing"
    [row] = await listed(house, "?filter=needs_attention")
    assert (row["unread"], row["volunteer_id"]) == (2, VOLUNTEER)


async def test_a_report_may_archive(house: House) -> None:
    await talk(house, 1, 2)
    reported = await act(house, "reports", {**await seen(house, 1), "archive": True}, 1)
    assert (reported.body["attention_at"], reported.body["archived_at"] is None) == (None, False)
    await act(house, "reports", await seen(house, 2), 2)
    assert await ids(house) == [2]
    assert await ids(house, "?filter=needs_attention") == []


async def test_an_opt_out_by_hand_holds_at_its_answer(house: House) -> None:
    """F123."""
    await talk(house, 1)
    noted = await act(house, "opt-out", {"noted_by": VOLUNTEER})
    assert (noted.status, noted.body["opted_out"], noted.body["attention_at"]) == (200, True, None)
    sent = await house.send(1, "One more", kind="reply")
    assert sent.body["code"] == 1302
    found = await house.call(
        "POST", f"/v1/campaigns/{CAMPAIGN}/opt-outs:look-up", {"phone": "(215) 555-0101"}
    )
    assert (found.body["opt_out"]["source"], found.body["opt_out"]["noted_by"]) == ("manual", VOLUNTEER)
    again = await act(house, "opt-out", {})
    assert (again.status, again.body["opted_out"]) == (200, True)


async def test_a_conversation_is_handed_over(house: House) -> None:
    await talk(house, 1)
    moved = await act(house, "hand-over", {**await seen(house), "volunteer_id": SOMEBODY_ELSE})
    assert (moved.status, moved.body["volunteer_id"]) == (200, SOMEBODY_ELSE)
    assert await ids(house, f"?volunteer_id={SOMEBODY_ELSE}") == [1]
    assert await ids(house, f"?volunteer_id={VOLUNTEER}") == []
    shown = await house.worker.gateway.bank.inbox(CAMPAIGN, ACTION, SOMEBODY_ELSE, take_over_s=600.0)
    assert [each.contact_id for each in shown] == [1]


# ---------------------------------------------------------------- opt-outs


async def test_the_list_of_opt_outs_and_its_two_counters(house: House) -> None:
    """F127 (C11)."""
    await talk(house, 1, 2, 3)
    await wrote(house, 1, "STOP")
    await wrote(house, 2, "Stop")
    await act(house, "opt-out", {}, 3)
    path = f"/v1/campaigns/{CAMPAIGN}/opt-outs"
    counts = await house.call("GET", f"{path}:count")
    assert counts.body == {"automatic": 2, "manual": 1, "provider": 0, "imported": 0, "erased": 0}
    first = await house.call("GET", f"{path}?limit=2")
    assert [each["words"] for each in first.body["opt_outs"]] == ["STOP", "Stop"]
    rest = await house.call("GET", f"{path}?limit=2&cursor={first.body['next']}")
    assert [each["phone"] for each in rest.body["opt_outs"]] == [phone(3)]
    assert rest.body["next"] is None
    manual = await house.call("GET", f"{path}?source=manual")
    assert [each["contact_id"] for each in manual.body["opt_outs"]] == [3]
    assert (await house.call("GET", f"{path}?source=rumour")).status == 422
    nobody = await house.call("POST", f"{path}:look-up", {"phone": phone(9)})
    assert (nobody.status, nobody.body) == (200, {"opt_out": None})
    bad = await house.call("POST", f"{path}:look-up", {"phone": "12"})
    assert (bad.status, bad.body["errors"][0]["field"]) == (422, "phone")


# ---------------------------------------------------------------- who may


async def test_another_campaign_and_a_stranger_are_not_there(house: House) -> None:
    await talk(house, 1)
    elsewhere = await house.key(Role.KEY_ADMIN, OTHER_CAMPAIGN)
    for path in ("", ":count", "/1", "/1/responses"):
        assert (await house.call("GET", INBOX + path, key=elsewhere)).status == 404
        assert (await house.call("GET", INBOX + path, key=None)).status == 401
    body = await seen(house)
    for what, more in (
        ("answers", {"body": "x"}),
        ("read", {}),
        ("archive", {}),
        ("reports", {}),
        ("hand-over", {"volunteer_id": 1}),
    ):
        assert (await act(house, what, {**body, **more}, key=elsewhere)).status == 404
        assert (await act(house, what, {**body, **more}, 99)).status == 404
        assert (await act(house, what, {**body, **more}, key=Role.KEY_READER)).status == 403
    assert (await house.call("GET", f"{INBOX}/99999999999999999999")).status == 404
    assert await bodies(house) == ["Hello", "Hi from 1"]


# ---------------------------------------------------------------- at once


@pytest.mark.parametrize("turn", range(5))
async def test_two_volunteers_who_answer_one_thread_are_one(house: House, turn: int) -> None:
    await talk(house, 1)
    before = await seen(house)
    both = await asyncio.gather(
        *(
            act(house, "answers", {**before, "body": f"It is {who}", "sender_id": who})
            for who in (VOLUNTEER, SOMEBODY_ELSE)
        )
    )
    assert sorted(each.status for each in both) == [202, 409]
    [late] = [each for each in both if each.status == 409]
    assert len(await bodies(house)) == 3
    assert [each["body"] for each in late.body["thread"]["texts"]] == await bodies(house)


@pytest.mark.parametrize("turn", range(5))
async def test_an_opt_out_during_an_answer(house: House, turn: int) -> None:
    """Whichever comes first: nothing is handed over after the opt-out's answer went out."""
    await talk(house, 1)
    before = await seen(house)

    def handed() -> int:
        return sum(text.phone == phone(1) for text in house.provider.taken)

    async def stop() -> int:
        assert (await house.writes(1, "STOP")).status < 300
        return handed()

    answer, handed_by_then = await asyncio.gather(act(house, "answers", {**before, "body": "Yes"}), stop())
    assert answer.status in (202, 409)
    await house.send(2)
    while (await house.provider.next_text()).phone != phone(2):
        pass
    assert handed() == handed_by_then
    states = [each["state"] for each in (await thread(house))["texts"] if each["direction"] == "out"]
    assert len(states) == (2 if answer.status == 202 else 1)
    assert (await thread(house))["conversation"]["opted_out"]


@pytest.mark.parametrize("turn", range(5))
async def test_a_reply_during_an_archive_is_never_hidden(house: House, turn: int) -> None:
    await talk(house, 1)
    before = await seen(house)
    archived, _ = await asyncio.gather(act(house, "archive", before), house.writes(1, "Wait"))
    assert archived.status in (200, 409)
    [row] = await listed(house, "?filter=needs_attention")
    assert (row["archived_at"], row["last"]["preview"]) == (None, "Wait")
