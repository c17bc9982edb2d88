"""One press, one person: buckets and sends at the door, pressed twice, lost, reloaded, on two devices, on changed scripts."""

import asyncio
from typing import Any

import pytest

from gateway.core.bank.permissions import Role
from gateway.p2p.bank import Scripts
from gateway.p2p.buckets import text_hash
from gateway.store import buckets
from tests.http.house import CAMPAIGN, OTHER_CAMPAIGN, START_AT, UNDER_WAY, Answer, House
from tests.http.persons import code_of, join, somebody

ACTION = 5
PATH = f"/v1/campaigns/{CAMPAIGN}/actions/{ACTION}"
SCRIPTS = Scripts(
    initials=("Hi {{first_name}}, it's {{user.first_name}}. Are you in? Reply STOP to opt out.",),
    responses=("Great!",),
)
TEXT = "Hi Ann, it's Ann. Are you in? Reply STOP to opt out."


class Phone:
    """A volunteer's screen."""

    def __init__(self, house: House, token: str, user_id: int) -> None:
        self.house = house
        self.token = token
        self.user_id = user_id

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.house.call(method, PATH + path, body, key=self.token, headers=sent)

    async def take(self, **wanted: Any) -> Any:
        answer = await self.call("POST", "/buckets", wanted)
        assert answer.status == 200, answer.body
        return answer.body

    async def mine(self) -> list[int]:
        answer = await self.call("GET", "/buckets/mine")
        assert answer.status == 200, answer.body
        return ids(answer.body)

    async def press(self, row: Any, **headers: str) -> Answer:
        return await self.call("POST", "/sends", pressed(row), **headers)


def ids(bucket: Any) -> list[int]:
    return [row["contact_id"] for row in bucket["rows"]]


def pressed(row: Any) -> dict[str, Any]:
    return {"contact_id": row["contact_id"], "variant": row["variant"], "hash": row["hash"]}


async def phone_of(house: House, name: str, role: str = "volunteer") -> Phone:
    return Phone(house, *await somebody(house, role, f"{name}@example.org"))


@pytest.fixture
async def ann(house: House) -> Phone:
    await house.worker.gateway.bank.publish(CAMPAIGN, ACTION, "Polls", SCRIPTS, seed=1)
    return await phone_of(house, "ann")


@pytest.fixture
async def ben(ann: Phone) -> Phone:
    return await phone_of(ann.house, "ben")


async def test_a_volunteer_joins_starts_and_sends(house: House, ann: Phone) -> None:
    """F208, F209, F210: from the code to a text that goes its way."""
    bucket = await ann.take(size=3)
    row = bucket["rows"][0]
    assert (row["text"], row["hash"], row["variant"]) == (TEXT, text_hash(TEXT), "initial-1")
    assert (row["segments"], row["encoding"], row["first_name"]) == (1, "GSM-7", "Ann")
    assert row["time_zones"] == ["America/New_York"]
    assert START_AT < row["until"] <= START_AT + 12 * 3600
    assert row["revision"] == 0
    sent = await ann.press(row, Idempotency_Key="one")
    assert (sent.status, sent.body["state"] in UNDER_WAY) == (202, True), sent.body
    assert sent.headers["Location"] == f"/v1/messages/{CAMPAIGN}/{sent.body['message_id']}"
    assert await house.count("messages") == 1
    text = await house.store.fetch_row("SELECT body, sender_id, script, kind FROM messages")
    assert tuple(text) == (TEXT, ann.user_id, "initial-1", "initial")


async def test_who_starts_and_is_done_counts_in_the_results(house: House, ann: Phone) -> None:
    """F153 to F155: by what they do, not by what a page remembers to say."""
    await ann.take(size=3)
    await ann.take(size=3)  # a reload
    assert await did(house) == [(True, False, 0)]
    await ann.call("POST", "/buckets:done", {})
    await ann.call("POST", "/buckets:done", {})
    assert await did(house) == [(True, True, 1)]


async def did(house: House) -> list[tuple[object, ...]]:
    """Of each volunteer: started, completed, how often."""
    rows = await house.store.fetch(
        "SELECT started_at IS NOT NULL, completed_at IS NOT NULL, performs FROM action_users"
    )
    return [tuple(row) for row in rows]


