"""A volunteer's inbox is their own, a supervisor's everybody's; what isn't theirs is as if it were not there."""

from typing import Any

import pytest

from tests.http.house import CAMPAIGN, Answer, House, phone
from tests.http.persons import somebody
from tests.http.test_inbox import INBOX, bodies, ids, seen, texted, wrote


class Party:
    """Two volunteers, each with somebody who wrote, and a supervisor."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.tokens: dict[str, str] = {}
        self.ids: dict[str, int] = {}

    async def arrive(self, name: str, role: str = "volunteer") -> int:
        self.tokens[name], self.ids[name] = await somebody(self.house, role, f"{name}@example.org")
        return self.ids[name]

    async def call(self, who: str, method: str, path: str, body: Any = None) -> Answer:
        return await self.house.call(method, path, body, key=self.tokens[who])

    async def act(self, who: str, what: str, body: Any, contact_id: int) -> Answer:
        return await self.call(who, "POST", f"{INBOX}/{contact_id}/{what}", body)

    async def listed(self, who: str, query: str = "") -> list[int]:
        answer = await self.call(who, "GET", INBOX + query)
        assert answer.status == 200, answer.body
        return [each["contact_id"] for each in answer.body["conversations"]]


@pytest.fixture
async def party(house: House) -> Party:
    party = Party(house)
    ann, ben = await party.arrive("ann"), await party.arrive("ben")
    await party.arrive("sue", "supervisor")
    await texted(house, 1, volunteer_id=ann)
    for contact_id, volunteer_id in ((2, ben), (3, ann)):
        await house.send(contact_id, action_id=5, sender_id=volunteer_id)
    for contact_id in (1, 2, 3):
        await wrote(house, contact_id)
    return party


async def test_a_volunteer_has_their_own(party: Party) -> None:
    assert await party.listed("ann") == [3, 1]
    assert await party.listed("ben") == [2]
    assert await party.listed("sue") == [3, 2, 1]
    assert await party.listed("ann", f"?volunteer_id={party.ids['ben']}") == []
    assert await party.listed("sue", f"?volunteer_id={party.ids['ben']}") == [2]
    for who, count in (("ann", 2), ("ben", 1), ("sue", 3)):
        counts = await party.call(who, "GET", f"{INBOX}:count")
        assert (counts.body["all"], counts.body["unread"]) == (count, count)


async def test_a_volunteer_sees_no_phones(party: Party) -> None:
    """F024."""
    for who, shown in (("ann", None), ("sue", phone(1))):
        thread = await party.call(who, "GET", f"{INBOX}/1")
        assert thread.body["conversation"]["phone"] == shown
    assert phone(1) not in str((await party.call("ann", "GET", INBOX)).body)


async def test_what_is_anothers_is_not_there(party: Party) -> None:
    body = await seen(party.house, 1)
    nobodys = await party.call("ben", "GET", f"{INBOX}/9")
    anothers = await party.call("ben", "GET", f"{INBOX}/1")
    assert (anothers.status, anothers.body) == (404, {**nobodys.body, "detail": anothers.body["detail"]})
    assert anothers.body["detail"] == nobodys.body["detail"].replace("9", "1")
    for what, more in (
        ("answers", {"body": "x"}),
        ("read", {}),
        ("archive", {}),
        ("unarchive", {}),
        ("reports", {}),
        ("hand-over", {"volunteer_id": 1}),
    ):
        assert (await party.act("ben", what, {**body, **more}, 1)).status == 404
    assert (await party.act("ben", "opt-out", {}, 1)).status == 404
    assert (await party.call("ben", "GET", f"{INBOX}/1/responses")).status == 404
    assert await bodies(party.house, 1) == ["Hello", "Who is this?"]


async def test_an_answer_is_its_volunteers_whatever_it_says(party: Party) -> None:
    answer = await party.act(
        "ann", "answers", {**await seen(party.house, 1), "body": "Ann", "sender_id": 99}, 1
    )
    assert answer.status == 202
    [last] = (await party.house.call("GET", f"{INBOX}/1")).body["texts"][-1:]
    assert last["sender_id"] == party.ids["ann"]


async def test_after_a_hand_over_it_is_the_others_alone(party: Party) -> None:
    """With the thread's history; an answer under way from before is not sent."""
    before = await seen(party.house, 1)
    moved = await party.act("ann", "hand-over", {**before, "volunteer_id": party.ids["ben"]}, 1)
    assert (moved.status, moved.body["volunteer_id"]) == (200, party.ids["ben"])
    assert await party.listed("ann") == [3]
    assert await party.listed("ben") == [2, 1]
    assert (await party.act("ann", "answers", {**before, "body": "Late"}, 1)).status == 404
    thread = await party.call("ben", "GET", f"{INBOX}/1")
    assert [each["sender_id"] for each in thread.body["texts"]] == [party.ids["ann"], None]
    noted = await party.act("ben", "opt-out", {}, 1)
    assert noted.body["opted_out"]


