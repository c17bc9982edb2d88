"""What is older than it is kept goes, in pieces by id, so that no statement is long and none waits for another."""

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.lifecycle import State
from gateway.store.database import Database

_UNSETTLED = [State.DRAFT, State.QUEUED, State.SENDING, State.UNKNOWN]


class Piece(msgspec.Struct, frozen=True):
    """Some rows in the order of their ids: the last one's id, how many of them were old, and how many are gone.

    `last_id` None: there was none any more.
    """

    last_id: int | None
    old: int
    gone: int


# That a contact was texted in an action outlives the text: nobody gets an action's first text twice.
_REMEMBERED = """remembered AS (
    INSERT INTO assignments AS a (organisation_id, campaign_id, action_id, contact_id, hours_group, turn, volunteer_id,
                                  assigned_at, texted)
    SELECT DISTINCT ON (action_id, contact_id) $1::bigint, $2::bigint, action_id, contact_id, '', 0,
           coalesce(sender_id, 0), requested_at, true
    FROM old WHERE kind = 'initial' AND action_id IS NOT NULL AND state <> 'blocked'
    ORDER BY action_id, contact_id, message_id
    ON CONFLICT (organisation_id, campaign_id, action_id, contact_id) DO UPDATE SET texted = true WHERE NOT a.texted
)"""
_PIECE_OF_MESSAGES = """piece AS (
    SELECT message_id, contact_id, action_id, kind, sender_id, state, requested_at FROM messages
    WHERE organisation_id = $1 AND campaign_id = $2 AND message_id >= $3 AND message_id < $4 ORDER BY message_id LIMIT $5
)"""
_MESSAGES = f"""
WITH {_PIECE_OF_MESSAGES}, old AS (
    SELECT * FROM piece WHERE requested_at < to_timestamp($7) AND state <> ALL ($6::text[])
), {_REMEMBERED}, attempted AS (
    DELETE FROM attempts a USING old
    WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.message_id = old.message_id
      AND a.message_id >= $3 AND a.message_id < $4
), gone AS (
    DELETE FROM messages m USING old
    WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.message_id = old.message_id AND m.state = old.state
      AND m.message_id >= $3 AND m.message_id < $4
    RETURNING m.message_id
)
SELECT (SELECT max(message_id) FROM piece), (SELECT count(*) FROM old), (SELECT count(*) FROM gone)
"""  # noqa: S608 - fixed texts
_READY_MESSAGES = f"""
WITH {_PIECE_OF_MESSAGES}, old AS (SELECT * FROM piece), {_REMEMBERED}
SELECT (SELECT max(message_id) FROM piece), (SELECT count(*) FROM piece WHERE state = ANY ($6::text[]))
"""  # noqa: S608 - fixed texts

# A conversation that waits for an answer keeps the texts that are to be answered. That a text was heard is forgotten with
# the text: nobody brings one again that late.
_PIECE_OF_INBOUND = """piece AS (
    SELECT i.inbound_id, i.provider_sid, i.received_at, v.attention_at IS NOT NULL AS is_needed
    FROM (SELECT inbound_id, provider_sid, contact_id, received_at FROM inbound
          WHERE organisation_id = $1 AND campaign_id = $2 AND inbound_id >= $3 AND inbound_id < $4
          ORDER BY inbound_id LIMIT $5) i
    LEFT JOIN conversations v ON v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id = i.contact_id
)"""
_FORGOTTEN = """forgotten AS (
    DELETE FROM inbound_ids k USING old
    WHERE k.organisation_id = $1 AND k.campaign_id = $2 AND k.provider_sid = old.provider_sid
)"""
_WITHOUT_MEDIA = """without_media AS (
    DELETE FROM inbound_media m USING old
    WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.inbound_id = old.inbound_id
)"""
_INBOUND = f"""
WITH {_PIECE_OF_INBOUND}, old AS (
    SELECT inbound_id, provider_sid FROM piece WHERE received_at < to_timestamp($6) AND NOT is_needed
), {_FORGOTTEN}, {_WITHOUT_MEDIA}, gone AS (
    DELETE FROM inbound i USING old
    WHERE i.organisation_id = $1 AND i.campaign_id = $2 AND i.inbound_id = old.inbound_id
      AND i.inbound_id >= $3 AND i.inbound_id < $4
    RETURNING i.inbound_id
)
SELECT (SELECT max(inbound_id) FROM piece), (SELECT count(*) FROM old), (SELECT count(*) FROM gone)
"""  # noqa: S608 - fixed texts
_READY_INBOUND = f"""
WITH {_PIECE_OF_INBOUND}, old AS (SELECT inbound_id, provider_sid FROM piece WHERE NOT is_needed), {_FORGOTTEN},
     {_WITHOUT_MEDIA}
SELECT (SELECT max(inbound_id) FROM piece), (SELECT count(*) FROM piece WHERE is_needed)
"""  # noqa: S608 - fixed texts

