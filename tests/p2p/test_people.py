"""A campaign's people: codes, joining, invitations, roles (F208), over a real PostgreSQL."""

import asyncio
import os

import pytest

from gateway.core.bank.permissions import Role
from gateway.core.rules.errors import BadInput
from gateway.p2p.people import Invitation, Newcomer
from gateway.p2p.sign_in import Opened, Person
from gateway.store import audit_log
from gateway.store.database import Database
from gateway.store.users import Added, Changed, MemberFilter, MemberRow
from tests.p2p.desk import NEXT_DOOR, NOW, OURS, PASSWORD, THEIRS, WHO, Desk, a_desk, furnished

EMAIL = "ann@example.org"
EVERYBODY = MemberFilter()


@pytest.fixture
async def desk(database: Database) -> Desk:
    return await a_desk(database)


def newcomer(**more: object) -> Newcomer:
    said = {"name": "Ann Li", "email": EMAIL, "password": PASSWORD, **more}
    return Newcomer(**said)  # type: ignore[arg-type]


async def person_of(desk: Desk, opened: Opened) -> Person:
    person = await desk.person(opened)
    assert person is not None
    return person


async def members(desk: Desk, wanted: MemberFilter = EVERYBODY) -> list[MemberRow]:
    return (await desk.people.members(OURS, wanted, None, 100)).rows


async def admin(desk: Desk, email: str) -> int:
    return (await desk.people.invite(OURS, Invitation(email=email, name="Boss", role="admin"), WHO)).user_id


# ---------------------------------------------------------------- codes


async def test_a_code_and_its_link_lead_to_their_campaign(desk: Desk) -> None:
    ours, theirs = await desk.people.make_code(OURS, WHO), await desk.people.make_code(THEIRS, WHO)
    assert await desk.people.code(OURS) == ours
    for word, key in [(ours.code, OURS), (ours.link, OURS), (theirs.code, THEIRS), (theirs.link, THEIRS)]:
        found = await desk.people.invited_by(word)
        assert found is not None
        assert found.key == key
    assert await desk.people.invited_by("") is None


async def test_a_rotated_code_is_good_no_more(desk: Desk) -> None:
    first = await desk.people.make_code(OURS, WHO)
    second = await desk.people.make_code(OURS, WHO)
    assert [await desk.people.invited_by(word) for word in (first.code, first.link)] == [None, None]
    assert await desk.people.invited_by(second.code) is not None
    await desk.people.end_code(OURS, WHO)
    assert await desk.people.invited_by(second.link) is None


async def test_a_code_ends_by_itself(desk: Desk) -> None:
    code = await desk.people.make_code(OURS, WHO, 3600)
    desk.watch.at = NOW + 3599
    assert await desk.people.invited_by(code.code) is not None
    desk.watch.at = NOW + 3600
    assert await desk.people.invited_by(code.code) is None
    assert await desk.people.code(OURS) is None


@pytest.mark.parametrize("valid_s", [0, -1, 91 * 86_400, float("nan")])
async def test_a_code_is_for_some_time(desk: Desk, valid_s: float) -> None:
    with pytest.raises(BadInput, match="90 days"):
        await desk.people.make_code(OURS, WHO, valid_s)


async def test_a_code_that_another_campaign_has_is_drawn_again(desk: Desk) -> None:
    first = await desk.people.make_code(OURS, WHO)
    drawn = iter([int(first.code), 7])
    desk.people._random = lambda count: (next(drawn) if count == 8 else 99).to_bytes(count)
    assert (await desk.people.make_code(NEXT_DOOR, WHO)).code == "000007"
    assert await desk.people.code(OURS) == first


# ---------------------------------------------------------------- joining


