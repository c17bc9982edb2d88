"""Safeguards that no request can break, and what is answered to one that tries; whose contact somebody is."""

import re
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import CATALOGUE, Box
from gateway.core.rules.safeguards import RULES
from gateway.store import campaigns, contacts
from gateway.store.campaigns import CampaignRow
from gateway.store.contacts import ContactRow
from tests.http.house import CAMPAIGN, House
from tests.http.persons import somebody

PAGE = Path(__file__).parents[2] / "docs/reference/safeguards.md"
ELSEWHERE = {1203}  # the dispatcher's


def test_each_safeguard_of_the_catalogue_is_a_rule_or_told_why_not() -> None:
    told = PAGE.read_text(encoding="utf-8").partition("## What can't be asked for")[2].partition("\n## ")[0]
    named = {
        int(code) for row in re.findall(r"^\| ([\d, ]+) \|", told, re.MULTILINE) for code in row.split(",")
    }
    ours = {each.code for each in CATALOGUE.values() if each.box is Box.SAFEGUARD}
    rules = {rule.code for rule in RULES}
    assert named | rules | ELSEWHERE == ours
    assert not named & (rules | ELSEWHERE)


async def test_a_contact_of_another_campaign_is_none_of_this_one(house: House) -> None:
    """1106 (F046), where other platforms say 1105 (F045), and 1109 of an action's texts (F049)."""
    other = CampaignKey(1, 77)
    await campaigns.create(house.store, CampaignRow(77, 77, "Other", "{}", paused=False), 0.0)
    await contacts.add(house.store, other, [ContactRow(500, "+12155550500", "PA@America/New_York")])
    for more in ({}, {"action_id": 5}, {"kind": "reply"}):
        answer = await house.send(500, **more)
        assert (answer.status, answer.body["state"], answer.body["code"]) == (202, "blocked", 1106)
        assert "not a contact of this campaign" in answer.body["explanation"]
    assert await house.count("queue") == 0


@pytest.mark.parametrize(
    "more",
    [
        {"kind": "broadcast"},  # that is an action's: nobody presses it
        {"kind": "invitation"},  # F061
        {"kind": "user_to_user"},  # F051
        {"from": "+12155550101"},  # F041
        {"to_user_id": 1},  # F047
    ],
)
async def test_there_are_no_other_senders_recipients_and_kinds(house: House, more: dict[str, Any]) -> None:
    assert (await house.send(1, **more)).status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert await house.count("messages") == 0


async def test_only_who_belongs_to_the_campaign_sends_and_in_their_own_name(house: House) -> None:
    """F042, F044, F048."""
    text = {"campaign_id": CAMPAIGN, "contact_id": 1, "body": "Hello", "sender_id": 999}
    assert (await house.call("POST", "/v1/messages", text, key=None)).status == HTTPStatus.UNAUTHORIZED
    await campaigns.create(house.store, CampaignRow(77, 77, "Other", "{}", paused=False), 0.0)
    token, user_id = await somebody(house, "admin")
    theirs = {**text, "campaign_id": 77}
    assert (await house.call("POST", "/v1/messages", theirs, key=token)).status == HTTPStatus.NOT_FOUND
    assert (await house.call("POST", "/v1/messages", text, key=token)).status == HTTPStatus.ACCEPTED
    assert await house.store.fetch_value("SELECT array_agg(sender_id) FROM messages") == [user_id]


async def test_another_volunteers_contact_of_an_action_is_not_theirs(house: House) -> None:
    """1303, where other platforms say 1110 of a contact whom somebody invites (F050)."""
    await house.store.execute(
        "INSERT INTO assignments (organisation_id, campaign_id, action_id, contact_id, hours_group, turn, volunteer_id)"
        " VALUES (1, $1, 5, 1, 'PA@America/New_York', 1, 8)",
        CAMPAIGN,
    )
    answer = await house.send(1, action_id=5, sender_id=7)
    assert (answer.body["state"], answer.body["code"]) == ("blocked", 1303)
