"""Queued first texts whose window is over, and that their action holds until the next one."""

from collections.abc import Sequence

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database
from gateway.store.first_texts import LATER
from gateway.store.rows import as_rows


class Waiter(msgspec.Struct, frozen=True, gc=False):
    """A first text that may be held, and by which hours its person lives."""

    message_id: int
    hours_group: str
    requested_at: float


_THAT_MAY_BE_HELD = """
SELECT m.message_id, c.hours_group, extract(epoch FROM m.requested_at)::float8
FROM messages m
JOIN contacts c ON c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = m.contact_id
JOIN actions a ON a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = m.action_id
WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.message_id = ANY ($3::bigint[])
  AND m.state = 'queued' AND m.kind = 'initial' AND a.archived_at IS NULL AND a.settings ->> 'overflow' = 'next_day'
ORDER BY m.message_id
"""


async def that_may_be(database: Database, key: CampaignKey, message_ids: Sequence[int]) -> list[Waiter]:
    """Of these the first texts that still wait, of actions that hold over what has not gone."""
    return [Waiter(*row) for row in await database.fetch(_THAT_MAY_BE_HELD, *key, message_ids)]


class Held(msgspec.Struct, frozen=True, gc=False):
    """From when and until when it may go now, in Unix seconds."""

    message_id: int
    due_at: float
    not_after: float


# What waits for a paused action or a breaker is put off (first_texts.py), and stays so: once that goes on, it is due when
# its window opens.
_HOLD = f"""
WITH held AS (
    SELECT * FROM json_to_recordset($3::json) AS h (message_id bigint, due_at float8, not_after float8)
), longer AS (
    UPDATE messages m SET not_after = to_timestamp(h.not_after)
    FROM held h
    WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.message_id = h.message_id AND m.state = 'queued'
    RETURNING m.message_id, h.due_at
), later AS (
    UPDATE queue q SET due_at = to_timestamp(longer.due_at)
           + CASE WHEN q.due_at > to_timestamp($4) + interval '1 year' THEN interval '{LATER}' ELSE interval '0' END
    FROM longer WHERE q.organisation_id = $1 AND q.campaign_id = $2 AND q.message_id = longer.message_id
)
SELECT message_id FROM longer
"""  # noqa: S608 - a text of our own


async def hold(database: Database, key: CampaignKey, held: Sequence[Held], now: float) -> set[int]:
    """They wait for their next window; returns the ids that were still queued."""
    return {row[0] for row in await database.fetch(_HOLD, *key, as_rows(held), now)}
