"""People's use cases over a real PostgreSQL, a clock that is set by hand and cheap password hashes."""

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import argon2

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.p2p.passwords import Passwords
from gateway.p2p.people import Newcomer, People
from gateway.p2p.sign_in import Opened, Person, SignIn
from gateway.p2p.sign_in_codes import Mail, SignInCodes
from gateway.p2p.tokens import SESSION, read
from gateway.store import campaigns
from gateway.store.campaigns import CampaignRow
from gateway.store.database import Database
from gateway.store.join_codes import Invited

NOW = 1_773_154_800.0
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
WHO = "user:9"
PASSWORD = "correct horse battery"
OURS, NEXT_DOOR, THEIRS = CampaignKey(1, 1), CampaignKey(1, 2), CampaignKey(2, 3)


class Watch:
    """A clock that stands until it is set."""

    def __init__(self, now: float = NOW) -> None:
        self.at = now

    def now(self) -> float:
        return self.at


def numbered() -> Callable[[int], bytes]:
    """Bytes as good as random, the same ones each time."""
    nth = itertools.count()
    return lambda count: hashlib.shake_256(str(next(nth)).encode()).digest(count)


@dataclass
class Desk:
    database: Database
    watch: Watch
    passwords: Passwords
    sign_in: SignIn
    people: People
    codes: SignInCodes
    mails: list[Mail]

    async def person(self, opened: Opened | None) -> Person | None:
        """Whom a session's token leads to now."""
        assert opened is not None
        token = read(SESSION, opened.token)
        assert token is not None
        return (await self.sign_in.find([token])).get(token)

    async def invited(self, key: CampaignKey = OURS) -> Invited:
        code = await self.people.make_code(key, WHO)
        found = await self.people.invited_by(code.code)
        assert found is not None
        return found

    async def newcomer(self, email: str = "ann@example.org", key: CampaignKey = OURS) -> Opened:
        """Somebody new, signed up by the campaign's code."""
        who = Newcomer(name="Ann Li", email=email, password=PASSWORD)
        opened = await self.people.sign_up(await self.invited(key), who)
        assert isinstance(opened, Opened)
        await self.proven(opened)
        return opened

    async def proven(self, opened: Opened) -> None:
        """They have shown that they read mail at their address."""
        await self.database.execute(
            "UPDATE users SET confirmed_at = now() WHERE user_id = $1", opened.user_id
        )


async def a_desk(database: Database, *, hasher: argon2.PasswordHasher = CHEAP) -> Desk:
    """Two campaigns of one organisation, one of another."""
    await database.execute(
        "INSERT INTO organisations VALUES (2, 'The second organisation', now()) ON CONFLICT DO NOTHING"
    )
    for key in (OURS, NEXT_DOOR, THEIRS):
        row = CampaignRow(
            key.campaign_id, key.campaign_id, f"Bank {key.campaign_id}", "{}", False, key.organisation_id
        )
        await campaigns.create(database, row, NOW)
    return furnished(database, hasher=hasher)


def furnished(database: Database, *, hasher: argon2.PasswordHasher = CHEAP) -> Desk:
    """Another worker's desk over campaigns that are there."""
    watch, passwords, random = Watch(), Passwords(hasher), numbered()
    clock = cast("Clock", watch)
    sign_in = SignIn(database, clock, passwords, random)
    people = People(database, clock, passwords, random, sign_in)
    mails: list[Mail] = []

    async def post(mail: Mail) -> None:
        mails.append(mail)

    codes = SignInCodes(database, clock, passwords, random, sign_in, post)
    return Desk(database, watch, passwords, sign_in, people, codes, mails)
