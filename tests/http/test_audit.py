"""The audit log: a line for each change, in the transaction of the change, and shown to whoever may change things."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from gateway.core.bank.permissions import Role
from gateway.core.rules.campaign import CampaignSettings
from gateway.p2p.campaigns import SettingsClash
from gateway.p2p.keys import RANDOM_BYTES, ApiKeys
from gateway.store import audit_log
from gateway.store.audit_log import NO_CAMPAIGN
from tests.http.house import CAMPAIGN, OTHER_CAMPAIGN, START_AT, House

PATH = f"/v1/campaigns/{CAMPAIGN}"
SETTINGS = {"keep_assignments": True}


async def lines(house: House, path: str = PATH, query: str = "") -> list[dict[str, Any]]:
    answer = await house.call("GET", f"{path}/audit{query}")
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.body["lines"]
    return found


async def change(house: House, **body: Any) -> None:
    assert (await house.call("PATCH", PATH, body)).status == 200


def who(house: House) -> str:
    return f"key:{house.keys[Role.KEY_ADMIN].split('_')[1]}"


async def test_each_change_of_a_campaign_is_a_line(house: House) -> None:
    made = await house.call("POST", "/v1/campaigns", {"name": "North", "paused": True})
    path = made.headers["Location"]
    assert (await house.call("PATCH", path, {"settings": SETTINGS, "paused": False})).status == 200
    assert (await house.call("PATCH", path, {"paused": True})).status == 200
    found = await lines(house, path)
    assert [each["act"] for each in found] == ["paused", "resumed", "settings changed", "campaign made"]
    assert {each["who"] for each in found} == {who(house)}
    assert all(START_AT <= each["at"] < START_AT + 600 for each in found)
    paused, _, settings, new = found
    assert (paused["before"], paused["after"]) == ({"paused": False}, {"paused": True})
    assert (settings["before"]["keep_assignments"], settings["after"]["keep_assignments"]) == (False, True)
    assert new["before"] is None
    assert {"name", "settings", "paused", "opt_out_scope"} == set(new["after"])


async def test_what_changes_nothing_is_no_line(house: House) -> None:
    await change(house, paused=False)
    assert (await house.call("PATCH", PATH, {})).status == 422
    assert (await house.call("PATCH", PATH, {"paused": True}, key=Role.KEY_SENDER)).status == 403
    assert "paused" not in {each["act"] for each in await lines(house)}


async def test_keys_made_and_revoked_are_lines_without_their_secrets(house: House) -> None:
    keys = ApiKeys(house.store, lambda: START_AT)
    text = await keys.create(bytes(RANDOM_BYTES), "phones", "sender", CAMPAIGN, expires_s=60.0)
    _, key_id, secret = text.split("_")
    for _ in range(2):
        await keys.revoke(key_id)
    revoked, made = await lines(house)
    assert (made["act"], revoked["act"]) == ("key made", "key revoked")
    assert (made["who"], revoked["who"]) == ("command", "command")
    told = {"key_id": key_id, "name": "phones", "role": "sender", "expires_at": START_AT + 60.0}
    assert (made["after"], revoked["before"], revoked["after"]) == (told, told, None)
    assert secret not in repr([made, revoked])


async def test_a_key_of_every_campaign_is_in_no_campaigns_log(house: House) -> None:
    """The fixture has made a key of each role."""
    assert await lines(house) == []
    rows = await audit_log.page(house.store, NO_CAMPAIGN, None, 10)
    assert {row.act for row in rows} == {"key made"}


@pytest.fixture
async def without_lines(house: House) -> AsyncIterator[House]:
    """Two kinds of lines can't be written."""
    await house.store.execute(
        "ALTER TABLE audit_log ADD CONSTRAINT no_line CHECK (act NOT IN ('settings changed', 'key made')) NOT VALID"
    )
    yield house
    await house.store.execute("ALTER TABLE audit_log DROP CONSTRAINT no_line")


