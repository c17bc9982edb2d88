"""All that is known of one message: its row, the attempts before, the person's texts, the opt-out."""

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database


class MessageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A message with its person and its number; times in Unix seconds, None: not yet."""

    campaign_id: int
    message_id: int
    contact_id: int
    action_id: int | None
    kind: str
    sender_id: int | None
    script: str | None
    body: str
    segments: int
    state: str
    code: int | None
    reason: str | None
    attempt: int
    number_id: int | None
    provider_sid: str | None
    requested_at: float
    not_after: float | None
    slot_at: float | None
    accepted_at: float | None
    sent_at: float | None
    final_at: float | None
    due_at: float | None
    phone: str | None
    carrier: str | None
    number_phone: str | None
    media: list[str] | None = None


class PastAttempt(msgspec.Struct, frozen=True):
    """A hand-over that is over."""

    attempt: int
    number_id: int | None
    number_phone: str | None
    provider_sid: str | None
    slot_at: float | None
    ended_at: float
    state: str
    code: int | None


class PersonsText(msgspec.Struct, frozen=True):
    """What the person wrote, as consent read it."""

    received_at: float
    body: str
    intent: str


class OptOut(msgspec.Struct, frozen=True):
    """The person's opt-out in force, and where it came from."""

    opted_out_at: float
    source: str


class OwnNumber(msgspec.Struct, frozen=True):
    """One of the numbers a message was sent from; `known_before`: the person had had a text from it."""

    number_id: int
    phone: str
    bought_because: str
    known_before: bool


class Facts(msgspec.Struct, frozen=True):
    """Everything a story is told from."""

    message: MessageFacts
    attempts: list[PastAttempt]
    numbers: dict[int, OwnNumber]
    texts: list[PersonsText]
    opt_out: OptOut | None


_MESSAGE = """
SELECT m.campaign_id, m.message_id, m.contact_id, m.action_id, m.kind, m.sender_id, m.script, m.body, m.segments,
       m.state, m.code, m.reason, m.attempt, m.number_id, m.provider_sid,
       extract(epoch FROM m.requested_at)::float8 AS requested_at,
       extract(epoch FROM m.not_after)::float8 AS not_after, extract(epoch FROM m.slot_at)::float8 AS slot_at,
       extract(epoch FROM m.accepted_at)::float8 AS accepted_at,
       extract(epoch FROM m.sent_at)::float8 AS sent_at, extract(epoch FROM m.final_at)::float8 AS final_at,
       extract(epoch FROM q.due_at)::float8 AS due_at, c.phone, c.carrier, n.phone AS number_phone, m.media
FROM messages m
LEFT JOIN contacts c ON c.organisation_id = m.organisation_id AND c.campaign_id = m.campaign_id
  AND c.contact_id = m.contact_id
LEFT JOIN numbers n ON n.organisation_id = m.organisation_id AND n.campaign_id = m.campaign_id
  AND n.number_id = m.number_id
LEFT JOIN queue q ON q.organisation_id = m.organisation_id AND q.campaign_id = m.campaign_id
  AND q.message_id = m.message_id
WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.message_id = $3
"""
_ATTEMPTS = """
SELECT a.attempt, a.number_id, n.phone, a.provider_sid, extract(epoch FROM a.slot_at)::float8,
       extract(epoch FROM a.ended_at)::float8, a.state, a.code
FROM attempts a LEFT JOIN numbers n ON n.organisation_id = a.organisation_id AND n.campaign_id = a.campaign_id
  AND n.number_id = a.number_id
WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.message_id = $3 ORDER BY a.attempt
"""
_NUMBERS = """
SELECT n.number_id, n.phone, n.bought_because,
       EXISTS (SELECT FROM messages m WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.contact_id = $4
         AND m.message_id < $5
               AND m.number_id = n.number_id AND m.state <> 'blocked')
FROM numbers n WHERE n.organisation_id = $1 AND n.campaign_id = $2
  AND n.number_id = ANY ($3::bigint[]) ORDER BY n.number_id
"""
_TEXTS = """
SELECT extract(epoch FROM received_at)::float8, body, intent FROM inbound
WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3
  AND received_at >= to_timestamp($4) ORDER BY inbound_id LIMIT $5
"""
_OPT_OUT = """
SELECT extract(epoch FROM opted_out_at)::float8, source FROM opt_outs WHERE organisation_id = $1 AND scope = $2
  AND phone = $3
"""


async def message(database: Database, key: CampaignKey, message_id: int) -> MessageFacts | None:
    row = await database.fetch_row(_MESSAGE, *key, message_id)
    return None if row is None else MessageFacts(**dict(row))


async def facts(
    database: Database, key: CampaignKey, opt_out_scope: int, message_id: int, *, most_texts: int = 20
) -> Facts | None:
    """What is known of a message; of the person's later texts the first `most_texts`. None: no such message."""
    told = await message(database, key, message_id)
    if told is None:
        return None
    attempts = [PastAttempt(*row) for row in await database.fetch(_ATTEMPTS, *key, message_id)]
    used = sorted(
        {each for each in (told.number_id, *(past.number_id for past in attempts)) if each is not None}
    )
    numbers = await database.fetch(_NUMBERS, *key, used, told.contact_id, message_id)
    texts = await database.fetch(_TEXTS, *key, told.contact_id, told.requested_at, most_texts)
    left = (
        await database.fetch_row(_OPT_OUT, key.organisation_id, opt_out_scope, told.phone)
        if told.phone
        else None
    )
    return Facts(
        told,
        attempts,
        {row[0]: OwnNumber(*row) for row in numbers},
        [PersonsText(*row) for row in texts],
        None if left is None else OptOut(*left),
    )