async def test_a_newcomer_is_a_volunteer(desk: Desk) -> None:
    who = newcomer(email="Ann@Example.org", name=" Ann  Li ", language="es", zip="15201-1234")
    opened = await desk.people.sign_up(await desk.invited(), who)
    assert isinstance(opened, Opened)
    assert await members(desk) == [
        MemberRow(opened.user_id, "Ann Li", EMAIL, "es", "15201", "volunteer", NOW, None, False, NOW)
    ]
    user, places = await desk.sign_in.me(await person_of(desk, opened))
    assert (user.name, [(each.campaign_id, each.name, each.role) for each in places]) == (
        "Ann Li",
        [(1, "Bank 1", "volunteer")],
    )


@pytest.mark.parametrize(
    "wrong", [{"email": "ann"}, {"name": " "}, {"password": "short"}, {"zip": "1520"}, {"password": EMAIL}]
)
async def test_bad_words_leave_nothing(desk: Desk, wrong: dict[str, str]) -> None:
    with pytest.raises(BadInput):
        await desk.people.sign_up(await desk.invited(), newcomer(**wrong))
    assert await desk.database.fetch_value("SELECT count(*) FROM users") == 0


async def test_who_has_an_account_joins_with_its_password_only(desk: Desk) -> None:
    first = await desk.newcomer()
    next_door = await desk.invited(NEXT_DOOR)
    assert await desk.people.sign_up(next_door, newcomer(password="another password")) is None
    assert (await person_of(desk, first)).roles == {1: Role.VOLUNTEER}
    opened = await desk.people.sign_up(next_door, newcomer(name="Somebody Else"))
    assert isinstance(opened, Opened)
    assert (await person_of(desk, opened)).roles == {1: Role.VOLUNTEER, 2: Role.VOLUNTEER}
    assert [each.name for each in await members(desk)] == ["Ann Li"]


async def test_a_person_joins_several_campaigns_and_keeps_their_role(desk: Desk) -> None:
    person = await person_of(desk, await desk.newcomer())
    assert await desk.people.join(await desk.invited(NEXT_DOOR), person) is Added.KNOWN
    await admin(desk, "boss@example.org")
    await desk.people.change(OURS, person.user_id, WHO, role="supervisor")
    assert await desk.people.join(await desk.invited(), person) is Added.HAD_IT
    ours = await desk.people.member(OURS, person.user_id)
    assert ours is not None
    assert ours.role == "supervisor"


async def test_two_newcomers_with_one_address_are_one_person(desk: Desk, other: Database) -> None:
    """Both find the address free; whoever is second signs in with the password, or doesn't."""
    campaign, elsewhere = await desk.invited(), furnished(other)
    elsewhere.sign_in._random = lambda count: b"\x01" * count
    both = await asyncio.gather(
        desk.people.sign_up(campaign, newcomer()), elsewhere.people.sign_up(campaign, newcomer(name="A. Li"))
    )
    assert {each.user_id for each in both if isinstance(each, Opened)} == {
        row.user_id for row in await members(desk)
    }
    assert await desk.database.fetch_value("SELECT count(*) FROM users") == 1


async def test_one_person_signs_in_many_times_at_once(desk: Desk, other: Database) -> None:
    """From several devices, or by a button pressed twice: nobody waits for each other in a circle."""
    await desk.people.sign_up(await desk.invited(), newcomer())
    elsewhere = furnished(other)
    elsewhere.sign_in._random = os.urandom  # not the same tokens as here
    opened = await asyncio.gather(
        *(each.sign_in.by_password(1, EMAIL, PASSWORD) for _ in range(10) for each in (desk, elsewhere))
    )
    assert all(isinstance(each, Opened) for each in opened)


async def test_fifty_join_at_once(desk: Desk) -> None:
    campaign = await desk.invited()
    opened = await asyncio.gather(
        *(desk.people.sign_up(campaign, newcomer(email=f"v{nth}@example.org")) for nth in range(50))
    )
    assert len({each.user_id for each in opened if isinstance(each, Opened)}) == 50
    assert len(await members(desk)) == 50


# ---------------------------------------------------------------- places taken away


