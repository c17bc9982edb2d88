"""Breakers at the door: figures with their bounds, a person's word, and who may give it."""

from typing import Any

import pytest

from gateway.core.bank.permissions import Role
from gateway.core.rules.campaign import CampaignKey
from gateway.store import counts
from tests.http.house import CAMPAIGN, START_AT, House
from tests.http.persons import somebody

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATH = f"/v1/campaigns/{CAMPAIGN}/breakers"
PAIR = {"action_id": 5, "script": "initial-1", "carrier": "att"}


async def furnished(house: House) -> None:
    key = CampaignKey(1, CAMPAIGN)
    if await counts.read(house.store, key, 0, START_AT) is None:
        await counts.count_anew(house.store, key, START_AT)
    for carrier, state, code, number in (
        ("att", "delivered", 0, 190),
        ("att", "undelivered", 30007, 10),
        ("verizon", "delivered", 0, 20),
    ):
        await house.store.execute(
            """
            INSERT INTO counts (organisation_id, campaign_id, action_id, per, name, what, state, code, number, segments)
            VALUES (1, 1, 5, 'pair', $1 || '/initial-1', 'initial', $2, $3, $4, 0) ON CONFLICT DO NOTHING
            """,
            carrier, state, code, number,
        )  # fmt: skip


async def shown(house: House) -> dict[str, Any]:
    answer = await house.call("GET", PATH, key=Role.KEY_READER)
    assert answer.status == 200
    return {each["carrier"]: each for each in answer.body["breakers"]}


async def test_figures_have_bounds_and_few_are_said_to_be_few(kept_house: House) -> None:
    await furnished(kept_house)
    found = await shown(kept_house)
    assert (found["att"]["state"], found["att"]["since"], found["att"]["too_few"]) == ("closed", None, False)
    figure = found["att"]["filtered"]
    assert (figure["number"], figure["of"], figure["share"]) == (10, 200, 0.05)
    assert 0.02 < figure["low"] < 0.05 < figure["high"] < 0.1
    assert found["verizon"]["too_few"]


async def test_a_persons_word_is_in_force_at_the_answer_and_written_down(kept_house: House) -> None:
    await furnished(kept_house)
    known = kept_house.worker.gateway.campaigns
    for act, state, holds in (
        ("open", "open", True),
        ("switch_off", "off", False),
        ("resume", "closed", False),
    ):
        answer = await kept_house.call("POST", PATH, PAIR | {"act": act})
        assert (answer.status, answer.body["state"]) == (200, state)
        assert answer.body["who"].startswith("key:")
        assert (await shown(kept_house))["att"]["state"] == state
        assert known[CAMPAIGN].holds(5, "att", "initial-1") is holds
    assert (await shown(kept_house))["att"]["filtered"]["of"] == 0  # its figures begin anew
    log = (await kept_house.call("GET", f"/v1/campaigns/{CAMPAIGN}/audit?limit=3")).body
    assert [each["act"] for each in log["lines"]] == [
        "breaker resumed",
        "breaker switched off",
        "breaker opened",
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (PAIR | {"act": "explode"}, 422),
        (PAIR | {"act": "open", "script": "initial-9"}, 404),
        ({"act": "open"}, 422),
    ],
)
async def test_what_can_not_be_is_refused(kept_house: House, body: Any, status: int) -> None:
    await furnished(kept_house)
    assert (await kept_house.call("POST", PATH, body)).status == status


async def test_who_may(kept_house: House) -> None:
    volunteer, _ = await somebody(kept_house, "volunteer", "v@example.org")
    supervisor, _ = await somebody(kept_house, "supervisor", "s@example.org")
    change = PAIR | {"act": "open"}
    assert (await kept_house.call("GET", PATH, key=volunteer)).status in (403, 404)
    assert (await kept_house.call("GET", PATH, key=supervisor)).status == 200
    for key in (volunteer, supervisor, Role.KEY_SENDER):
        assert (await kept_house.call("POST", PATH, change, key=key)).status in (403, 404)
