"""The books, asked the way a provider's list asks them: by provider id."""

from collections.abc import Sequence

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database
from gateway.store.rows import as_rows


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """A text of the provider's list, and whom it went to."""

    provider_sid: str
    phone: str


class Booked(msgspec.Struct, frozen=True, gc=False):
    """An attempt as the books have it; `is_past`: another one followed.

    `provider_sid` None: its answer is still to be settled.
    """

    message_id: int
    attempt: int
    state: str
    code: int | None
    provider_sid: str | None
    is_past: bool = False


# No index holds provider ids, since they change during a message's life. So each text is looked for among the
# few messages of the person it went to: two look-ups by key.
_BOOKED = """
WITH wanted AS (
    SELECT * FROM json_to_recordset($3::json) AS w (provider_sid text, phone text)
), theirs AS (
    SELECT w.provider_sid AS wanted_sid, m.message_id, m.attempt, m.state, m.code, m.provider_sid
    FROM wanted w
    CROSS JOIN LATERAL (SELECT contact_id FROM contacts c WHERE c.organisation_id = $1 AND c.campaign_id = $2
      AND c.phone = w.phone LIMIT 1) c
    CROSS JOIN LATERAL (SELECT * FROM messages m WHERE m.organisation_id = $1 AND m.campaign_id = $2
      AND m.contact_id = c.contact_id
                        AND m.state <> 'blocked') m
)
SELECT wanted_sid, message_id, attempt, state, code, provider_sid, false FROM theirs
WHERE state <> 'queued' AND provider_sid = wanted_sid
UNION ALL
SELECT wanted_sid, t.message_id, a.attempt, a.state, a.code, a.provider_sid, true
FROM theirs t CROSS JOIN LATERAL (SELECT * FROM attempts a WHERE a.organisation_id = $1 AND a.campaign_id = $2
  AND a.message_id = t.message_id) a
WHERE a.provider_sid = wanted_sid
UNION ALL
SELECT wanted_sid, message_id, attempt, state, code, provider_sid, false FROM theirs
WHERE state IN ('sending', 'unknown') AND provider_sid IS NULL
"""


async def booked(database: Database, key: CampaignKey, wanted: Sequence[Wanted]) -> dict[str, Booked]:
    """Provider id -> the attempt that has it, else one to the same person whose answer is not settled yet."""
    found: dict[str, Booked] = {}
    for row in await database.fetch(_BOOKED, *key, as_rows(wanted)):
        if row[0] not in found or row[5] is not None:
            found[row[0]] = Booked(*row[1:])
    return found


async def without_receipt(
    database: Database, key: CampaignKey, since: float, until: float, after_id: int, limit: int
) -> list[Booked]:
    """The next messages that are `sent` and were handed over in [since, until), in the order of their ids."""
    rows = await database.fetch(
        """
        SELECT message_id, attempt, state, code, provider_sid FROM messages
        WHERE organisation_id = $1 AND campaign_id = $2 AND message_id > $5 AND state = 'sent'
          AND provider_sid IS NOT NULL
          AND slot_at >= to_timestamp($3) AND slot_at < to_timestamp($4)
        ORDER BY message_id LIMIT $6
        """,
        *key,
        since,
        until,
        after_id,
        limit,
    )
    return [Booked(*row) for row in rows]


async def unheard(database: Database, key: CampaignKey, provider_sids: Sequence[str]) -> set[str]:
    """Those of people's texts that are not in the campaign's books."""
    rows = await database.fetch(
        """
        SELECT sid FROM unnest($3::text[]) AS u (sid) WHERE NOT EXISTS (
            SELECT FROM inbound_ids i WHERE i.organisation_id = $1 AND i.campaign_id = $2 AND i.provider_sid = sid)
        """,
        *key,
        provider_sids,
    )
    return {row[0] for row in rows}
