"""Users, their places in campaigns, and the invitations of those whom somebody else entered."""

from enum import Enum
from typing import Final, Literal

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Connection, Database, Record


class UserRow(msgspec.Struct, frozen=True, kw_only=True):
    """A person. `email` is lower-cased; `password_hash` None: none was ever chosen."""

    user_id: int
    email: str
    name: str
    language: str
    zip: str | None = None
    password_hash: str | None = None


class MemberRow(msgspec.Struct, frozen=True):
    """A person's place in a campaign; times are Unix seconds. `is_invited`: has not chosen a password yet.
    `last_seen_at`: to the minute, in whichever campaign."""

    user_id: int
    name: str
    email: str
    language: str
    zip: str | None
    role: str
    joined_at: float
    deactivated_at: float | None
    is_invited: bool
    last_seen_at: float | None


class Place(msgspec.Struct, frozen=True):
    """A campaign that a person is in, and the person's role there."""

    campaign_id: int
    name: str
    role: str


class InvitationRow(msgspec.Struct, frozen=True):
    """A link to choose a password by: only the token's SHA-256, and its end in Unix seconds."""

    token_hash: str
    ends_at: float


Did = Literal["received", "seen", "started", "completed"]


class MemberFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which members: of a role, active or not, with these letters in name or address; None: whichever (F171).

    `zip`: its first digits. `did`: what they did about the action, or, with `did_not`, did not. `seen_since` and
    `unseen_since` in Unix seconds.
    """

    role: str | None = None
    active: bool | None = None
    text: str | None = None
    language: str | None = None
    zip: str | None = None
    user_list_id: int | None = None
    action_id: int | None = None
    did: Did = "received"
    did_not: bool = False
    seen_since: float | None = None
    unseen_since: float | None = None


class Added(Enum):
    """What came of adding somebody to a campaign."""

    NEW = "new"  # a user was made
    KNOWN = "known"  # a user of the organisation has one place more
    HAD_IT = "had it"  # the place was theirs already
    UNANSWERED = (
        "unanswered"  # is in another campaign, and has neither answered its invitation nor proven the address
    )
    DEACTIVATED = "deactivated"  # the place was taken away


class Changed(Enum):
    """What came of changing a member."""

    DONE = "done"
    ABSENT = "absent"
    LAST_ADMIN = "last admin"  # nobody could manage the campaign's people any more
    UNPROVEN = (
        "unproven"  # more than a volunteer is nobody who may have signed up with somebody else's address
    )


# ---------------------------------------------------------------- users

_BY_EMAIL = """
SELECT user_id, email, name, language, zip, password_hash FROM users WHERE organisation_id = $1 AND email = $2
"""
_BY_ID = """
SELECT user_id, email, name, language, zip, password_hash FROM users WHERE organisation_id = $1 AND user_id = $2
"""


async def by_email(database: Database, organisation_id: int, email: str) -> UserRow | None:
    return _user(await database.fetch_row(_BY_EMAIL, organisation_id, email))


async def by_id(database: Database, organisation_id: int, user_id: int) -> UserRow | None:
    return _user(await database.fetch_row(_BY_ID, organisation_id, user_id))


def _user(row: Record | None) -> UserRow | None:
    if row is None:
        return None
    return UserRow(
        user_id=row[0], email=row[1], name=row[2], language=row[3], zip=row[4], password_hash=row[5]
    )


_NEW_USER = """
INSERT INTO users (organisation_id, user_id, email, name, language, zip, password_hash, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, to_timestamp($8)) ON CONFLICT (organisation_id, email) DO NOTHING
RETURNING user_id
"""
_REHASH = """
UPDATE users SET password_hash = $4 WHERE organisation_id = $1 AND user_id = $2 AND password_hash = $3
"""


async def keep_rehashed(
    database: Database, organisation_id: int, user_id: int, old_hash: str, new_hash: str
) -> None:
    """The same password under other parameters; nothing when it was changed meanwhile."""
    await database.execute(_REHASH, organisation_id, user_id, old_hash, new_hash)


_PLACES = """
SELECT m.campaign_id, c.name, m.role
FROM memberships m JOIN campaigns c ON c.organisation_id = m.organisation_id AND c.campaign_id = m.campaign_id
WHERE m.organisation_id = $1 AND m.user_id = $2 AND m.deactivated_at IS NULL ORDER BY m.campaign_id
"""


async def places(database: Database, organisation_id: int, user_id: int) -> list[Place]:
    """Where the person has an active place, by campaign."""
    return [Place(*row) for row in await database.fetch(_PLACES, organisation_id, user_id)]


# ---------------------------------------------------------------- members


def received(action: str) -> str:
    """SQL that has a row when the action with this parameter was sent to the member `m`, who is the user `u`: to whoever may see
    it, staff aside (core/bank/actions.py, may_see)."""
    return f"""
