"""A second proof of who signs in, a forgotten password, and addresses that nobody has proven."""

import asyncio
import re
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from gateway.core.rules.errors import BadInput
from gateway.p2p.password_resets import RESET_S, PasswordResets
from gateway.p2p.people import Added, Invitation, Newcomer
from gateway.p2p.second_factor import RECOVERY_CODES, AlreadyHasOne, SecondFactorNeeded
from gateway.p2p.sign_in import Opened
from gateway.store.database import Database
from gateway.store.users import Changed
from tests.p2p.desk import NEXT_DOOR, OURS, PASSWORD, WHO, Desk, a_desk, numbered

EMAIL = "ann@example.org"
NEW = "another long password"


@pytest.fixture
async def desk(database: Database) -> Desk:
    return await a_desk(database)


def code_at(desk: Desk, secret: str, drift: int = 0) -> str:
    return pyotp.TOTP(secret).at(int(desk.watch.at) + 30 * drift)


async def enrolled(desk: Desk) -> tuple[int, str, list[str]]:
    """Somebody with an authenticator: user id, secret, recovery codes."""
    opened = await desk.newcomer(EMAIL)
    second = desk.sign_in.second_factor
    begun = await second.begin(1, opened.user_id, EMAIL)
    codes = await second.confirm(1, opened.user_id, opened.session_id, code_at(desk, begun.secret))
    assert codes is not None
    person = await desk.person(opened)
    assert person is not None
    assert person.second_factor
    desk.watch.at += 30
    return opened.user_id, begun.secret, codes


# ---------------------------------------------------------------- an authenticator


async def test_an_app_gets_what_it_needs_and_asks_for_nothing_before_its_first_code(desk: Desk) -> None:
    opened = await desk.newcomer(EMAIL)
    second = desk.sign_in.second_factor
    begun = await second.begin(1, opened.user_id, EMAIL)
    address = urlsplit(begun.uri)
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert parse_qs(address.query)["secret"] == [begun.secret]
    assert await desk.sign_in.by_password(1, EMAIL, PASSWORD) is not None
    assert await second.confirm(1, opened.user_id, opened.session_id, "000000") is None
    again = await second.begin(1, opened.user_id, EMAIL)
    old = code_at(desk, begun.secret)
    assert await second.confirm(1, opened.user_id, opened.session_id, old) is None, "of the secret before"
    assert await second.confirm(1, opened.user_id, opened.session_id, code_at(desk, again.secret))
    with pytest.raises(AlreadyHasOne):
        await second.begin(1, opened.user_id, EMAIL)


async def test_signing_in_needs_a_code_each_time_and_another_each_time(desk: Desk) -> None:
    _, secret, _ = await enrolled(desk)
    with pytest.raises(SecondFactorNeeded):
        await desk.sign_in.by_password(1, EMAIL, PASSWORD)
    assert await desk.sign_in.by_password(1, EMAIL, "wrong password") is None, (
        "nobody learns that there is one"
    )
    code = code_at(desk, secret)
    person = await desk.person(await desk.sign_in.by_password(1, EMAIL, PASSWORD, code))
    assert person is not None
    assert person.second_factor
    assert await desk.sign_in.by_password(1, EMAIL, PASSWORD, code) is None, "it was used"
    earlier = code_at(desk, secret, -1)
    assert await desk.sign_in.by_password(1, EMAIL, PASSWORD, earlier) is None, "older than one that was used"


