"""What a reassignment that was broken off has moved so far."""

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database

# Of a conversation (0) that stayed as it was, nobody's or another's, only the person's assignments say whose they became.
_SO_FAR = """
SELECT DISTINCT contact_id, to_id FROM reassigned
WHERE organisation_id = $1 AND campaign_id = $2 AND reassignment_id = $3 AND to_id IS NOT NULL
  AND (action_id <> 0 OR to_id IS DISTINCT FROM from_id)
ORDER BY contact_id
"""


async def so_far(database: Database, key: CampaignKey, reassignment_id: int) -> dict[int, int]:
    """Each contact that it has moved, and whose that one became."""
    rows = await database.fetch(_SO_FAR, *key, reassignment_id)
    return {row[0]: row[1] for row in rows}