# What is not counted yet stays. The place of each event is known by the counts alone: a campaign without any is counted
# from its books.
_EVENTS = """
WITH piece AS (
    SELECT xid, event_id, at FROM events
    WHERE organisation_id = $1 AND campaign_id = $2 AND event_id >= $3 AND event_id < $4 ORDER BY event_id LIMIT $5
), old AS (
    SELECT xid, event_id FROM piece WHERE at < to_timestamp($6) AND NOT EXISTS (
        SELECT FROM count_progress p WHERE p.organisation_id = $1 AND p.campaign_id = $2
          AND (piece.xid, piece.event_id) > (p.xid, p.event_id))
), gone AS (
    DELETE FROM events e USING old
    WHERE e.organisation_id = $1 AND e.campaign_id = $2 AND e.xid = old.xid AND e.event_id = old.event_id
    RETURNING e.event_id
)
SELECT (SELECT max(event_id) FROM piece), (SELECT count(*) FROM old), (SELECT count(*) FROM gone)
"""
_READY_EVENTS = """
SELECT max(e.event_id), count(*) FILTER (WHERE (e.xid, e.event_id) > (p.xid, p.event_id))
FROM events e LEFT JOIN count_progress p ON p.organisation_id = $1 AND p.campaign_id = $2
WHERE e.organisation_id = $1 AND e.campaign_id = $2 AND e.event_id >= $3 AND e.event_id < $4
"""


async def delete_messages(
    database: Database, key: CampaignKey, ids: range, before: float, rows: int
) -> Piece:
    """Of the next rows those that were requested before an instant (Unix seconds) and are settled, with their
    attempts."""
    [row] = await database.fetch(_MESSAGES, *key, ids.start, ids.stop, rows, _UNSETTLED, before)
    return Piece(*row)


async def ready_messages(
    database: Database, key: CampaignKey, ids: range, rows: int
) -> tuple[int | None, int]:
    """Makes the next rows ready to go with their month, whatever their state: what must outlive them is written
    down. Returns the last one's id, None when there was none, and how many are not settled."""
    [row] = await database.fetch(_READY_MESSAGES, *key, ids.start, ids.stop, rows, _UNSETTLED)
    return row[0], row[1]


async def delete_inbound(database: Database, key: CampaignKey, ids: range, before: float, rows: int) -> Piece:
    """Of the next texts those that came before an instant (Unix seconds) and wait for no answer."""
    [row] = await database.fetch(_INBOUND, *key, ids.start, ids.stop, rows, before)
    return Piece(*row)


async def ready_inbound(
    database: Database, key: CampaignKey, ids: range, rows: int
) -> tuple[int | None, int]:
    """Makes the next texts ready to go with their month. Returns the last one's id, None when there was none, and how
    many wait for an answer."""
    [row] = await database.fetch(_READY_INBOUND, *key, ids.start, ids.stop, rows)
    return row[0], row[1]


async def delete_events(database: Database, key: CampaignKey, ids: range, before: float, rows: int) -> Piece:
    """Of the next events those that are counted, and happened before an instant (Unix seconds)."""
    [row] = await database.fetch(_EVENTS, *key, ids.start, ids.stop, rows, before)
    return Piece(*row)


async def ready_events(
    database: Database, key: CampaignKey, ids: range, _rows: int
) -> tuple[int | None, int]:
    """The id of the last of these events, None when there is none, and how many are not counted yet."""
    [row] = await database.fetch(_READY_EVENTS, *key, ids.start, ids.stop)
    return row[0], row[1]
