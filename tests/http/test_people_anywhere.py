"""Paths that name no campaign, for people: their own campaigns, and nobody else's."""

from tests.http.house import CAMPAIGN, OTHER_CAMPAIGN, House
from tests.http.persons import somebody


def message(campaign_id: int, **more: object) -> dict[str, object]:
    return {"campaign_id": campaign_id, "contact_id": 1, "body": "Hello", **more}


async def test_a_person_lists_their_own_campaigns(house: House) -> None:
    token, _ = await somebody(house)
    listed = await house.call("GET", "/v1/campaigns", key=token)
    assert (listed.status, [each["campaign_id"] for each in listed.body["campaigns"]]) == (200, [CAMPAIGN])
    assert (await house.call("POST", "/v1/campaigns", {"name": "Mine"}, key=token)).status == 403


async def test_who_sends_for_all_sends_in_their_own_name_and_campaign(house: House) -> None:
    token, user_id = await somebody(house, "supervisor")
    sent = await house.call("POST", "/v1/messages", message(CAMPAIGN, sender_id=999), key=token)
    assert (sent.status, sent.body["state"] != "blocked") == (202, True)
    assert await house.store.fetch_value("SELECT sender_id FROM messages") == user_id
    batch = {"campaign_id": CAMPAIGN, "messages": [{"contact_id": 2, "body": "Hello", "sender_id": 999}]}
    assert (await house.call("POST", "/v1/messages:batch", batch, key=token)).status == 202
    rows = await house.store.fetch("SELECT DISTINCT sender_id FROM messages")
    assert [row[0] for row in rows] == [user_id]
    anothers = await house.call("POST", "/v1/messages", message(OTHER_CAMPAIGN), key=token)
    nobodys = await house.call("POST", "/v1/messages", message(77), key=token)
    assert (anothers.status, nobodys.status) == (404, 404)


async def test_a_volunteer_sends_from_a_bucket_and_not_here(house: House) -> None:
    token, _ = await somebody(house)
    assert (await house.call("POST", "/v1/messages", message(CAMPAIGN), key=token)).status == 403
    assert await house.count("messages") == 0


async def test_a_campaign_that_wants_a_second_factor_is_not_among_them(house: House) -> None:
    token, _ = await somebody(house, "admin")
    wanted = {"settings": {"admins_need_second_factor": True}}
    await house.call("PATCH", f"/v1/campaigns/{CAMPAIGN}", wanted)
    assert (await house.call("GET", "/v1/campaigns", key=token)).body["campaigns"] == []
    assert (await house.call("POST", "/v1/messages", message(CAMPAIGN), key=token)).status == 404
