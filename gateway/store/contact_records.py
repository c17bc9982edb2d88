"""One contact: what is known, what was written, what is changed, and how it is forgotten."""

from typing import Any, Final

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.lifecycle import State
from gateway.store import claims
from gateway.store.claims import Refusal
from gateway.store.contact_search import FOUND, Found
from gateway.store.contacts import ContactRow
from gateway.store.database import Connection, Statements

_ONE = f"""
SELECT {FOUND} FROM contacts c
LEFT JOIN conversations v ON v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id = c.contact_id
WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = $4 AND c.deleted_at IS NULL
"""  # noqa: S608 - fixed texts


async def one(statements: Statements, key: CampaignKey, opt_out_scope: int, contact_id: int) -> Found | None:
    """The contact; None: there is none, or it was erased."""
    rows = await statements.fetch(_ONE, *key, opt_out_scope, contact_id)
    return Found(**dict(zip(Found.__struct_fields__, rows[0], strict=True))) if rows else None


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A contact's texts, lists and tags. `ours` counts by state, `theirs` what they wrote; `code` is of our last text."""

    ours: dict[str, int]
    theirs: int
    code: int | None
    lists: list[tuple[int, str]]
    tags: list[tuple[int, str]]


_TEXTS = """
SELECT m.state, count(*) FROM messages m
WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.contact_id = $3 GROUP BY m.state ORDER BY m.state
"""
_LAST_CODE = """
SELECT m.code FROM messages m WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.contact_id = $3
ORDER BY m.requested_at DESC, m.message_id DESC LIMIT 1
"""
_THEIRS = """
SELECT count(*) FROM inbound i WHERE i.organisation_id = $1 AND i.campaign_id = $2 AND i.contact_id = $3
"""
_LISTS = """
SELECT l.list_id, l.name FROM contact_lists l WHERE l.organisation_id = $1 AND l.campaign_id = $2
  AND EXISTS (SELECT FROM list_members m WHERE m.organisation_id = $1 AND m.campaign_id = $2
              AND m.list_id = l.list_id AND m.contact_id = $3)
ORDER BY l.list_id DESC LIMIT 200
"""
_TAGS = """
SELECT g.tag_id, g.name FROM contact_tags t
JOIN tags g ON g.organisation_id = $1 AND g.campaign_id = $2 AND g.tag_id = t.tag_id
WHERE t.organisation_id = $1 AND t.campaign_id = $2 AND t.contact_id = $3 ORDER BY g.place, g.tag_id
"""


async def summary(statements: Statements, key: CampaignKey, contact_id: int) -> Summary:
    """What there is about a contact beside its own row."""
    codes = await statements.fetch(_LAST_CODE, *key, contact_id)
    theirs = await statements.fetch(_THEIRS, *key, contact_id)
    return Summary(
        ours={row[0]: row[1] for row in await statements.fetch(_TEXTS, *key, contact_id)},
        theirs=theirs[0][0],
        code=codes[0][0] if codes else None,
        lists=[(row[0], row[1]) for row in await statements.fetch(_LISTS, *key, contact_id)],
        tags=[(row[0], row[1]) for row in await statements.fetch(_TAGS, *key, contact_id)],
    )


# ---------------------------------------------------------------- a change

_LOCKED = """
SELECT version, contact_id, phone, hours_group, first_name, last_name, email, zip, state, line_type, carrier,
       fields::text, assignee_id
FROM contacts WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3 AND deleted_at IS NULL
FOR NO KEY UPDATE
"""


async def locked(transaction: Statements, key: CampaignKey, contact_id: int) -> tuple[int, ContactRow] | None:
    """Version and row, nobody else's until the transaction ends; None: there is none, or it was erased."""
    rows: list[Any] = await transaction.fetch(_LOCKED, *key, contact_id)
    return (rows[0][0], ContactRow(*rows[0][1:])) if rows else None


# ---------------------------------------------------------------- oblivion

