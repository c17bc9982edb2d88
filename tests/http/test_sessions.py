"""Sign-in over HTTP: sessions by cookie and bearer, where a change may come from, what may be tried how often."""

import asyncio

import pytest

from gateway import logs
from gateway.config import Log
from gateway.http.access import COOKIE
from gateway.http.failures import Failures, attempt
from gateway.http.problems import Refusal
from tests.http.house import CAMPAIGN, OTHER_CAMPAIGN, START_AT, House
from tests.http.persons import PASSWORD, SAME_ORIGIN, by_cookie, join, sign_in, somebody

EMAIL = "ann@example.org"
NEW_PASSWORD = "staple battery horse"


async def test_who_signs_in_is_known(house: House) -> None:
    _, user_id = await somebody(house)
    opened = await sign_in(house, " ANN@example.org ")
    assert (opened.status, opened.headers["Cache-Control"]) == (201, "no-store")
    assert opened.body["user_id"] == user_id
    assert opened.body["ends_at"] > START_AT + 86_400
    assert "Set-Cookie" not in opened.headers
    me = await house.call("GET", "/v1/me", key=opened.body["token"])
    assert (me.status, me.headers["Cache-Control"]) == (200, "no-store")
    assert me.body == {
        "user_id": user_id,
        "organisation_id": 1,
        "name": "Ann Li",
        "email": EMAIL,
        "language": "en",
        "zip": None,
        "email_confirmed": False,
        "second_factor": False,
        "campaigns": [{"campaign_id": CAMPAIGN, "name": "Bank", "role": "volunteer"}],
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "wrong password"},
        {"email": "nobody@example.org"},
        {"email": "no address"},
        {"organisation_id": 2},
        {"organisation_id": 2**63 - 1},
    ],
)
async def test_whatever_is_wrong_the_answer_is_the_same(house: House, wrong: dict[str, object]) -> None:
    await somebody(house)
    answer = await sign_in(house, **{"email": EMAIL, **wrong})  # type: ignore[arg-type]
    assert answer.status == 401
    assert answer.body["detail"] == "e-mail address, or password or code, is wrong"
    assert "WWW-Authenticate" not in answer.headers  # a browser would open a window of its own


@pytest.mark.parametrize(
    "token", ["tbs_", f"tbs_1_{'0' * 64}", f"tbs_{2**63}_{'0' * 64}", f"tbi_1_{'0' * 64}", "tbs_1_x"]
)
@pytest.mark.parametrize("path", ["/v1/me", "/v1/sessions", f"/v1/campaigns/{CAMPAIGN}"])
async def test_a_token_that_is_none_opens_nothing(house: House, token: str, path: str) -> None:
    assert (await house.call("GET", path, key=token)).status == 401
    if token.startswith("tbs"):
        assert (await by_cookie(house, "GET", path, token)).status == 401


async def test_ended_sessions_of_a_whole_office_are_no_attack(house: House) -> None:
    """All behind one address come back the next day: each is told to sign in, none to wait."""
    path = f"/v1/campaigns/{CAMPAIGN}"
    told = await asyncio.gather(*(house.call("GET", path, key=f"tbs_1_{nth:064x}") for nth in range(60)))
    assert {each.status for each in told} == {401}


# ---------------------------------------------------------------- by cookie


async def test_a_cookie_is_out_of_reach_of_scripts_and_other_sites(house: House) -> None:
    await somebody(house)
    opened = await sign_in(house, EMAIL, carrier="cookie")
    assert "token" not in opened.body
    name, _, rest = opened.headers["Set-Cookie"].partition("=")
    token, *attributes = [part.strip() for part in rest.split(";")]
    assert name == COOKIE == "__Host-textbank"
    assert {"HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=1209600"} == set(attributes)
    assert (await by_cookie(house, "GET", "/v1/me", token)).body["email"] == EMAIL
    out = await by_cookie(house, "DELETE", "/v1/sessions/current", token, headers=SAME_ORIGIN)
    assert out.status == 204
    assert f'{COOKIE}=""' in out.headers["Set-Cookie"]
    assert "Max-Age=0" in out.headers["Set-Cookie"]
    assert (await by_cookie(house, "GET", "/v1/me", token)).status == 401


