"""Who else is at a thread, and persons from whom a volunteer is kept (F126)."""

import pytest

from gateway.store import user_notices
from gateway.store.troubles import DatabaseGone
from tests.http.house import CAMPAIGN, House
from tests.http.test_inbox import ACTION, INBOX, act, seen, texted, wrote
from tests.http.test_reassignments import Staff
from tests.http.test_user_lists import NOTICES


async def a_staff(house: House) -> Staff:
    """Ann has texted 1 and 2, who wrote; Ben is a volunteer as well, Sue a supervisor, Dora an admin."""
    staff = Staff(house)
    ann = await staff.arrive("ann")
    await staff.arrive("ben")
    await staff.arrive("sue", "supervisor")
    await staff.arrive("dora", "admin")
    await texted(house, 1, 2, volunteer_id=ann)
    for contact_id in (1, 2):
        await wrote(house, contact_id)
    return staff


async def test_who_looks_at_a_thread_is_known_while_they_do(house: House) -> None:
    staff = await a_staff(house)

    async def look(who: str, contact_id: int = 1, *, here: bool = True) -> list[int]:
        answer = await act(house, "looking", {"here": here}, contact_id, key=staff.tokens[who])
        assert answer.status == 200, answer.body
        return [each["user_id"] for each in answer.body["others"]]

    ann, sue = staff.ids["ann"], staff.ids["sue"]
    assert await look("ann") == []
    assert await look("sue") == [ann]
    assert await look("ann") == [sue]
    assert await look("sue", 2) == [], "somebody looks at one thread at a time"
    assert await look("ann") == []
    assert await look("ann", here=False) == []
    assert await look("dora") == []
    await look("sue")
    await house.store.execute("UPDATE thread_viewers SET seen_at = seen_at - interval '46 seconds'")
    assert await look("dora") == []
    assert await house.count("thread_viewers") == 2, "a row a person"
    assert (await act(house, "looking", {}, 1, key=staff.tokens["ben"])).status == 404


async def test_abuse_goes_to_staff_and_never_back_to_who_reported_it(house: House) -> None:
    """F126."""
    staff = await a_staff(house)
    ann, dora = staff.ids["ann"], staff.ids["dora"]
    gone = await act(house, "abuse", {"words": "Threats"}, 1, key=staff.tokens["ann"])
    assert gone.status == 204
    assert (await staff.mine("ann"), await staff.threads_of("ann")) == ([2], [2])
    assert (await act(house, "abuse", {"words": "Again"}, 1, key=staff.tokens["ann"])).status == 404
    for who in ("sue", "dora"):
        [notice] = (await house.call("GET", NOTICES, key=staff.tokens[who])).body["notices"]
        assert (notice["kind"], notice["body"], notice["about"]["reported_by"]) == ("abuse", "Threats", ann)
    await wrote(house, 1, "You will hear from me")
    assert await staff.mine("ann") == [2]
    conversation = (await house.call("GET", f"{INBOX}/1")).body["conversation"]
    assert conversation["volunteer_id"] in (dora, staff.ids["sue"])
    back = await act(house, "hand-over", {**await seen(house, 1), "volunteer_id": ann}, 1)
    assert (back.status, back.body["errors"][0]["field"]) == (422, "volunteer_id")
    for to, contacts in ((ann, 0), (staff.ids["ben"], 0), (dora, 1)):
        moved = await staff.move(contact_ids=[1], to_user_id=to)
        assert (moved.body["contacts"], moved.body["left"]) == (contacts, 1 - contacts), to
    bank = house.worker.gateway.bank
    for who in ("ann", "ben"):
        offered = await bank.inbox(CAMPAIGN, ACTION, staff.ids[who], take_over_s=-3600.0)
        assert 1 not in [each.contact_id for each in offered]


async def test_whoever_was_reported_is_staffs_alone_in_the_next_action_too(house: House) -> None:
    """F126: also when the one of the staff who had them leaves."""
    staff = await a_staff(house)
    assert (await act(house, "abuse", {"words": "Threats"}, 1, key=staff.tokens["ann"])).status == 204
    here = f"/v1/campaigns/{CAMPAIGN}"
    script = {"kind": "initial", "source": "Once more, {{first_name}}. Reply STOP to opt out"}
    made = await house.call("POST", f"{here}/actions", {"title": "Next", "scripts": [script]})
    action = f"{here}/actions/{made.body['action_id']}"
    assert (await house.call("POST", f"{action}/publish", {})).status == 200

    async def on_screen(who: str) -> set[int]:
        bucket = await house.call("POST", f"{action}/buckets", {"size": 50}, key=staff.tokens[who])
        assert bucket.status == 200, bucket.body
        offered = {each["contact_id"] for each in bucket.body["rows"]}
        assert (await house.call("POST", f"{action}/buckets:done", {}, key=staff.tokens[who])).status == 200
        return offered

    has = (await house.call("GET", f"{INBOX}/1")).body["conversation"]["volunteer_id"]
    leaves, stays = ("dora", "sue") if has == staff.ids["dora"] else ("sue", "dora")
    await staff.arrive("adam", "admin")  # the last one can't leave
    for _ in range(2):
        assert (await on_screen("ann")) == (await on_screen("ben")) == set(range(2, 11))
        member = f"{here}/members/{staff.ids[leaves]}"
        assert (await house.call("PATCH", member, {"active": False})).status == 200
    assert 1 in await on_screen("adam") | await on_screen(stays)