async def test_a_change_without_its_line_is_no_change(without_lines: House) -> None:
    house = without_lines
    before = (await house.call("GET", PATH)).body
    answer = await house.call("PATCH", PATH, {"settings": SETTINGS, "paused": True})
    assert answer.status == 500
    assert (await house.call("GET", PATH)).body == before
    count = await house.count("api_keys")
    with pytest.raises(asyncpg.CheckViolationError):
        await house.key(Role.KEY_READER)
    assert await house.count("api_keys") == count


async def test_pages_hold_each_line_once_the_newest_first(house: House) -> None:
    for nth in range(7):
        await change(house, paused=nth % 2 == 0)
    whole = await lines(house)
    pages, query = [], "?limit=3"
    while True:
        page = (await house.call("GET", f"{PATH}/audit{query}")).body
        pages.append(page["lines"])
        if page["next"] is None:
            break
        await change(house, settings=SETTINGS)  # what comes meanwhile moves no page
        query = f"?limit=3&cursor={page['next']}"
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [line for page in pages for line in page] == whole


@pytest.mark.parametrize(
    "query", ["?limit=0", "?limit=201", "?limit=x", "?cursor=!", "?cursor=AAAA", "?page=2"]
)
async def test_a_wrong_page_is_refused_in_words(house: House, query: str) -> None:
    answer = await house.call("GET", f"{PATH}/audit{query}")
    assert answer.status == 422
    assert answer.body["detail"]


@pytest.mark.parametrize(
    ("role", "status"), [(Role.KEY_READER, 403), (Role.KEY_SENDER, 403), (Role.KEY_ADMIN, 404)]
)
async def test_another_campaigns_log_is_not_told(house: House, role: Role, status: int) -> None:
    key = await house.key(role, OTHER_CAMPAIGN)
    assert (await house.call("GET", f"{PATH}/audit", key=key)).status == status


# ---------------------------------------------------------------- the version of settings


async def test_a_change_stands_only_if_the_settings_are_those_it_was_made_from(house: House) -> None:
    version = (await house.call("GET", PATH)).body["version"]
    mine = {"settings": SETTINGS, "version": version}
    saved = await house.call("PATCH", PATH, mine)
    assert (saved.status, saved.body["version"]) == (200, version + 1)
    theirs = {"settings": {"hours": {"start_minute": 600}}, "paused": True, "version": version}
    clash = await house.call("PATCH", PATH, theirs)
    assert clash.status == 409
    assert clash.headers["Content-Type"] == "application/problem+json"
    assert clash.body["version"] == version + 1
    assert clash.body["stored"] == saved.body["settings"]
    assert clash.body["yours"]["hours"]["start_minute"] == 600
    assert (await house.call("GET", PATH)).body == saved.body
    assert [each["act"] for each in await lines(house)] == ["settings changed"]
    again = await house.call("PATCH", PATH, theirs | {"version": version + 1})
    assert (again.status, again.body["version"], again.body["paused"]) == (200, version + 2, True)


async def test_a_change_without_a_version_stands_whatever_the_settings_are(house: House) -> None:
    for version in (2, 3):
        answer = await house.call("PATCH", PATH, {"settings": SETTINGS})
        assert (answer.status, answer.body["version"]) == (200, version)


async def test_a_pause_leaves_the_version(house: House) -> None:
    answer = await house.call("PATCH", PATH, {"paused": True, "version": 1})
    assert (answer.status, answer.body["version"]) == (200, 1)


async def test_of_many_saves_from_one_version_one_stands(house: House) -> None:
    admin = house.worker._parts.campaign_admin
    campaign = house.worker.gateway.campaigns[CAMPAIGN]

    async def save(nth: int) -> bool:
        settings = CampaignSettings(admin_phones=frozenset({f"+1215555{nth:04d}"}))
        try:
            await admin.change(campaign, settings=settings, paused=None, version=1, who="somebody")
        except SettingsClash:
            return False
        return True

    saved = await asyncio.gather(*(save(nth) for nth in range(100, 120)))
    assert sum(saved) == 1
    assert [each["act"] for each in await lines(house)] == ["settings changed"]
