"""Organisations over HTTP: opt-outs reach as far as their scope, and nothing crosses from one to another."""

import pytest

from tests.http.house import House, inbound_form, phone

OPTED_OUT = 1302
AT_ONCE = {"pool": {"settle_s": 0}}  # a bought number is known to the carriers
OURS = ("+14125550111", "+14125550112")


async def a_campaign(house: House, number: str, **more: object) -> tuple[int, int]:
    """A campaign with one person (phone(1)), who has had a text from `number`: campaign id, contact id."""
    house.provider.on_sale.append(number)
    made = await house.call("POST", "/v1/campaigns", {"name": "Bank", "settings": AT_ONCE, **more})
    assert made.status == 201, made.body
    campaign_id = made.body["campaign_id"]
    people = {"contacts": [{"phone": phone(1), "first_name": "Bo"}]}
    uploaded = await house.call("POST", f"/v1/campaigns/{campaign_id}/contacts", people)
    contact_id = uploaded.body["contact_ids"][0]
    assert (await house.send(contact_id, f"Hi from {number}", campaign_id=campaign_id)).status == 202
    assert (await house.provider.next_text()).number_phone == number
    return campaign_id, contact_id


@pytest.fixture
async def two_organisations(house: House) -> House:
    await house.store.execute("INSERT INTO organisations VALUES (2, 'The second organisation', now())")
    return house


async def says_stop(house: House, number: str) -> None:
    form = [
        (name, number if name == "To" else value) for name, value in inbound_form("SMa", phone(1), "STOP")
    ]
    assert (await house.webhook("/webhooks/twilio/inbound", form)).status == 200


async def is_opted_out(house: House, campaign_id: int, contact_id: int) -> bool:
    answer = await house.send(contact_id, "Again", kind="reply", campaign_id=campaign_id)
    return answer.body.get("code") == OPTED_OUT


@pytest.mark.parametrize(
    ("more", "is_shared"),
    [
        ([{"opt_out_scope": 0}, {"opt_out_scope": 0}], True),
        ([{"opt_out_scope": 77}, {"opt_out_scope": 77}], True),
        ([{}, {}], False),
        ([{"opt_out_scope": 0}, {}], False),
        ([{"opt_out_scope": 0}, {"opt_out_scope": 0, "organisation_id": 2}], False),
        ([{"opt_out_scope": 77}, {"opt_out_scope": 77, "organisation_id": 2}], False),
    ],
)
async def test_a_stop_reaches_as_far_as_its_scope(
    two_organisations: House, more: list[dict[str, object]], is_shared: bool
) -> None:
    house = two_organisations
    first = await a_campaign(house, OURS[0], **more[0])
    second = await a_campaign(house, OURS[1], **more[1])
    await says_stop(house, OURS[0])
    assert await is_opted_out(house, *first)
    assert await is_opted_out(house, *second) is is_shared


async def test_a_campaign_says_whose_it_is(two_organisations: House) -> None:
    made = await two_organisations.call("POST", "/v1/campaigns", {"name": "Bank", "organisation_id": 2})
    assert made.body["organisation_id"] == 2
    assert (await two_organisations.call("GET", "/v1/campaigns/1")).body["organisation_id"] == 1


async def test_ids_of_campaigns_are_unique_over_all_organisations(two_organisations: House) -> None:
    body = {"name": "Bank", "organisation_id": 2, "campaign_id": 1}
    assert (await two_organisations.call("POST", "/v1/campaigns", body)).status == 409


async def test_an_organisation_that_is_not_there_is_refused(house: House) -> None:
    answer = await house.call("POST", "/v1/campaigns", {"name": "Bank", "organisation_id": 9})
    assert (answer.status, "no organisation 9" in answer.body["detail"]) == (422, True)
