"""What comes to an end while people are at work: an action, a person's hours, a volunteer's place."""

import asyncio

from tests.http.house import CAMPAIGN, House, phone
from tests.http.persons import somebody
from tests.http.signing_provider import PATIENCE_S
from tests.http.test_actions import PATH, published
from tests.http.test_buckets import pressed

CONTACTS = f"/v1/campaigns/{CAMPAIGN}/contacts"
NOTICES = f"/v1/campaigns/{CAMPAIGN}/my-notices"


async def test_an_archived_action_is_texted_by_no_screen(house: House) -> None:
    """Whoever still has its bucket is told why; what was answered before stays answered, and goes out."""
    action = await published(house)
    path = f"{PATH}/{action['action_id']}"
    token, _ = await somebody(house)
    rows = (await house.call("POST", f"{path}/buckets", {}, key=token)).body["rows"]
    word = {"Idempotency-Key": "first"}
    sent = await house.call("POST", f"{path}/sends", pressed(rows[0]), key=token, headers=word)
    assert sent.status == 202, sent.body
    assert (await house.call("PATCH", path, {"archived": True})).status == 200
    late = await house.call("POST", f"{path}/sends", pressed(rows[1]), key=token)
    assert (late.status, "archived" in late.body["detail"]) == (409, True)
    batch = {"sends": [{**pressed(rows[1]), "idempotency_key": "second"}]}
    [told] = (await house.call("POST", f"{path}/sends:batch", batch, key=token)).body["results"]
    assert "archived" in told["error"]
    again = await house.call("POST", f"{path}/sends", pressed(rows[0]), key=token, headers=word)
    assert (again.status, again.body["message_id"]) == (202, sent.body["message_id"])
    assert await house.count("messages") == 1
    assert (await house.provider.next_text()).message_id == sent.body["message_id"]


async def test_what_waits_takes_over_its_persons_narrower_hours(house: House) -> None:
    """Of a contact who turns out to live in Hawaii, where it is five in the morning; the other's goes."""
    gap = house.worker.gateway.dispatch.inbound_gap
    await house.writes(3, "Hi")
    gap.watch()
    gap.open("nothing goes out for a while")
    waiting = [await house.send(1), await house.send(2), await house.send(3, kind="reply")]
    assert {each.body["state"] for each in waiting} == {"queued"}
    for contact_id in (1, 3):
        change = {"version": 1, "zip": "96813", "state": "HI"}
        assert (await house.call("PATCH", f"{CONTACTS}/{contact_id}", change)).status == 200
    gap.close(gap.request())
    assert (await house.provider.next_text()).phone == phone(2)
    async with asyncio.timeout(PATIENCE_S):
        while "queued" in await house.states():  # each question is a round trip
            pass
    rows = await house.store.fetch("SELECT contact_id, code, reason FROM messages ORDER BY contact_id")
    assert [tuple(row) for row in rows] == [
        (1, 1202, "expired_in_queue"),
        (2, None, None),
        (3, 1202, "expired_in_queue"),
    ]


async def test_nobody_waits_for_somebody_who_has_no_place_any_more(house: House) -> None:
    """F184: whom a list or an earlier talk had given them is anybody's, in this action and in those to come."""
    ann, ann_id = await somebody(house, email="ann@example.org")
    ben, _ = await somebody(house, email="ben@example.org")
    await house.store.execute("UPDATE contacts SET assignee_id = $1 WHERE contact_id <= 4", ann_id)
    action = await published(house, settings={"keep_assignments": True})
    path = f"{PATH}/{action['action_id']}"
    before = (await house.call("POST", f"{path}/buckets", {}, key=ben)).body["rows"]
    assert sorted(each["contact_id"] for each in before) == [5, 6, 7, 8, 9, 10]
    gone = await house.call("PATCH", f"/v1/campaigns/{CAMPAIGN}/members/{ann_id}", {"active": False})
    assert gone.status == 200, gone.body
    assert (await house.call("POST", f"{path}/buckets", {}, key=ann)).status == 401
    bucket_id = (await house.call("GET", f"{path}/buckets/mine", key=ben)).body["bucket_id"]
    more = (await house.call("POST", f"{path}/buckets", {"after": bucket_id}, key=ben)).body["rows"]
    assert sorted(each["contact_id"] for each in more) == [1, 2, 3, 4]
    await house.store.execute(
        "INSERT INTO conversations (organisation_id, campaign_id, contact_id, volunteer_id) VALUES (1, 1, 9, $1)",
        ann_id,
    )
    later = await published(house, title="Later", settings={"keep_assignments": True})
    kept = "SELECT count(*) FROM assignments WHERE action_id = $1 AND kept_for IS NOT NULL"
    assert await house.store.fetch_value(kept, later["action_id"]) == 0
