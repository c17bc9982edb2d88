"""How much waits, and what has waited too long: counts for the metrics.

They read every row they count, so they are asked for seldom, and in pieces: no statement is longer than a piece.
Campaigns of which nothing waits cost one look into the index all together.
"""

from collections.abc import AsyncIterator, Sequence

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Record
from gateway.store.rows import as_columns

_AT_ONCE = 20_000

_WITH_PEOPLE = """
SELECT o.organisation_id, o.campaign_id FROM unnest($1::bigint[], $2::bigint[]) AS o (organisation_id, campaign_id)
WHERE EXISTS (SELECT FROM conversations v WHERE v.organisation_id = o.organisation_id
              AND v.campaign_id = o.campaign_id AND v.attention_at IS NOT NULL)
   OR EXISTS (SELECT FROM assignments a WHERE a.organisation_id = o.organisation_id
              AND a.campaign_id = o.campaign_id AND a.volunteer_id IS NULL)
ORDER BY o.organisation_id, o.campaign_id
"""


async def with_people(database: Database, keys: Sequence[CampaignKey]) -> list[CampaignKey]:
    """The campaigns in which somebody waits for an answer or has not been texted yet: the others need no counting."""
    return [CampaignKey(*row) for row in await database.fetch(_WITH_PEOPLE, *as_columns(keys))]


_WITH_QUEUE = """
SELECT o.organisation_id, o.campaign_id FROM unnest($1::bigint[], $2::bigint[]) AS o (organisation_id, campaign_id)
WHERE EXISTS (SELECT FROM queue q WHERE q.organisation_id = o.organisation_id AND q.campaign_id = o.campaign_id)
ORDER BY o.organisation_id, o.campaign_id
"""


class Backlog(msgspec.Struct, frozen=True, gc=False):
    """What waits in one lane of a campaign for one carrier's customers; `due_at` of the first, in Unix seconds."""

    campaign_id: int
    lane: int
    carrier: str | None
    messages: int
    segments: int
    due_at: float

    def __add__(self, more: "Backlog") -> "Backlog":
        return msgspec.structs.replace(
            self,
            messages=self.messages + more.messages,
            segments=self.segments + more.segments,
            due_at=min(self.due_at, more.due_at),
        )


_PIECE = """piece AS (
    SELECT message_id, lane, due_at FROM queue
    WHERE organisation_id = $1 AND campaign_id = $2 AND message_id > $3 ORDER BY message_id LIMIT $4
)"""
_WAITING = f"""
WITH {_PIECE}
SELECT (SELECT max(message_id) FROM piece), (SELECT count(*) FROM piece), $2::bigint, piece.lane, c.carrier,
       count(*)::int, sum(m.segments)::int, extract(epoch FROM min(piece.due_at))::float8
FROM piece
JOIN messages m ON m.organisation_id = $1 AND m.campaign_id = $2 AND m.message_id = piece.message_id
JOIN contacts c ON c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = m.contact_id
GROUP BY piece.lane, c.carrier ORDER BY piece.lane, c.carrier
"""  # noqa: S608 - fixed texts


async def waiting(
    database: Database, keys: Sequence[CampaignKey], *, at_once: int = _AT_ONCE
) -> list[Backlog]:
    """All that waits for a slot, whether or not its dispatcher has it in memory; by campaign, lane and carrier."""
    found: dict[tuple[int, int, str | None], Backlog] = {}
    async for rows in _pieces(database, _WAITING, keys, at_once):
        for row in rows:
            each = Backlog(*row[2:])
            place = (each.campaign_id, each.lane, each.carrier)
            found[place] = found[place] + each if place in found else each
    return sorted(found.values(), key=lambda each: (each.campaign_id, each.lane, each.carrier or ""))


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """For how long a message may stay: queued after its window's end, the others after their slot; in seconds."""

    queued_s: float = 180.0  # what is over is swept out every minute
    sending_s: float = 300.0  # far beyond the longest call
    unknown_s: float = 300.0  # recovery asks every half minute, and a list that lags is asked twice


_OVER = f"""
WITH {_PIECE}
SELECT (SELECT max(message_id) FROM piece), (SELECT count(*) FROM piece), count(*)
FROM piece JOIN messages m ON m.organisation_id = $1 AND m.campaign_id = $2 AND m.message_id = piece.message_id
WHERE m.not_after < to_timestamp($5)
"""  # noqa: S608 - fixed texts
_IN_FLIGHT = """
SELECT m.state, count(*)::int
FROM unnest($1::bigint[], $2::bigint[]) AS o (organisation_id, campaign_id)
JOIN messages m USING (organisation_id, campaign_id)
WHERE m.ask_at IS NOT NULL
  AND (m.state = 'sending' AND m.slot_at < to_timestamp($3) OR m.state = 'unknown' AND m.slot_at < to_timestamp($4))
GROUP BY m.state ORDER BY m.state
"""


async def stuck(
    database: Database,
    keys: Sequence[CampaignKey],
    budget: Budget,
    now: float,
    *,
    at_once: int = _AT_ONCE,
) -> dict[str, int]:
    """How many messages of each unsettled state are there for longer than they may be."""
    until = (now - budget.sending_s, now - budget.unknown_s)
    found = {row[0]: row[1] for row in await database.fetch(_IN_FLIGHT, *as_columns(keys), *until)}
    over = 0
    async for rows in _pieces(database, _OVER, keys, at_once, now - budget.queued_s):
        over += rows[0][2]
    return found | ({"queued": over} if over else {})


async def _pieces(
    database: Database, sql: str, keys: Sequence[CampaignKey], at_once: int, *more: object
) -> AsyncIterator[list[Record]]:
    """The answers about each piece of each queue; a row begins with the piece's last id and its size."""
    for key in await database.fetch(_WITH_QUEUE, *as_columns(keys)):
        after_id, size = 0, at_once
        while size == at_once and (rows := await database.fetch(sql, *key, after_id, at_once, *more)):
            yield rows
            after_id, size = rows[0][0], rows[0][1]
