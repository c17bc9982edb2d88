"""Over the API: an admin's authenticator, as a campaign may want it, and a forgotten password."""

import asyncio
import re

import pyotp
import pytest

from tests.http.house import CAMPAIGN, START_AT, House
from tests.http.persons import PASSWORD, sign_in, somebody
from tests.http.signing_provider import PATIENCE_S

EMAIL = "ann@example.org"
PATH = f"/v1/campaigns/{CAMPAIGN}"
ME = "/v1/me/second-factor"


async def test_a_campaign_may_want_its_admins_to_have_one(house: House) -> None:
    token, _ = await somebody(house, "admin", EMAIL)
    volunteer, _ = await somebody(house, "volunteer", "bo@example.org")
    assert (await house.call("GET", PATH, key=token)).status == 200
    wanted = {"settings": {"admins_need_second_factor": True}}
    assert (await house.call("PATCH", PATH, wanted, key=token)).status == 200
    refused = await house.call("GET", PATH, key=token)
    assert (refused.status, ME in refused.body["detail"]) == (403, True)
    assert (await house.call("GET", PATH, key=volunteer)).status == 200
    assert (await house.call("POST", ME, {"password": "not my password"}, key=token)).status == 422
    begun = await house.call("POST", ME, {"password": PASSWORD}, key=token)
    assert begun.status == 201
    totp = pyotp.TOTP(begun.body["secret"])
    confirmed = await house.call("POST", f"{ME}/confirm", {"code": totp.at(int(START_AT))}, key=token)
    assert (confirmed.status, len(confirmed.body["recovery_codes"])) == (200, 10)
    assert (await house.call("GET", PATH, key=token)).status == 200
    assert (await house.call("GET", "/v1/me", key=token)).body["second_factor"] is True
    assert (await house.call("POST", ME, {"password": PASSWORD}, key=token)).status == 409
    asked = await sign_in(house, EMAIL)
    assert (asked.status, asked.body["errors"][0]["field"]) == (401, "second_factor")
    wrong = await sign_in(house, EMAIL, second_factor="000000")
    assert (wrong.status, "errors" in wrong.body) == (401, False)
    right = await sign_in(house, EMAIL, second_factor=confirmed.body["recovery_codes"][0])
    assert right.status == 201
    assert (await house.call("GET", PATH, key=right.body["token"])).status == 200


async def test_without_it_any_more_no_session_counts_as_begun_with_it(house: House) -> None:
    token, _ = await somebody(house, "admin", EMAIL)
    begun = await house.call("POST", ME, {"password": PASSWORD}, key=token)
    code = {"code": pyotp.TOTP(begun.body["secret"]).at(int(START_AT))}
    codes = (await house.call("POST", f"{ME}/confirm", code, key=token)).body["recovery_codes"]
    wanted = {"settings": {"admins_need_second_factor": True}}
    assert (await house.call("PATCH", PATH, wanted, key=token)).status == 200
    proof = {"password": PASSWORD, "second_factor": codes[0]}
    assert (await house.call("POST", f"{ME}/remove", proof, key=token)).status == 204
    assert (await house.call("GET", PATH, key=token)).status == 403


async def test_nobody_locks_the_owner_of_an_address_out(house: House) -> None:
    """Whoever signed up with somebody else's address gets no authenticator for it."""
    token, _ = await somebody(house, "volunteer", EMAIL)
    refused = await house.call("POST", ME, {"password": PASSWORD}, key=token)
    assert (refused.status, refused.body["detail"]) == (409, "confirm your e-mail address first")


async def test_wrong_codes_are_limited_as_wrong_passwords_are(house: House) -> None:
    token, _ = await somebody(house, "volunteer", EMAIL)
    statuses = [
        (await house.call("POST", f"{ME}/confirm", {"code": f"{nth:06}"}, key=token)).status
        for nth in range(12)
    ]
    assert statuses == [422] * 10 + [429] * 2


async def test_a_forgotten_password_is_chosen_anew_by_a_printed_link(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a mail server it is printed, whole, beside the log."""
    token, _ = await somebody(house, "volunteer", EMAIL)
    for email in (EMAIL, "nobody@example.org"):
        asked = await house.call("POST", "/v1/password-resets", {"email": email}, key=None)
        assert (asked.status, asked.body) == (202, {"valid_s": 3600.0})
    printed = ""
    async with asyncio.timeout(PATIENCE_S):
        while "tbr_" not in printed:
            await asyncio.sleep(0)
            printed += capsys.readouterr().err
    found = re.search(r"tbr_1_[0-9a-f]{64}", printed)
    assert found is not None
    chosen = {"reset": found[0], "password": "another long password"}
    assert (await house.call("POST", "/v1/password-resets:accept", chosen, key=None)).status == 204
    assert (await house.call("POST", "/v1/password-resets:accept", chosen, key=None)).status == 404
    assert (await house.call("GET", "/v1/me", key=token)).status == 401
    assert (await sign_in(house, EMAIL, "another long password")).status == 201


async def test_who_has_not_confirmed_an_address_stays_a_volunteer(house: House) -> None:
    token, user_id = await somebody(house, "volunteer", EMAIL)
    path = f"{PATH}/members/{user_id}"
    assert (await house.call("PATCH", path, {"role": "admin"})).status == 409
    assert (await house.call("POST", "/v1/me/email/confirm", {"code": "000000"}, key=token)).status == 422
