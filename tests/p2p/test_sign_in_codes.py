"""Codes by e-mail: one of each person, for minutes, a few tries and one use."""

import asyncio
import re

import pytest

from gateway.p2p.people import Invitation, Newcomer
from gateway.p2p.sign_in_codes import CODE_S, MOST_TRIES
from gateway.store.database import Database
from tests.p2p.desk import NOW, OURS, PASSWORD, WHO, Desk, a_desk, furnished

EMAIL = "ann@example.org"


@pytest.fixture
async def desk(database: Database) -> Desk:
    return await a_desk(database)


async def code_for(desk: Desk, email: str = EMAIL) -> str:
    """The code of a mail that was sent just now."""
    await desk.codes.send(1, email)
    found = re.match(r"([0-9]{6}) ", desk.mails[-1].text)
    assert found is not None
    return found[1]


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


async def test_a_code_is_mailed_and_opens_a_session_once(desk: Desk) -> None:
    user_id = (await desk.newcomer()).user_id
    code = await code_for(desk, " Ann@Example.org")
    [mail] = desk.mails
    assert mail.to == EMAIL
    opened = await desk.codes.by_code(1, "ANN@example.org", code)
    assert opened is not None
    assert opened.user_id == user_id
    assert await desk.person(opened) is not None
    assert await desk.codes.by_code(1, EMAIL, code) is None


async def test_who_has_no_password_signs_in_by_code(desk: Desk) -> None:
    await desk.people.invite(OURS, Invitation(email=EMAIL, name="Ann", role="supervisor"), WHO)
    opened = await desk.codes.by_code(1, EMAIL, await code_for(desk))
    assert opened is not None
    assert await desk.person(opened) is not None


async def test_a_mail_is_in_the_persons_language(desk: Desk) -> None:
    who = Newcomer(name="Ana", email="ana@example.org", password=PASSWORD, language="es")
    await desk.people.sign_up(await desk.invited(), who)
    await code_for(desk, "ana@example.org")
    assert "iniciar sesión" in desk.mails[-1].subject


@pytest.mark.parametrize(
    "email", ["nobody@example.org", "no address", "", "ann@example.org\nBcc: bo@example.org"]
)
async def test_nobody_gets_no_mail(desk: Desk, email: str) -> None:
    await desk.newcomer()
    await desk.codes.send(1, email)
    await desk.codes.send(2, EMAIL)
    assert desk.mails == []
    assert await desk.codes.by_code(1, email, "123456") is None


async def test_a_code_is_good_for_ten_minutes(desk: Desk) -> None:
    await desk.newcomer()
    code = await code_for(desk)
    desk.watch.at = NOW + CODE_S
    assert await desk.codes.by_code(1, EMAIL, code) is None
    desk.watch.at -= 1
    assert await desk.codes.by_code(1, EMAIL, code) is not None


async def test_a_later_code_takes_the_place_of_an_earlier_one(desk: Desk) -> None:
    await desk.newcomer()
    first, second = await code_for(desk), await code_for(desk)
    assert first != second
    assert await desk.codes.by_code(1, EMAIL, first) is None
    assert await desk.codes.by_code(1, EMAIL, second) is not None


async def test_after_a_few_wrong_tries_the_right_code_is_wrong(desk: Desk) -> None:
    await desk.newcomer()
    code = await code_for(desk)
    for _ in range(MOST_TRIES):
        assert await desk.codes.by_code(1, EMAIL, other_than(code)) is None
    assert await desk.codes.by_code(1, EMAIL, code) is None
    assert await desk.codes.by_code(1, EMAIL, await code_for(desk)) is not None


async def test_tries_at_once_are_counted_too_and_one_use_is_one(desk: Desk, other: Database) -> None:
    await desk.newcomer()
    code = await code_for(desk)
    elsewhere = furnished(other)
    elsewhere.sign_in._random = lambda count: b"\x02" * count
    tries = [each.codes.by_code(1, EMAIL, code) for each in (desk, elsewhere)]
    assert [each is not None for each in await asyncio.gather(*tries)].count(True) == 1
    code = await code_for(desk)
    await asyncio.gather(*(desk.codes.by_code(1, EMAIL, other_than(code)) for _ in range(20)))
    assert await desk.codes.by_code(1, EMAIL, code) is None


async def test_a_code_is_stored_as_slow_to_guess_as_a_password(desk: Desk) -> None:
    await desk.newcomer()
    code = await code_for(desk)
    stored = await desk.database.fetch_value("SELECT code_hash FROM sign_in_codes")
    assert stored.startswith("$argon2id$")
    assert code not in stored.rpartition("$")[2]
