"""A database restored from a dump, or moved to another server, numbers its transactions anew: the journal's places,
which the old numbers made, would come after all that is still to happen. So before a worker begins they are made small.
"""

from typing import Final

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database

_MEND_S: Final = 600.0
_LOCK: Final = 7_426_584  # one at a time, over all workers

_OF_ANOTHER_SERVER = """
SELECT c.organisation_id, c.campaign_id FROM campaigns c
WHERE EXISTS (SELECT FROM events e WHERE e.organisation_id = c.organisation_id AND e.campaign_id = c.campaign_id
              AND e.xid > pg_snapshot_xmax(pg_current_snapshot()))
   OR EXISTS (SELECT FROM count_progress p WHERE p.organisation_id = c.organisation_id AND p.campaign_id = c.campaign_id
              AND p.xid > pg_snapshot_xmax(pg_current_snapshot()))
   OR EXISTS (SELECT FROM webhook_endpoints w WHERE w.organisation_id = c.organisation_id
              AND w.campaign_id = c.campaign_id AND w.xid > pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
ORDER BY 1, 2
"""
# Between two readers' places all events get one number: each reader has still read what it had, and reads the rest once.
_MEND = """
WITH places AS MATERIALIZED (
    SELECT xid, event_id FROM count_progress WHERE organisation_id = $1 AND campaign_id = $2
    UNION SELECT xid::text::xid8, event_id FROM webhook_endpoints WHERE organisation_id = $1 AND campaign_id = $2
), told AS (
    UPDATE events e SET xid = (SELECT 1 + count(*) FROM places p WHERE (p.xid, p.event_id) < (e.xid, e.event_id))::text::xid8
    WHERE e.organisation_id = $1 AND e.campaign_id = $2
), counted AS (
    UPDATE count_progress c SET event_id = 9223372036854775807,
           xid = (SELECT 1 + count(*) FROM places p WHERE (p.xid, p.event_id) < (c.xid, c.event_id))::text::xid8
    WHERE c.organisation_id = $1 AND c.campaign_id = $2
)
UPDATE webhook_endpoints w SET event_id = 9223372036854775807,
       xid = (SELECT 1 + count(*) FROM places p WHERE (p.xid, p.event_id) < (w.xid::text::xid8, w.event_id))
WHERE w.organisation_id = $1 AND w.campaign_id = $2
"""


async def mend(database: Database) -> list[int]:
    """Before anything happens here: the campaigns whose places are of another server are made readable again."""
    if not await database.fetch(_OF_ANOTHER_SERVER):
        return []
    async with database.patient(_MEND_S) as patient, patient.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        keys = [CampaignKey(*row) for row in await connection.fetch(_OF_ANOTHER_SERVER)]
        for key in keys:
            await connection.execute(_MEND, *key)
    return [key.campaign_id for key in keys]