# Whoever reads who is there and writes that down, as a list, and whoever forgets somebody go one after the other: what the
# one has written the other sees.
_LOCK: Final = "hashint8extended($2, hashint8extended($1, 106))"
_HOLD: Final = f"SELECT pg_advisory_xact_lock_shared({_LOCK})"
_ALONE: Final = f"SELECT pg_advisory_xact_lock({_LOCK})"
_ON_ITS_WAY: Final = [State.SENDING, State.UNKNOWN]
_ERASED: Final = "the person was erased"
_UNSETTLED = """
SELECT m.message_id, m.state FROM messages m
WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.contact_id = $3 AND m.state = ANY ($4::text[])
ORDER BY m.message_id FOR NO KEY UPDATE
"""
# One after another: each in the order in which its table's other writers lock.
_FORGET: Final = (
    """
UPDATE contacts SET first_name = '', last_name = '', email = '', zip = '', state = '', carrier = NULL, fields = NULL,
       assignee_id = NULL, deleted_at = to_timestamp($4), version = version + 1
WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3
""",
    """
UPDATE messages SET body = '', media = NULL, text_hash = 0
WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3 AND $4::float8 IS NOT NULL
""",
    """
UPDATE inbound SET body = ''
WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3 AND $4::float8 IS NOT NULL
""",
    """
DELETE FROM inbound_media
WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3 AND $4::float8 IS NOT NULL
""",
    """
UPDATE conversations SET revision = revision + 1, attention_at = NULL, unread = 0,
       archived_at = coalesce(archived_at, to_timestamp($4))
WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3
""",
    """
WITH left_lists AS (
    DELETE FROM list_members m USING contact_lists l
    WHERE l.organisation_id = $1 AND l.campaign_id = $2 AND m.organisation_id = $1 AND m.campaign_id = $2
      AND m.list_id = l.list_id AND m.contact_id = $3 AND $4::float8 IS NOT NULL RETURNING m.list_id
)
UPDATE contact_lists SET rows = rows - 1
WHERE organisation_id = $1 AND campaign_id = $2 AND list_id IN (SELECT list_id FROM left_lists)
""",
    """
DELETE FROM assignments a USING actions x
WHERE x.organisation_id = $1 AND x.campaign_id = $2 AND a.organisation_id = $1 AND a.campaign_id = $2
  AND a.action_id = x.action_id AND a.contact_id = $3 AND NOT a.texted AND $4::float8 IS NOT NULL
  AND NOT EXISTS (SELECT FROM messages m WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.contact_id = $3
                  AND m.action_id = a.action_id)
""",
    """
DELETE FROM contact_tags
WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3 AND $4::float8 IS NOT NULL
""",
    """
DELETE FROM broadcast_consents
WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3 AND $4::float8 IS NOT NULL
""",
    """
UPDATE reports SET fields = '{}'
WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3 AND $4::float8 IS NOT NULL
""",
    """
UPDATE abuse_reports SET words = ''
WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3 AND $4::float8 IS NOT NULL
""",
    """
UPDATE user_notices SET body = ''
WHERE organisation_id = $1 AND campaign_id = $2 AND kind = 'abuse' AND about @> jsonb_build_object('contact_id', $3::bigint)
  AND $4::float8 IS NOT NULL
""",
    # What other systems were or would be told of them; that they left is told all the same.
    """
DELETE FROM webhook_deliveries
WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3 AND $4::float8 IS NOT NULL
  AND NOT (topic = 'opted_out' AND state = 'waiting')
""",
)
_FORGET_WORDS = """
UPDATE opt_outs SET words = '' WHERE organisation_id = $1 AND scope = $2 AND phone = $3
"""
_FORGET_REJECTS = """
DELETE FROM import_rejects WHERE organisation_id = $1 AND campaign_id = $2 AND phone = $3
"""


async def hold(transaction: Statements, key: CampaignKey) -> None:
    """Nobody is forgotten until the transaction ends."""
    await transaction.fetch(_HOLD, *key)


async def alone(transaction: Statements, key: CampaignKey) -> None:
    """Whom the transaction forgets is put on no list meanwhile; waits for those that are being made."""
    await transaction.fetch(_ALONE, *key)


async def stop_waiting(transaction: Connection, key: CampaignKey, contact_id: int, now: float) -> bool:
    """What waits for its turn is blocked; False: a text to them is on its way, and keeps its words until it is told of."""
    states = [State.QUEUED, *_ON_ITS_WAY]
    rows = await transaction.fetch(_UNSETTLED, *key, contact_id, states)
    waiting = [row[0] for row in rows if row[1] == State.QUEUED]
    if waiting:
        refusals = [Refusal(each, 1302, _ERASED) for each in waiting]
        await claims.block(transaction, key, refusals, now)
    return len(waiting) == len(rows)


async def forget(
    transaction: Statements, key: CampaignKey, opt_out_scope: int, contact_id: int, phone: str, now: float
) -> None:
    """Names, addresses, fields, words: nothing but the phone, the ids and what became of the texts is left."""
    for sql in _FORGET:
        await transaction.fetch(sql, *key, contact_id, now)
    await transaction.fetch(_FORGET_WORDS, key.organisation_id, opt_out_scope, phone)
    await transaction.fetch(_FORGET_REJECTS, *key, phone)
