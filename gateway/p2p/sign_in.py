"""Who is it? Sign-in by password, sessions, and the choice of a password by invitation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from gateway.clock import Clock
from gateway.core.bank.people import (
    LONGEST_PASSWORD,
    MOST_SESSIONS,
    SESSION_IDLE_S,
    SESSION_LONGEST_S,
    check_new_password,
    clean_email,
)
from gateway.core.bank.permissions import Actor, Role
from gateway.core.rules.errors import BadInput
from gateway.p2p import tokens
from gateway.p2p.passwords import Passwords
from gateway.p2p.second_factor import SecondFactor
from gateway.p2p.tokens import SESSION, TOKEN_BYTES, Token
from gateway.store import sessions, users
from gateway.store.database import Database
from gateway.store.ids import Ids
from gateway.store.sessions import NewSession, OpenSession, SessionRow
from gateway.store.users import Place, UserRow

Random = Callable[[int], bytes]
"""That many bytes that nobody can guess."""

_SEEN_EVERY_S: Final = 60.0


class Person(msgspec.Struct, frozen=True):
    """Whoever a session is of, with the active roles by campaign; `second_factor`: the session was begun with one."""

    organisation_id: int
    user_id: int
    session_id: int
    roles: Mapping[int, Role]
    second_factor: bool = False

    def actor(self, campaign_id: int) -> Actor | None:
        """The person in a campaign; None where they have no place."""
        role = self.roles.get(campaign_id)
        return None if role is None else Actor(role, user_id=self.user_id)


class Opened(msgspec.Struct, frozen=True):
    """A session that has begun: its token, shown this once, and when it ends at the latest (Unix seconds)."""

    token: str
    user_id: int
    session_id: int
    ends_at: float


class SignIn:
    """Passwords in, sessions out; a session leads to its person."""

    def __init__(self, database: Database, clock: Clock, passwords: Passwords, random: Random) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._random = random
        self._ids = Ids(database)
        self.second_factor = SecondFactor(database, clock, random)

    async def by_password(
        self, organisation_id: int, email: str, password: str, second: str | None = None
    ) -> Opened | None:
        """None when address and password don't belong together, whichever of them is wrong: that takes as long; or when
        `second`, the code of an authenticator, is wrong. Raises SecondFactorNeeded when it is missing."""
        user = await of_address(self._database, organisation_id, email)
        stored = None if user is None else user.password_hash
        fits = await self._passwords.match(stored, password[: LONGEST_PASSWORD + 1])
        if not fits or user is None or stored is None:
            return None
        renewed = await self._renewed(organisation_id, user, password)
        return await self.begin(organisation_id, user.user_id, renewed, second)

    async def _renewed(self, organisation_id: int, user: UserRow, password: str) -> str:
        """The stored hash; one made under older parameters is replaced."""
        assert user.password_hash is not None
        if not self._passwords.is_old(user.password_hash):
            return user.password_hash
        new_hash = await self._passwords.hashed(password)
        await users.keep_rehashed(self._database, organisation_id, user.user_id, user.password_hash, new_hash)
        return new_hash

    async def begin(
        self, organisation_id: int, user_id: int, password_hash: str | None, second: str | None = None
    ) -> Opened | None:
        """A session for whoever proved who they are while the password had that hash (None: there was none).

        None when it was changed meanwhile, or the second factor is wrong. Raises SecondFactorNeeded.
        """
        passed = await self.second_factor.passed(organisation_id, user_id, second)
        if passed is None:
            return None
        now = self._clock.now()
        text = tokens.made(SESSION, organisation_id, self._random(TOKEN_BYTES))
        token = tokens.read(SESSION, text)
        assert token is not None
        [session_id] = await self._ids.take(1)
        session = NewSession(
            session_id=session_id,
            user_id=user_id,
            token_hash=token.token_hash,
            ends_at=now + SESSION_LONGEST_S,
            second_factor=passed,
        )
        opened = await sessions.begin(
            self._database,
            organisation_id,
            session,
            password_hash,
            now=now,
            idle_s=SESSION_IDLE_S,
            most=MOST_SESSIONS,
        )
        return Opened(text, user_id, session_id, session.ends_at) if opened else None

    async def find(self, asked: Sequence[Token]) -> dict[Token, Person]:
        """Those of the tokens whose sessions hold, and whose they are; notes that they were used."""
        now = self._clock.now()
        found = await sessions.find(self._database, asked, now, SESSION_IDLE_S)
        stale = [each for each in found if each.seen_at < now - _SEEN_EVERY_S]
        if stale:
            await sessions.seen(self._database, stale, now)
        return {Token(row.organisation_id, row.token_hash): _person(row) for row in found}

    # ---------------------------------------------------------------- what is one's own

    async def me(self, person: Person) -> tuple[UserRow, list[Place]]:
        """Who the person is, and where they have a place."""
        user = await users.by_id(self._database, person.organisation_id, person.user_id)
        assert user is not None  # a session refers to its user
        return user, await users.places(self._database, person.organisation_id, person.user_id)

    async def is_confirmed(self, person: Person) -> bool:
        """Whether the person has proven that they read mail at their address."""
        return await users.is_confirmed(self._database, person.organisation_id, person.user_id)

    async def sessions(self, person: Person) -> list[OpenSession]:
        """The person's sessions that hold, the newest first."""
        now = self._clock.now()
        return await sessions.of_user(
            self._database, person.organisation_id, person.user_id, now, SESSION_IDLE_S
        )

    async def end(self, person: Person, session_id: int) -> Token | None:
        """Ends a session of the person's own; None when there is no such one."""
        token_hash = await sessions.end(self._database, person.organisation_id, person.user_id, session_id)
        return None if token_hash is None else Token(person.organisation_id, token_hash)

    async def is_own_password(self, person: Person, password: str) -> bool:
        """Whether it is the person's; who never chose one has none."""
        user = await users.by_id(self._database, person.organisation_id, person.user_id)
        stored = None if user is None else user.password_hash
        return await self._passwords.match(stored, password[: LONGEST_PASSWORD + 1]) and stored is not None

    async def change_password(self, person: Person, current: str, new: str) -> bool:
        """Another password, after which every session has ended; False when the current one is another.

        Raises BadInput for a new one that won't do.
        """
        user = await users.by_id(self._database, person.organisation_id, person.user_id)
        if user is None or user.password_hash is None:
            return False
        if not await self._passwords.match(user.password_hash, current[: LONGEST_PASSWORD + 1]):
            return False
        check_new_password(new, email=user.email, name=user.name)
        new_hash = await self._passwords.hashed(new)
        return await users.change_password(
            self._database, person.organisation_id, person.user_id, user.password_hash, new_hash
        )

    async def accept(self, invitation: str, password: str) -> Opened | None:
        """The invited person's first password, and a session; None for an invitation that holds no more.

        Raises BadInput for a password that won't do: the invitation then still holds.
        """
        chosen = await self.choose_password(invitation, password)
        return None if chosen is None else await self.begin(*chosen)

    async def choose_password(
        self, invitation: str, password: str, *, confirms: bool = False
    ) -> tuple[int, int, str] | None:
        """As `accept`, without a session: the organisation, the user, and the hash of the password.

        `confirms`: whoever chooses it administers the whole deployment, and answers for the address.
        """
        token = tokens.read(tokens.INVITATION, invitation)
        if token is None:
            return None
        now = self._clock.now()
        user = await users.invited(self._database, token.organisation_id, token.token_hash, now)
        if user is None:
            return None
        check_new_password(password, email=user.email, name=user.name)
        new_hash = await self._passwords.hashed(password)
        user_id = await users.accept(self._database, token.organisation_id, token.token_hash, new_hash, now)
        if user_id is not None and confirms:
            await users.confirm_address(self._database, token.organisation_id, user_id, now)
        return None if user_id is None else (token.organisation_id, user_id, new_hash)


async def of_address(database: Database, organisation_id: int, email: str) -> UserRow | None:
    """Who has an address as somebody typed it; what is none is nobody's."""
    try:
        asked = clean_email(email)
    except BadInput:
        asked = ""
    return await users.by_email(database, organisation_id, asked)


def _person(row: SessionRow) -> Person:
    roles = {campaign_id: Role(role) for campaign_id, role in row.roles.items()}
    return Person(row.organisation_id, row.user_id, row.session_id, roles, row.second_factor)
