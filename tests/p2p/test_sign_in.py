"""Sign-in: who is it, for how long, and what ends it. F208's people, over a real PostgreSQL."""

import asyncio
import threading

import argon2
import pytest

from gateway.core.bank.people import MOST_SESSIONS, SESSION_IDLE_S, SESSION_LONGEST_S
from gateway.core.bank.permissions import Act, Role
from gateway.core.rules.errors import BadInput
from gateway.p2p.passwords import HASHER, Passwords
from gateway.p2p.people import Invitation
from gateway.p2p.sign_in import Opened, Person
from gateway.p2p.tokens import INVITATION, SESSION, read
from gateway.store.database import Database
from gateway.store.group_commit import TooMuchWaits
from tests.p2p.desk import CHEAP, NOW, OURS, PASSWORD, THEIRS, WHO, Desk, a_desk, furnished

EMAIL = "ann@example.org"
NEW_PASSWORD = "staple battery horse"


@pytest.fixture
async def desk(database: Database) -> Desk:
    return await a_desk(database)


async def signed_in(desk: Desk, email: str = EMAIL, password: str = PASSWORD) -> Opened:
    opened = await desk.sign_in.by_password(1, email, password)
    assert opened is not None
    return opened


async def known(desk: Desk, opened: Opened) -> Person:
    person = await desk.person(opened)
    assert person is not None
    return person


# ---------------------------------------------------------------- by password


async def test_a_password_opens_a_session_that_leads_to_its_person(desk: Desk) -> None:
    first = await desk.newcomer()
    opened = await signed_in(desk, " Ann@Example.ORG")
    assert opened.user_id == first.user_id
    person = await known(desk, opened)
    assert (person.organisation_id, person.user_id, person.roles) == (1, first.user_id, {1: Role.VOLUNTEER})
    actor = person.actor(1)
    assert actor is not None
    assert actor.may(Act.SEND, owner_id=first.user_id)
    assert not actor.may(Act.MANAGE_PEOPLE)
    assert person.actor(2) is None


@pytest.mark.parametrize(
    ("organisation_id", "email", "password"),
    [
        (1, EMAIL, PASSWORD + "x"),
        (1, EMAIL, ""),
        (1, EMAIL, PASSWORD.upper()),
        (1, "bo@example.org", PASSWORD),
        (1, "nobody", PASSWORD),
        (1, "", PASSWORD),
        (2, EMAIL, PASSWORD),
        (99, EMAIL, PASSWORD),
        (1, EMAIL, "x" * 100_000),
    ],
)
async def test_whatever_is_wrong_the_answer_is_one(
    desk: Desk, organisation_id: int, email: str, password: str
) -> None:
    await desk.newcomer()
    assert await desk.sign_in.by_password(organisation_id, email, password) is None


async def test_somebody_unknown_takes_a_comparison_as_well(desk: Desk) -> None:
    """Else the time that an answer takes would tell whose address is known."""
    compared: list[str] = []

    class Counting(argon2.PasswordHasher):
        def verify(self, stored: str | bytes, given: str | bytes) -> bool:  # type: ignore[override]
            compared.append(str(given))
            return super().verify(stored, given)

    desk.passwords._hasher = Counting(time_cost=1, memory_cost=8, parallelism=1)
    await desk.newcomer()
    for email in (EMAIL, "nobody@example.org", "no address"):
        compared.clear()
        await desk.sign_in.by_password(1, email, "wrong password")
        assert compared == ["wrong password"]


async def test_the_same_address_is_another_person_in_another_organisation(desk: Desk) -> None:
    ours, theirs = await desk.newcomer(), await desk.newcomer(key=THEIRS)
    assert ours.user_id != theirs.user_id
    assert (await known(desk, theirs)).roles == {3: Role.VOLUNTEER}


async def test_neither_password_nor_token_is_stored(desk: Desk) -> None:
    opened = await desk.newcomer()
    stored = await desk.database.fetch("SELECT u::text, s::text FROM users u JOIN sessions s USING (user_id)")
    text = str(stored)
    assert "argon2id" in text
    assert PASSWORD not in text
    assert opened.token.rpartition("_")[2] not in text