async def test_a_reload_shows_the_same_people_in_the_same_order(ann: Phone) -> None:
    bucket = await ann.take(size=6)
    assert await ann.mine() == ids(bucket)
    await ann.press(bucket["rows"][2])
    left = [*ids(bucket)[:2], *ids(bucket)[3:]]
    assert await ann.mine() == left
    assert ids(await ann.take(size=6)) == left
    assert (await ann.call("GET", "/buckets/mine")).body["rows"][0] == bucket["rows"][0]


async def test_start_pressed_twice_at_once_gives_one_bucket(house: House, ann: Phone) -> None:
    """C23: two devices of one volunteer have the same people."""
    both = await asyncio.gather(*(ann.take(size=3) for _ in range(4)))
    assert len({tuple(ids(each)) for each in both}) == 1
    assert await house.count("assignments WHERE volunteer_id IS NOT NULL") == 3


async def test_text_again_gives_the_next_bucket_and_its_repeat_the_same(ann: Phone) -> None:
    """F179: until the list ends."""
    first = await ann.take(size=4)
    for row in first["rows"]:
        assert (await ann.press(row)).status == 202
    second = await ann.take(size=4, after=first["bucket_id"])
    assert await ann.take(size=4, after=first["bucket_id"]) == second
    assert not {*ids(first)} & {*ids(second)}
    third = await ann.take(size=4, after=second["bucket_id"])
    assert len(third["rows"]) == 2
    none = await ann.take(size=4, after=third["bucket_id"])
    assert (none["bucket_id"], none["rows"]) == (None, [])
    assert none["left"] == {"free_now": 0, "free_later": 0, "opens_at": None, "held": 0, "nobody": True}


async def test_a_small_list_goes_to_one_volunteer_whole(ann: Phone, ben: Phone) -> None:
    """F182, F180: a bucket has a hundred people unless something else is asked for."""
    assert len((await ann.take())["rows"]) == 10
    left = (await ben.take())["left"]
    assert (left["free_now"], left["held"], left["nobody"]) == (0, 10, False)


