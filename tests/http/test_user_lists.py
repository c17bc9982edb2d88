"""Lists of people and teams over the API (F194), and what people are told within the application."""

from typing import Any

from gateway.core.bank.permissions import Role
from gateway.core.rules.campaign import CampaignKey
from gateway.store import user_notices
from gateway.store.user_notices import UserNotice
from tests.http.house import CAMPAIGN, OTHER_CAMPAIGN, START_AT, House
from tests.http.persons import somebody

LISTS = f"/v1/campaigns/{CAMPAIGN}/user-lists"
NOTICES = f"/v1/campaigns/{CAMPAIGN}/my-notices"


async def make_list(house: House, name: str, *user_ids: int) -> dict[str, Any]:
    made = await house.call("POST", LISTS, {"name": name, "user_ids": list(user_ids)})
    assert made.status == 201, made.body
    return made.body


async def test_a_list_has_who_is_active(house: House) -> None:
    people = [(await somebody(house, email=f"{name}@example.org"))[1] for name in ("ann", "ben", "cleo")]
    team = await make_list(house, "Team blue", *people[:2])
    path = f"{LISTS}/{team['user_list_id']}"
    changed = await house.call("PATCH", path, {"add": [people[2]], "remove": [people[0]], "name": "Team red"})
    assert (changed.body["name"], changed.body["members"]) == ("Team red", 2)
    await house.call("PATCH", f"/v1/campaigns/{CAMPAIGN}/members/{people[2]}", {"active": False})
    assert (await house.call("GET", f"{path}/members")).body == {"user_ids": [people[1]], "next": None}
    assert [each["members"] for each in (await house.call("GET", LISTS)).body["user_lists"]] == [1]
    refused = await house.call("PATCH", path, {"add": [people[0], people[2], 99]})
    assert [each["field"] for each in refused.body["errors"]] == ["add[1]", "add[2]"]
    assert (await house.call("POST", LISTS, {"name": "Team red"})).status == 409
    assert (await house.call("DELETE", path)).status == 204
    assert (await house.call("GET", f"{path}/members")).status == 404
    acts = [
        each["act"]
        for each in (await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/audit?limit=3")).body["lines"]
    ]
    assert acts[0] == "user list deleted"


async def test_lists_and_members_have_pages(house: House) -> None:
    people = [(await somebody(house, email=f"p{number}@example.org"))[1] for number in range(5)]
    for number in range(5):
        await make_list(house, f"list {number}", *people)
    path = LISTS
    for kind, shown in (("user_lists", "name"), ("user_ids", None)):
        found: list[Any] = []
        cursor = ""
        while cursor is not None:
            page = (await house.call("GET", f"{path}?limit=2" + (cursor and f"&cursor={cursor}"))).body
            found += [each[shown] if shown else each for each in page[kind]]
            cursor = page["next"]
        assert found == ([f"list {number}" for number in range(5)] if shown else sorted(people))
        first = (await house.call("GET", LISTS)).body["user_lists"][0]["user_list_id"]
        path = f"{LISTS}/{first}/members"


async def test_staff_use_lists_and_volunteers_do_not(house: House) -> None:
    supervisor, _ = await somebody(house, "supervisor", "sue@example.org")
    volunteer, ann = await somebody(house, "volunteer", "ann@example.org")
    assert (await house.call("POST", LISTS, {"name": "x", "user_ids": [ann]}, key=supervisor)).status == 201
    for key in (volunteer, Role.KEY_SENDER, Role.KEY_READER):
        assert (await house.call("GET", LISTS, key=key)).status == 403
    assert (await house.call("GET", f"/v1/campaigns/{OTHER_CAMPAIGN}/user-lists")).body["user_lists"] == []


async def test_my_notices_are_mine(house: House) -> None:
    ann_token, ann = await somebody(house, email="ann@example.org")
    ben_token, _ = await somebody(house, email="ben@example.org")
    rows = [
        UserNotice(
            notice_id=number,
            user_id=ann,
            kind="message",
            title=f"{number}",
            body="b",
            about={"x": 1},
            at=START_AT,
        )
        for number in range(1, 6)
    ]
    await user_notices.tell(house.store, CampaignKey(1, CAMPAIGN), rows)
    first = (await house.call("GET", f"{NOTICES}?limit=3", key=ann_token)).body
    assert ([each["title"] for each in first["notices"]], first["unread"]) == (["5", "4", "3"], 5)
    rest = (await house.call("GET", f"{NOTICES}?limit=3&cursor={first['next']}", key=ann_token)).body
    assert ([each["title"] for each in rest["notices"]], rest["next"]) == (["2", "1"], None)
    assert (await house.call("POST", f"{NOTICES}:read", {"up_to": 3}, key=ben_token)).status == 204
    assert (await house.call("POST", f"{NOTICES}:read", {"up_to": 3}, key=ann_token)).status == 204
    after = (await house.call("GET", NOTICES, key=ann_token)).body
    assert (after["unread"], [each["read_at"] is None for each in after["notices"]]) == (
        2,
        [True] * 2 + [False] * 3,
    )
    assert (await house.call("GET", NOTICES, key=ben_token)).body["notices"] == []
    assert (await house.call("GET", NOTICES)).status == 404
