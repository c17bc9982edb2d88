"""Whom an action's first text did not reach, piece by piece, and a contact list of them."""

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Statements


class Stopped(msgspec.Struct, frozen=True, gc=False):
    """Somebody whose first text failed with one of the codes, and what is known of them since.

    `is_held`: a failure still holds them (1204, 1205). `has_it`: another first text of the action went out, or may.
    `is_listed`: they are on an earlier list of those whom codes stopped in the action.
    """

    contact_id: int
    is_gone: bool
    opted_out: bool
    is_held: bool
    has_it: bool
    is_listed: bool


class Piece(msgspec.Struct, frozen=True):
    """Some of them; `last_id`: the message up to which was looked, None: there is nothing any more."""

    stopped: list[Stopped]
    last_id: int | None


_LISTED: Final = """
EXISTS (SELECT FROM list_members l WHERE l.organisation_id = $1 AND l.campaign_id = $2 AND l.contact_id = {contact}
        AND l.list_id = ANY (ARRAY(SELECT t.list_id FROM contact_lists t WHERE t.organisation_id = $1
                                   AND t.campaign_id = $2 AND t.texts_again = {action})))
"""
_PIECE: Final = f"""
WITH piece AS MATERIALIZED (
    SELECT message_id, contact_id, action_id, kind, state, code FROM messages
    WHERE organisation_id = $1 AND campaign_id = $2 AND message_id > $3 ORDER BY message_id LIMIT $4
)
SELECT (SELECT max(message_id) FROM piece), (SELECT count(*) FROM piece), p.contact_id,
       c.contact_id IS NULL OR c.deleted_at IS NOT NULL, o.phone IS NOT NULL,
       (v.failure_until > to_timestamp($8)) IS TRUE, EXISTS (
           SELECT FROM messages m WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.contact_id = p.contact_id
             AND m.action_id = $5 AND m.kind = 'initial' AND m.state <> ALL ('{{blocked,failed,undelivered}}'::text[])),
       {_LISTED.format(contact="p.contact_id", action="$5")}
FROM (SELECT) at_least_one_row LEFT JOIN (
    (SELECT * FROM piece WHERE action_id = $5 AND kind = 'initial' AND code = ANY ($6::integer[])
       AND state = ANY ('{{blocked,failed,undelivered}}'::text[])) p
    LEFT JOIN contacts c ON c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = p.contact_id
    LEFT JOIN opt_outs o ON o.organisation_id = $1 AND o.scope = $7 AND o.phone = c.phone
    LEFT JOIN conversations v ON v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id = p.contact_id
) ON true
ORDER BY p.message_id
"""  # noqa: S608 - fixed texts


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


# Two who ask at once take turns: the second finds those of the first.
_TURN: Final = "SELECT pg_advisory_xact_lock(hashint8extended($3, hashint8extended($2, $1)))"
_MAKE: Final = """
UPDATE contact_lists SET texts_again = $4 WHERE organisation_id = $1 AND campaign_id = $2 AND list_id = $3
"""
_JOIN: Final = f"""
WITH joined AS (
    INSERT INTO list_members (organisation_id, campaign_id, list_id, contact_id)
    SELECT $1, $2, $3, p.contact_id FROM unnest($4::bigint[]) AS p (contact_id)
    WHERE NOT {_LISTED.format(contact="p.contact_id", action="$5")}
    ORDER BY p.contact_id ON CONFLICT DO NOTHING RETURNING 1
)
SELECT count(*) FROM joined
"""  # noqa: S608 - fixed texts


async def take_turns(transaction: Statements, key: CampaignKey, action_id: int) -> None:
    """Nobody else fills a list of the action's people until the transaction ends."""
    await transaction.fetch(_TURN, *key, action_id)


async def join(
    transaction: Statements, key: CampaignKey, list_id: int, contact_ids: Sequence[int], action_id: int
) -> int:
    """Puts people on a contact list, but for those who are on an earlier one of the action; returns how many."""
    [row] = await transaction.fetch(_JOIN, *key, list_id, contact_ids, action_id)
    joined: int = row[0]
    return joined


async def belongs_to(transaction: Statements, key: CampaignKey, list_id: int, action_id: int) -> None:
    """The list has people whom a code stopped in the action."""
    await transaction.fetch(_MAKE, *key, list_id, action_id)
