"""To whom contacts go that nobody else is to have: whoever made their action, or else an admin."""

from collections.abc import Sequence

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Statements

_CREATORS = """
SELECT a.action_id, a.created_by FROM actions a
JOIN memberships m ON m.organisation_id = $1 AND m.campaign_id = $2 AND m.user_id = a.created_by
WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = ANY ($3::bigint[])
  AND m.deactivated_at IS NULL AND m.role <> 'volunteer'
"""
_AN_ADMIN = """
SELECT user_id FROM memberships
WHERE organisation_id = $1 AND campaign_id = $2 AND role = 'admin' AND deactivated_at IS NULL
ORDER BY joined_at, user_id LIMIT 1
"""


async def creators(statements: Statements, key: CampaignKey, action_ids: Sequence[int]) -> dict[int, int]:
    """By action, whoever made it, if they are of the campaign's active staff."""
    return {row[0]: row[1] for row in await statements.fetch(_CREATORS, *key, action_ids)}


async def an_admin(statements: Statements, key: CampaignKey) -> int | None:
    """The campaign's first active admin; None: there is none."""
    rows = await statements.fetch(_AN_ADMIN, *key)
    return rows[0][0] if rows else None
