"""Campaigns, contacts, numbers and registration: a deployment can be used through its door alone."""

from typing import Any

import pytest

from gateway.core.bank.permissions import Role
from gateway.http.csv_lists import CSV
from tests.http.house import CAMPAIGN, GROUP, NUMBER, House, phone

SMALL = {
    "registration": {"brand_kind": "standard", "campaign_kind": "mixed", "score": 10},
    "pool": {"settle_s": 0.0},
}


async def test_a_bank_from_nothing(house: House) -> None:
    """Make a campaign, upload people, send: the number is bought on the way."""
    house.provider.on_sale.append("+14125550111")
    made = await house.call("POST", "/v1/campaigns", {"name": "North", "settings": SMALL})
    assert made.status == 201
    campaign = made.body["campaign_id"]
    assert made.headers["Location"] == f"/v1/campaigns/{campaign}"
    people = {"contacts": [{"phone": "412 555 0100", "first_name": "Bo"}, {"phone": "nonsense"}]}
    uploaded = (await house.call("POST", f"/v1/campaigns/{campaign}/contacts", people)).body
    assert (uploaded["rows"], uploaded["new"], uploaded["rejected"]) == (2, 1, {"not_a_number": 1})
    contact, nobody = uploaded["contact_ids"]
    assert nobody is None
    sent = await house.send(contact, "Hi Bo", campaign_id=campaign)
    assert sent.status == 202
    text = await house.provider.next_text()
    assert (text.phone, text.number_phone) == ("+14125550100", "+14125550111")
    pool = (await house.call("GET", f"/v1/campaigns/{campaign}/numbers")).body
    assert [(each["phone"], each["bought_because"]) for each in pool["numbers"]] == [
        ("+14125550111", "first_number")
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": ""}, 422),
        ({"name": "x", "campaign_id": 0}, 422),
        ({"name": "x", "campaign_id": CAMPAIGN}, 409),
        ({"name": "x", "settings": {"hours": {"start_minute": 600, "end_minute": 500}}}, 422),
        ({"name": "x", "settings": {"hours": {"zone": "EST"}}}, 422),
        ({"name": "x", "settings": {"registration": {"campaign_kind": "charity"}}}, 422),
        ({"name": "x", "settings": {"registration": {"total_per_s": 0}}}, 422),
        ({"name": "x", "settings": {"hour": {}}}, 422),
        ({"name": "a\x00b"}, 400),
    ],
)
async def test_an_impossible_campaign_is_refused(house: House, body: Any, status: int) -> None:
    before = await house.count("campaigns")
    assert (await house.call("POST", "/v1/campaigns", body)).status == status
    assert await house.count("campaigns") == before


async def test_a_paused_campaign_admits_nobody(house: House) -> None:
    path = f"/v1/campaigns/{CAMPAIGN}"
    assert (await house.call("PATCH", path, {"paused": True})).body["paused"] is True
    assert (await house.send(1)).body["reason"] == "paused"
    assert (await house.call("PATCH", path, {"paused": False})).body["paused"] is False
    assert (await house.send(1)).body["state"] != "blocked"


@pytest.mark.parametrize(
    "path", ["/v1/campaigns/9", "/v1/campaigns/9/numbers", "/v1/campaigns/9/registration"]
)
async def test_an_unknown_campaign_is_404(house: House, path: str) -> None:
    assert (await house.call("GET", path)).status == 404


async def test_registration_tells_what_the_carriers_grant(house: House) -> None:
    made = await house.call("POST", "/v1/campaigns", {"name": "Small", "settings": SMALL})
    view = (await house.call("GET", f"/v1/campaigns/{made.body['campaign_id']}/registration")).body
    assert (view["total_per_s"], view["carrier_per_s"]["att"]) == (12.0, 4.0)
    assert (view["tmobile_daily_segments"], view["most_numbers"]) == (2000, 49)


