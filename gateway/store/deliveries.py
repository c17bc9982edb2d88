"""Deliveries: what an endpoint is to be told, in each person's order, until it is taken or nobody tries any more."""

from collections.abc import Sequence

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Statements


class NewDelivery(msgspec.Struct, frozen=True):
    """Something to tell. `contact_id` None: it is about nobody, and goes in no order."""

    contact_id: int | None
    topic: str
    body: str


class Due(msgspec.Struct, frozen=True):
    """A delivery whose turn it is; `give_up_at` in Unix seconds."""

    delivery_id: int
    contact_id: int | None
    topic: str
    body: str
    attempts: int
    give_up_at: float


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an attempt. `due_at`: of the next one, Unix seconds."""

    delivery_id: int
    state: str
    status: int | None
    why: str | None
    due_at: float


class DeliveryRow(msgspec.Struct, frozen=True):
    """A delivery as people see it; times are Unix seconds."""

    delivery_id: int
    contact_id: int | None
    topic: str
    state: str
    made_at: float
    due_at: float
    attempts: int
    tried_at: float | None
    status: int | None
    why: str | None
    body: str


_ADD = """
INSERT INTO webhook_deliveries
  (organisation_id, campaign_id, endpoint_id, delivery_id, contact_id, topic, body, made_at, due_at, give_up_at)
SELECT $1, $2, $3, $4::bigint + row.nth, row.contact_id, row.topic, row.body, to_timestamp($5), to_timestamp($5),
       to_timestamp($6)
FROM unnest($7::bigint[], $8::text[], $9::text[]) WITH ORDINALITY AS row (contact_id, topic, body, nth)
"""


async def add(
    transaction: Statements,
    key: CampaignKey,
    endpoint_id: int,
    last_id: int,
    rows: Sequence[NewDelivery],
    *,
    now: float,
    give_up_at: float,
) -> None:
    """Deliveries with the ids after `last_id`, due at once; part of the transaction that moves the endpoint's place."""
    contacts, topics = [each.contact_id for each in rows], [each.topic for each in rows]
    bodies = [each.body for each in rows]
    await transaction.fetch(_ADD, *key, endpoint_id, last_id, now, give_up_at, contacts, topics, bodies)


# Whose earlier delivery still waits, waits too. A failure moves the person's later ones to its own time, so that a read
# does not pass over them again and again.
_DUE = """
SELECT d.delivery_id, d.contact_id, d.topic, d.body, d.attempts, extract(epoch FROM d.give_up_at)::float8
FROM webhook_deliveries d
WHERE d.organisation_id = $1 AND d.campaign_id = $2 AND d.endpoint_id = $3 AND d.state = 'waiting'
  AND d.due_at <= to_timestamp($4) AND NOT EXISTS (
    SELECT FROM webhook_deliveries e
    WHERE e.organisation_id = $1 AND e.campaign_id = $2 AND e.endpoint_id = $3 AND e.state = 'waiting'
      AND e.contact_id = d.contact_id AND e.delivery_id < d.delivery_id)
ORDER BY d.due_at, d.delivery_id LIMIT $5
"""


async def due(database: Database, key: CampaignKey, endpoint_id: int, now: float, limit: int) -> list[Due]:
    """At most `limit` deliveries that may be tried now, of each person the earliest that waits."""
    return [Due(*row) for row in await database.fetch(_DUE, *key, endpoint_id, now, limit)]


_TRIED = """
UPDATE webhook_deliveries d
SET state = tried.state, status = tried.status, why = tried.why, due_at = to_timestamp(tried.due_at),
    attempts = d.attempts + 1, tried_at = to_timestamp($4)
FROM unnest($5::bigint[], $6::text[], $7::integer[], $8::text[], $9::float8[])
  AS tried (delivery_id, state, status, why, due_at)
WHERE d.organisation_id = $1 AND d.campaign_id = $2 AND d.endpoint_id = $3 AND d.delivery_id = tried.delivery_id
  AND d.state = 'waiting'
RETURNING d.contact_id, d.state, tried.due_at
"""
_POSTPONE = """
UPDATE webhook_deliveries d SET due_at = to_timestamp(held.due_at)
FROM unnest($4::bigint[], $5::float8[]) AS held (contact_id, due_at)
WHERE d.organisation_id = $1 AND d.campaign_id = $2 AND d.endpoint_id = $3 AND d.contact_id = held.contact_id
  AND d.state = 'waiting' AND d.due_at < to_timestamp(held.due_at)
"""
_PARK_OLD = """
UPDATE webhook_deliveries SET state = 'parked', why = coalesce(why, 'the endpoint took nothing for too long')
WHERE organisation_id = $1 AND campaign_id = $2 AND endpoint_id = $3 AND state = 'waiting'
  AND give_up_at <= to_timestamp($4)
"""