@pytest.mark.parametrize(
    ("headers", "is_ours"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({}, False),
        ({"Origin": "OURS"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://["}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "OURS"}, False),
    ],
)
async def test_a_change_by_cookie_comes_from_our_own_pages(
    house: House, headers: dict[str, str], is_ours: bool
) -> None:
    token, user_id = await somebody(house, "admin")
    sent = {name: value.replace("OURS", house.worker.url) for name, value in headers.items()}
    path = f"/v1/campaigns/{CAMPAIGN}/members/{user_id}"
    answer = await by_cookie(house, "PATCH", path, token, {"role": "admin"}, headers=sent)
    assert answer.status == (200 if is_ours else 403)
    assert (await by_cookie(house, "GET", path.rpartition("/")[0], token)).status == 200
    deleted = await by_cookie(house, "DELETE", "/v1/sessions/current", token, headers=sent)
    assert deleted.status == (204 if is_ours else 403)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_what_a_form_can_send_is_not_taken_by_cookie(house: House, kind: str) -> None:
    token, _ = await somebody(house, "admin")
    headers = {"Content-Type": kind, **SAME_ORIGIN}
    path = f"/v1/campaigns/{CAMPAIGN}/join-code"
    assert (await by_cookie(house, "POST", path, token, data=b"{}", headers=headers)).status == 415


async def test_a_bearer_needs_no_page(house: House) -> None:
    token, _ = await somebody(house, "admin")
    headers = {"Sec-Fetch-Site": "cross-site"}
    path = f"/v1/campaigns/{CAMPAIGN}/join-code"
    assert (await house.call("POST", path, {}, key=token, headers=headers)).status == 201


async def test_an_authorization_goes_before_a_cookie(house: House) -> None:
    token, _ = await somebody(house)
    headers = {"Cookie": f"{COOKIE}={token}"}
    assert (await house.call("GET", f"/v1/campaigns/{CAMPAIGN}", headers=headers)).status == 200
    wrong = {**headers, "Authorization": "Bearer nonsense"}
    answer = await house.call("GET", f"/v1/campaigns/{CAMPAIGN}", key=None, headers=wrong)
    assert answer.status == 401


# ---------------------------------------------------------------- one's own sessions


async def test_one_sees_and_ends_ones_own_sessions(house: House) -> None:
    first, _ = await somebody(house)
    second = (await sign_in(house, EMAIL)).body
    other, _ = await somebody(house, email="bo@example.org")
    listed = (await house.call("GET", "/v1/sessions", key=first)).body["sessions"]
    assert [each["is_this_one"] for each in listed] == [False, True]
    assert listed[0]["session_id"] == second["session_id"]
    others = f"/v1/sessions/{second['session_id']}"
    assert (await house.call("DELETE", others, key=other)).status == 404
    assert (await house.call("DELETE", "/v1/sessions/9223372036854775808", key=first)).status == 404
    assert (await house.call("GET", "/v1/me", key=second["token"])).status == 200
    assert (await house.call("DELETE", others, key=first)).status == 204
    assert (await house.call("GET", "/v1/me", key=second["token"])).status == 401
    assert (await house.call("DELETE", others, key=first)).status == 404
    assert (await house.call("GET", "/v1/me", key=first)).status == 200


async def test_another_password_ends_every_session(house: House) -> None:
    first, _ = await somebody(house)
    second = (await sign_in(house, EMAIL)).body["token"]
    for body, status in [
        ({"current": "wrong password", "new": NEW_PASSWORD}, 422),
        ({"current": PASSWORD, "new": "short"}, 422),
        ({"current": PASSWORD, "new": EMAIL}, 422),
        ({"current": PASSWORD}, 422),
    ]:
        assert (await house.call("PUT", "/v1/me/password", body, key=first)).status == status
    assert (await house.call("GET", "/v1/me", key=second)).status == 200
    body = {"current": PASSWORD, "new": NEW_PASSWORD}
    assert (await house.call("PUT", "/v1/me/password", body, key=first)).status == 204
    assert [(await house.call("GET", "/v1/me", key=each)).status for each in (first, second)] == [401, 401]
    assert (await sign_in(house, EMAIL)).status == 401
    assert (await sign_in(house, EMAIL, NEW_PASSWORD)).status == 201


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/me"),
        ("GET", "/v1/sessions"),
        ("DELETE", "/v1/sessions/current"),
        ("DELETE", "/v1/sessions/1"),
    ],
)
async def test_a_key_is_nobody_who_signed_in(house: House, method: str, path: str) -> None:
    assert (await house.call(method, path)).status == 401
    assert (await house.call(method, path, key=None)).status == 401


async def test_what_is_about_no_one_campaign_needs_a_key(house: House) -> None:
    token, _ = await somebody(house, "admin")
    assert (await house.call("POST", "/v1/campaigns", {"name": "Another"}, key=token)).status == 403


# ---------------------------------------------------------------- guessing


async def test_an_account_is_guessed_at_only_so_often(house: House) -> None:
    await somebody(house)
    await somebody(house, email="bo@example.org")
    tried = [await sign_in(house, EMAIL, f"guess number {nth}") for nth in range(11)]
    assert [each.status for each in tried] == [401] * 10 + [429]
    assert 0 < int(tried[10].headers["Retry-After"]) <= 30
    right = await sign_in(house, EMAIL.upper())
    assert right.status == 429  # before anything is compared: the eleventh guess may be the right one
    assert (await sign_in(house, "bo@example.org")).status == 201