async def test_a_hash_of_older_parameters_is_made_anew(desk: Desk) -> None:
    await desk.newcomer()
    stronger = argon2.PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    desk.passwords._hasher = stronger
    opened = await signed_in(desk)
    assert await desk.person(opened) is not None
    stored = await desk.database.fetch_value("SELECT password_hash FROM users")
    assert not stronger.check_needs_rehash(stored)


# ---------------------------------------------------------------- how long


async def test_a_session_ends_when_nobody_uses_it(desk: Desk) -> None:
    opened = await desk.newcomer()
    desk.watch.at = NOW + SESSION_IDLE_S - 1
    assert await desk.person(opened) is not None
    desk.watch.at += SESSION_IDLE_S - 1  # it was used in between
    assert await desk.person(opened) is not None
    desk.watch.at += SESSION_IDLE_S + 1
    assert await desk.person(opened) is None


async def test_a_session_ends_however_much_it_is_used(desk: Desk) -> None:
    opened = await desk.newcomer()
    while desk.watch.at < NOW + SESSION_LONGEST_S - SESSION_IDLE_S:
        desk.watch.at += SESSION_IDLE_S - 1
        assert await desk.person(opened) is not None
    desk.watch.at = NOW + SESSION_LONGEST_S
    assert await desk.person(opened) is None
    assert await desk.sign_in.sessions(Person(1, opened.user_id, 0, {})) == []


async def test_a_use_is_noted_once_a_minute(desk: Desk) -> None:
    opened = await desk.newcomer()
    for later_s, seen_s in [(30, 0), (61, 61), (100, 61), (122, 122)]:
        desk.watch.at = NOW + later_s
        person = await known(desk, opened)
        [session] = await desk.sign_in.sessions(person)
        assert session.seen_at == NOW + seen_s


async def test_the_oldest_of_too_many_sessions_ends(desk: Desk) -> None:
    first = await desk.newcomer()
    for nth in range(MOST_SESSIONS):
        desk.watch.at = NOW + 1 + nth
        assert await desk.person(first) is not None
        last = await signed_in(desk)
    assert await desk.person(first) is None
    assert len(await desk.sign_in.sessions(await known(desk, last))) == MOST_SESSIONS


async def test_ended_sessions_leave_nothing_behind(desk: Desk) -> None:
    await desk.newcomer()
    desk.watch.at = NOW + SESSION_LONGEST_S
    await signed_in(desk)
    assert await desk.database.fetch_value("SELECT count(*) FROM sessions") == 1


# ---------------------------------------------------------------- what ends it


async def test_a_person_ends_their_own_sessions_only(desk: Desk) -> None:
    ann, bo = await desk.newcomer(), await desk.newcomer("bo@example.org")
    person = await known(desk, ann)
    assert await desk.sign_in.end(person, bo.session_id) is None
    assert await desk.person(bo) is not None
    assert await desk.sign_in.end(person, ann.session_id) == read(SESSION, ann.token)
    assert await desk.person(ann) is None
    assert await desk.sign_in.end(person, ann.session_id) is None


async def test_another_password_ends_every_session(desk: Desk) -> None:
    opened = [await desk.newcomer(), await signed_in(desk), await signed_in(desk)]
    person = await known(desk, opened[0])
    assert not await desk.sign_in.change_password(person, "not my password", NEW_PASSWORD)
    assert await desk.person(opened[2]) is not None
    assert await desk.sign_in.change_password(person, PASSWORD, NEW_PASSWORD)
    assert [await desk.person(each) for each in opened] == [None] * 3
    assert await desk.sign_in.by_password(1, EMAIL, PASSWORD) is None
    assert await desk.person(await signed_in(desk, password=NEW_PASSWORD)) is not None


async def test_a_new_password_must_do(desk: Desk) -> None:
    person = await known(desk, await desk.newcomer())
    with pytest.raises(BadInput, match="fewer"):
        await desk.sign_in.change_password(person, PASSWORD, "short")
    assert await desk.person(await signed_in(desk)) is not None


async def test_no_session_of_an_old_password_begins_while_it_is_changed(desk: Desk, other: Database) -> None:
    """The old password was verified before the change, and its session would be written after it."""
    ann = await desk.newcomer()
    old_hash = await desk.database.fetch_value("SELECT password_hash FROM users")
    person = await known(desk, ann)
    assert await desk.sign_in.change_password(person, PASSWORD, NEW_PASSWORD)
    assert await furnished(other).sign_in.begin(1, ann.user_id, old_hash) is None


