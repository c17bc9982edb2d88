"""A campaign's people over HTTP (F208): codes, members, and what each role may on whose campaign."""

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from gateway.core.bank.permissions import PEOPLE_ROLES, Act, Actor, Reach, Role
from gateway.http.operations import Operation
from gateway.http.server import OPERATIONS
from gateway.p2p.cursors import cursor_of
from tests.http.house import CAMPAIGN, OTHER_CAMPAIGN, House
from tests.http.persons import PASSWORD, by_cookie, code_of, join, sign_in, sign_up, somebody
from tests.http.test_whose import least

EMAIL = "ann@example.org"
MEMBERS = f"/v1/campaigns/{CAMPAIGN}/members"
CODE = f"/v1/campaigns/{CAMPAIGN}/join-code"


async def a_third_campaign(house: House) -> int:
    """Another organisation's."""
    await house.store.execute("INSERT INTO organisations VALUES (2, 'The second organisation', now())")
    made = await house.call("POST", "/v1/campaigns", {"name": "Theirs", "organisation_id": 2})
    campaign_id: int = made.body["campaign_id"]
    return campaign_id


# ---------------------------------------------------------------- joining


@pytest.mark.parametrize("by", ["code", "link"])
async def test_a_newcomer_joins_by_code_or_link(house: House, by: str) -> None:
    code = await code_of(house)
    who = sign_up(EMAIL, language="es", zip="15201-0001", carrier="cookie")
    joined = await house.call("POST", "/v1/join", {"code": code[by], "sign_up": who}, key=None)
    assert joined.status == 201
    assert joined.body.keys() == {"campaign_id", "name", "user_id", "session"}
    assert "token" not in joined.body["session"]
    token = joined.headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    me = (await by_cookie(house, "GET", "/v1/me", token)).body
    assert (me["language"], me["zip"], me["campaigns"][0]["role"]) == ("es", "15201", "volunteer")


async def test_who_has_signed_in_joins_another_campaign(house: House) -> None:
    token, user_id = await somebody(house)
    path = f"/v1/campaigns/{OTHER_CAMPAIGN}"
    assert (await house.call("GET", path, key=token)).status == 404
    code = (await code_of(house, OTHER_CAMPAIGN))["code"]
    joined = await house.call("POST", "/v1/join", {"code": code}, key=token)
    assert (joined.status, joined.body) == (
        201,
        {"campaign_id": OTHER_CAMPAIGN, "name": "Bank", "user_id": user_id},
    )
    assert (await house.call("GET", path, key=token)).status == 200  # at once


async def test_who_has_an_account_gives_its_password(house: House) -> None:
    _, user_id = await somebody(house)
    wrong = await join(house, EMAIL, OTHER_CAMPAIGN, password="another password")
    assert (wrong.status, "wrong" in wrong.body["detail"]) == (401, True)
    right = await join(house, EMAIL, OTHER_CAMPAIGN)
    assert (right.status, right.body["user_id"]) == (201, user_id)


async def test_a_code_of_another_organisation_needs_an_account_there(house: House) -> None:
    token, user_id = await somebody(house)
    theirs = await a_third_campaign(house)
    code = (await code_of(house, theirs))["code"]
    assert (await house.call("POST", "/v1/join", {"code": code}, key=token)).status == 409
    joined = await join(house, EMAIL, theirs)
    assert joined.status == 201
    assert joined.body["user_id"] != user_id


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"email": "ann"}, 422),
        ({"name": ""}, 422),
        ({"name": " "}, 422),
        ({"password": "short"}, 422),
        ({"password": "aaaaaaaaaaaa"}, 422),
        ({"zip": "1520"}, 422),
        ({"language": "fr"}, 422),
        ({"role": "admin"}, 422),
    ],
)
async def test_bad_words_leave_nobody(house: House, change: dict[str, object], status: int) -> None:
    who = {"email": EMAIL, **change}
    assert (await join(house, **who)).status == status  # type: ignore[arg-type]
    assert await house.count("users") == 0


async def test_a_code_ends_rotates_and_is_taken_back(house: House) -> None:
    assert (await house.call("GET", CODE)).status == 404
    first, second = await code_of(house), await code_of(house)
    shown = (await house.call("GET", CODE)).body
    assert (shown["code"], shown["link"]) == (second["code"], second["link"])
    for word in (first["code"], first["link"], "000000x", "0" * 32):
        assert (
            await house.call("POST", "/v1/join", {"code": word, "sign_up": sign_up(EMAIL)}, key=None)
        ).status == 404
    assert (await house.call("DELETE", CODE)).status == 204
    answer = await house.call("POST", "/v1/join", {"code": second["code"]}, key=None)
    assert answer.status == 404
    for valid_s in (0, -1, 8e6):
        assert (await house.call("POST", CODE, {"valid_s": valid_s})).status == 422
    short = await house.call("POST", CODE, {"valid_s": 3600})
    assert short.body["ends_at"] - short.body["made_at"] == pytest.approx(3600)


