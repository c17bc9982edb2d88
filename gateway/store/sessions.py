"""Sessions of people who signed in. Only the SHA-256 of a token is stored."""

from collections.abc import Sequence

import msgspec

from gateway.store.database import Database


class NewSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session as it begins; `ends_at` in Unix seconds, however much it is used."""

    session_id: int
    user_id: int
    token_hash: str
    ends_at: float
    second_factor: bool = False


class SessionRow(msgspec.Struct, frozen=True):
    """A session that holds, and the person's active roles by campaign. Times are Unix seconds."""

    organisation_id: int
    token_hash: str
    session_id: int
    user_id: int
    seen_at: float
    roles: dict[int, str]
    second_factor: bool = False


class OpenSession(msgspec.Struct, frozen=True):
    """A session as its own person sees it: Unix seconds, `seen_at` to the minute."""

    session_id: int
    created_at: float
    seen_at: float
    ends_at: float


# Of one person the newest stay, and those that ended go: the table holds no more than people have open.
_SWEEP = """
DELETE FROM sessions WHERE organisation_id = $1 AND user_id = $2 AND session_id <> ALL (ARRAY(
    SELECT session_id FROM sessions
    WHERE organisation_id = $1 AND user_id = $2 AND ends_at > to_timestamp($3) AND seen_at > to_timestamp($4)
    ORDER BY created_at DESC, session_id DESC LIMIT $5))
"""
_OPEN = """
INSERT INTO sessions (organisation_id, session_id, user_id, token_hash, created_at, seen_at, ends_at, second_factor)
SELECT $1, $2, $3, $4, to_timestamp($5), to_timestamp($5), to_timestamp($6), $8
FROM users u WHERE u.organisation_id = $1 AND u.user_id = $3 AND u.password_hash IS NOT DISTINCT FROM $7
FOR NO KEY UPDATE
RETURNING session_id
"""


async def begin(
    database: Database,
    organisation_id: int,
    session: NewSession,
    password_hash: str | None,
    *,
    now: float,
    idle_s: float,
    most: int,
) -> bool:
    """Opens a session; False when the password that was verified has been changed meanwhile. The person's sessions
    beyond the `most` newest end."""
    async with database.transaction() as connection:
        await connection.execute(_SWEEP, organisation_id, session.user_id, now, now - idle_s, most - 1)
        opened = await connection.fetchval(
            _OPEN,
            organisation_id,
            session.session_id,
            session.user_id,
            session.token_hash,
            now,
            session.ends_at,
            password_hash,
            session.second_factor,
        )
        if opened is not None:
            await connection.execute(_SIGNED_IN, organisation_id, session.user_id, now)
        return opened is not None


_FIND = """
SELECT s.organisation_id, s.token_hash, s.session_id, s.user_id, extract(epoch FROM s.seen_at)::float8,
       roles.campaign_ids, roles.roles, s.second_factor
FROM unnest($1::bigint[], $2::text[]) AS asked (organisation_id, token_hash)
JOIN sessions s ON s.organisation_id = asked.organisation_id AND s.token_hash = asked.token_hash
CROSS JOIN LATERAL (
    SELECT array_agg(m.campaign_id) AS campaign_ids, array_agg(m.role) AS roles
    FROM memberships m
    WHERE m.organisation_id = s.organisation_id AND m.user_id = s.user_id AND m.deactivated_at IS NULL
) AS roles
WHERE s.ends_at > to_timestamp($3) AND s.seen_at > to_timestamp($4)
ORDER BY s.organisation_id, s.session_id
"""
_SEEN = """
WITH noted AS (
    UPDATE sessions s SET seen_at = to_timestamp($3)
    FROM unnest($1::bigint[], $2::bigint[]) AS used (organisation_id, session_id)
    WHERE s.organisation_id = used.organisation_id AND s.session_id = used.session_id
    RETURNING s.organisation_id, s.user_id
)
UPDATE users u SET seen_at = to_timestamp($3)
FROM (SELECT DISTINCT organisation_id, user_id FROM noted) n
WHERE u.organisation_id = n.organisation_id AND u.user_id = n.user_id
"""
_SIGNED_IN = "UPDATE users SET seen_at = to_timestamp($3) WHERE organisation_id = $1 AND user_id = $2"

Token = tuple[int, str]
"""An organisation's id and the SHA-256 of a token."""


async def find(database: Database, tokens: Sequence[Token], now: float, idle_s: float) -> list[SessionRow]:
    """Those of the sessions that hold: neither at their end nor unused for `idle_s`."""
    organisations, hashes = [each[0] for each in tokens], [each[1] for each in tokens]
    rows = await database.fetch(_FIND, organisations, hashes, now, now - idle_s)
    return [
        SessionRow(
            row[0],
            row[1],
            row[2],
            row[3],
            row[4],
            dict(zip(row[5] or (), row[6] or (), strict=True)),
            row[7],
        )
        for row in rows
    ]


async def seen(database: Database, used: Sequence[SessionRow], now: float) -> None:
    """Notes that these were used."""
    organisations = [each.organisation_id for each in used]
    await database.execute(_SEEN, organisations, [each.session_id for each in used], now)


_OF_USER = """
SELECT session_id, extract(epoch FROM created_at)::float8, extract(epoch FROM seen_at)::float8,
       extract(epoch FROM ends_at)::float8
FROM sessions
WHERE organisation_id = $1 AND user_id = $2 AND ends_at > to_timestamp($3) AND seen_at > to_timestamp($4)
ORDER BY created_at DESC, session_id DESC
"""
_END = """
DELETE FROM sessions WHERE organisation_id = $1 AND user_id = $2 AND session_id = $3 RETURNING token_hash
"""


async def of_user(
    database: Database, organisation_id: int, user_id: int, now: float, idle_s: float
) -> list[OpenSession]:
    """A person's sessions that hold, the newest first."""
    rows = await database.fetch(_OF_USER, organisation_id, user_id, now, now - idle_s)
    return [OpenSession(*row) for row in rows]


async def end(database: Database, organisation_id: int, user_id: int, session_id: int) -> str | None:
    """Ends one of a person's sessions; its token's hash, None when there is none such of theirs."""
    ended: str | None = await database.fetch_value(_END, organisation_id, user_id, session_id)
    return ended
