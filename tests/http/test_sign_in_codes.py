"""A code by e-mail over HTTP, through a real SMTP server; without one `textbank serve` prints it."""

import asyncio
import re

import msgspec
import pytest

from gateway.config import Mail
from tests.http.house import SETTINGS, House, a_house
from tests.http.persons import somebody
from tests.providers.smtp_server import Office, office

EMAIL = "ann@example.org"
CODES = "/v1/sign-in-codes"


async def ask(house: House, email: str = EMAIL) -> int:
    return (await house.call("POST", CODES, {"email": email}, key=None)).status


async def come(house: House, code: str) -> int:
    body = {"email": EMAIL, "code": code, "carrier": "bearer"}
    return (await house.call("POST", "/v1/sessions", body, key=None)).status


async def code_in(opened: Office) -> str:
    found = re.match(r"[0-9]{6}", (await opened.next()).get_content())
    assert found is not None
    return found[0]


async def test_a_code_comes_by_mail_and_signs_in_once(dsn: str) -> None:
    async with office() as opened:
        mail = Mail(url=f"smtp://127.0.0.1:{opened.port}", sender="bank@example.org")
        async with a_house(dsn, settings=msgspec.structs.replace(SETTINGS, mail=mail)) as house:
            await somebody(house)
            known = await house.call("POST", CODES, {"email": EMAIL}, key=None)
            unknown = await house.call("POST", CODES, {"email": "nobody@example.org"}, key=None)
            assert (known.status, known.body) == (unknown.status, unknown.body) == (202, {"valid_s": 600.0})
            code = await code_in(opened)
            assert await come(house, f"{(int(code) + 1) % 10**6:06}") == 401
            assert await come(house, code) == 201
            assert await come(house, code) == 401
            assert opened.letters.empty()


async def test_a_code_is_asked_for_only_so_often_known_or_not(house: House) -> None:
    await somebody(house)
    for email in (EMAIL, "nobody@example.org"):
        assert [await ask(house, email) for _ in range(4)] == [202, 202, 202, 429]


@pytest.mark.parametrize("body", [{}, {"email": ""}, {"email": EMAIL, "more": 1}, {"email": "x" * 255}])
async def test_bad_input_is_refused(house: House, body: dict[str, object]) -> None:
    assert (await house.call("POST", CODES, body, key=None)).status == 422


async def test_without_a_server_the_code_is_printed(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    await somebody(house)
    assert await ask(house) == 202
    printed = ""
    async with asyncio.timeout(10):
        while not (found := re.search(r"to a•••@example\.org: ([0-9]{6}) ", printed)):
            await house.call("GET", "/livez", key=None)
            printed += capfd.readouterr().err
    assert EMAIL not in printed
    assert await come(house, found[1]) == 201


async def test_a_server_that_takes_nothing_is_told_without_the_address(
    dsn: str, capfd: pytest.CaptureFixture[str]
) -> None:
    async with office() as opened:
        opened.answer = f"550 no such person {EMAIL}"
        mail = Mail(url=f"smtp://127.0.0.1:{opened.port}")
        async with a_house(dsn, settings=msgspec.structs.replace(SETTINGS, mail=mail)) as house:
            await somebody(house)
            assert await ask(house) == 202
            told = ""
            async with asyncio.timeout(10):
                while "was not mailed" not in told:
                    await house.call("GET", "/livez", key=None)
                    out = capfd.readouterr()
                    told += out.out + out.err
            assert "SMTPDataError" in told
            assert EMAIL not in told
