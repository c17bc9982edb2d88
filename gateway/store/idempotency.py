"""Idempotency keys: what was answered to the first request with a key, kept for whoever used it."""

from collections.abc import Sequence

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.idempotency import Key
from gateway.store.database import Database


class Answered(msgspec.Struct, frozen=True, gc=False):
    """The first request with a key: the hash of its parameters, and its message as first answered.

    `message_id` None: the key of a whole batch.
    """

    key: Key
    request_hash: int
    message_id: int | None
    state: str
    code: int | None
    reason: str | None


_FIND = """
SELECT k.owner, k.key, k.request_hash, k.message_id, k.state, k.code, k.reason
FROM unnest($3::text[], $4::text[]) AS asked (owner, key)
CROSS JOIN LATERAL (SELECT * FROM idempotency_keys k WHERE k.organisation_id = $1 AND k.campaign_id = $2
                    AND k.owner = asked.owner AND k.key = asked.key LIMIT 1) k
ORDER BY k.owner, k.key
"""


async def find(database: Database, campaign: CampaignKey, keys: Sequence[Key]) -> list[Answered]:
    """Those of the keys that were used."""
    rows = await database.fetch(_FIND, *campaign, [each.owner for each in keys], [each.word for each in keys])
    return [Answered(Key(row[0], row[1]), *row[2:]) for row in rows]


_TAKE = """
INSERT INTO idempotency_keys AS k (organisation_id, campaign_id, owner, key, request_hash, created_at)
VALUES ($1, $2, $3, $4, $5, to_timestamp($6))
ON CONFLICT (organisation_id, campaign_id, owner, key) DO UPDATE SET request_hash = k.request_hash
RETURNING request_hash
"""


async def take(database: Database, campaign: CampaignKey, key: Key, request_hash: int, now: float) -> bool:
    """Keeps the key of a whole batch; False when it was used for something else."""
    kept: int = await database.fetch_value(_TAKE, *campaign, key.owner, key.word, request_hash, now)
    return kept == request_hash


_FORGET = """
WITH gone AS (
    DELETE FROM idempotency_keys
    WHERE organisation_id = $1 AND campaign_id = $2 AND ctid = ANY (ARRAY(
        SELECT ctid FROM idempotency_keys
        WHERE organisation_id = $1 AND campaign_id = $2 AND created_at < to_timestamp($3)
        ORDER BY created_at LIMIT $4 FOR UPDATE SKIP LOCKED))
    RETURNING 1
)
SELECT count(*) FROM gone
"""


async def forget_keys(database: Database, campaign: CampaignKey, before: float, limit: int) -> int:
    """Removes at most `limit` of a campaign's keys used before an instant (Unix seconds); returns how many:
    fewer than `limit`, and it is done."""
    gone: int = await database.fetch_value(_FORGET, *campaign, before, limit)
    return gone
