"""Workers over one database wake each other: what came to one goes out through the other at once."""

from tests.http.house import CAMPAIGN, House


async def test_what_one_admits_the_owner_sends_at_once(houses: tuple[House, House]) -> None:
    owner, other = houses
    for contact_id in (1, 2):
        assert (await other.send(contact_id)).status == 202
        assert (await owner.provider.next_text()).phone.endswith(str(100 + contact_id))
    assert other.provider.taken == []


async def test_a_campaign_that_nobody_can_read_says_so(houses: tuple[House, House]) -> None:
    owner, _ = houses
    await owner.store.execute(
        "UPDATE campaigns SET settings = '{\"hours\": 9}' WHERE campaign_id = $1", CAMPAIGN
    )
    await owner.worker.gateway.campaigns.load()
    answer = await owner.call("GET", f"/v1/campaigns/{CAMPAIGN}")
    assert answer.status == 503
    assert "can't be read" in answer.body["detail"]
    assert (await owner.send(1)).status == 503
    assert (await owner.call("POST", "/v1/campaigns", {"name": "New", "campaign_id": CAMPAIGN})).status == 409
