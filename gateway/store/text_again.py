"""Whom an action's first text did not reach, piece by piece, and a contact list of them."""

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Statements


class Stopped(msgspec.Struct, frozen=True, gc=False):
    """Somebody whose first text failed with one of the codes, and what is known of them since.

    `is_held`: a failure still holds them (1204, 1205). `has_it`: another first text of the action went out, or may.
    """

    contact_id: int
    is_gone: bool
    opted_out: bool
    is_held: bool
    has_it: bool


class Piece(msgspec.Struct, frozen=True):
    """Some of them; `last_id`: the message up to which was looked, None: there is nothing any more."""

    stopped: list[Stopped]
    last_id: int | None


_PIECE: Final = """
WITH piece AS MATERIALIZED (
    SELECT message_id, contact_id, action_id, kind, state, code FROM messages
    WHERE organisation_id = $1 AND campaign_id = $2 AND message_id > $3 ORDER BY message_id LIMIT $4
)
SELECT (SELECT max(message_id) FROM piece), (SELECT count(*) FROM piece), p.contact_id,
       c.contact_id IS NULL OR c.deleted_at IS NOT NULL, o.phone IS NOT NULL,
       (v.failure_until > to_timestamp($8)) IS TRUE, EXISTS (
           SELECT FROM messages m WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.contact_id = p.contact_id
             AND m.action_id = $5 AND m.kind = 'initial' AND m.state <> ALL ('{blocked,failed,undelivered}'::text[]))
FROM (SELECT) at_least_one_row LEFT JOIN (
    (SELECT * FROM piece WHERE action_id = $5 AND kind = 'initial' AND code = ANY ($6::integer[])
       AND state = ANY ('{blocked,failed,undelivered}'::text[])) p
    LEFT JOIN contacts c ON c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = p.contact_id
    LEFT JOIN opt_outs o ON o.organisation_id = $1 AND o.scope = $7 AND o.phone = c.phone
    LEFT JOIN conversations v ON v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id = p.contact_id
) ON true
ORDER BY p.message_id
"""


async def piece(
    database: Database,
    key: CampaignKey,
    opt_out_scope: int,
    action_id: int,
    codes: Sequence[int],
    now: float,
    *,
    after_id: int,
    look_at: int,
) -> Piece:
    """Those among the next `look_at` messages after an id."""
    rows = await database.fetch(_PIECE, *key, after_id, look_at, action_id, codes, opt_out_scope, now)
    last, looked_at = rows[0][:2]
    stopped = [Stopped(*row[2:]) for row in rows if row[2] is not None]
    return Piece(stopped, last if looked_at == look_at else None)


_JOIN: Final = """
INSERT INTO list_members (organisation_id, campaign_id, list_id, contact_id)
SELECT $1, $2, $3, contact_id FROM unnest($4::bigint[]) AS contact_id ORDER BY contact_id
ON CONFLICT DO NOTHING
"""


async def join(transaction: Statements, key: CampaignKey, list_id: int, contact_ids: Sequence[int]) -> None:
    """Puts people on a contact list."""
    await transaction.fetch(_JOIN, *key, list_id, contact_ids)