async def test_codes_are_guessed_at_only_so_often_and_links_go_on_working(house: House) -> None:
    code = await code_of(house)
    wrong = "000000" if code["code"] != "000000" else "000001"
    tried = await asyncio.gather(
        *(house.call("POST", "/v1/join", {"code": wrong}, key=None) for _ in range(105))
    )
    assert sorted(each.status for each in tried) == [404] * 100 + [429] * 5
    answer = await house.call("POST", "/v1/join", {"code": code["code"]}, key=None)
    assert (answer.status, "Retry-After" in answer.headers) == (429, True)
    body = {"code": code["link"], "sign_up": sign_up(EMAIL)}
    assert (await house.call("POST", "/v1/join", body, key=None)).status == 201


# ---------------------------------------------------------------- members


async def test_members_come_in_pages(house: House) -> None:
    ids = [(await join(house, f"v{nth}@example.org")).body["user_id"] for nth in range(5)]
    seen: list[int] = []
    more = ""
    while more is not None:
        page = (await house.call("GET", f"{MEMBERS}?limit=2{more}")).body
        seen += [each["user_id"] for each in page["members"]]
        more = page["next"] and f"&cursor={page['next']}"
        assert len(page["members"]) <= 2
    assert seen == sorted(ids)
    assert (await house.call("GET", f"{MEMBERS}?limit=5")).body["next"] is None
    await house.store.execute("UPDATE users SET confirmed_at = now()")
    await house.call("PATCH", f"{MEMBERS}/{ids[0]}", {"role": "admin"})
    await house.call("PATCH", f"{MEMBERS}/{ids[1]}", {"active": False})

    async def found(query: str) -> set[int]:
        answer = await house.call("GET", f"{MEMBERS}?{query}")
        return {each["user_id"] for each in answer.body["members"]}

    assert await found("role=admin") == {ids[0]}
    assert await found("active=false") == {ids[1]}
    assert await found("active=true&role=volunteer") == set(ids[2:])
    assert await found("text=V4%40") == {ids[4]}


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "cursor=-1", "role=king", "active=maybe", "text=%00"]
)
async def test_a_query_that_can_t_be_is_refused(house: House, query: str) -> None:
    assert (await house.call("GET", f"{MEMBERS}?{query}")).status == 422


@pytest.mark.parametrize("path", [MEMBERS, f"/v1/campaigns/{CAMPAIGN}/audit"])
@pytest.mark.parametrize("place", [[2**63], [0], [-1], 2**64 - 1, 5, ["a"], [], None])
async def test_a_cursor_of_no_list_is_refused(house: House, path: str, place: object) -> None:
    assert (await house.call("GET", f"{path}?cursor={cursor_of(place)}")).status == 422


async def test_a_volunteer_sees_themselves(house: House) -> None:
    token, user_id = await somebody(house)
    await somebody(house, email="bo@example.org")
    for query in ("", "?limit=1", "?text=bo"):
        page = (await house.call("GET", MEMBERS + query, key=token)).body
        assert ([each["user_id"] for each in page["members"]], page["next"]) == ([user_id], None)


async def test_who_loses_a_place_is_out_at_once(house: House) -> None:
    token, user_id = await somebody(house, "supervisor")
    assert (await house.call("GET", MEMBERS, key=token)).status == 200
    taken = await house.call("PATCH", f"{MEMBERS}/{user_id}", {"active": False})
    assert (taken.status, taken.body["deactivated_at"] is not None) == (200, True)
    assert (await house.call("GET", MEMBERS, key=token)).status == 401
    assert (await join(house, EMAIL)).status == 403
    token = (await sign_in(house, EMAIL)).body["token"]
    assert (await house.call("GET", MEMBERS, key=token)).status == 404
    assert (await house.call("GET", "/v1/me", key=token)).body["campaigns"] == []
    assert (await house.call("POST", MEMBERS, {"email": EMAIL, "name": "Ann"})).status == 409
    await house.call("PATCH", f"{MEMBERS}/{user_id}", {"active": True})
    assert (await house.call("GET", MEMBERS, key=token)).status == 200


async def test_a_role_is_in_force_at_once(house: House) -> None:
    token, user_id = await somebody(house)
    assert (await house.call("GET", CODE, key=token)).status == 403
    await house.store.execute("UPDATE users SET confirmed_at = now()")
    await house.call("PATCH", f"{MEMBERS}/{user_id}", {"role": "admin"})
    assert (await house.call("POST", CODE, {}, key=token)).status == 201
    last = await house.call("PATCH", f"{MEMBERS}/{user_id}", {"role": "volunteer"}, key=token)
    assert (last.status, "last admin" in last.body["detail"]) == (409, True)


async def test_an_admin_lets_people_in(house: House) -> None:
    token, _ = await somebody(house, "admin")
    new = await house.call("POST", MEMBERS, {"email": "Bo@example.org", "name": "Bo"}, key=token)
    assert (new.status, new.body["member"]["is_invited"]) == (201, True)
    assert new.body["invitation"].startswith("tbi_1_")
    other = await house.call(
        "POST", f"/v1/campaigns/{OTHER_CAMPAIGN}/members", {"email": "bo@example.org", "name": "Bo"}
    )
    assert (other.status, "invitation" in other.body["detail"]) == (409, True)
    known = await house.call(
        "POST", f"/v1/campaigns/{OTHER_CAMPAIGN}/members", {"email": EMAIL, "name": "X", "role": "admin"}
    )
    assert (known.body["invitation"], known.body["member"]["name"]) == (None, "Ann Li")


