"""The people of a campaign: who joins, who is invited, who is what, and the code to join by."""

import contextlib
from typing import Final, Literal

import msgspec

from gateway.clock import Clock
from gateway.core.bank.people import (
    CODE_S,
    INVITATION_S,
    LONGEST_CODE_S,
    Language,
    PersonRole,
    check_new_password,
    clean_email,
    clean_name,
    clean_zip,
    join_code,
)
from gateway.core.bank.permissions import Actor, Role
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import BadInput
from gateway.p2p import tokens
from gateway.p2p.cursors import IdPlace, page_of, place_of
from gateway.p2p.keys import COMMAND
from gateway.p2p.passwords import Passwords
from gateway.p2p.sign_in import Opened, Person, Random, SignIn
from gateway.p2p.tokens import INVITATION, TOKEN_BYTES
from gateway.store import audit_log, campaigns, join_codes, kept, users
from gateway.store.database import Database, Statements
from gateway.store.ids import Ids
from gateway.store.join_codes import CodeTaken, Invited, JoinCode
from gateway.store.rows import as_json
from gateway.store.users import Added, Changed, Did, InvitationRow, MemberFilter, MemberRow, Standing, UserRow

__all__ = [
    "Added",
    "Changed",
    "Did",
    "Entered",
    "Invitation",
    "Invited",
    "MemberFilter",
    "MemberPage",
    "MemberRow",
    "Newcomer",
    "People",
]
_VOLUNTEER: Final = "volunteer"
_DRAWS: Final = 100  # of six digits: as long as not nearly all are taken, one of them is free
_LINK_BYTES: Final = 16