async def test_who_loses_a_place_is_signed_out_and_does_not_come_back_by_a_code(desk: Desk) -> None:
    opened = await desk.newcomer()
    person = await person_of(desk, opened)
    assert await desk.people.change(OURS, opened.user_id, WHO, active=False) is Changed.DONE
    assert await desk.person(opened) is None
    campaign = await desk.invited()
    assert await desk.people.sign_up(campaign, newcomer()) is Added.DEACTIVATED
    assert await desk.people.join(campaign, person) is Added.DEACTIVATED
    again = await desk.people.invite(OURS, Invitation(email=EMAIL, name="Ann"), WHO)
    assert (again.added, again.token) == (Added.DEACTIVATED, None)
    back = await desk.sign_in.by_password(1, EMAIL, PASSWORD)
    assert back is not None
    assert (await person_of(desk, back)).roles == {}
    await desk.people.change(OURS, opened.user_id, WHO, active=True)
    assert (await person_of(desk, back)).roles == {1: Role.VOLUNTEER}


async def test_when_a_place_was_taken_away_stays_as_it_was(desk: Desk) -> None:
    opened = await desk.newcomer()
    for later_s in (10, 20):
        desk.watch.at = NOW + later_s
        await desk.people.change(OURS, opened.user_id, WHO, active=False)
    desk.watch.at = NOW + 30
    await desk.people.change(OURS, opened.user_id, WHO, role="supervisor")
    [row] = await members(desk)
    assert (row.role, row.deactivated_at) == ("supervisor", NOW + 10)


async def test_somebody_of_another_campaign_is_not_there(desk: Desk) -> None:
    theirs = await desk.newcomer(key=THEIRS)
    next_door = await desk.newcomer(key=NEXT_DOOR)
    for user_id in (theirs.user_id, next_door.user_id, 99):
        assert await desk.people.change(OURS, user_id, WHO, role="admin") is Changed.ABSENT
        assert await desk.people.member(OURS, user_id) is None
    assert await desk.person(theirs) is not None


@pytest.mark.parametrize("change", [{"role": "volunteer"}, {"active": False}])
async def test_the_last_admin_stays(desk: Desk, change: dict[str, object]) -> None:
    boss = await admin(desk, "boss@example.org")
    assert await desk.people.change(OURS, boss, WHO, **change) is Changed.LAST_ADMIN  # type: ignore[arg-type]
    second = await admin(desk, "second@example.org")
    assert await desk.people.change(OURS, boss, WHO, **change) is Changed.DONE  # type: ignore[arg-type]
    assert await desk.people.change(OURS, second, WHO, **change) is Changed.LAST_ADMIN  # type: ignore[arg-type]


async def test_two_admins_who_take_each_other_away_at_once_leave_one(desk: Desk, other: Database) -> None:
    elsewhere = furnished(other)
    for nth in range(5):
        one, two = await admin(desk, f"one{nth}@example.org"), await admin(desk, f"two{nth}@example.org")
        for row in await members(desk, MemberFilter(role="admin", active=True)):
            if row.user_id not in (one, two):
                await desk.people.change(OURS, row.user_id, WHO, active=False)
        changed = await asyncio.gather(
            desk.people.change(OURS, two, WHO, active=False),
            elsewhere.people.change(OURS, one, WHO, role="volunteer"),
        )
        assert sorted(each.value for each in changed) == ["done", "last admin"]
        assert len(await members(desk, MemberFilter(role="admin", active=True))) == 1


# ---------------------------------------------------------------- invitations


async def test_a_later_invitation_takes_the_place_of_an_earlier_one(desk: Desk) -> None:
    first = await desk.people.invite(OURS, Invitation(email=EMAIL, name="Ann"), WHO)
    second = await desk.people.invite(OURS, Invitation(email=EMAIL, name="Ann", role="admin"), WHO)
    assert (first.added, second.added, first.user_id) == (Added.NEW, Added.HAD_IT, second.user_id)
    assert first.token is not None
    assert second.token is not None
    assert await desk.sign_in.accept(first.token, PASSWORD) is None
    assert await desk.sign_in.accept(second.token, PASSWORD) is not None
    [row] = await members(desk)
    assert (row.role, row.is_invited) == ("volunteer", False)