async def tried(
    transaction: Statements, key: CampaignKey, endpoint_id: int, results: Sequence[Tried], now: float
) -> None:
    """What came of attempts, several at once."""
    rows = await transaction.fetch(
        _TRIED,
        *key,
        endpoint_id,
        now,
        [each.delivery_id for each in results],
        [each.state for each in results],
        [each.status for each in results],
        [each.why for each in results],
        [each.due_at for each in results],
    )
    held = [(row[0], row[2]) for row in rows if row[1] == "waiting" and row[0] is not None]
    if held:
        await transaction.fetch(
            _POSTPONE, *key, endpoint_id, [each[0] for each in held], [each[1] for each in held]
        )


async def park_old(database: Database, key: CampaignKey, endpoint_id: int, now: float) -> None:
    """Nobody tries any more what was tried for long enough."""
    await database.execute(_PARK_OLD, *key, endpoint_id, now)


_COLUMNS = """
delivery_id, contact_id, topic, state, extract(epoch FROM made_at)::float8, extract(epoch FROM due_at)::float8,
attempts, extract(epoch FROM tried_at)::float8, status, why, body
"""
_PAGE = f"""
SELECT {_COLUMNS} FROM webhook_deliveries
WHERE organisation_id = $1 AND campaign_id = $2 AND endpoint_id = $3
  AND ($4::text IS NULL OR state = $4) AND ($5::bigint IS NULL OR delivery_id < $5)
ORDER BY delivery_id DESC LIMIT $6
"""  # noqa: S608 - our own names
# Again from the beginning: as if it had been made now.
_AGAIN = """
UPDATE webhook_deliveries SET state = 'waiting', attempts = 0, due_at = to_timestamp($4), give_up_at = to_timestamp($5)
WHERE organisation_id = $1 AND campaign_id = $2 AND endpoint_id = $3 AND delivery_id = $6
RETURNING delivery_id
"""
_PARKED_AGAIN = """
UPDATE webhook_deliveries SET state = 'waiting', attempts = 0, due_at = to_timestamp($4), give_up_at = to_timestamp($5)
WHERE organisation_id = $1 AND campaign_id = $2 AND endpoint_id = $3 AND state = 'parked'
RETURNING delivery_id
"""


async def page(
    database: Database, key: CampaignKey, endpoint_id: int, state: str | None, before: int | None, limit: int
) -> list[DeliveryRow]:
    """At most `limit` deliveries, the newest first: all, or those of a state; or those before one."""
    rows = await database.fetch(_PAGE, *key, endpoint_id, state, before, limit)
    return [DeliveryRow(*row) for row in rows]


async def again(
    transaction: Statements,
    key: CampaignKey,
    endpoint_id: int,
    delivery_id: int | None,
    *,
    now: float,
    give_up_at: float,
) -> int:
    """One delivery, whatever came of it, or all that are parked, are to be tried again; how many."""
    if delivery_id is None:
        return len(await transaction.fetch(_PARKED_AGAIN, *key, endpoint_id, now, give_up_at))
    return len(await transaction.fetch(_AGAIN, *key, endpoint_id, now, give_up_at, delivery_id))


_SWEEP = """
DELETE FROM webhook_deliveries WHERE organisation_id = $1 AND campaign_id = $2 AND endpoint_id = $3
  AND delivery_id = ANY (ARRAY(
    SELECT delivery_id FROM webhook_deliveries
    WHERE organisation_id = $1 AND campaign_id = $2 AND endpoint_id = $3 AND state = $4
      AND made_at < to_timestamp($5)
    ORDER BY delivery_id LIMIT $6))
RETURNING delivery_id
"""


async def sweep(
    database: Database, key: CampaignKey, endpoint_id: int, state: str, before: float, limit: int
) -> int:
    """Deletes at most `limit` deliveries of a state that were made before; how many."""
    return len(await database.fetch(_SWEEP, *key, endpoint_id, state, before, limit))