async def test_one_campaign_vouches_for_nobody_in_another(house: House) -> None:
    """An admin who invites somebody else's address and accepts it themselves is nobody where that person is invited."""
    token, _ = await somebody(house, "admin")
    whom = {"email": "boss@example.org", "name": "Boss", "role": "supervisor"}
    invitation = (await house.call("POST", MEMBERS, whom, key=token)).body["invitation"]
    accepted = await house.call(
        "POST",
        "/v1/invitations:accept",
        {"invitation": invitation, "password": PASSWORD, "carrier": "bearer"},
        key=None,
    )
    theirs = accepted.body["token"]
    own = (await house.call("GET", "/v1/me", key=theirs)).body
    assert (own["campaigns"][0]["role"], own["email_confirmed"]) == ("supervisor", False)
    raised = await house.call("PATCH", f"{MEMBERS}/{accepted.body['user_id']}", {"role": "admin"}, key=token)
    assert raised.status == 200
    elsewhere = await house.call("POST", f"/v1/campaigns/{OTHER_CAMPAIGN}/members", {**whom, "role": "admin"})
    assert elsewhere.status == 409
    assert (await house.call("GET", f"/v1/campaigns/{OTHER_CAMPAIGN}/members", key=theirs)).status == 404


async def test_the_audit_log_names_who_let_whom_in(house: House) -> None:
    token, admin_id = await somebody(house, "admin")
    new = await house.call("POST", MEMBERS, {"email": "bo@example.org", "name": "Bo"}, key=token)
    log = await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/audit", key=token)
    user_id = new.body["member"]["user_id"]
    [line] = [each for each in log.body["lines"] if each["act"] == "member added"]
    assert line["who"] == f"user:{admin_id}"
    assert line["after"] == {"user_id": user_id, "role": "volunteer", "active": True}


# ---------------------------------------------------------------- every operation, every role, whosever


def within_a_campaign(operation: Operation) -> bool:
    return operation.act is not None and "campaign_id" in operation.ids


WITHIN = [each for each in OPERATIONS if within_a_campaign(each)]


async def ask(house: House, operation: Operation, campaign_id: int, token: str) -> int:
    ids = dict.fromkeys(operation.ids, 1) | {"campaign_id": campaign_id}
    body: Any = None if operation.takes is None else least(operation.takes, campaign_id)
    once = "?once=true" if operation.handler == "live.stream" else ""  # else it goes on for ever
    return (await house.call(operation.method, operation.path.format(**ids) + once, body, key=token)).status


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def another_organisations(kept_house: House) -> int:
    return await a_third_campaign(kept_house)


async def still_somebody(house: House, role: Role, tokens: dict[Role, str]) -> str:
    """The role's token; somebody new's when what was asked before has taken the last one's place away."""
    if role in tokens:
        me = await house.call("GET", "/v1/me", key=tokens[role])
        places = me.body["campaigns"] if me.status == 200 else []
        if (CAMPAIGN, role.value) in {(each["campaign_id"], each["role"]) for each in places}:
            return tokens[role]
    users = await house.count("users")
    tokens[role], _ = await somebody(house, role.value, f"{role.value}{users}@example.org")
    return tokens[role]


@pytest.fixture(scope="module")
def tokens() -> dict[Role, str]:
    return {}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("operation", WITHIN, ids=lambda each: each.handler)
async def test_a_person_may_what_their_role_may_where_they_have_a_place(
    kept_house: House, another_organisations: int, tokens: dict[Role, str], operation: Operation
) -> None:
    assert operation.act is not None
    house, theirs = kept_house, another_organisations
    for role in PEOPLE_ROLES:
        token = await still_somebody(house, role, tokens)
        for elsewhere in (OTHER_CAMPAIGN, theirs, 99_999):
            assert await ask(house, operation, elsewhere, token) == 404
        may = Actor(role, user_id=1).reach(operation.act) is not Reach.NOTHING
        assert (await ask(house, operation, CAMPAIGN, token) == 403) is not may


def test_the_operations_are_found() -> None:
    assert {"people.members", "people.change", "campaigns.show"} <= {each.handler for each in WITHIN}
    assert Actor(Role.VOLUNTEER, user_id=1).reach(Act.READ_PEOPLE) is Reach.OWN


async def test_sixty_sign_up_at_once(house: House) -> None:
    code = (await code_of(house))["code"]
    joined = await asyncio.gather(
        *(
            house.call(
                "POST", "/v1/join", {"code": code, "sign_up": sign_up(f"v{nth}@example.org")}, key=None
            )
            for nth in range(60)
        )
    )
    assert {each.status for each in joined} == {201}
    assert len({each.body["user_id"] for each in joined}) == 60
    assert PASSWORD not in str(await house.store.fetch("SELECT * FROM users"))
