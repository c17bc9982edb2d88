"""Actions over HTTP: drafts, changes against a version, publishing with every reason why not, and who sees what."""

from typing import Any

import pytest

from gateway.app import publishing_of
from gateway.core.bank.permissions import Role
from tests.http.house import CAMPAIGN, START_AT, Answer, House
from tests.http.persons import somebody

PATH = f"/v1/campaigns/{CAMPAIGN}/actions"
STOP = "Hi {{first_name}}, will you vote? Reply STOP to unsubscribe."
INITIAL = {"kind": "initial", "source": STOP}
THANKS = {"kind": "response", "name": "Thanks", "source": "Thank you, {{first_name}}!"}


async def draft(house: House, **more: Any) -> Any:
    body = {"title": "Polls", "scripts": [INITIAL, THANKS], **more}
    made = await house.call("POST", PATH, body)
    assert made.status == 201, made.body
    assert made.headers["Location"] == f"{PATH}/{made.body['action_id']}"
    return made.body


async def published(house: House, to: str = "public", **more: Any) -> Any:
    action = await draft(house, **more)
    done = await house.call("POST", f"{PATH}/{action['action_id']}/publish", {"to": to})
    assert done.status == 200, done.body
    return done.body


def reasons(answer: Answer) -> list[str]:
    assert answer.status == 409, answer.body
    return [each["code"] for each in answer.body["reasons"]]


