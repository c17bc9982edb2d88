"""First texts that wait, though their hours, rates and numbers are free: their action is paused, or a breaker is open.

What waits so stays in the queue, far behind everything that is due, and ends with its window as any other text.
"""

from typing import Final

from gateway.core.rules.campaign import CampaignKey
from gateway.core.sending.waiting import Lane
from gateway.store.database import Database

_LAST_LANE: Final = Lane.INITIAL.value
LATER: Final = "100 years"
"""What is due then is read by nobody, and its own window ends long before."""

CARRIER: Final = """coalesce((SELECT k.carrier FROM contacts k WHERE k.organisation_id = $1 AND k.campaign_id = $2
                   AND k.contact_id = {contact_id}), '')"""
"""A contact's carrier as breakers name it."""


_OF_CAMPAIGN = "FROM campaigns WHERE organisation_id = $1 AND campaign_id = $2"


def is_held(text: str, carrier: str) -> str:
    """SQL, never null: whether an open breaker holds a first text with `text`'s columns to this carrier. While none is
    open, nobody's carrier is looked up."""
    return f"""CASE WHEN (SELECT cardinality(held_pairs) {_OF_CAMPAIGN}) > 0 THEN ({text}.kind = 'initial'
            AND concat({text}.action_id, '/', {carrier}, '/', {text}.script) = ANY (
                (SELECT held_pairs {_OF_CAMPAIGN})::text[])) IS TRUE ELSE false END"""


def is_paused(text: str) -> str:
    """SQL, never null: whether a text with `text`'s columns waits for its action."""
    return f"""({text}.kind = 'initial' AND {text}.action_id = ANY (
            (SELECT paused_actions {_OF_CAMPAIGN})::bigint[])) IS TRUE"""


def waits(text: str, carrier: str) -> str:
    """SQL, never null: whether a text with `text`'s columns waits for its action, or for a breaker."""
    return f"({is_paused(text)} OR {is_held(text, carrier)})"


# LATERAL with LIMIT 1: one look-up by key for each, whatever the planner thinks of the tables.
_LINE_UP = f"""
WITH piece AS (
    SELECT message_id FROM queue WHERE organisation_id = $1 AND campaign_id = $2 AND message_id > $3
    ORDER BY message_id LIMIT $4
), stands AS (
    SELECT piece.message_id, {waits("m", CARRIER.format(contact_id="m.contact_id"))} AS waits
    FROM piece CROSS JOIN LATERAL (
        SELECT * FROM messages m WHERE m.organisation_id = $1 AND m.campaign_id = $2
          AND m.message_id = piece.message_id LIMIT 1) m
    WHERE m.kind = 'initial'
), moved AS (
    UPDATE queue q SET due_at = q.due_at + CASE WHEN stands.waits THEN interval '{LATER}' ELSE - interval '{LATER}' END
    FROM stands
    WHERE q.organisation_id = $1 AND q.campaign_id = $2 AND q.message_id = stands.message_id
      AND (q.due_at > to_timestamp($5) + interval '1 year') <> stands.waits
    RETURNING q.message_id
)
SELECT max(message_id), count(*), (SELECT count(*) FROM moved) FROM piece
"""  # noqa: S608 - fixed texts


async def line_up(database: Database, key: CampaignKey, now: float, *, at_once: int = 5_000) -> int:
    """First texts that have to wait leave the head of the queue to others, and those that need not any more are due
    again; returns how many moved. None of them would be claimed meanwhile, so this may be broken off and repeated."""
    after_id, count, moved = 0, at_once, 0
    while count == at_once:
        [(after_id, count, of_piece)] = await database.fetch(_LINE_UP, *key, after_id, at_once, now)
        moved += of_piece
    return moved


async def any_put_off(database: Database, key: CampaignKey, now: float) -> bool:
    """Whether any text has left the head of the queue to others."""
    found: bool = await database.fetch_value(
        """
        SELECT EXISTS (SELECT FROM queue WHERE organisation_id = $1 AND campaign_id = $2 AND lane BETWEEN 0 AND $4
                       AND due_at > to_timestamp($3) + interval '1 year')
        """,
        *key,
        now,
        _LAST_LANE,
    )
    return found