async def test_sign_ins_and_a_change_at_once_leave_no_session_of_the_old_password(
    desk: Desk, other: Database
) -> None:
    ann = await desk.newcomer()
    person, elsewhere = await known(desk, ann), furnished(other)
    elsewhere.sign_in._random = lambda count: threading.get_native_id().to_bytes(count)
    sign_ins = [asyncio.create_task(desk.sign_in.by_password(1, EMAIL, PASSWORD)) for _ in range(6)]
    change = elsewhere.sign_in.change_password(person, PASSWORD, NEW_PASSWORD)
    *opened, changed = await asyncio.gather(*sign_ins, change)
    assert changed
    assert [each and await desk.person(each) for each in opened] == [None] * 6
    assert await desk.database.fetch_value("SELECT count(*) FROM sessions") == 0


# ---------------------------------------------------------------- invitations


async def test_an_invitation_lets_one_choose_a_password_once(desk: Desk) -> None:
    entered = await desk.people.invite(OURS, Invitation(email=EMAIL, name="Ann Li", role="admin"), WHO)
    assert entered.token is not None
    assert await desk.sign_in.by_password(1, EMAIL, "") is None
    opened = await desk.sign_in.accept(entered.token, PASSWORD)
    assert opened is not None
    assert (await known(desk, opened)).roles == {1: Role.ADMIN}
    assert await desk.sign_in.accept(entered.token, NEW_PASSWORD) is None
    assert await desk.sign_in.by_password(1, EMAIL, NEW_PASSWORD) is None


async def test_an_invitation_holds_for_three_days_and_for_a_password_that_does(desk: Desk) -> None:
    entered = await desk.people.invite(OURS, Invitation(email=EMAIL, name="Ann Li"), WHO)
    assert entered.token is not None
    with pytest.raises(BadInput, match="fewer"):
        await desk.sign_in.accept(entered.token, "short")
    desk.watch.at = NOW + 3 * 86_400
    assert await desk.sign_in.accept(entered.token, PASSWORD) is None
    desk.watch.at -= 1
    assert await desk.sign_in.accept(entered.token, PASSWORD) is not None


@pytest.mark.parametrize(
    "text", ["", "tbi_1_", f"tbi_1_{'0' * 64}", f"tbi_{2**63}_{'0' * 64}", "tbi_0_" + "0" * 64]
)
async def test_another_word_is_no_invitation(desk: Desk, text: str) -> None:
    assert await desk.sign_in.accept(text, PASSWORD) is None


def test_a_token_of_one_kind_is_none_of_the_other() -> None:
    text = f"tbi_1_{'0' * 64}"
    assert read(INVITATION, text) is not None
    assert read(SESSION, text) is None
    assert read(SESSION, f"tbs_{2**63}_{'0' * 64}") is None


# ---------------------------------------------------------------- passwords


async def test_hashing_leaves_the_loop_free_and_is_bounded() -> None:
    """As many as there are turns work at once, the others wait, and beyond a bound they are refused."""
    at_work, most, gate, both = 0, 0, threading.Event(), threading.Event()
    lock = threading.Lock()

    class Slow(argon2.PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            nonlocal at_work, most
            with lock:
                at_work, most = at_work + 1, max(most, at_work + 1)
            if at_work == 2:
                both.set()
            gate.wait(10)
            with lock:
                at_work -= 1
            return CHEAP.hash(password, salt=salt)

    passwords = Passwords(Slow())
    under_way = [asyncio.create_task(passwords.hashed(f"password {nth}")) for nth in range(100)]
    assert await asyncio.to_thread(both.wait, 10)
    with pytest.raises(TooMuchWaits):
        await passwords.hashed("one more")
    gate.set()
    hashes = await asyncio.gather(*under_way)
    assert (len(set(hashes)), most) == (100, 2)
    assert await passwords.hashed("now there is room")


async def test_the_parameters_are_owasps() -> None:
    passwords = Passwords()
    stored = await passwords.hashed(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.match(stored, PASSWORD)
    assert not await passwords.match(stored, PASSWORD + " ")
    assert not await passwords.match("no hash at all", PASSWORD)
    assert not passwords.is_old(stored)
    assert HASHER.time_cost == 2
