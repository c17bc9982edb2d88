"""Broadcasts: who has agreed to them, how much waits to go out, and who comes again later."""

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import SubReason
from gateway.core.rules.safeguards import GATEWAY
from gateway.store.database import Database, Statements
from gateway.store.rows import as_rows


class ConsentRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a contact agreed to, when and where; times in Unix seconds."""

    contact_id: int
    given_at: float
    source: str
    words: str


class Consented(msgspec.Struct, frozen=True):
    """A consent as it stands. `noted_at`, `noted_by`: when we were told, and by whom."""

    contact_id: int
    given_at: float
    source: str
    words: str
    noted_at: float
    noted_by: str
    withdrawn_at: float | None
    withdrawn_by: str | None


# A consent of before the withdrawal doesn't lift it, whichever list brings it along; a later one does. Whoever has a
# text decided on what was known before meets another revision.
_GIVE = """
WITH given AS (
    SELECT * FROM json_to_recordset($3::json) AS g (contact_id bigint, given_at float8, source text, words text)
), ours AS (
    SELECT g.* FROM given g JOIN contacts c ON c.organisation_id = $1 AND c.campaign_id = $2
      AND c.contact_id = g.contact_id WHERE c.deleted_at IS NULL
)
INSERT INTO broadcast_consents AS b (organisation_id, campaign_id, contact_id, given_at, source, words, noted_at, noted_by)
SELECT $1, $2, contact_id, to_timestamp(given_at), source, words, to_timestamp($4), $5 FROM ours ORDER BY contact_id
ON CONFLICT (organisation_id, campaign_id, contact_id) DO UPDATE SET
    given_at = excluded.given_at, source = excluded.source, words = excluded.words, noted_at = excluded.noted_at,
    noted_by = excluded.noted_by, withdrawn_at = NULL, withdrawn_by = NULL
WHERE excluded.given_at > coalesce(b.withdrawn_at, b.given_at)
RETURNING contact_id
"""
_WITHDRAW = """
WITH withdrawn AS (
    UPDATE broadcast_consents SET withdrawn_at = to_timestamp($4), withdrawn_by = $5
    WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = ANY ($3::bigint[]) AND withdrawn_at IS NULL
    RETURNING contact_id
), talk AS (
    INSERT INTO conversations AS v (organisation_id, campaign_id, contact_id)
    SELECT $1, $2, contact_id FROM withdrawn ORDER BY contact_id
    ON CONFLICT (organisation_id, campaign_id, contact_id) DO UPDATE SET revision = v.revision + 1
)
SELECT contact_id FROM withdrawn ORDER BY contact_id
"""
_CONSENT = """
SELECT contact_id, extract(epoch FROM given_at)::float8, source, words, extract(epoch FROM noted_at)::float8, noted_by,
       extract(epoch FROM withdrawn_at)::float8, withdrawn_by
FROM broadcast_consents WHERE organisation_id = $1 AND campaign_id = $2
"""
_PAGE = f"{_CONSENT} AND contact_id > $3 ORDER BY contact_id LIMIT $4"
CONSENT_OF_ONE: Final = f"{_CONSENT} AND contact_id = $3"


async def give(
    transaction: Statements, key: CampaignKey, rows: Sequence[ConsentRow], who: str, now: float
) -> list[int]:
    """Notes consents; returns the contacts of those that are new, or newer than what was known."""
    given = await transaction.fetch(_GIVE, *key, as_rows(rows), now, who)
    return sorted(row[0] for row in given)


async def withdraw(
    transaction: Statements, key: CampaignKey, contact_ids: Sequence[int], who: str, now: float
) -> list[int]:
    """These get no broadcast any more; returns those that could have got one."""
    return [row[0] for row in await transaction.fetch(_WITHDRAW, *key, contact_ids, now, who)]


async def consents(database: Database, key: CampaignKey, after_id: int, limit: int) -> list[Consented]:
    """At most `limit`, those of contacts with an id above `after_id`, by contact."""
    return [Consented(*row) for row in await database.fetch(_PAGE, *key, after_id, limit)]


# ---------------------------------------------------------------- what goes out

OUT_OF_HOURS: Final = 1202
"""Their windows had just shut, or the action was paused: their turn comes again."""

_WAITING: Final = """
SELECT count(*) FROM (
    SELECT FROM queue WHERE organisation_id = $1 AND campaign_id = $2 AND due_at <= to_timestamp($3) LIMIT $4) AS head
"""
_LATER: Final = """
UPDATE assignments SET volunteer_id = NULL, assigned_at = NULL
WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $3 AND contact_id = ANY ($4::bigint[])
  AND volunteer_id = $5
"""
# Of a turn that was broken off in between: its bucket is one of the newest. What waited, and ended so, is over.
_LEFT_OVER: Final = """
UPDATE assignments a SET volunteer_id = NULL, assigned_at = NULL
FROM (SELECT b.contact_ids FROM buckets b
      WHERE b.organisation_id = $1 AND b.campaign_id = $2 AND b.action_id = $3 AND b.volunteer_id = $4
      ORDER BY b.bucket_id DESC LIMIT 4) newest
CROSS JOIN LATERAL unnest(newest.contact_ids) AS each (contact_id)
WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = $3 AND a.contact_id = each.contact_id
  AND a.volunteer_id = $4 AND NOT a.texted
  AND EXISTS (SELECT FROM messages m WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.contact_id = a.contact_id
              AND m.action_id = $3)
  AND NOT EXISTS (SELECT FROM messages m WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.contact_id = a.contact_id
                  AND m.action_id = $3 AND (m.code IS DISTINCT FROM $5 OR m.reason IS NOT DISTINCT FROM $6))
RETURNING a.contact_id
"""


async def waiting(database: Database, key: CampaignKey, now: float, limit: int) -> int:
    """How many of the campaign's texts wait to go out; counted up to `limit`."""
    count: int = await database.fetch_value(_WAITING, *key, now, limit)
    return count


async def later(database: Database, key: CampaignKey, action_id: int, contact_ids: Sequence[int]) -> None:
    """Of those who were refused so: their turn comes again."""
    await database.execute(_LATER, *key, action_id, contact_ids, GATEWAY)


async def left_over(database: Database, key: CampaignKey, action_id: int) -> list[int]:
    """The same of those refused so in a turn of which nobody knows whether it came to its end; returns who they are."""
    unless = SubReason.EXPIRED_IN_QUEUE
    rows = await database.fetch(_LEFT_OVER, *key, action_id, GATEWAY, OUT_OF_HOURS, unless)
    return sorted({row[0] for row in rows})
