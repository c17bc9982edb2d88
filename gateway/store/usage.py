"""What was handed to the provider between two instants, in groups that are billed alike."""

from typing import Final

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.months import after, first_id, ids_since, month_of
from gateway.store.database import Database


class Group(msgspec.Struct, frozen=True, gc=False):
    """So many attempts of one sort, and the segments of their texts. `day`: the first Unix second of the day, UTC."""

    day: float
    is_mms: bool
    carrier: str | None
    state: str
    code: int | None
    has_sid: bool
    number: int
    segments: int


# A message tells of its last attempt, unless that one is over and has a row of its own.
_WHICH = """
m.organisation_id = $1 AND m.campaign_id = $2 AND m.message_id >= $3 AND m.message_id < $4
AND m.requested_at >= to_timestamp($5) AND m.requested_at < to_timestamp($6)
AND ($7::bigint IS NULL OR m.action_id = $7) AND m.attempt > 0
"""
_USAGE: Final = f"""
WITH past AS MATERIALIZED (
    SELECT * FROM attempts WHERE organisation_id = $1 AND campaign_id = $2 AND message_id >= $3 AND message_id < $4
), billed AS (
    SELECT m.requested_at, m.contact_id, m.media, m.segments, m.state, m.code, m.provider_sid FROM messages m
    WHERE {_WHICH} AND (m.message_id, m.attempt) NOT IN (SELECT message_id, attempt FROM past) -- hashed
    UNION ALL
    SELECT m.requested_at, m.contact_id, m.media, m.segments, t.state, t.code, t.provider_sid
    FROM past t CROSS JOIN LATERAL (
        SELECT * FROM messages m WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.message_id = t.message_id
        LIMIT 1) m
    WHERE {_WHICH}
)
SELECT extract(epoch FROM date_trunc('day', b.requested_at, 'UTC'))::float8, coalesce(cardinality(b.media), 0) > 0,
       c.carrier, b.state, b.code, b.provider_sid IS NOT NULL, count(*), sum(b.segments)
FROM billed b
LEFT JOIN contacts c ON c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = b.contact_id
GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
"""  # noqa: S608 - fixed texts


async def groups(
    database: Database, key: CampaignKey, since: float, until: float, action_id: int | None
) -> list[Group]:
    """Texts that were asked for from `since` on and before `until` (Unix seconds), every attempt of them."""
    first, beyond = ids_since(since), first_id(after(month_of(until)))
    rows = await database.fetch(_USAGE, *key, first, beyond, since, until, action_id)
    return [Group(*row) for row in rows]