async def test_an_account_that_is_not_there_is_limited_as_well(house: House) -> None:
    tried = [(await sign_in(house, "nobody@example.org")).status for _ in range(11)]
    assert tried == [401] * 10 + [429]


async def test_many_guesses_at_once_are_no_way_around(house: House) -> None:
    await somebody(house)
    tried = await asyncio.gather(*(sign_in(house, EMAIL, f"guess number {nth}") for nth in range(40)))
    assert sorted(each.status for each in tried) == [401] * 10 + [429] * 30


async def test_who_signs_in_often_is_not_in_their_own_way(house: House) -> None:
    await somebody(house)
    assert {(await sign_in(house, EMAIL)).status for _ in range(15)} == {201}


async def test_what_an_attempt_counts_on() -> None:
    counter, others = Failures(allowed=2, one_more_every_s=60), Failures(allowed=100, one_more_every_s=1)
    for _ in range(5):
        with attempt((others, "a"), (counter, "x")) as made:
            made.is_right = True
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), attempt((others, "a"), (counter, "x")):
            raise ZeroDivisionError
    for _ in range(2):
        with attempt((others, "a"), (counter, "x")):
            pass
    with pytest.raises(Refusal), attempt((others, "a"), (counter, "x")):
        pytest.fail("a third wrong one")
    with attempt((others, "a"), (counter, "y")):
        pass


async def test_who_hangs_up_has_guessed() -> None:
    counter = Failures(allowed=1, one_more_every_s=60)

    async def guess() -> None:
        with attempt((counter, "x")):
            await asyncio.Event().wait()

    guessing = asyncio.create_task(guess())
    await asyncio.sleep(0)
    guessing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await guessing
    with pytest.raises(Refusal):
        await guess()


# ---------------------------------------------------------------- invitations, bad input, secrecy


async def test_an_invitation_is_answered_once(house: House) -> None:
    path = f"/v1/campaigns/{CAMPAIGN}/members"
    entered = await house.call("POST", path, {"email": EMAIL, "name": "Ann", "role": "supervisor"})
    assert entered.status == 201
    body = {"invitation": entered.body["invitation"], "password": "short", "carrier": "bearer"}
    accept = "/v1/invitations:accept"
    assert (await house.call("POST", accept, body, key=None)).status == 422
    body["password"] = PASSWORD
    opened = await house.call("POST", accept, body, key=None)
    assert opened.status == 201
    me = (await house.call("GET", "/v1/me", key=opened.body["token"])).body
    assert me["campaigns"][0]["role"] == "supervisor"
    assert (await house.call("POST", accept, body, key=None)).status == 404
    body["invitation"] = opened.body["token"]
    assert (await house.call("POST", accept, body, key=None)).status == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"email": EMAIL}, 422),
        ({"email": EMAIL, "password": PASSWORD, "more": 1}, 422),
        ({"email": EMAIL, "password": "x" * 201}, 422),
        ({"email": "x" * 255, "password": PASSWORD}, 422),
        ({"email": EMAIL, "password": PASSWORD, "carrier": "pigeon"}, 422),
        ({"email": EMAIL, "password": PASSWORD, "organisation_id": 0}, 422),
        ({"email": EMAIL, "password": PASSWORD, "code": "123456"}, 422),
        ({"email": EMAIL, "code": "12345"}, 422),
        ([], 422),
    ],
)
async def test_bad_input_is_explained_and_not_repeated(house: House, body: object, status: int) -> None:
    answer = await house.call("POST", "/v1/sessions", body, key=None)
    assert answer.status == status
    assert PASSWORD not in answer.body["detail"]


@pytest.mark.usefixtures("bare")
async def test_no_secret_and_no_address_is_logged(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure(Log())
    joined = await join(house, EMAIL)
    opened = await sign_in(house, EMAIL)
    await sign_in(house, EMAIL, "wrong password")
    await by_cookie(house, "GET", "/v1/me", opened.body["token"])
    await house.call(
        "POST", f"/v1/campaigns/{OTHER_CAMPAIGN}/members", {"email": "bo@example.org", "name": "Bo"}
    )
    await house.store.execute("ALTER TABLE sessions RENAME TO hidden")  # a defect, told with its traceback
    assert (await sign_in(house, EMAIL)).status == 500
    await house.store.execute("ALTER TABLE hidden RENAME TO sessions")
    house.worker._access_log.flush()
    told = capfd.readouterr()
    lines = told.out + told.err
    assert "/v1/sessions" in lines
    assert "UndefinedTableError" in lines
    for secret in (EMAIL, PASSWORD, "bo@example.org", "wrong password"):
        assert secret not in lines
    for session in (joined.body["session"], opened.body):
        assert session["token"].rpartition("_")[2] not in lines
