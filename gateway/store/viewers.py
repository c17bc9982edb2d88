"""Who looks at which thread just now: one row a person, worth nothing after a minute."""

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database


class Viewer(msgspec.Struct, frozen=True):
    """Somebody who looks at the thread as well; `seen_at` in Unix seconds."""

    user_id: int
    name: str
    seen_at: float


_LOOK = """
INSERT INTO thread_viewers AS t (organisation_id, campaign_id, user_id, contact_id, seen_at)
VALUES ($1, $2, $3, $4, to_timestamp($5))
ON CONFLICT (organisation_id, campaign_id, user_id) DO UPDATE SET contact_id = excluded.contact_id, seen_at = excluded.seen_at
"""
_LEAVE = """
DELETE FROM thread_viewers WHERE organisation_id = $1 AND campaign_id = $2 AND user_id = $3 AND contact_id = $4
"""
_OTHERS = """
SELECT t.user_id, u.name, extract(epoch FROM t.seen_at)::float8 FROM thread_viewers t
JOIN users u ON u.organisation_id = $1 AND u.user_id = t.user_id
WHERE t.organisation_id = $1 AND t.campaign_id = $2 AND t.contact_id = $3 AND t.seen_at > to_timestamp($4)
  AND t.user_id IS DISTINCT FROM $5
ORDER BY t.seen_at DESC, t.user_id LIMIT $6
"""


async def look(database: Database, key: CampaignKey, user_id: int, contact_id: int, now: float) -> None:
    """The person looks at this thread now, and at no other."""
    await database.execute(_LOOK, *key, user_id, contact_id, now)


async def leave(database: Database, key: CampaignKey, user_id: int, contact_id: int) -> None:
    """The person looks at it no longer."""
    await database.execute(_LEAVE, *key, user_id, contact_id)


async def others(
    database: Database, key: CampaignKey, contact_id: int, since: float, but: int | None, limit: int
) -> list[Viewer]:
    """At most `limit` who have looked at the thread since an instant, but for one person; the latest first."""
    return [Viewer(*row) for row in await database.fetch(_OTHERS, *key, contact_id, since, but, limit)]