class Newcomer(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody says who signs up."""

    name: str
    email: str
    password: str
    language: Language = "en"
    zip: str | None = None


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an admin enters."""

    email: str
    name: str
    role: PersonRole = "volunteer"
    language: Language = "en"
    zip: str | None = None


class Entered(msgspec.Struct, frozen=True):
    """What came of an invitation: whose it is, and the token to choose a password by, shown this once.

    No token: the person has a password, and signs in with that.
    """

    added: Added
    user_id: int
    token: str | None


class MemberPage(msgspec.Struct, frozen=True):
    """Some members, and the cursor of those after them; None: there are none."""

    rows: list[MemberRow]
    next: str | None


class People:
    """Who belongs to a campaign, and how they come to."""

    def __init__(
        self, database: Database, clock: Clock, passwords: Passwords, random: Random, sign_in: SignIn
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._random = random
        self._sign_in = sign_in
        self._ids = Ids(database)

    # ---------------------------------------------------------------- joining

    async def invited_by(self, word: str) -> Invited | None:
        """The campaign that a code or a link lets one into; None when it holds no more, or never was one."""
        return await join_codes.find(self._database, word, self._clock.now())

    async def join(self, campaign: Invited, person: Person) -> Added:
        """A volunteer's place for somebody who is signed in; who has a place keeps its role.

        DEACTIVATED: the place was taken away, and only the campaign's admins give it back. The caller sees to it that person and campaign are of one organisation.
        """
        return await self._join(campaign, person.user_id)

    async def sign_up(
        self, campaign: Invited, newcomer: Newcomer
    ) -> Opened | Literal[Added.DEACTIVATED] | None:
        """A new person with a volunteer's place, signed in.

        Whoever has an account already signs in with it: None when the password is not that account's. Raises BadInput
        for what the newcomer said and can't stand.
        """
        email, name = clean_email(newcomer.email), clean_name(newcomer.name)
        zip_code = None if newcomer.zip is None else clean_zip(newcomer.zip)
        check_new_password(newcomer.password, email=email, name=name)
        organisation_id = campaign.key.organisation_id
        if await users.by_email(self._database, organisation_id, email) is None:
            user = UserRow(
                user_id=(await self._ids.take(1))[0],
                email=email,
                name=name,
                language=newcomer.language,
                zip=zip_code,
                password_hash=await self._passwords.hashed(newcomer.password),
            )
            if await self._make(campaign, user):
                assert user.password_hash is not None
                return await self._sign_in.begin(organisation_id, user.user_id, user.password_hash)
        return await self._join_by_password(campaign, email, newcomer.password)

    async def _join_by_password(
        self, campaign: Invited, email: str, password: str
    ) -> Opened | Literal[Added.DEACTIVATED] | None:
        opened = await self._sign_in.by_password(campaign.key.organisation_id, email, password)
        if opened is None:
            return None
        added = await self._join(campaign, opened.user_id)
        return added if added is Added.DEACTIVATED else opened

    async def _make(self, campaign: Invited, user: UserRow) -> bool:
        now = self._clock.now()
        async with self._database.transaction() as transaction:
            made = await users.sign_up(transaction, campaign.key, user, _VOLUNTEER, now)
            if made:
                await _tell_joined(transaction, campaign.key, now, user.user_id)
            return made

    async def _join(self, campaign: Invited, user_id: int) -> Added:
        now = self._clock.now()
        async with self._database.transaction() as transaction:
            added = await users.join(transaction, campaign.key, user_id, _VOLUNTEER, now)
            if added is Added.KNOWN:
                await _tell_joined(transaction, campaign.key, now, user_id)
            return added

    # ---------------------------------------------------------------- the code

    async def make_code(self, key: CampaignKey, who: str, valid_s: float = CODE_S) -> JoinCode:
        """A new code and link, made by `who`; those before are good no more. `valid_s`: at most 90 days.

        Raises BadInput for a longer time, and when all codes are taken.
        """
        if not 0 < valid_s <= LONGEST_CODE_S:
            raise BadInput(
                "a code is valid for more than no time and at most 90 days",
                "valid_s",
                "give seconds in between",
            )
        now = self._clock.now()
        for _ in range(_DRAWS):
            made = JoinCode(
                code=join_code(int.from_bytes(self._random(8))),
                link=self._random(_LINK_BYTES).hex(),
                made_at=now,
                ends_at=now + valid_s,
            )
            with contextlib.suppress(CodeTaken):
                async with self._database.transaction() as transaction:
                    await join_codes.make(transaction, key, made)
                    told = as_json({"ends_at": made.ends_at})
                    await audit_log.write(transaction, key, now, who, "join code made", after=told)
                return made
        raise BadInput("nearly all codes are taken", "code", "let other campaigns' codes end first")

    async def code(self, key: CampaignKey) -> JoinCode | None:
        """The campaign's code, while it holds."""
        return await join_codes.show(self._database, key, self._clock.now())

    async def end_code(self, key: CampaignKey, who: str) -> None:
        """Nobody joins by it any more."""
        async with self._database.transaction() as transaction:
            if await join_codes.end(transaction, key):
                await audit_log.write(transaction, key, self._clock.now(), who, "join code ended")

    # ---------------------------------------------------------------- members

    async def members(
        self, key: CampaignKey, wanted: MemberFilter, cursor: str | None, limit: int
    ) -> MemberPage:
        """At most `limit` of them, by user id. Raises BadInput for a cursor of another list."""
        after = 0 if cursor is None else place_of(cursor, IdPlace).id
        rows = await users.members(self._database, key, wanted, after=after, limit=limit + 1)
        return MemberPage(*page_of(rows, limit, lambda each: IdPlace(each.user_id)))

    async def count(self, key: CampaignKey, wanted: MemberFilter) -> int:
        """How many a filter has (F171)."""
        return await users.count_members(self._database, key, wanted)

    async def member(self, key: CampaignKey, user_id: int) -> MemberRow | None:
        return await users.member(self._database, key, user_id)

    async def invite(self, key: CampaignKey, whom: Invitation, who: str) -> Entered:
        """Gives somebody a place, as `who` wants it; who is new to the organisation chooses a password by the token.

        Raises BadInput.
        """
        token = tokens.made(INVITATION, key.organisation_id, self._random(TOKEN_BYTES))
        read = tokens.read(INVITATION, token)
        assert read is not None
        user = UserRow(
            user_id=(await self._ids.take(1))[0],
            email=clean_email(whom.email),
            name=clean_name(whom.name),
            language=whom.language,
            zip=None if whom.zip is None else clean_zip(whom.zip),
        )
        now = self._clock.now()
        row = InvitationRow(read.token_hash, now + INVITATION_S)
        async with self._database.transaction() as transaction:
            added, user_id, counts = await users.invite(transaction, key, user, whom.role, row, now)
            if added in (Added.NEW, Added.KNOWN):
                told = as_json(Standing(user_id, whom.role, active=True))
                await audit_log.write(transaction, key, now, who, "member added", after=told)
        return Entered(added, user_id, token if counts else None)

    async def give_place(self, campaign_id: int, whom: Invitation) -> str | None:
        """As an administrator of the whole deployment does it: the role is theirs afterwards, whatever they were.

        The invitation's token, or None for who has a password. Raises BadInput when there is no such campaign, and
        for who is invited by another one, or lost their place here.
        """
        found = await campaigns.load(self._database, [campaign_id])
        if not found:
            raise BadInput("there is no such campaign", str(campaign_id), "make it first")
        key = found[0].key
        entered = await self.invite(key, whom, COMMAND)
        if entered.added is Added.UNANSWERED:
            raise BadInput(
                "they have not answered an invitation to another campaign", whom.email, "ask them to"
            )
        if entered.added is Added.DEACTIVATED:
            raise BadInput("their place was taken away", whom.email, "a campaign's admin may give it back")
        if entered.added is Added.HAD_IT:
            changed = await self.change(key, entered.user_id, COMMAND, role=whom.role)
            if changed is Changed.LAST_ADMIN:
                raise BadInput("they are the campaign's last admin", whom.email, "make another one first")
            if changed is Changed.UNPROVEN:
                raise BadInput("they have not confirmed their address", whom.email, "ask them to, first")
        return entered.token

    async def change(
        self,
        key: CampaignKey,
        user_id: int,
        who: str,
        *,
        role: PersonRole | None = None,
        active: bool | None = None,
    ) -> Changed:
        """Another role, or the place taken away (with every session of the person) or given back, as `who` wants it."""
        now = self._clock.now()
        async with self._database.transaction() as transaction:
            changed, before, after = await users.change_member(transaction, key, user_id, role, active, now)
            if before and after and before.active and not after.active:
                await kept.no_longer_kept(transaction, key, user_id)
            if before != after:
                told = {"before": as_json(before), "after": as_json(after)}
                await audit_log.write(transaction, key, now, who, "member changed", **told)
            return changed


async def _tell_joined(transaction: Statements, key: CampaignKey, now: float, user_id: int) -> None:
    told = as_json(Standing(user_id, _VOLUNTEER, active=True))
    await audit_log.write(
        transaction, key, now, Actor(Role.VOLUNTEER, user_id=user_id).name, "joined", after=told
    )
