"""Lists that show the newest first do so whichever worker made what: each takes its ids from blocks of its own."""

from typing import Any

import pytest

from tests.http.house import CAMPAIGN, House
from tests.http.persons import somebody
from tests.http.test_inbox import act, seen, talk

HERE = f"/v1/campaigns/{CAMPAIGN}"
NOTICES = f"{HERE}/my-notices"
NAMES = ("first", "second", "third")


async def walked(house: House, path: str, rows: str, **more: Any) -> list[dict[str, Any]]:
    """Page after page of one row."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await house.call("GET", f"{path}?limit=1{cursor}", **more)
        assert page.status == 200, page.body
        found += page.body[rows]
        if page.body["next"] is None:
            return found
        cursor = f"&cursor={page.body['next']}"


def bodies_of(noun: str, user_id: int) -> list[dict[str, Any]]:
    if noun == "announcements":
        return [{"title": name, "body": "Hello", "user_ids": [user_id]} for name in NAMES]
    return [{"title" if noun == "actions" else "name": name} for name in NAMES]


@pytest.mark.parametrize(
    ("noun", "rows", "name"),
    [
        ("actions", "actions", "title"),
        ("announcements", "announcements", "title"),
        ("contact-lists", "lists", "name"),
    ],
)
async def test_what_workers_made_in_turn(
    houses: tuple[House, House], noun: str, rows: str, name: str
) -> None:
    one, other = houses
    _, ann_id = await somebody(one)
    for house, body in zip((one, other, one), bodies_of(noun, ann_id), strict=True):
        made = await house.call("POST", f"{HERE}/{noun}", body)
        assert made.status == 201, made.body
    assert [each[name] for each in await walked(other, f"{HERE}/{noun}", rows)] == [*reversed(NAMES)]


async def test_reports_of_a_person(houses: tuple[House, House]) -> None:
    one, other = houses
    await talk(one, 1)
    made = await one.call("POST", f"{HERE}/fields", {"slug": "said", "label": "Said"})
    assert made.status == 201, made.body
    for house, word in zip((one, other, one), NAMES, strict=True):
        filed = await act(house, "reports", {**await seen(house), "fields": {"said": word}})
        assert filed.status == 200, filed.body
    reports = await walked(other, f"{HERE}/conversations/1/reports", "reports")
    assert [each["fields"]["said"] for each in reports] == [*reversed(NAMES)]


async def test_what_came_after_the_last_notice_that_one_saw_is_unread(houses: tuple[House, House]) -> None:
    """F173: to have read "second" is not to have read "third", whatever their ids."""
    one, other = houses
    ann, ann_id = await somebody(one)
    for house, body in zip((one, other, one), bodies_of("announcements", ann_id), strict=True):
        assert (await house.call("POST", f"{HERE}/announcements", body)).status == 201
    notices = await walked(one, NOTICES, "notices", key=ann)
    assert [each["title"] for each in notices] == [*reversed(NAMES)]
    read = {"up_to": notices[1]["notice_id"]}
    assert (await other.call("POST", f"{NOTICES}:read", read, key=ann)).status == 204
    assert [each["read_at"] is None for each in await walked(one, NOTICES, "notices", key=ann)] == [
        True,
        False,
        False,
    ]


async def test_reassignments(houses: tuple[House, House]) -> None:
    one, other = houses
    users = [(await somebody(one, email=f"{name}@example.org"))[1] for name in NAMES]
    await talk(one, 1, 2, 3)
    for house, contact_id, user_id in zip((one, other, one), (1, 2, 3), users, strict=True):
        body = {"contact_ids": [contact_id], "to_user_id": user_id}
        made = await house.call("POST", f"{HERE}/reassignments", body)
        assert made.status == 201, made.body
    moves = await walked(other, f"{HERE}/reassignments", "reassignments")
    assert len(moves) == 3
    assert [each["at"] for each in moves] == sorted((each["at"] for each in moves), reverse=True)