async def test_staff_hand_it_over_to_staff_alone(house: House) -> None:
    """F126: as a reassignment, which gives it to no volunteer either."""
    staff = await a_staff(house)
    assert (await act(house, "abuse", {"words": "Threats"}, 1, key=staff.tokens["ann"])).status == 204
    to_ben = {**await seen(house, 1), "volunteer_id": staff.ids["ben"]}
    refused = await act(house, "hand-over", to_ben, 1, key=staff.tokens["dora"])
    assert (refused.status, refused.body["errors"][0]["field"]) == (422, "volunteer_id")
    assert await staff.threads_of("ben") == []
    for who in ("sue", "dora"):
        to = {**await seen(house, 1), "volunteer_id": staff.ids[who]}
        given = await act(house, "hand-over", to, 1, key=staff.tokens["dora"])
        assert (given.status, given.body["volunteer_id"]) == (200, staff.ids[who])


async def test_handing_back_gives_nobody_whom_they_have_reported(house: House) -> None:
    """F126: not even whoever made the action."""
    staff = await a_staff(house)
    await house.store.execute("UPDATE actions SET created_by = $1", staff.ids["dora"])
    to_dora = {**await seen(house, 1), "volunteer_id": staff.ids["dora"]}
    assert (await act(house, "hand-over", to_dora, 1)).status == 200
    assert (await act(house, "abuse", {"words": "Threats"}, 1, key=staff.tokens["dora"])).status == 204
    back = await act(house, "hand-back", await seen(house, 1), 1, key=staff.tokens["sue"])
    assert back.status == 422, back.body
    conversation = (await house.call("GET", f"{INBOX}/1")).body["conversation"]
    assert conversation["volunteer_id"] == staff.ids["sue"]


async def test_a_report_of_abuse_that_breaks_off_may_be_repeated(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F126: whoever reports loses the person and is heard, or neither."""
    staff = await a_staff(house)
    tell = user_notices.tell

    async def away(*_: object) -> None:
        monkeypatch.setattr(user_notices, "tell", tell)
        raise DatabaseGone("it left")

    monkeypatch.setattr(user_notices, "tell", away)
    assert (await act(house, "abuse", {"words": "Threats"}, 1, key=staff.tokens["ann"])).status == 503
    assert await staff.threads_of("ann") == [1, 2]
    assert (await act(house, "abuse", {"words": "Threats"}, 1, key=staff.tokens["ann"])).status == 204
    assert await staff.threads_of("ann") == [2]
    for who in ("sue", "dora"):
        notices = (await house.call("GET", NOTICES, key=staff.tokens[who])).body["notices"]
        assert [each["body"] for each in notices] == ["Threats"]


async def test_undoing_does_not_bring_them_back(house: House) -> None:
    staff = await a_staff(house)
    assert (await act(house, "abuse", {"words": "Threats"}, 1, key=staff.tokens["ann"])).status == 204
    path = f"/v1/campaigns/{CAMPAIGN}/reassignments"
    [row] = (await house.call("GET", path)).body["reassignments"]
    undone = await house.call("POST", f"{path}/{row['reassignment_id']}/undo")
    assert undone.body["undone"] == 0
    assert await staff.threads_of("ann") == [2]


async def test_without_staff_it_stays_and_is_said(house: House) -> None:
    staff = Staff(house)
    ann = await staff.arrive("ann")
    await texted(house, 1, volunteer_id=ann)
    assert (await act(house, "abuse", {"words": "x"}, 1, key=staff.tokens["ann"])).status == 409
    assert await staff.threads_of("ann") == [1]
    assert (await act(house, "abuse", {"words": "x"}, 1)).status == 404  # a key is nobody


async def test_an_erased_person_is_in_no_words_of_abuse(house: House) -> None:
    staff = await a_staff(house)
    assert (await act(house, "abuse", {"words": "Threats by Ann"}, 1, key=staff.tokens["ann"])).status == 204
    gone = await house.call("DELETE", f"/v1/campaigns/{CAMPAIGN}/contacts/1")
    assert gone.status < 300, gone.body
    kept = await house.store.fetch(
        "SELECT body FROM user_notices WHERE kind = 'abuse' UNION ALL SELECT words FROM abuse_reports"
    )
    assert {row[0] for row in kept} == {""}