SELECT FROM actions x WHERE x.organisation_id = $1 AND x.campaign_id = $2 AND x.action_id = {action}
  AND x.state IN ('private', 'public') AND x.archived_at IS NULL
  AND (EXISTS (SELECT FROM action_invitees i WHERE i.organisation_id = $1 AND i.campaign_id = $2 AND i.action_id = {action}
               AND i.user_id = m.user_id)
       OR x.state = 'private' AND EXISTS (
           SELECT FROM user_list_members l WHERE l.organisation_id = $1 AND l.campaign_id = $2 AND l.user_id = m.user_id
             AND x.settings #> '{{audience,user_list_ids}}' @> to_jsonb(l.user_list_id))
       OR x.state = 'public'
          AND coalesce(x.settings #> '{{audience,languages}}', '[]') IN ('[]'::jsonb, jsonb_build_array(u.language),
                                                                       '["en", "es"]', '["es", "en"]')
          AND (coalesce(x.settings #> '{{audience,zips}}', '[]') = '[]'::jsonb OR EXISTS (
              SELECT FROM jsonb_array_elements_text(x.settings #> '{{audience,zips}}') z WHERE starts_with(u.zip, z))))
"""  # noqa: S608 - fixed texts


_MEMBERS = f"""
SELECT u.user_id, u.name, u.email, u.language, u.zip, m.role, extract(epoch FROM m.joined_at)::float8,
       extract(epoch FROM m.deactivated_at)::float8, u.password_hash IS NULL, extract(epoch FROM u.seen_at)::float8
FROM memberships m JOIN users u ON u.organisation_id = m.organisation_id AND u.user_id = m.user_id
WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.user_id > $3
  AND ($4::bigint IS NULL OR m.user_id = $4) AND ($5::text IS NULL OR m.role = $5)
  AND ($6::boolean IS NULL OR (m.deactivated_at IS NULL) = $6)
  AND ($7::text IS NULL OR strpos(lower(u.name), $7) > 0 OR strpos(u.email, $7) > 0)
  AND ($8::text IS NULL OR u.language = $8) AND ($9::text IS NULL OR starts_with(u.zip, $9))
  AND ($10::bigint IS NULL OR EXISTS (SELECT FROM user_list_members l WHERE l.organisation_id = $1
       AND l.campaign_id = $2 AND l.user_list_id = $10 AND l.user_id = m.user_id))
  AND ($11::bigint IS NULL OR $13 <> CASE WHEN $12 = 'received' THEN EXISTS ({received("$11")}) ELSE EXISTS (
       SELECT FROM action_users a WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = $11
         AND a.user_id = m.user_id AND CASE $12 WHEN 'seen' THEN a.seen_at WHEN 'started' THEN a.started_at
                                                ELSE a.completed_at END IS NOT NULL) END)
  AND ($14::float8 IS NULL OR u.seen_at >= to_timestamp($14))
  AND ($15::float8 IS NULL OR u.seen_at IS NULL OR u.seen_at < to_timestamp($15))
ORDER BY m.user_id LIMIT $16
"""  # noqa: S608 - fixed texts
_COUNT_MEMBERS = f"SELECT count(*) FROM ({_MEMBERS}) AS found"  # noqa: S608 - fixed texts
_ALL_MEMBERS: Final = 2**31


async def members(
    database: Database, key: CampaignKey, wanted: MemberFilter, *, after: int, limit: int
) -> list[MemberRow]:
    """At most `limit` of them, those with a user id above `after`, by user id."""
    rows = await database.fetch(_MEMBERS, *key, after, None, *_wanted(wanted), limit)
    return [MemberRow(*row) for row in rows]


async def count_members(database: Database, key: CampaignKey, wanted: MemberFilter) -> int:
    """How many there are in all."""
    count: int = await database.fetch_value(_COUNT_MEMBERS, *key, 0, None, *_wanted(wanted), _ALL_MEMBERS)
    return count


def _wanted(wanted: MemberFilter) -> tuple[object, ...]:
    """In the order of the statement's arguments, which is the filter's."""
    lowered = msgspec.structs.replace(wanted, text=None if wanted.text is None else wanted.text.lower())
    return msgspec.structs.astuple(lowered)


async def member(database: Database, key: CampaignKey, user_id: int) -> MemberRow | None:
    rows = await database.fetch(_MEMBERS, *key, 0, user_id, *_wanted(MemberFilter()), 1)
    return MemberRow(*rows[0]) if rows else None


_ADD_MEMBER = """
INSERT INTO memberships (organisation_id, campaign_id, user_id, role, joined_at)
VALUES ($1, $2, $3, $4, to_timestamp($5)) ON CONFLICT (organisation_id, campaign_id, user_id) DO NOTHING
RETURNING user_id
"""
_IS_DEACTIVATED = """
SELECT deactivated_at IS NOT NULL FROM memberships
WHERE organisation_id = $1 AND campaign_id = $2 AND user_id = $3
"""
_USER_FOR_UPDATE = """
SELECT user_id, password_hash IS NULL, confirmed_at IS NULL FROM users
WHERE organisation_id = $1 AND email = $2 FOR UPDATE
"""
_IS_ELSEWHERE = """
SELECT EXISTS (SELECT FROM memberships WHERE organisation_id = $1 AND user_id = $3 AND campaign_id <> $2)
"""
_INVITE = """
INSERT INTO invitations (organisation_id, user_id, token_hash, ends_at) VALUES ($1, $2, $3, to_timestamp($4))
ON CONFLICT (organisation_id, user_id) DO UPDATE
SET token_hash = excluded.token_hash, ends_at = excluded.ends_at
"""


async def sign_up(connection: Connection, key: CampaignKey, user: UserRow, role: str, now: float) -> bool:
    """A new user with a place in a campaign; False, and nothing is written, when the address is somebody's.

    This and what follows is part of the caller's transaction.
    """
    made = await _make(connection, key, user, now)
    if made:
        await connection.execute(_ADD_MEMBER, *key, user.user_id, role, now)
    return made


async def _make(connection: Connection, key: CampaignKey, user: UserRow, now: float) -> bool:
    made = await connection.fetchval(
        _NEW_USER,
        key.organisation_id,
        user.user_id,
        user.email,
        user.name,
        user.language,
        user.zip,
        user.password_hash,
        now,
    )
    return made is not None


async def join(connection: Connection, key: CampaignKey, user_id: int, role: str, now: float) -> Added:
    """A place for a user of the organisation; who has one keeps its role: HAD_IT, or DEACTIVATED."""
    if await connection.fetchval(_ADD_MEMBER, *key, user_id, role, now) is not None:
        return Added.KNOWN
    return Added.DEACTIVATED if await connection.fetchval(_IS_DEACTIVATED, *key, user_id) else Added.HAD_IT


async def invite(
    connection: Connection,
    key: CampaignKey,
    user: UserRow,
    role: str,
    invitation: InvitationRow,
    now: float,
) -> tuple[Added, int, bool]:
    """Gives whoever has the address a place: what came of it, whose it is, and whether the invitation counts.

    It counts for who has no password and no place elsewhere: else one campaign's admin could choose the password of
    somebody who is already trusted in another. A later invitation takes the earlier one's place.
    """
    made = await _make(connection, key, user, now)
    user_id, has_none, is_unproven = await connection.fetchrow(
        _USER_FOR_UPDATE, key.organisation_id, user.email
    )
    if (has_none or is_unproven) and await connection.fetchval(_IS_ELSEWHERE, *key, user_id):
        return Added.UNANSWERED, user_id, False
    added = await join(connection, key, user_id, role, now)
    if added is Added.DEACTIVATED or not has_none:
        return added, user_id, False
    await connection.execute(_INVITE, key.organisation_id, user_id, invitation.token_hash, invitation.ends_at)
    return Added.NEW if made else added, user_id, True


_ADMINS = """
SELECT user_id FROM memberships
WHERE organisation_id = $1 AND campaign_id = $2 AND role = 'admin' AND deactivated_at IS NULL
ORDER BY user_id FOR UPDATE
"""
_CHANGE = """
UPDATE memberships
SET role = $4,
    deactivated_at = CASE WHEN $5 THEN NULL ELSE coalesce(deactivated_at, to_timestamp($6)) END
WHERE organisation_id = $1 AND campaign_id = $2 AND user_id = $3
"""
_STANDING = """
SELECT m.role, m.deactivated_at IS NULL, u.confirmed_at IS NULL AND u.password_hash IS NOT NULL AND NOT m.vouched
FROM memberships m JOIN users u ON u.organisation_id = m.organisation_id AND u.user_id = m.user_id
WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.user_id = $3 FOR UPDATE OF m
"""
_END_ALL = "DELETE FROM sessions WHERE organisation_id = $1 AND user_id = $2"


class Standing(msgspec.Struct, frozen=True):
    """What a member is: for the audit log."""

    user_id: int
    role: str
    active: bool


async def change_member(
    connection: Connection, key: CampaignKey, user_id: int, role: str | None, active: bool | None, now: float
) -> tuple[Changed, Standing | None, Standing | None]:
    """Another role, or the place taken away or given back; and what the member was before, and is now.

    Who loses a place is signed out everywhere. Changes of one campaign's admins wait for each other, so that two can't
    take each other away.
    """
    admins = {row[0] for row in await connection.fetch(_ADMINS, *key)}
    found = await connection.fetchrow(_STANDING, *key, user_id)
    if found is None:
        return Changed.ABSENT, None, None
    before, is_unproven = Standing(user_id, found[0], found[1]), found[2]
    after = Standing(user_id, role or before.role, before.active if active is None else active)
    if admins == {user_id} and not (after.active and after.role == "admin"):
        return Changed.LAST_ADMIN, before, before
    if is_unproven and after.role not in (before.role, "volunteer"):
        return Changed.UNPROVEN, before, before
    await connection.execute(_CHANGE, *key, user_id, after.role, after.active, now)
    if before.active and not after.active:
        await connection.execute(_END_ALL, key.organisation_id, user_id)
    return Changed.DONE, before, after


# ---------------------------------------------------------------- passwords

_CHOSEN = """
UPDATE users SET password_hash = $3 WHERE organisation_id = $1 AND user_id = $2
  AND ($4::text IS NULL OR password_hash = $4) RETURNING user_id
"""
_CONFIRM = """
UPDATE users SET confirmed_at = coalesce(confirmed_at, to_timestamp($3)) WHERE organisation_id = $1 AND user_id = $2
"""
# A user with an invitation has a place in one campaign alone.
_VOUCH = "UPDATE memberships SET vouched = true WHERE organisation_id = $1 AND user_id = $2"
_IS_VOUCHED = """
SELECT EXISTS (SELECT FROM memberships WHERE organisation_id = $1 AND user_id = $2 AND vouched AND deactivated_at IS NULL)
"""
_PROVE = """
UPDATE users SET confirmed_at = to_timestamp($3), password_hash = NULL
WHERE organisation_id = $1 AND user_id = $2 AND confirmed_at IS NULL RETURNING user_id
"""
_WITHOUT_FACTOR = "DELETE FROM second_factors WHERE organisation_id = $1 AND user_id = $2"
_IS_CONFIRMED = "SELECT confirmed_at IS NOT NULL FROM users WHERE organisation_id = $1 AND user_id = $2"
_ACCEPT = """
DELETE FROM invitations WHERE organisation_id = $1 AND token_hash = $2 AND ends_at > to_timestamp($3)
RETURNING user_id
"""
_INVITED = """
SELECT u.user_id, u.email, u.name, u.language, u.zip, u.password_hash
FROM invitations i JOIN users u ON u.organisation_id = i.organisation_id AND u.user_id = i.user_id
WHERE i.organisation_id = $1 AND i.token_hash = $2 AND i.ends_at > to_timestamp($3)
"""


async def invited(database: Database, organisation_id: int, token_hash: str, now: float) -> UserRow | None:
    """Whom an invitation is for, while it holds."""
    return _user(await database.fetch_row(_INVITED, organisation_id, token_hash, now))


async def accept(
    database: Database, organisation_id: int, token_hash: str, password_hash: str, now: float
) -> int | None:
    """Uses up an invitation: the user's password is set; the user's id, None when it holds no more."""
    async with database.transaction() as connection:
        user_id: int | None = await connection.fetchval(_ACCEPT, organisation_id, token_hash, now)
        if user_id is not None:
            await connection.execute(_CHOSEN, organisation_id, user_id, password_hash, None)
            await connection.execute(_VOUCH, organisation_id, user_id)
            await connection.execute(_END_ALL, organisation_id, user_id)
        return user_id


async def confirm_address(database: Database, organisation_id: int, user_id: int, now: float) -> None:
    """The person has proven, signed in, that they read mail at their address."""
    await database.execute(_CONFIRM, organisation_id, user_id, now)


async def is_confirmed(database: Database, organisation_id: int, user_id: int) -> bool:
    return bool(await database.fetch_value(_IS_CONFIRMED, organisation_id, user_id))


async def is_vouched(database: Database, organisation_id: int, user_id: int) -> bool:
    """Whether a campaign vouches for them: they accepted its invitation."""
    return bool(await database.fetch_value(_IS_VOUCHED, organisation_id, user_id))


async def prove_address(database: Database, organisation_id: int, user_id: int, now: float) -> bool:
    """Whoever reads mail at the address is the person; if nobody had proven it before, whoever signed up with it may be
    somebody else: their password, their authenticator and their sessions have ended. Whether it was so."""
    async with database.transaction() as connection:
        proven = await connection.fetchval(_PROVE, organisation_id, user_id, now) is not None
        if proven:
            await connection.execute(_END_ALL, organisation_id, user_id)
            await connection.execute(_WITHOUT_FACTOR, organisation_id, user_id)
        return proven


async def change_password(
    database: Database, organisation_id: int, user_id: int, old_hash: str, new_hash: str
) -> bool:
    """Another password, and the end of every session; False when it was changed meanwhile.

    Two statements: a session that was opened while the first one waited is seen by the second.
    """
    async with database.transaction() as connection:
        kept = await connection.fetchval(_CHOSEN, organisation_id, user_id, new_hash, old_hash)
        if kept is not None:
            await connection.execute(_END_ALL, organisation_id, user_id)
        return kept is not None
