"""People at the door of a house: they sign up by a campaign's code, and carry their session as a bearer's token."""

from typing import Any

from gateway.http.access import COOKIE
from tests.http.house import CAMPAIGN, Answer, House

PASSWORD = "correct horse battery"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


async def code_of(house: House, campaign_id: int = CAMPAIGN) -> Any:
    """A new code of the campaign, as an admin's key gets it."""
    made = await house.call("POST", f"/v1/campaigns/{campaign_id}/join-code", {})
    assert made.status == 201, made.body
    return made.body


def sign_up(email: str, **more: object) -> dict[str, object]:
    return {"name": "Ann Li", "email": email, "password": PASSWORD, "carrier": "bearer", **more}


async def join(house: House, email: str, campaign_id: int = CAMPAIGN, **more: object) -> Answer:
    """Somebody new, by the campaign's code."""
    body = {"code": (await code_of(house, campaign_id))["code"], "sign_up": sign_up(email, **more)}
    return await house.call("POST", "/v1/join", body, key=None)


async def somebody(
    house: House, role: str = "volunteer", email: str = "ann@example.org", campaign_id: int = CAMPAIGN
) -> tuple[str, int]:
    """A person of a role: token and user id."""
    joined = await join(house, email, campaign_id)
    assert joined.status == 201, joined.body
    user_id = joined.body["user_id"]
    if role != "volunteer":
        await house.store.execute("UPDATE users SET confirmed_at = now() WHERE user_id = $1", user_id)
        path = f"/v1/campaigns/{campaign_id}/members/{user_id}"
        assert (await house.call("PATCH", path, {"role": role})).status == 200
    return joined.body["session"]["token"], user_id


async def sign_in(house: House, email: str, password: str = PASSWORD, **more: object) -> Answer:
    body = {"email": email, "password": password, "carrier": "bearer", **more}
    return await house.call("POST", "/v1/sessions", body, key=None)


async def by_cookie(
    house: House, method: str, path: str, token: str, body: Any = None, **more: Any
) -> Answer:
    """As a browser sends it; `headers` say where from."""
    headers = {"Cookie": f"other=1; {COOKIE}={token}", **more.pop("headers", {})}
    return await house.call(method, path, body, key=None, headers=headers, **more)