async def test_no_admin_chooses_the_password_of_somebody_known_elsewhere(desk: Desk) -> None:
    """Else next door's admin would get into our campaign as whoever they invite."""
    await desk.newcomer()
    entered = await desk.people.invite(NEXT_DOOR, Invitation(email=EMAIL, name="Ann", role="admin"), WHO)
    assert (entered.added, entered.token) == (Added.KNOWN, None)
    await admin(desk, "boss@example.org")
    waiting = await desk.people.invite(NEXT_DOOR, Invitation(email="boss@example.org", name="Boss"), WHO)
    assert (waiting.added, waiting.token) == (Added.UNANSWERED, None)
    assert await desk.people.member(NEXT_DOOR, waiting.user_id) is None


# ---------------------------------------------------------------- lists


async def test_members_come_in_pages_and_by_filter(desk: Desk) -> None:
    ids = [(await desk.newcomer(f"v{nth}@example.org")).user_id for nth in range(5)]
    boss = await admin(desk, "boss@example.org")
    await desk.people.change(OURS, ids[1], WHO, active=False)
    pages: list[list[int]] = []
    cursor = None
    while cursor or not pages:
        page = await desk.people.members(OURS, EVERYBODY, cursor, 2)
        pages.append([each.user_id for each in page.rows])
        cursor = page.next
    assert [len(page) for page in pages] == [2, 2, 2]
    assert [each for page in pages for each in page] == sorted([*ids, boss])

    async def found(**wanted: object) -> set[int]:
        return {each.user_id for each in await members(desk, MemberFilter(**wanted))}  # type: ignore[arg-type]

    assert await found(role="admin") == {boss}
    assert await found(active=False) == {ids[1]}
    assert await found(active=True) == {*ids, boss} - {ids[1]}
    assert await found(text="V3@") == {ids[3]}
    assert await found(text="boss") == {boss}
    assert await found(text="%") == set()
    assert await found(text="li", role="volunteer", active=True) == set(ids) - {ids[1]}


# ---------------------------------------------------------------- the audit log


async def test_every_change_is_told_once_and_with_nothing_of_the_person(desk: Desk) -> None:
    volunteer = (await desk.newcomer()).user_id
    boss = await admin(desk, "boss@example.org")
    await admin(desk, "boss@example.org")  # the place is theirs already
    await desk.people.sign_up(await desk.invited(), newcomer())  # the same
    await desk.people.change(OURS, volunteer, WHO, role="supervisor")
    await desk.people.change(OURS, volunteer, WHO, role="supervisor")  # changes nothing
    await desk.people.change(OURS, boss, WHO, active=False)  # is refused
    await desk.people.change(OURS, volunteer, WHO, active=False)
    for _ in range(2):
        await desk.people.end_code(OURS, WHO)
    lines = await audit_log.page(desk.database, OURS, None, 100)
    told = [(each.who, each.act, each.before, each.after) for each in reversed(lines)]

    def member(user_id: int, role: str, *, active: bool = True) -> str:
        said = f'"role": "{role}", "active": {str(active).lower()}, "user_id": {user_id}'
        return "{" + said + "}"

    code = (WHO, "join code made", None, lines[-1].after)
    changed = member(volunteer, "supervisor")
    assert told[1:] == [
        (f"user:{volunteer}", "joined", None, member(volunteer, "volunteer")),
        (WHO, "member added", None, member(boss, "admin")),
        code,
        (WHO, "member changed", member(volunteer, "volunteer"), changed),
        (WHO, "member changed", changed, member(volunteer, "supervisor", active=False)),
        (WHO, "join code ended", None, None),
    ]
    assert told[0] == code
    assert "example.org" not in str(lines)
    assert all(each.at == NOW for each in lines)
