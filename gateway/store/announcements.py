"""What staff tell many people at once, and the mails that carry it."""

from collections.abc import Sequence

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Statements
from gateway.store.user_notices import NOTED


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """Told to `people`, of whom `mails` get a mail as well, by `who`, at an instant (Unix seconds)."""

    announcement_id: int
    at: float
    who: str
    title: str
    body: str
    people: int
    mails: int
    request_hash: int


_COLUMNS = "announcement_id, extract(epoch FROM at)::float8, who, title, body, people, mails, request_hash"
_MAKE = f"""
INSERT INTO announcements (organisation_id, campaign_id, announcement_id, at, who, title, body, people, mails, request_hash, key)
VALUES ($1, $2, $3, to_timestamp($4), $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (organisation_id, campaign_id, who, key) DO NOTHING RETURNING {_COLUMNS}
"""  # noqa: S608 - fixed texts
_BY_KEY = f"""
SELECT {_COLUMNS} FROM announcements WHERE organisation_id = $1 AND campaign_id = $2 AND who = $3 AND key = $4
"""  # noqa: S608 - fixed texts
_PAGE = f"""
SELECT {_COLUMNS} FROM announcements
WHERE organisation_id = $1 AND campaign_id = $2 AND (at, announcement_id) < (to_timestamp($3), $4)
ORDER BY at DESC, announcement_id DESC LIMIT $5
"""  # noqa: S608 - fixed texts
_TELL = f"""
WITH told AS (
INSERT INTO user_notices (organisation_id, campaign_id, notice_id, user_id, kind, title, body, at, announcement_id,
                          mail_due_at)
SELECT $1, $2, n.notice_id, n.user_id, 'message', '', '', to_timestamp($6), $5,
       CASE WHEN n.user_id = ANY ($7::bigint[]) THEN to_timestamp($6) END
FROM unnest($3::bigint[], $4::bigint[]) AS n (notice_id, user_id) ORDER BY n.notice_id
RETURNING notice_id, user_id, kind, at
), {NOTED}
SELECT FROM told LIMIT 0
"""  # noqa: S608 - fixed texts
_MAY_MAIL = """
SELECT m.user_id FROM memberships m JOIN users u ON u.organisation_id = $1 AND u.user_id = m.user_id
WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.user_id = ANY ($3::bigint[])
  AND m.deactivated_at IS NULL AND m.no_mail_at IS NULL AND u.password_hash IS NOT NULL
ORDER BY m.user_id
"""


async def may_mail(statements: Statements, key: CampaignKey, user_ids: Sequence[int]) -> list[int]:
    """Those of these people who want mails, and have answered their invitation (F174)."""
    return [row[0] for row in await statements.fetch(_MAY_MAIL, *key, user_ids)]


async def make(
    transaction: Statements, key: CampaignKey, made: Announcement, word: str | None
) -> Announcement | None:
    """None: `who` has used this Idempotency-Key before."""
    rows = await transaction.fetch(
        _MAKE,
        *key,
        made.announcement_id,
        made.at,
        made.who,
        made.title,
        made.body,
        made.people,
        made.mails,
        made.request_hash,
        word,
    )
    return Announcement(**dict(zip(Announcement.__struct_fields__, rows[0], strict=True))) if rows else None


async def by_key(statements: Statements, key: CampaignKey, who: str, word: str) -> Announcement:
    """The one that was made with this key."""
    [row] = await statements.fetch(_BY_KEY, *key, who, word)
    return Announcement(**dict(zip(Announcement.__struct_fields__, row, strict=True)))


async def page(
    database: Database, key: CampaignKey, before: tuple[float, int], limit: int
) -> list[Announcement]:
    """At most `limit` before an instant and id, the newest first."""
    rows = await database.fetch(_PAGE, *key, *before, limit)
    return [Announcement(**dict(zip(Announcement.__struct_fields__, row, strict=True))) for row in rows]


async def tell(
    transaction: Statements,
    key: CampaignKey,
    made: Announcement,
    notice_ids: Sequence[int],
    user_ids: Sequence[int],
    mailed: Sequence[int],
) -> None:
    """A notice to each of these people, and to those `mailed` a mail as well."""
    await transaction.fetch(_TELL, *key, notice_ids, user_ids, made.announcement_id, made.at, mailed)


# ---------------------------------------------------------------- mails


class DueMail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that is taken for being sent; `to` None: the person wants none any more, or has left."""

    key: CampaignKey
    notice_id: int
    to: str | None
    language: str
    campaign: str
    title: str
    body: str


# Taken until then: whoever breaks off in the middle leaves it to be tried again.
_TAKE = """
WITH due AS (
    SELECT organisation_id, campaign_id, notice_id FROM user_notices
    WHERE mail_due_at <= to_timestamp($1) ORDER BY mail_due_at LIMIT $3 FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE user_notices n SET mail_tries = n.mail_tries + 1,
           mail_due_at = CASE WHEN n.mail_tries + 1 < $4 THEN to_timestamp($2) END
    FROM due WHERE n.organisation_id = due.organisation_id AND n.campaign_id = due.campaign_id AND n.notice_id = due.notice_id
    RETURNING n.organisation_id, n.campaign_id, n.notice_id, n.user_id, n.announcement_id
)
SELECT t.organisation_id, t.campaign_id, t.notice_id,
       CASE WHEN m.deactivated_at IS NULL AND m.no_mail_at IS NULL THEN u.email END, u.language, p.name, a.title, a.body
FROM taken t
JOIN users u ON u.organisation_id = t.organisation_id AND u.user_id = t.user_id
JOIN memberships m ON m.organisation_id = t.organisation_id AND m.campaign_id = t.campaign_id AND m.user_id = t.user_id
JOIN campaigns p ON p.organisation_id = t.organisation_id AND p.campaign_id = t.campaign_id
JOIN announcements a ON a.organisation_id = t.organisation_id AND a.campaign_id = t.campaign_id
 AND a.announcement_id = t.announcement_id
ORDER BY t.organisation_id, t.campaign_id, t.notice_id
"""
_SENT = """
UPDATE user_notices SET mail_due_at = NULL
WHERE organisation_id = $1 AND campaign_id = $2 AND notice_id = ANY ($3::bigint[])
"""


async def take_mails(
    database: Database, now: float, again_at: float, *, limit: int, most_tries: int
) -> list[DueMail]:
    """The next `limit` mails of all campaigns, which are due again at `again_at` unless they are said to be sent."""
    return [
        DueMail(
            key=CampaignKey(row[0], row[1]),
            notice_id=row[2],
            to=row[3],
            language=row[4],
            campaign=row[5],
            title=row[6],
            body=row[7],
        )
        for row in await database.fetch(_TAKE, now, again_at, limit, most_tries)
    ]


async def sent(database: Database, key: CampaignKey, notice_ids: Sequence[int]) -> None:
    """They need no mail any more."""
    await database.execute(_SENT, *key, notice_ids)