async def test_a_person_hands_over_to_people_of_the_campaign_alone(party: Party) -> None:
    ben = party.ids["ben"]
    path = f"/v1/campaigns/{CAMPAIGN}/members/{ben}"
    assert (await party.house.call("PATCH", path, {"active": False})).status == 200
    for nobody in (ben, 999_999):
        body = {**await seen(party.house, 1), "volunteer_id": nobody}
        refused = await party.act("ann", "hand-over", body, 1)
        assert (refused.status, refused.body["errors"][0]["field"]) == (422, "volunteer_id")
    assert await party.listed("ann") == [3, 1]


async def test_a_supervisor_may_act_on_all_and_read_the_opt_outs(party: Party) -> None:
    archived = await party.act("sue", "archive", await seen(party.house, 2), 2)
    assert archived.status == 200
    assert await ids(party.house, "?filter=archived") == [2]
    path = f"/v1/campaigns/{CAMPAIGN}/opt-outs"
    assert (await party.call("sue", "GET", path)).status == 200
    for method, end, body in (
        ("GET", "", None),
        ("GET", ":count", None),
        ("POST", ":look-up", {"phone": phone(1)}),
    ):
        assert (await party.call("ann", method, path + end, body)).status == 404


@pytest.mark.parametrize("change", ["other words", "no such response", "somebody else's", "another action"])
async def test_a_repeated_response_is_the_first_answer_whatever_has_changed(
    party: Party, change: str
) -> None:
    """C23: a key stands for what was asked for, not for how that reads by now, or for whose the person is."""
    house, path = party.house, f"/v1/campaigns/{CAMPAIGN}/actions/5/scripts"
    body = {**await seen(house, 1), "response": "response-1"}

    async def pressed() -> Answer:
        headers = {"Idempotency-Key": "k1"}
        return await house.call("POST", f"{INBOX}/1/answers", body, key=party.tokens["ann"], headers=headers)

    first = await pressed()
    assert first.status == 202, first.body
    scripts = (await house.call("GET", path)).body["scripts"]
    one = next(f"{path}/{each['script_id']}" for each in scripts if each["name"] == "response-1")
    if change == "other words":
        script = {"kind": "response", "name": "response-1", "source": "Other words, {{first_name}}"}
        done = await house.call("PUT", one, script)
    elif change == "no such response":
        done = await house.call("DELETE", one)
    elif change == "somebody else's":
        to_ben = {**await seen(house, 1), "volunteer_id": party.ids["ben"]}
        done = await party.act("ann", "hand-over", to_ben, 1)
    else:
        await house.store.execute("UPDATE conversations SET action_id = NULL WHERE contact_id = 1")
        done = first
    assert done.status < 300, done.body
    again = await pressed()
    assert (again.status, again.body) == (202, first.body)
    assert await bodies(house) == ["Hello", "Who is this?", "Hi Ann, thanks!"]
    other = {**body, "response": "response-2"}
    headers = {"Idempotency-Key": "k1"}
    refused = await house.call("POST", f"{INBOX}/1/answers", other, key=party.tokens["ann"], headers=headers)
    assert refused.status == 422