async def test_all_who_find_nobody_at_once_share_a_count(
    ann: Phone, ben: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of a bank of 200,000 a count took seconds, and a thousand volunteers waited for each other's."""
    counts = 0
    really = buckets.standing

    async def counted(*where: Any, **how: Any) -> buckets.Standing:
        nonlocal counts
        counts += 1
        return await really(*where, **how)

    monkeypatch.setattr(buckets, "standing", counted)
    bucket = await ann.take()
    ask = ann.house.worker.gateway.buckets.left
    found = await asyncio.gather(*(ask(CAMPAIGN, ACTION, ben.user_id) for _ in range(40)))
    assert {each.held for each in found} == {10}
    assert counts == 2
    for row in bucket["rows"]:
        await ann.press(row)
    await ann.take(after=bucket["bucket_id"])
    assert await ann.house.count("buckets") == 0


async def test_whoever_stops_gives_the_rest_back(ann: Phone, ben: Phone) -> None:
    """F211: no obligation to finish, and no limit on a volunteer's total (F181)."""
    bucket = await ann.take(size=10)
    await ann.press(bucket["rows"][0])
    assert (await ben.call("GET", "/remaining")).body["held"] == 9
    some = {"contact_ids": ids(bucket)[1:4]}
    assert (await ann.call("POST", "/buckets:done", some)).body == {"given_back": 3}
    assert (await ann.call("POST", "/buckets:done", {})).body == {"given_back": 6}
    assert (await ann.call("POST", "/buckets:done", {})).body == {"given_back": 0}
    assert await ann.mine() == []
    assert sorted(ids(await ben.take())) == sorted(ids(bucket)[1:])
    late = await ann.press(bucket["rows"][1])
    assert (late.body["state"], late.body["code"]) == ("blocked", 1303)


async def test_outside_their_hours_people_are_left_for_later(house: House) -> None:
    """No remaining contacts only when there are none: else when the first window opens. It is 5 in the morning there."""
    await house.store.execute("UPDATE contacts SET hours_group = 'HI@Pacific/Honolulu' WHERE contact_id > 4")
    await house.worker.gateway.bank.publish(CAMPAIGN, ACTION, "Polls", SCRIPTS, seed=1)
    ann = await phone_of(house, "ann")
    first = await ann.take()
    assert len(first["rows"]) == 4
    none = await ann.take(after=first["bucket_id"])
    assert none["left"] == {
        "free_now": 0,
        "free_later": 6,
        "opens_at": START_AT + 4 * 3600,
        "held": 0,
        "nobody": False,
    }


async def test_kept_people_are_for_their_own_volunteer(house: House) -> None:
    """F184: to others there are no remaining contacts. F185: kept for whom the list says, or who texted them before."""
    ann, ben = await phone_of(house, "ann"), await phone_of(house, "ben")
    await house.send(1, action_id=4, sender_id=ann.user_id)
    await house.store.execute(
        "UPDATE contacts SET assignee_id = $1 WHERE contact_id IN (2, 3, 4)", ben.user_id
    )
    keep = {"settings": {"keep_assignments": True, "safeguards": {"lock_enabled": False}}}
    assert (await house.call("PATCH", f"/v1/campaigns/{CAMPAIGN}", keep)).status == 200
    await house.worker.gateway.bank.publish(CAMPAIGN, ACTION, "Polls", SCRIPTS, seed=1)
    anns = await ann.take()
    assert ids(anns)[0] == 1
    assert sorted(ids(anns)) == [1, *range(5, 11)]
    assert (await ann.call("GET", "/remaining")).body["nobody"]
    assert not (await ben.call("GET", "/remaining")).body["nobody"]
    bens = await ben.take()
    assert sorted(ids(bens)) == [2, 3, 4]
    assert (await ben.call("POST", "/buckets:done", {})).body == {"given_back": 3}
    assert (await ann.take(after=anns["bucket_id"]))["rows"] == []
    assert (await ann.press(bens["rows"][0])).body["code"] == 1303
    assert sorted(ids(await ben.take())) == [2, 3, 4]
    assert (await ann.press(anns["rows"][0])).body["state"] in UNDER_WAY


async def test_one_press_one_text(house: House, ann: Phone) -> None:
    """F060: a double press is 1304; after a lost answer the same key has the first one's outcome. F088."""
    row = (await ann.take(size=1))["rows"][0]
    first = await ann.press(row, Idempotency_Key="a")
    again = [await ann.press(row, Idempotency_Key="a") for _ in range(3)]
    assert [each.body for each in again] == [first.body] * 3
    double = await ann.press(row, Idempotency_Key="b")
    assert (double.body["state"], double.body["code"]) == ("blocked", 1304)
    assert (
        double.body["explanation"]
        == "This contact has already been texted. Please go on to the next contact."
    )
    assert await house.count("messages WHERE state <> 'blocked'") == 1


async def test_presses_of_two_devices_at_once_are_one_text(house: House, ann: Phone) -> None:
    row = (await ann.take(size=1))["rows"][0]
    answers = await asyncio.gather(*(ann.press(row, Idempotency_Key=f"k{n}") for n in range(5)))
    assert sorted(each.body.get("code", 0) for each in answers) == [0, 1304, 1304, 1304, 1304]


async def test_an_opt_out_between_claim_and_press_stops_the_text(house: House, ann: Phone) -> None:
    row = (await ann.take(size=1))["rows"][0]
    await house.writes(row["contact_id"], "STOP")
    stopped = await ann.press(row)
    assert (stopped.body["state"], stopped.body["code"]) == ("blocked", 1302)
    assert await ann.mine() == []


async def test_a_changed_script_is_shown_before_it_is_sent(house: House, ann: Phone) -> None:
    """409 with the new text, and nothing is sent; the old press's key is not used up."""
    row = (await ann.take(size=1))["rows"][0]
    path = f"/v1/campaigns/{CAMPAIGN}"
    wording = {"wording": {"sender_fallback": "us"}}
    await house.store.execute(
        "UPDATE scripts SET source = 'Hey {{first_name}}, still in? Reply STOP to end.'"
    )
    await house.store.execute("UPDATE campaigns SET actions_version = actions_version + 1")
    assert (await house.call("PATCH", path, {"settings": wording})).status == 200
    refused = await ann.press(row, Idempotency_Key="a")
    assert (refused.status, refused.body["type"]) == (409, "urn:textbank:script-changed")
    assert await house.count("messages") == 0
    changed = refused.body["row"]
    assert changed["text"] == "Hey Ann, still in? Reply STOP to end."
    assert (await ann.press(changed, Idempotency_Key="a")).body["state"] in UNDER_WAY
    assert (await ann.press(row, Idempotency_Key="a")).status == 422


async def test_a_repeat_after_the_script_changed_has_the_first_outcome(house: House, ann: Phone) -> None:
    row = (await ann.take(size=1))["rows"][0]
    first = await ann.press(row, Idempotency_Key="a")
    await house.store.execute("UPDATE scripts SET source = 'Another text'")
    await house.store.execute("UPDATE campaigns SET actions_version = actions_version + 1")
    await house.worker.gateway.campaigns.load()
    assert (await ann.press(row, Idempotency_Key="a")).body == first.body


async def test_what_another_has_is_not_assigned(house: House, ann: Phone, ben: Phone) -> None:
    """F059: 1303, whether another has the contact or nobody; one that the campaign has not is not there."""
    row = (await ann.take(size=9))["rows"][0]
    theirs = await ben.press(row)
    assert (theirs.status, theirs.body["code"]) == (202, 1303)
    assert (await ann.press(row)).body["state"] in UNDER_WAY
    [free] = {*range(1, 11)} - {*await ann.mine(), row["contact_id"]}
    nobodys = await ben.press({**row, "contact_id": free})
    assert nobodys.body["code"] == 1303
    assert (await ben.press({**row, "contact_id": 999})).status == 404


async def test_a_batch_is_one_outcome_a_row(house: House, ann: Phone) -> None:
    rows = (await ann.take(size=4))["rows"]
    presses = [{**pressed(row), "idempotency_key": f"k{n}"} for n, row in enumerate(rows)]
    presses[1]["hash"] = "0" * 16
    presses[2]["contact_id"] = 999
    for _ in range(2):  # the repeat of the whole has the same outcomes
        answer = await ann.call("POST", "/sends:batch", {"sends": presses})
        assert answer.status == 202, answer.body
        first, changed, absent, last = answer.body["results"]
        assert first["message_id"] < last["message_id"]
        assert changed["row"] == rows[1]
        assert absent["error"] == "there is no contact 999"
    assert await house.count("messages") == 2
    assert (await ann.call("POST", "/sends:batch", {"sends": presses[:1] * 21})).status == 422


async def test_outcomes_are_found_by_their_keys(house: House, ann: Phone, ben: Phone) -> None:
    """C23: of one's own keys alone, and of those that were used."""
    rows = (await ann.take(size=2))["rows"]
    sent = await ann.press(rows[0], Idempotency_Key="a")
    path = f"/v1/campaigns/{CAMPAIGN}/outcomes?key=a&key=b&key=a"
    found = await house.call("GET", path, key=ann.token)
    assert found.body == {"outcomes": [{"key": "a", **sent.body}]}
    assert (await house.call("GET", path, key=ben.token)).body == {"outcomes": []}
    assert (await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/outcomes", key=ann.token)).status == 422


async def test_a_key_texts_for_a_volunteer(house: House, ann: Phone) -> None:
    """By the id of one of its people with their name, by any other with the action's word for a sender."""
    _, stranger = await somebody(house, "volunteer", "other@example.org", OTHER_CAMPAIGN)
    for volunteer_id, name in (
        (ann.user_id, "Ann"),
        (stranger, "a volunteer"),
        (4_711, "a volunteer"),
    ):
        body = {"volunteer_id": volunteer_id, "size": 1}
        bucket = await house.call("POST", f"{PATH}/buckets", body, key=Role.KEY_SENDER)
        [row] = bucket.body["rows"]
        assert f"it's {name}." in row["text"]
        press = {**pressed(row), "volunteer_id": volunteer_id}
        assert (await house.call("POST", f"{PATH}/sends", press, key=Role.KEY_SENDER)).status == 202
    assert (await house.call("POST", f"{PATH}/buckets", {}, key=Role.KEY_SENDER)).status == 422
    assert (await ann.call("POST", "/buckets", {"volunteer_id": 4_711})).status == 422
    assert (await ann.call("POST", "/buckets", {"volunteer_id": ann.user_id})).status == 200


async def test_an_action_that_is_not_published_is_not_there(house: House, ann: Phone) -> None:
    for action_id in (6, 2**63):
        path = PATH.replace("/5", f"/{action_id}")
        for method, where, body in (("POST", "buckets", {}), ("GET", "remaining", None)):
            assert (await house.call(method, f"{path}/{where}", body, key=ann.token)).status == 404


async def test_an_action_is_for_its_audience(house: House, ann: Phone) -> None:
    """A private action is there for whom it was sent to; one that is over gives nobody any more."""
    await house.store.execute("UPDATE actions SET state = 'private'")
    assert (await ann.call("POST", "/buckets", {})).status == 404
    await house.store.execute(
        "INSERT INTO action_invitees (organisation_id, campaign_id, action_id, user_id, invited_at, invited_by)"
        " VALUES (1, $1, $2, $3, now(), 'test')",
        CAMPAIGN,
        ACTION,
        ann.user_id,
    )
    assert len((await ann.take(size=2))["rows"]) == 2
    await house.store.execute("UPDATE actions SET archived_at = now()")
    assert (await ann.call("POST", "/buckets", {})).status == 404
    assert len(await ann.mine()) == 2


async def test_a_bucket_of_each_size(house: House, ann: Phone) -> None:
    """C13: any from 1 to 500."""
    for size in (0, 501):
        assert (await ann.call("POST", "/buckets", {"size": size})).status == 422
    for size in (1, 500):
        assert (await ann.take(size=size, after=None))["rows"]


async def test_replies_come_to_whoever_texted(house: House, ann: Phone, ben: Phone) -> None:
    """F212, F187: the conversation is in the inbox of the volunteer who has the contact."""
    row = (await ann.take(size=1))["rows"][0]
    await ann.press(row)
    await house.writes(row["contact_id"], "Yes, I am!")
    inbox = f"/v1/campaigns/{CAMPAIGN}/conversations"
    mine = await house.call("GET", inbox, key=ann.token)
    assert [each["contact_id"] for each in mine.body["conversations"]] == [row["contact_id"]]
    assert (await house.call("GET", inbox, key=ben.token)).body["conversations"] == []


async def test_whoever_is_left_unanswered_changes_hands(house: House, ann: Phone, ben: Phone) -> None:
    """C22: after an hour; where assignments are kept they wait for their own volunteer (F184)."""
    rows = (await ann.take(size=2))["rows"]
    for row in rows:
        await ann.press(row)
        await house.writes(row["contact_id"], "When is it?")
    answer = await ann.call("POST", "/waiting", {"limit": 1})
    [first] = answer.body["waiting"]
    assert (first["contact_id"], first["text"]) == (rows[0]["contact_id"], "When is it?")
    assert (await ben.call("POST", "/waiting", {})).body["waiting"] == []
    await house.store.execute(
        "UPDATE conversations SET attention_at = attention_at - interval '61 minutes',"
        " offered_at = offered_at - interval '61 minutes'"
    )
    house.worker.gateway.bank.changed_hands(CAMPAIGN)  # what it remembers of the time before is no longer so
    path = f"/v1/campaigns/{CAMPAIGN}"
    keep = {"settings": {"keep_assignments": True}}
    assert (await house.call("PATCH", path, keep)).status == 200
    assert (await ben.call("POST", "/waiting", {})).body["waiting"] == []
    assert (await house.call("PATCH", path, {"settings": {"keep_assignments": False}})).status == 200
    house.worker.gateway.bank.changed_hands(CAMPAIGN)
    theirs = (await ben.call("POST", "/waiting", {})).body["waiting"]
    assert [each["contact_id"] for each in theirs] == [row["contact_id"] for row in rows]
    said = {"revision": theirs[0]["revision"], "response": "response-1"}
    to = f"{path}/conversations/{theirs[0]['contact_id']}/answers"
    assert (await house.call("POST", to, said, key=ann.token)).status == 404
    assert (await house.call("POST", to, said, key=ben.token)).body["state"] in UNDER_WAY


async def test_nobody_is_handed_people_of_an_action_that_is_not_for_them(
    house: House, ann: Phone, ben: Phone
) -> None:
    """Who was not sent a private action reads none of its threads, however long they wait."""
    [row] = (await ann.take(size=1))["rows"]
    await ann.press(row)
    await house.writes(row["contact_id"], "When is it?")
    await house.store.execute(
        "UPDATE conversations SET attention_at = attention_at - interval '61 minutes', offered_at = NULL"
    )
    await house.store.execute("UPDATE actions SET state = 'private'")
    house.worker.gateway.bank.changed_hands(CAMPAIGN)
    assert (await ben.call("POST", "/waiting", {})).body["waiting"] == []
    thread = f"/v1/campaigns/{CAMPAIGN}/conversations/{row['contact_id']}"
    assert (await house.call("GET", thread, key=ben.token)).status == 404
    [own] = (await ann.call("POST", "/waiting", {})).body["waiting"]
    assert own["contact_id"] == row["contact_id"]


async def test_a_code_lets_a_volunteer_in(house: House) -> None:
    """F208."""
    joined = await join(house, "cat@example.org")
    assert joined.status == 201
    assert len((await code_of(house))["code"]) == 6
