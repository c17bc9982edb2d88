"""In-app messages: what people of a campaign are told, until they have read it."""

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.core.bank.events import EventKind
from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Statements
from gateway.store.journal import noted
from gateway.store.rows import as_rows


class UserNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A message to one person, at an instant (Unix seconds); `about`: ids of what it is about, by name."""

    notice_id: int
    user_id: int
    kind: str
    title: str
    body: str
    about: dict[str, int] = {}
    at: float
    read_at: float | None = None


NOTED: Final = noted(
    EventKind.NOTICED,
    "told",
    at="max(at)",
    columns={"ids": "notice_id", "user_ids": "user_id", "kinds": "kind"},
)
"""From `told`, the rows that were written."""
_TELL = f"""
WITH told AS (
    INSERT INTO user_notices (organisation_id, campaign_id, notice_id, user_id, kind, title, body, about, at)
    SELECT $1, $2, n.notice_id, n.user_id, n.kind, n.title, n.body, n.about, to_timestamp(n.at)
    FROM json_to_recordset($3::json) AS n (
        notice_id bigint, user_id bigint, kind text, title text, body text, about jsonb, at float8)
    ORDER BY n.notice_id
    RETURNING notice_id, user_id, kind, at
), {NOTED}
SELECT FROM told LIMIT 0
"""  # noqa: S608 - fixed texts
_PAGE = """
SELECT n.notice_id, n.user_id, n.kind, coalesce(a.title, n.title), coalesce(a.body, n.body), n.about::text,
       extract(epoch FROM n.at)::float8, extract(epoch FROM n.read_at)::float8
FROM user_notices n
LEFT JOIN announcements a ON a.organisation_id = $1 AND a.campaign_id = $2 AND a.announcement_id = n.announcement_id
WHERE n.organisation_id = $1 AND n.campaign_id = $2 AND n.user_id = $3
  AND (n.at, n.notice_id) < (to_timestamp($4), $5)
ORDER BY n.at DESC, n.notice_id DESC LIMIT $6
"""
_UNREAD = """
SELECT count(*) FROM user_notices
WHERE organisation_id = $1 AND campaign_id = $2 AND user_id = $3 AND read_at IS NULL
"""
_READ = """
UPDATE user_notices SET read_at = to_timestamp($5)
WHERE organisation_id = $1 AND campaign_id = $2 AND user_id = $3 AND read_at IS NULL
  AND (at, notice_id) <= (SELECT at, notice_id FROM user_notices
                          WHERE organisation_id = $1 AND campaign_id = $2 AND user_id = $3 AND notice_id = $4)
"""


async def tell(transaction: Statements, key: CampaignKey, notices: Sequence[UserNotice]) -> None:
    """In the transaction of what they tell of."""
    if notices:
        await transaction.fetch(_TELL, *key, as_rows(notices))


async def page(
    database: Database, key: CampaignKey, user_id: int, before: tuple[float, int], limit: int
) -> list[UserNotice]:
    """At most `limit` of a person's messages before an instant and id, the newest first."""
    rows = await database.fetch(_PAGE, *key, user_id, *before, limit)
    return [
        UserNotice(
            notice_id=row[0],
            user_id=row[1],
            kind=row[2],
            title=row[3],
            body=row[4],
            about=msgspec.json.decode(row[5], type=dict[str, int]),
            at=row[6],
            read_at=row[7],
        )
        for row in rows
    ]


async def unread(database: Database, key: CampaignKey, user_id: int) -> int:
    """How many a person has not read."""
    count: int = await database.fetch_value(_UNREAD, *key, user_id)
    return count


async def mark_read(database: Database, key: CampaignKey, user_id: int, up_to: int, now: float) -> None:
    """A person has read all up to a message."""
    await database.execute(_READ, *key, user_id, up_to, now)
