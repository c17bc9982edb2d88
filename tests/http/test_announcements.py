"""People are found by what they are and did, and are told something, once each (F171 to F174)."""

import asyncio
from typing import Any

import msgspec
import pytest

from gateway.core.bank.permissions import Actor, Role
from gateway.p2p.announcements import Announcements, Words
from gateway.p2p.mailing import AGAIN_S, MOST_TRIES, Mailing
from gateway.p2p.people import MemberFilter
from gateway.p2p.sign_in_codes import Mail
from tests.http.house import CAMPAIGN, START_AT, Answer, House
from tests.http.persons import somebody
from tests.http.test_user_lists import NOTICES, make_list

MEMBERS = f"/v1/campaigns/{CAMPAIGN}/members"
TELL = f"/v1/campaigns/{CAMPAIGN}/announcements"
ACTION = 5


class Crowd:
    """Ann (en, Pittsburgh) saw the action, Ben (es, Pittsburgh) started it, Cleo (en, Boston) was sent it alone; Dora is
    an admin."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.tokens: dict[str, str] = {}
        self.ids: dict[str, int] = {}

    async def arrive(self, name: str, role: str = "volunteer") -> int:
        self.tokens[name], self.ids[name] = await somebody(self.house, role, f"{name}@example.org")
        return self.ids[name]

    async def found(self, **query: Any) -> list[str]:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        listed = await self.house.call("GET", f"{MEMBERS}?{asked}")
        counted = await self.house.call("GET", f"{MEMBERS}:count?{asked}")
        assert counted.body == {"members": len(listed.body["members"])}
        return [each["email"].partition("@")[0] for each in listed.body["members"]]

    async def tell(self, key: Any = Role.KEY_ADMIN, headers: Any = None, **said: Any) -> Answer:
        body = {"title": "Tonight", "body": "We text until nine.", **said}
        return await self.house.call("POST", TELL, body, key=key, headers=headers)

    async def told(self, name: str) -> list[str]:
        notices = await self.house.call("GET", NOTICES, key=self.tokens[name])
        return [each["title"] for each in notices.body["notices"]]


@pytest.fixture
async def crowd(house: House) -> Crowd:
    crowd = Crowd(house)
    for name, language, zip_code in (("ann", "en", "15201"), ("ben", "es", "15213"), ("cleo", "en", "02101")):
        user_id = await crowd.arrive(name)
        await house.store.execute(
            "UPDATE users SET language = $2, zip = $3 WHERE user_id = $1", user_id, language, zip_code
        )
    await crowd.arrive("dora", "admin")
    for name, seen, started in (("ann", True, False), ("ben", True, True), ("cleo", False, False)):
        await house.store.execute(
            """
            INSERT INTO action_users (organisation_id, campaign_id, action_id, user_id, seen_at, started_at)
            VALUES (1, $1, $2, $3, CASE WHEN $4 THEN now() END, CASE WHEN $5 THEN now() END)
            """,
            CAMPAIGN,
            ACTION,
            crowd.ids[name],
            seen,
            started,
        )
    return crowd


async def test_people_are_found_by_what_they_are_and_did(crowd: Crowd) -> None:
    """F171 and F172: with the count on top."""
    assert await crowd.found(role="volunteer", language="en") == ["ann", "cleo"]
    assert await crowd.found(zip="152") == ["ann", "ben"]
    assert await crowd.found(action_id=ACTION, did="seen") == ["ann", "ben"]
    assert await crowd.found(action_id=ACTION, did="started", did_not="true") == ["ann", "cleo", "dora"]
    team = await make_list(crowd.house, "Team", crowd.ids["cleo"])
    for state, audience, received in (
        ("draft", {}, []),
        ("public", {}, ["ann", "ben", "cleo"]),
        ("public", {"languages": ["en"], "zips": ["021"]}, ["cleo"]),
        ("public", {"languages": ["es", "en"], "zips": ["021", "1521"]}, ["ben", "cleo"]),
        ("private", {"user_list_ids": [team["user_list_id"]]}, ["cleo"]),
        ("private", {}, []),
    ):
        await crowd.house.store.execute("DELETE FROM actions")
        await crowd.house.store.execute(
            """
            INSERT INTO actions (organisation_id, campaign_id, action_id, title, scripts, state, settings)
            VALUES (1, $1, $2, 'Polls', '{}', $3, $4::text::jsonb)
            """,
            CAMPAIGN,
            ACTION,
            state,
            msgspec.json.encode({"audience": audience}).decode(),
        )
        assert await crowd.found(action_id=ACTION, role="volunteer") == received, (state, audience)
    assert await crowd.found(user_list_id=team["user_list_id"]) == ["cleo"]
    await crowd.house.store.execute(
        "UPDATE users SET seen_at = to_timestamp($1) WHERE user_id <> $2", START_AT - 7200, crowd.ids["ben"]
    )
    assert await crowd.found(seen_since=START_AT - 60) == ["ben"]
    assert await crowd.found(unseen_since=START_AT - 60, role="volunteer") == ["ann", "cleo"]
    for wrong in ("zip=x", "did=slept", "language=fr"):
        assert (await crowd.house.call("GET", f"{MEMBERS}?{wrong}")).status == 422
    mine = await crowd.house.call("GET", f"{MEMBERS}:count", key=crowd.tokens["ann"])
    assert mine.body == {"members": 1}


async def test_whoever_a_filter_has_is_told_once(crowd: Crowd) -> None:
    """F173: counted first; the repeat of a press tells nobody again."""
    whom = {"role": "volunteer", "language": "en"}
    assert (await crowd.tell(whom=whom, dry_run=True)).body["people"] == 2
    assert await crowd.told("ann") == []
    key = {"Idempotency-Key": "one press"}
    answers = await asyncio.gather(*(crowd.tell(headers=key, whom=whom) for _ in range(3)))
    assert [each.status for each in answers] == [201] * 3
    assert len({each.body["announcement"]["announcement_id"] for each in answers}) == 1
    for name, titles in (("ann", ["Tonight"]), ("ben", []), ("cleo", ["Tonight"])):
        assert await crowd.told(name) == titles
    assert (await crowd.tell(headers=key, title="Other")).status == 422
    named = await crowd.tell(user_ids=[crowd.ids["ben"], 99], title="You")
    assert (named.body["people"], await crowd.told("ben")) == (1, ["You"])
    listed = (await crowd.house.call("GET", f"{TELL}?limit=1")).body
    assert ([each["title"] for each in listed["announcements"]], listed["next"] is None) == (["You"], False)
    for who in (crowd.tokens["ann"], Role.KEY_SENDER):
        assert (await crowd.tell(who)).status == 403


async def test_without_a_server_no_mail_is_promised(crowd: Crowd) -> None:
    refused = await crowd.tell(mail=True, dry_run=True)
    assert (refused.status, refused.body["errors"][0]["field"]) == (422, "mail")


class PostOffice:
    """Takes mails; refuses the first so many."""

    def __init__(self, refusals: int = 0) -> None:
        self.taken: list[Mail] = []
        self.refusals = refusals

    async def __call__(self, mail: Mail) -> None:
        if self.refusals > 0:
            self.refusals -= 1
            raise OSError("no")
        self.taken.append(mail)


class Later:
    """A clock that is set by hand."""

    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at


async def mailed(crowd: Crowd, whom: MemberFilter) -> None:
    gateway = crowd.house.worker.gateway
    reach = Announcements(gateway.database, gateway.campaigns, gateway.clock, can_mail=True)
    admin = Actor(Role.ADMIN, user_id=crowd.ids["dora"])
    words = Words(title="Tonight", body="We text until nine.", mail=True)
    await reach.tell(admin, CAMPAIGN, whom, (), words)


async def test_mails_go_one_way_to_those_who_want_them(crowd: Crowd) -> None:
    """F174: it says that answers are not read, and how to get no more."""
    choice = f"/v1/campaigns/{CAMPAIGN}/my-settings"
    assert (await crowd.house.call("PATCH", choice, {"mails": False}, key=crowd.tokens["ann"])).status == 200
    await mailed(crowd, MemberFilter(role="volunteer"))
    post, clock = PostOffice(), Later(crowd.house.worker.clock.now() + 1)
    mailing = Mailing(crowd.house.worker.gateway.database, clock, post)
    await crowd.house.call("PATCH", choice, {"mails": False}, key=crowd.tokens["cleo"])  # after it was told
    await asyncio.gather(*(mailing.run(None) for _ in range(3)))
    [mail] = post.taken
    assert (mail.to, mail.subject) == ("ben@example.org", "Bank: Tonight")
    assert mail.text.startswith("We text until nine.")
    assert "Nadie lee las respuestas" in mail.text
    clock.at += 10 * AGAIN_S
    await mailing.run(None)
    assert len(post.taken) == 1


async def test_a_mail_that_nobody_took_is_tried_again_and_not_for_ever(crowd: Crowd) -> None:
    await mailed(crowd, MemberFilter(text="ann@example"))
    database = crowd.house.worker.gateway.database
    post, clock = PostOffice(refusals=2), Later(crowd.house.worker.clock.now() + 1)
    for _ in range(4):
        await Mailing(database, clock, post).run(None)
        clock.at += AGAIN_S + 1
    assert [each.to for each in post.taken] == ["ann@example.org"]
    await mailed(crowd, MemberFilter(text="ben@example"))
    never = PostOffice(refusals=99)
    for _ in range(MOST_TRIES + 3):
        clock.at += AGAIN_S + 1
        await Mailing(database, clock, never).run(None)
    assert 99 - never.refusals == MOST_TRIES
