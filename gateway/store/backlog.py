"""How much waits, and what has waited too long: counts over a campaign's messages, for the metrics.

They read every row they count. So they are asked for seldom, and may plan as such reads want: by hash and by scan,
which no statement of a message's life may.
"""

from collections.abc import Sequence

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Record
from gateway.store.rows import as_columns

_PLAN_FREELY = """
SELECT set_config(name, 'on', true)
FROM unnest(ARRAY['enable_seqscan', 'enable_bitmapscan', 'enable_hashjoin', 'enable_mergejoin']) AS name
"""


class Backlog(msgspec.Struct, frozen=True, gc=False):
    """What waits in one lane of a campaign for one carrier's customers; `due_at` of the first, in Unix seconds."""

    campaign_id: int
    lane: int
    carrier: str | None
    messages: int
    segments: int
    due_at: float


async def waiting(database: Database, keys: Sequence[CampaignKey]) -> list[Backlog]:
    """All that waits for a slot, whether or not its dispatcher has it in memory."""
    rows = await _read(
        database,
        """
        SELECT q.campaign_id, q.lane, c.carrier, count(*)::int, sum(m.segments)::int,
               extract(epoch FROM min(q.due_at))::float8
        FROM unnest($1::bigint[], $2::bigint[]) AS owned (organisation_id, campaign_id)
        JOIN queue q USING (organisation_id, campaign_id)
        JOIN messages m USING (organisation_id, campaign_id, message_id)
        JOIN contacts c USING (organisation_id, campaign_id, contact_id)
        GROUP BY q.campaign_id, q.lane, c.carrier ORDER BY q.campaign_id, q.lane, c.carrier
        """,
        *as_columns(keys),
    )
    return [Backlog(*row) for row in rows]


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """For how long a message may stay: queued after its window's end, the others after their slot; in seconds."""

    queued_s: float = 180.0  # what is over is swept out every minute
    sending_s: float = 300.0  # far beyond the longest call
    unknown_s: float = 300.0  # recovery asks every half minute, and a list that lags is asked twice


async def stuck(
    database: Database, keys: Sequence[CampaignKey], budget: Budget, now: float
) -> dict[str, int]:
    """How many messages of each unsettled state are there for longer than they may be."""
    rows = await _read(
        database,
        """
        WITH owned AS (SELECT * FROM unnest($1::bigint[], $2::bigint[]) AS o (organisation_id, campaign_id))
        SELECT 'queued' AS state, count(*)::int
        FROM owned
        JOIN queue q USING (organisation_id, campaign_id)
        JOIN messages m USING (organisation_id, campaign_id, message_id)
        WHERE m.not_after < to_timestamp($3) HAVING count(*) > 0
        UNION ALL
        SELECT m.state, count(*)::int FROM owned JOIN messages m USING (organisation_id, campaign_id)
        WHERE m.ask_at IS NOT NULL
          AND (m.state = 'sending' AND m.slot_at < to_timestamp($4)
               OR m.state = 'unknown' AND m.slot_at < to_timestamp($5))
        GROUP BY m.state ORDER BY state
        """,
        *as_columns(keys),
        now - budget.queued_s,
        now - budget.sending_s,
        now - budget.unknown_s,
    )
    return {row[0]: row[1] for row in rows}


async def _read(database: Database, sql: str, *arguments: object) -> Sequence[Record]:
    async with database.transaction() as connection:
        await connection.fetch(_PLAN_FREELY)
        rows: Sequence[Record] = await connection.fetch(sql, *arguments)
        return rows
