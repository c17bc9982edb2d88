"""What people did about actions: one row a person and action, written when they say so (F152 to F155)."""

from typing import Final, Literal

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database
from gateway.store.users import received

Did = Literal["seen", "started", "completed"]

# Whoever completes has started, and whoever starts has seen it. A completion counts once for each start.
_NOTE: Final = f"""
INSERT INTO action_users AS w (organisation_id, campaign_id, action_id, user_id, seen_at, started_at, completed_at,
                               performs, is_open)
SELECT $1, $2, $3, $4, to_timestamp($6), CASE WHEN $5 <> 'seen' THEN to_timestamp($6) END,
       CASE WHEN $5 = 'completed' THEN to_timestamp($6) END, ($5 = 'completed')::int, $5 = 'started'
FROM actions a
WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = $3 AND a.published_at IS NOT NULL
  AND ($7 OR EXISTS (
      SELECT FROM memberships m JOIN users u ON u.organisation_id = $1 AND u.user_id = m.user_id
      WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.user_id = $4 AND m.deactivated_at IS NULL
        AND EXISTS ({received("$3")})))
ON CONFLICT (organisation_id, campaign_id, action_id, user_id) DO UPDATE SET
    seen_at = coalesce(w.seen_at, excluded.seen_at),
    started_at = coalesce(w.started_at, excluded.started_at),
    completed_at = coalesce(w.completed_at, excluded.completed_at),
    performs = w.performs + (excluded.performs > 0 AND (w.is_open OR w.performs = 0))::int,
    is_open = CASE $5 WHEN 'seen' THEN w.is_open ELSE excluded.is_open END
RETURNING performs
"""  # noqa: S608 - fixed texts


async def note(
    database: Database,
    key: CampaignKey,
    action_id: int,
    user_id: int,
    did: Did,
    now: float,
    *,
    sees_all: bool,
) -> int | None:
    """How often the person has completed it by now; None: there is no such action for them.

    `sees_all`: whoever says so may see every action, and not only those that were sent to them.
    """
    performs: int | None = await database.fetch_value(_NOTE, *key, action_id, user_id, did, now, sees_all)
    return performs