@pytest.mark.parametrize(("drift", "fits"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_a_clock_may_be_off_by_half_a_minute(desk: Desk, drift: int, fits: bool) -> None:
    _, secret, _ = await enrolled(desk)
    desk.watch.at += 300
    opened = await desk.sign_in.by_password(1, EMAIL, PASSWORD, code_at(desk, secret, drift))
    assert (opened is not None) is fits


async def test_of_many_at_once_with_one_code_one_gets_in(desk: Desk, other: Database) -> None:
    _, secret, codes = await enrolled(desk)
    for word in (code_at(desk, secret), codes[0]):
        asked = [desk.sign_in.by_password(1, EMAIL, PASSWORD, word) for _ in range(8)]
        assert sum(each is not None for each in await asyncio.gather(*asked)) == 1


async def test_recovery_codes_are_good_once_however_they_are_written(desk: Desk) -> None:
    user_id, secret, codes = await enrolled(desk)
    assert len(set(codes)) == RECOVERY_CODES
    written = codes[0].upper().replace("-", " ")
    assert await desk.sign_in.by_password(1, EMAIL, PASSWORD, written) is not None
    assert await desk.sign_in.by_password(1, EMAIL, PASSWORD, codes[0]) is None
    renewed = await desk.sign_in.second_factor.renew_codes(1, user_id, code_at(desk, secret))
    assert renewed is not None
    assert await desk.sign_in.by_password(1, EMAIL, PASSWORD, codes[1]) is None, "of those before"
    assert await desk.sign_in.second_factor.remove(1, user_id, renewed[0])
    assert await desk.sign_in.by_password(1, EMAIL, PASSWORD) is not None


async def test_a_mailed_code_is_one_proof_and_no_two(desk: Desk) -> None:
    _, secret, _ = await enrolled(desk)
    await desk.codes.send(1, EMAIL)
    mailed = desk.mails[-1].text[:6]
    with pytest.raises(SecondFactorNeeded):
        await desk.codes.by_code(1, EMAIL, mailed)
    assert await desk.codes.by_code(1, EMAIL, mailed, code_at(desk, secret)) is not None, "it still held"


async def test_nothing_that_opens_is_stored_of_recovery_codes(desk: Desk) -> None:
    _, _, codes = await enrolled(desk)
    rows = await desk.database.fetch("SELECT code_hash FROM recovery_codes")
    bare = {code.replace("-", "") for code in codes}
    assert all(len(row[0]) == 64 and row[0] not in bare for row in rows)


# ---------------------------------------------------------------- a forgotten password


def resets_of(desk: Desk, base: str | None = "https://texts.example.org") -> PasswordResets:
    async def post(mail) -> None:
        desk.mails.append(mail)

    return PasswordResets(desk.database, desk.watch, desk.passwords, numbered(), post, base)


def token_in(text: str) -> str:
    found = re.search(r"tbr_1_[0-9a-f]{64}", text)
    assert found is not None
    return found[0]


async def test_a_link_lets_its_reader_choose_another_password_once(desk: Desk) -> None:
    opened = await desk.newcomer(EMAIL)
    resets = resets_of(desk)
    await resets.send(1, " Ann@Example.org ")
    text = desk.mails[-1].text
    assert text.startswith("https://texts.example.org/reset-password#tbr_1_")
    token = token_in(text)
    with pytest.raises(BadInput):
        await resets.accept(token, "short")
    assert await resets.accept(token, NEW), "a bad password has not used it up"
    assert not await resets.accept(token, NEW)
    assert await desk.person(opened) is None, "every session has ended"
    assert await desk.sign_in.by_password(1, EMAIL, PASSWORD) is None
    assert await desk.sign_in.by_password(1, EMAIL, NEW) is not None


async def test_a_link_holds_for_an_hour_and_until_the_next_one(desk: Desk) -> None:
    await desk.newcomer(EMAIL)
    resets = resets_of(desk, None)
    await resets.send(1, EMAIL)
    first = token_in(desk.mails[-1].text.partition("\n")[0])
    desk.watch.at += RESET_S + 1
    assert not await resets.accept(first, NEW)
    asked = PasswordResets(desk.database, desk.watch, desk.passwords, _others(), resets._post, None)
    await asked.send(1, EMAIL)
    assert not await resets.accept(first, NEW)
    assert await resets.accept(token_in(desk.mails[-1].text), NEW)


def _others():
    draw = numbered()
    draw(1)
    return draw


async def test_nobody_gets_no_link(desk: Desk) -> None:
    await resets_of(desk).send(1, "nobody@example.org")
    await resets_of(desk).send(1, "nonsense")
    assert desk.mails == []


async def test_a_link_is_no_way_around_the_authenticator(desk: Desk) -> None:
    await enrolled(desk)
    resets = resets_of(desk)
    await resets.send(1, EMAIL)
    assert await resets.accept(token_in(desk.mails[-1].text), NEW)
    with pytest.raises(SecondFactorNeeded):
        await desk.sign_in.by_password(1, EMAIL, NEW)


# ---------------------------------------------------------------- somebody else's address


async def squatter(desk: Desk) -> Opened:
    """Somebody who signs up with an address that is not theirs."""
    said = Newcomer(name="Mallory", email=EMAIL, password=PASSWORD)
    opened = await desk.people.sign_up(await desk.invited(), said)
    assert isinstance(opened, Opened)
    return opened


async def test_who_reads_the_mail_gets_the_account_and_who_signed_up_with_it_loses_it(desk: Desk) -> None:
    theirs = await squatter(desk)
    await desk.codes.send(1, EMAIL)
    assert await desk.codes.by_code(1, EMAIL, desk.mails[-1].text[:6]) is not None
    assert await desk.person(theirs) is None
    assert await desk.sign_in.by_password(1, EMAIL, PASSWORD) is None


async def test_who_has_proven_the_address_keeps_the_password(desk: Desk) -> None:
    opened = await squatter(desk)  # this time it was the owner
    await desk.codes.send(1, EMAIL)
    assert not await desk.codes.confirm(1, opened.user_id, "000000")
    assert await desk.codes.confirm(1, opened.user_id, desk.mails[-1].text[:6])
    await desk.codes.send(1, EMAIL)
    assert await desk.codes.by_code(1, EMAIL, desk.mails[-1].text[:6]) is not None
    assert await desk.sign_in.by_password(1, EMAIL, PASSWORD) is not None


async def test_nobody_is_made_more_than_a_volunteer_before(desk: Desk) -> None:
    opened = await squatter(desk)
    for role in ("admin", "supervisor"):
        assert await desk.people.change(OURS, opened.user_id, WHO, role=role) is Changed.UNPROVEN
    assert await desk.people.change(OURS, opened.user_id, WHO, active=False) is Changed.DONE
    await desk.proven(opened)
    assert await desk.people.change(OURS, opened.user_id, WHO, role="admin", active=True) is Changed.DONE


async def test_an_invitation_meant_for_the_owner_gives_the_squatter_nothing(desk: Desk) -> None:
    theirs = await squatter(desk)
    entered = await desk.people.invite(NEXT_DOOR, Invitation(email=EMAIL, name="Ann", role="admin"), WHO)
    assert (entered.added, entered.token) == (Added.UNANSWERED, None)
    person = await desk.person(theirs)
    assert person is not None
    assert NEXT_DOOR.campaign_id not in person.roles
