"""The catalogue of tags and custom fields over the API (F134 to F139, C20)."""

import asyncio
from typing import Any

from gateway.core.bank.permissions import Role
from tests.http.house import CAMPAIGN, OTHER_CAMPAIGN, House
from tests.http.persons import somebody

TAGS = f"/v1/campaigns/{CAMPAIGN}/tags"
FIELDS = f"/v1/campaigns/{CAMPAIGN}/fields"


async def make_tag(house: House, name: str, **more: Any) -> dict[str, Any]:
    made = await house.call("POST", TAGS, {"name": name, **more})
    assert made.status == 201, made.body
    return made.body


async def make_field(house: House, slug: str, **more: Any) -> dict[str, Any]:
    made = await house.call("POST", FIELDS, {"slug": slug, "label": slug.title(), **more})
    assert made.status == 201, made.body
    return made.body


async def names(house: House, query: str = "") -> list[str]:
    return [each["name"] for each in (await house.call("GET", TAGS + query)).body["tags"]]


async def test_a_tag_is_there_at_once_and_keeps_what_it_is(house: House) -> None:
    """C20, and F138: no minutes until it appears."""
    supporter = await make_tag(house, "Supporter", by_default=True)
    assert (supporter["label"], supporter["place"]) == ("Supporter", 10)
    await make_tag(house, "Moved", label="They moved away")
    assert await names(house) == ["Supporter", "Moved"]
    path = f"{TAGS}/{supporter['tag_id']}"
    changed = await house.call("PATCH", path, {"label": "Votes for us", "by_default": False})
    assert changed.body == {**supporter, "label": "Votes for us", "by_default": False}
    assert (await house.call("PATCH", path, {"archived": True})).body["archived_at"] is not None
    assert await names(house) == ["Moved"]
    assert await names(house, "?archived=true") == ["Supporter", "Moved"]
    assert (await house.call("PATCH", path, {"archived": False})).body["archived_at"] is None


async def test_order_is_of_the_catalogue(house: House) -> None:
    """F137."""
    ids = {name: (await make_tag(house, name))["tag_id"] for name in "abcd"}
    ordered = await house.call("POST", f"{TAGS}:order", {"ids": [ids["c"], ids["a"]]})
    assert [each["name"] for each in ordered.body["tags"]] == ["c", "a", "b", "d"]
    found, cursor = [], ""
    while cursor is not None:
        page = (await house.call("GET", f"{TAGS}?limit=3" + (cursor and f"&cursor={cursor}"))).body
        found += [each["name"] for each in page["tags"]]
        cursor = page["next"]
    assert found == ["c", "a", "b", "d"]
    assert (await house.call("POST", f"{TAGS}:order", {"ids": [99]})).status == 404
    assert (await house.call("GET", f"{TAGS}?cursor=AAAA")).status == 422


async def test_a_choice_has_its_options_and_slug_and_kind_are_for_good(house: House) -> None:
    """F102."""
    ward = await make_field(house, "ward", kind="choice", options=["First", "Second"], default_value="First")
    path = f"{FIELDS}/{ward['field_id']}"
    changed = await house.call("PATCH", path, {"options": ["First", "Third"], "default_value": ""})
    assert (changed.body["options"], changed.body["default_value"]) == (["First", "Third"], None)
    assert (await house.call("PATCH", path, {"options": []})).status == 422
    for refused in ({"slug": "x"}, {"kind": "text"}):
        assert (await house.call("PATCH", path, refused)).status == 422
    for slug in ("p2p_messaged_at", "first_name"):
        assert (await house.call("POST", FIELDS, {"slug": slug, "label": "x"})).status == 422


async def test_a_name_is_there_once_whoever_comes_first(house: House) -> None:
    made = await asyncio.gather(*(house.call("POST", TAGS, {"name": "Same"}) for _ in range(8)))
    assert sorted(each.status for each in made) == [201, *[409] * 7]
    await make_tag(house, "Other")
    other = (await house.call("GET", TAGS)).body["tags"][1]
    renamed = await house.call("PATCH", f"{TAGS}/{other['tag_id']}", {"name": "Same"})
    assert renamed.status == 409
    assert await names(house) == ["Same", "Other"]


async def test_who_changed_the_catalogue_stands_in_the_audit_log(house: House) -> None:
    tag = await make_tag(house, "Supporter")
    await house.call("PATCH", f"{TAGS}/{tag['tag_id']}", {"name": "Backer"})
    lines = (await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/audit")).body["lines"]
    assert [each["act"] for each in lines] == ["tag changed", "tag made"]
    assert (lines[0]["before"]["name"], lines[0]["after"]["name"]) == ("Supporter", "Backer")


async def test_admins_keep_the_catalogue_and_others_do_not(house: House) -> None:
    admin, _ = await somebody(house, "admin", "ada@example.org")
    supervisor, _ = await somebody(house, "supervisor", "sue@example.org")
    volunteer, _ = await somebody(house, "volunteer", "ann@example.org")
    body = {"name": "Supporter"}
    for key in (supervisor, volunteer, Role.KEY_READER, Role.KEY_SENDER):
        assert (await house.call("POST", TAGS, body, key=key)).status == 403
    tag = (await house.call("POST", TAGS, body, key=admin)).body
    for key, status in ((supervisor, 200), (Role.KEY_READER, 200), (volunteer, 403)):
        assert (await house.call("GET", TAGS, key=key)).status == status
    elsewhere = f"/v1/campaigns/{OTHER_CAMPAIGN}/tags"
    assert (await house.call("GET", elsewhere)).body["tags"] == []
    assert (await house.call("PATCH", f"{elsewhere}/{tag['tag_id']}", {"name": "x"})).status == 404