async def test_numbers_are_the_live_pools(house: House) -> None:
    await house.send(1)
    await house.provider.next_text()
    number = (await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/numbers", key=Role.KEY_READER)).body
    assert number["most_numbers"] == 49
    assert [(each["phone"], each["conversations"]) for each in number["numbers"]] == [(NUMBER, 1)]


async def upload(house: House, text: str, query: str = "") -> Any:
    path = f"/v1/campaigns/{CAMPAIGN}/contacts{query}"
    return await house.call("POST", path, data=text.encode(), headers={"Content-Type": CSV})


async def test_a_csv_is_read_as_campaigns_have_them(house: House) -> None:
    text = "First Name,Cell Phone,ZIP\nAnn,215-555-0101,19103\nBea,(215) 555-0190,19103\nCy,12,\n"
    answer = await upload(house, text)
    assert answer.status == 200
    assert {key: answer.body[key] for key in ("rows", "new", "known")} == {"rows": 3, "new": 1, "known": 1}
    assert sum(answer.body["rejected"].values()) == 1
    row = await house.store.fetch_row("SELECT first_name, hours_group FROM contacts WHERE phone LIKE '%0190'")
    assert tuple(row) == ("Bea", GROUP)


async def test_opt_outs_of_a_list_are_honoured(house: House) -> None:
    await upload(house, f"Phone,Opted Out\n{phone(1)},yes\n{phone(2)},no\n")
    assert (await house.send(1)).body["code"] == 1302
    assert (await house.send(2)).body["state"] != "blocked"


@pytest.mark.parametrize(
    ("header", "refused", "welcome"),
    [("mobile_opt_in", "false", "true"), ("SMS Opt In Status", "Opt-Out", "Unknown"), ("DNC", "x", "")],
)
async def test_consent_given_elsewhere_is_honoured(
    house: House, header: str, refused: str, welcome: str
) -> None:
    await upload(house, f"Phone,{header}\n{phone(1)},{refused}\n{phone(2)},{welcome}\n")
    assert (await house.send(1)).body["code"] == 1302
    assert (await house.send(2)).body["state"] != "blocked"


async def test_consent_that_is_not_understood_stops_the_import(house: House) -> None:
    """Nobody is stored, not even from the rows before the question; our folders are not told."""
    answer = await upload(house, "Phone,Consent\n2155550190,yes\n2155550191,perhaps\n")
    assert answer.status == 422
    assert answer.body["detail"].startswith(
        "a column looks like consent and can't be read: the list: 'Consent' says 'perhaps' (line 3; 1 row in all)"
    )
    assert await house.store.fetch_value("SELECT count(*) FROM contacts WHERE phone LIKE '%019_'") == 0


async def test_a_question_about_consent_is_answered_in_the_query(house: House) -> None:
    people = "Phone,Consent\n2155550190,yes\n2155550191,perhaps\n"
    answer = await upload(house, people, "?consent=Consent%3Dnothing")
    assert (answer.status, answer.body["new"]) == (200, 2)
    assert answer.body["ignored"] == ["Consent"]


@pytest.mark.parametrize("query", ["?consent=Consent", "?consent=Consent%3Dmaybe", "?consent=Shoe%3Dnothing"])
async def test_what_answers_no_question_is_refused(house: House, query: str) -> None:
    answer = await upload(house, "Phone,Consent\n2155550190,yes\n", query)
    assert answer.status == 422
    assert "Consent" in answer.body["detail"]
    assert await house.store.fetch_value("SELECT count(*) FROM contacts WHERE phone LIKE '%019_'") == 0


async def test_what_was_not_used_is_told_row_by_row(house: House) -> None:
    answer = await upload(house, "Phone,Shoe Size\n2155550190,9\n12,9\n")
    assert answer.body["ignored"] == ["Shoe Size"]
    (row,) = answer.body["rejects"]
    assert {key: row[key] for key in ("line", "column", "reason")} == {
        "line": 3,
        "column": "Phone",
        "reason": "too_short",
    }
    answer = await house.call(
        "POST",
        f"/v1/campaigns/{CAMPAIGN}/contacts",
        {"contacts": [{"phone": "2155550190"}, {"phone": "+44 20 7946 0958"}]},
    )
    assert [(row["line"], row["reason"]) for row in answer.body["rejects"]] == [(2, "foreign")]
    assert answer.body["rejected"] == {"foreign": 1}


async def test_line_types_are_looked_up_when_asked(house: House) -> None:
    await upload(house, "Phone\n2155550190\n", "?look_up=true")
    line = await house.store.fetch_value("SELECT line_type FROM contacts WHERE phone LIKE '%0190'")
    assert line == "mobile"


async def test_a_contact_who_is_there_already_is_looked_up_as_well(house: House) -> None:
    for query in ("", "?look_up=true"):
        await upload(house, "Phone\n2155550190\n", query)
    line = await house.store.fetch_value("SELECT line_type FROM contacts WHERE phone LIKE '%0190'")
    assert line == "mobile"


@pytest.mark.parametrize(("text", "status"), [("", 422), ("a,b\n1,2\n", 422), ("\x00\x01\x02", 422)])
async def test_what_is_no_list_is_refused_in_words(house: House, text: str, status: int) -> None:
    answer = await upload(house, text)
    assert answer.status == status
    assert answer.body["detail"]


async def test_an_upload_is_csv_or_json(house: House) -> None:
    path = f"/v1/campaigns/{CAMPAIGN}/contacts"
    headers = {"Content-Type": "application/xml"}
    assert (await house.call("POST", path, data=b"<a/>", headers=headers)).status == 415
    assert (await house.call("POST", f"{path}?look_up=yes", {"contacts": []})).status == 400
