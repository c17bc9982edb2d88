"""A brand's day of T-Mobile's cap, shared by its campaigns in blocks."""

from datetime import date

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database


class Held(msgspec.Struct, frozen=True):
    """What a campaign has of the day in all, used or not; `is_reached`: the carrier takes no more (30023)."""

    segments: int
    is_reached: bool


# What was used is used, even beyond the cap; what is wanted beyond that is had as far as the others leave it. The same
# statement once more gives the same, so one whose answer was lost is simply repeated.
_SETTLE = """
INSERT INTO brand_days AS d (organisation_id, brand, day, held, is_reached)
SELECT $1::bigint, $2::text, $3::date,
       jsonb_build_object($4::text, CASE WHEN $7::boolean THEN $5::bigint
           ELSE greatest($5::bigint, least($6::bigint, $8::bigint)) END), $7::boolean
ON CONFLICT (organisation_id, brand, day) DO UPDATE SET
    is_reached = d.is_reached OR $7,
    held = d.held || jsonb_build_object($4::text, CASE WHEN d.is_reached OR $7 THEN $5 ELSE
        greatest($5, least($6, $8 - (SELECT coalesce(sum(value::bigint), 0)::bigint FROM jsonb_each_text(d.held)
                                     WHERE key <> $4))) END)
RETURNING (held ->> $4)::bigint AS segments, is_reached
"""


async def settle(
    database: Database,
    key: CampaignKey,
    brand: str,
    day: date,
    *,
    used: int,
    wanted: int,
    cap: int,
    is_reached: bool,
) -> Held:
    """A campaign has used so many segments of the brand's day and wants to have `wanted` in all, within the cap."""
    row = await database.fetch_row(
        _SETTLE, key.organisation_id, brand, day, str(key.campaign_id), used, wanted, is_reached, cap
    )
    assert row is not None  # an upsert without a condition returns its row
    return Held(segments=row["segments"], is_reached=row["is_reached"])


_HELD = """
SELECT coalesce(sum(value::bigint), 0)::bigint FROM brand_days d, jsonb_each_text(d.held)
WHERE d.organisation_id = $1 AND d.brand = $2 AND d.day = $3
"""


async def held(database: Database, key: CampaignKey, brand: str, day: date) -> int:
    """Segments of a brand's day that its campaigns have in all, used or set aside."""
    segments: int = await database.fetch_value(_HELD, key.organisation_id, brand, day)
    return segments


_USED = """
WITH piece AS (
    SELECT message_id, contact_id, segments, slot_at, state FROM messages
    WHERE organisation_id = $1 AND campaign_id = $2 AND message_id > $5 ORDER BY message_id LIMIT $6
), handed_over AS (
    SELECT contact_id, segments, slot_at FROM piece
    WHERE slot_at >= to_timestamp($3) AND state NOT IN ('queued', 'blocked')
    UNION ALL
    SELECT piece.contact_id, piece.segments, a.slot_at
    FROM attempts a JOIN piece USING (message_id)
    WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.message_id > $5
      AND a.message_id <= (SELECT max(message_id) FROM piece) AND a.slot_at >= to_timestamp($3)
)
SELECT coalesce(sum(h.segments), 0)::bigint AS used,
       coalesce(sum(h.segments) FILTER (WHERE h.slot_at >= to_timestamp($4)), 0)::bigint AS edge_used,
       (SELECT max(message_id) FROM piece) AS last_id, (SELECT count(*) FROM piece) AS size
FROM handed_over h
JOIN contacts c ON c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = h.contact_id
WHERE c.carrier IS NULL OR c.carrier = 'tmobile'
"""


async def used_since(
    database: Database, key: CampaignKey, since: float, edge_since: float, *, at_once: int = 20_000
) -> tuple[int, int]:
    """Segments that may have gone to T-Mobile since an instant, and since a later one, the end of the day.

    Carriers that nobody knows count. Each attempt counts, also one that failed: the carrier may have counted it.
    Reads all of the campaign's messages, in pieces of `at_once`.
    """
    used, edge_used, after_id, size = 0, 0, 0, at_once
    while size == at_once:
        [row] = await database.fetch(_USED, *key, since, edge_since, after_id, at_once)
        used, edge_used = used + row["used"], edge_used + row["edge_used"]
        after_id, size = row["last_id"], row["size"]
    return used, edge_used