async def test_a_draft_is_made_changed_and_published(house: House) -> None:
    """F077, F078, F079, F080, F081, F082, F084: what an admin sets is there again, and its contacts wait for volunteers."""
    settings = {
        "description": "We ask people to vote",
        "folders": ["Spring", "Polls"],
        "disclaimer": "Be kind",
        "image_url": "https://example.org/polls.png",
        "button_label": "Go",
        "language": "es",
        "keep_assignments": True,
        "report": {"tag_ids": [7]},
    }
    action = await draft(house, settings=settings)
    assert (action["state"], action["version"], action["published_at"]) == ("draft", 1, None)
    assert {name: action["settings"][name] for name in settings if name != "report"} == {
        name: value for name, value in settings.items() if name != "report"
    }
    path = f"{PATH}/{action['action_id']}"
    changed = await house.call("PATCH", path, {"title": "Polls!", "version": 1})
    assert (changed.status, changed.body["title"], changed.body["version"]) == (200, "Polls!", 2)
    done = await house.call("POST", f"{path}/publish", {"version": 2})
    assert (done.status, done.body["state"], done.body["published_at"] is None) == (200, "public", False)
    assert await house.count("assignments") == 10
    again = await house.call("POST", f"{path}/publish", {})
    assert reasons(again) == ["published"]
    lines = (await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/audit")).body["lines"]
    assert [each["act"] for each in lines] == ["action published", "action changed", "action made"]


async def test_a_change_from_another_version_is_told_both(house: House) -> None:
    action = await draft(house)
    path = f"{PATH}/{action['action_id']}"
    assert (await house.call("PATCH", path, {"title": "Theirs", "version": 1})).status == 200
    clash = await house.call("PATCH", path, {"title": "Ours", "version": 1})
    assert (clash.status, clash.body["stored"]["title"], clash.body["yours"]["title"]) == (
        409,
        "Theirs",
        "Ours",
    )
    late = await house.call("POST", f"{path}/publish", {"version": 1})
    assert (late.status, late.body["stored"]["version"]) == (409, 2)
    script = await house.call("POST", f"{path}/scripts", {**THANKS, "name": "More", "version": 1})
    assert script.status == 409
    assert await house.count("assignments") == 0


async def test_publishing_is_refused_with_every_reason(house: House) -> None:
    """F083, F093, C10: all at once, each with its place."""
    action = await draft(house, scripts=[{"kind": "initial", "source": "Hi {{fist_name}}"}])
    path = f"{PATH}/{action['action_id']}"
    refused = await house.call("POST", f"{path}/publish", {})
    assert reasons(refused) == ["missing-opt-out", "unknown-variable"]
    ready = await house.call("GET", f"{path}/readiness")
    assert (ready.body["reasons"], ready.body["people"]) == (refused.body["reasons"], 10)
    assert (await house.call("GET", path)).body["state"] == "draft"
    suffix = {"settings": {"opt_out_suffix": True}}
    assert (await house.call("PATCH", path, suffix)).status == 200
    [script] = (await house.call("GET", f"{path}/scripts")).body["scripts"]
    mended = {"kind": "initial", "name": script["name"], "source": "Hi {{first_name}}"}
    assert (await house.call("PUT", f"{path}/scripts/{script['script_id']}", mended)).status == 200
    assert (
        await house.call("POST", f"{path}/publish", {})
    ).status == 200  # F012: the suffix is wording enough


async def test_only_the_people_of_its_lists_are_assigned(house: House) -> None:
    """F076, F177."""
    await house.store.execute(
        """
        INSERT INTO contact_lists (organisation_id, campaign_id, list_id, name, made_at)
        VALUES (1, 1, 5, 'A', now()), (1, 1, 6, 'B', now()), (1, 2, 7, 'C', now())
        """
    )
    await house.store.execute(
        "INSERT INTO list_members (organisation_id, campaign_id, list_id, contact_id) "
        "VALUES (1, 1, 5, 1), (1, 1, 5, 2), (1, 1, 6, 2), (1, 1, 6, 3)"
    )
    await house.store.execute("UPDATE contacts SET deleted_at = now() WHERE contact_id = 3")
    elsewhere = {"settings": {"audience": {"contact_list_ids": [7]}}}
    refused = await house.call("POST", PATH, {"title": "x", **elsewhere})
    assert (refused.status, refused.body["errors"][0]["field"]) == (422, "settings.audience.contact_list_ids")
    await published(house, settings={"audience": {"contact_list_ids": [5, 6]}})
    rows = await house.store.fetch("SELECT contact_id FROM assignments ORDER BY contact_id")
    assert [row[0] for row in rows] == [1, 2]


async def test_what_an_earlier_attempt_assigned_is_not_kept(house: House) -> None:
    action = await draft(house)
    await house.store.execute(
        "INSERT INTO assignments (organisation_id, campaign_id, action_id, contact_id, hours_group, turn) "
        "VALUES (1, 1, $1, 99, 'PA@America/New_York', 1)",
        action["action_id"],
    )
    assert (await house.call("POST", f"{PATH}/{action['action_id']}/publish", {})).status == 200
    assert await house.store.fetch_value("SELECT count(*) FROM assignments WHERE contact_id = 99") == 0
    assert await house.count("assignments") == 10


async def test_limits_freeze_when_it_is_published(house: House) -> None:
    """F149."""
    limits = {"languages": ["es"], "zips": ["191"]}
    action = await published(house, settings={"audience": limits})
    path = f"{PATH}/{action['action_id']}"
    refused = await house.call("PATCH", path, {"settings": {"audience": {"languages": ["en"]}}})
    assert refused.status == 422
    assert [each["field"] for each in refused.body["errors"]] == [
        "settings.audience.languages",
        "settings.audience.zips",
    ]
    kept = await house.call("PATCH", path, {"settings": {"audience": limits, "description": "New"}})
    assert (kept.status, kept.body["settings"]["description"]) == (200, "New")


async def test_area_codes_are_some_of_the_campaigns(house: House) -> None:
    """F026."""
    settings = {"pool": {"preferred_area_codes": ["215", "267"]}}
    assert (await house.call("PATCH", f"/v1/campaigns/{CAMPAIGN}", {"settings": settings})).status == 200
    refused = await house.call("POST", PATH, {"title": "x", "settings": {"area_codes": ["267", "212"]}})
    assert (refused.status, refused.body["errors"][0]["field"]) == (422, "settings.area_codes[1]")
    assert (await house.call("POST", PATH, {"title": "x", "settings": {"area_codes": ["267"]}})).status == 201


async def test_an_action_overrides_what_is_its_own_and_nothing_else(house: House) -> None:
    """F216: area codes, kept assignments, scripts, report and audience; hours and safeguards are the campaign's."""
    own = {"area_codes": ["215"], "keep_assignments": True, "report": {}, "audience": {"zips": ["191"]}}
    assert (await house.call("POST", PATH, {"title": "x", "settings": own})).status == 201
    for theirs in ({"hours": {"start": "08:00"}}, {"safeguards": {"lock_enabled": False}}):
        refused = await house.call("POST", PATH, {"title": "x", "settings": theirs})
        assert (refused.status, next(iter(theirs)) in refused.body["detail"]) == (422, True)


# ---------------------------------------------------------------- at a time


async def test_a_time_can_be_changed_until_it_is_live(house: House) -> None:
    """F141, F142, C14: scheduled, given another time, then a draft again."""
    action = await draft(house)
    path = f"{PATH}/{action['action_id']}"
    past = await house.call("POST", f"{path}/publish", {"at": START_AT - 60})
    assert (past.status, past.body["errors"][0]["field"]) == (422, "at")
    for at in (START_AT + 7200, START_AT + 3600):
        timed = await house.call("POST", f"{path}/publish", {"at": at, "to": "private"})
        assert (timed.body["state"], timed.body["publish_at"], timed.body["publishes_as"]) == ("scheduled", at, "private")  # fmt: skip
    back = await house.call("POST", f"{path}/unschedule", {})
    assert (back.status, back.body["state"], back.body["publish_at"]) == (200, "draft", None)
    assert (await house.call("POST", f"{path}/unschedule", {})).status == 422


async def test_what_is_due_is_published_or_is_a_draft_again_and_says_why(house: House) -> None:
    """F141: by whichever worker's turn it is; C14: as private as it was scheduled."""
    admin, _ = await somebody(house, "admin")
    good, bad, later = [await draft(house, title=title) for title in ("good", "bad", "later")]
    for action, at in ((good, 60), (bad, 60), (later, 86_400)):
        timed = await house.call(
            "POST", f"{PATH}/{action['action_id']}/publish", {"at": START_AT + at, "to": "private"}
        )
        assert timed.status == 200
    await house.store.execute("UPDATE scripts SET source = 'Hi' WHERE action_id = $1", bad["action_id"])
    past = "UPDATE actions SET publish_at = to_timestamp($1) WHERE publish_at < to_timestamp($2)"
    await house.store.execute(past, START_AT - 1, START_AT + 3600)
    await publishing_of(house.worker.gateway).publish_due(None)
    states = {each["title"]: each["state"] for each in (await house.call("GET", PATH)).body["actions"]}
    assert states == {"good": "private", "bad": "draft", "later": "scheduled"}
    lines = (await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/audit")).body["lines"]
    [told] = [each for each in lines if each["act"] == "action not published"]
    assert told["after"]["reasons"][0]["code"] == "missing-opt-out"
    assert any(each["act"] == "action published" and each["who"] == "key:schedule" for each in lines)
    [notice] = (await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/my-notices", key=admin)).body["notices"]
    assert (notice["kind"], notice["about"]) == ("not_published", {"action_id": bad["action_id"]})
    assert "draft again" in notice["body"]


# ---------------------------------------------------------------- who sees it


async def titles(house: House, token: str) -> list[str]:
    listed = await house.call("GET", PATH, key=token)
    assert listed.status == 200, listed.body
    return [each["title"] for each in listed.body["actions"]]


async def test_a_volunteer_sees_what_is_published_and_for_them(house: House) -> None:
    """F140, F145 to F148."""
    token, user_id = await somebody(house)
    await draft(house, title="draft")
    await published(house, title="all")
    await published(house, title="spanish", settings={"audience": {"languages": ["es"]}})
    private = await published(house, "private", title="private")
    assert await titles(house, token) == ["all"]
    path = f"{PATH}/{private['action_id']}"
    assert (await house.call("GET", path, key=token)).status == 404
    invited = await house.call("POST", f"{path}/invitees", {"user_ids": [user_id, 99]})
    assert invited.body == {"user_ids": [user_id]}
    assert await titles(house, token) == ["private", "all"]
    [invitee] = (await house.call("GET", f"{path}/invitees")).body["invitees"]
    assert (invitee["user_id"], invitee["name"]) == (user_id, "Ann Li")
    assert (await house.call("DELETE", f"{path}/invitees/{user_id}")).status == 204
    assert await titles(house, token) == ["all"]
    assert (await house.call("POST", f"{path}/publish", {"to": "public"})).status == 200  # F143
    assert await titles(house, token) == ["private", "all"]


async def test_people_of_a_list_see_a_private_action(house: House) -> None:
    """F144."""
    token, user_id = await somebody(house)
    made = await house.call("POST", f"/v1/campaigns/{CAMPAIGN}/user-lists", {"name": "Team"})
    assert made.status == 201, made.body
    await house.store.execute(
        "INSERT INTO user_list_members (organisation_id, campaign_id, user_list_id, user_id) VALUES (1, 1, $1, $2)",
        made.body["user_list_id"],
        user_id,
    )
    await published(house, "private", settings={"audience": {"user_list_ids": [made.body["user_list_id"]]}})
    assert await titles(house, token) == ["Polls"]


async def test_an_action_link_lets_people_of_the_campaign_in(house: House) -> None:
    """F150: nobody guesses it, it opens no draft, and another one takes its place."""
    token, _ = await somebody(house)
    action = await draft(house)
    path, link = f"{PATH}/{action['action_id']}", {"link": action["link"]}
    assert (await house.call("POST", f"{PATH}:enter", link, key=token)).status == 404
    assert (await house.call("POST", f"{path}/publish", {"to": "private"})).status == 200
    entered = await house.call("POST", f"{PATH}:enter", link, key=token)
    assert (entered.status, entered.body["title"], entered.body["link"]) == (200, "Polls", None)
    assert await titles(house, token) == ["Polls"]
    changed = await house.call("PATCH", path, {"new_link": True})
    assert changed.body["link"] != action["link"]
    assert (await house.call("POST", f"{PATH}:enter", link, key=token)).status == 404


async def test_a_volunteer_changes_nothing(house: House) -> None:
    token, _ = await somebody(house)
    action = await published(house)
    path = f"{PATH}/{action['action_id']}"
    for method, where, body in (
        ("POST", PATH, {"title": "x"}),
        ("PATCH", path, {"title": "x"}),
        ("POST", f"{path}/publish", {}),
        ("GET", f"{path}/scripts", None),
        ("GET", f"{path}/invitees", None),
    ):
        assert (await house.call(method, where, body, key=token)).status == 403


async def test_lists_by_folder_and_state_page_by_page(house: House) -> None:
    """F079."""
    for n in range(5):
        await draft(house, title=f"a{n}", settings={"folders": ["odd" if n % 2 else "even"]})
    first = await house.call("GET", f"{PATH}?folder=even&limit=2")
    assert [each["title"] for each in first.body["actions"]] == ["a4", "a2"]
    rest = await house.call("GET", f"{PATH}?folder=even&limit=2&cursor={first.body['next']}")
    assert ([each["title"] for each in rest.body["actions"]], rest.body["next"]) == (["a0"], None)
    assert (await house.call("GET", f"{PATH}?state=public")).body["actions"] == []
    path = f"{PATH}/{rest.body['actions'][0]['action_id']}"
    assert (await house.call("PATCH", path, {"archived": True})).body["archived_at"] is not None
    assert [e["title"] for e in (await house.call("GET", f"{PATH}?archived=true")).body["actions"]] == ["a0"]
    assert (await house.call("GET", f"{PATH}?cursor=nonsense")).status == 422


@pytest.mark.parametrize("role", [Role.KEY_SENDER, Role.KEY_READER])
async def test_lesser_keys_read_actions_and_change_none(house: House, role: Role) -> None:
    await draft(house)
    assert len((await house.call("GET", PATH, key=role)).body["actions"]) == 1
    assert (await house.call("POST", PATH, {"title": "x"}, key=role)).status == 403
