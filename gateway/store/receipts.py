"""The provider's words about messages: states move only along the table, whatever order words come in."""

from collections.abc import Sequence

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Connection, Database, Statements
from gateway.store.journal import moved
from gateway.store.messages import LEGAL_MOVES
from gateway.store.rows import as_columns, as_rows


class Word(msgspec.Struct, gc=False):
    """What is known of one attempt, folded to its furthest state; times in Unix seconds or None.

    `memory_until` or `permanent` (C16) and `opts_out` (21610) are the catalogue's consequences of `code`.
    """

    message_id: int
    attempt: int
    state: str
    code: int | None = None
    reason: str | None = None
    provider_sid: str | None = None
    accepted_at: float | None = None
    sent_at: float | None = None
    final_at: float | None = None
    memory_until: float | None = None
    permanent: bool = False
    opts_out: bool = False


class Moved(msgspec.Struct, gc=False):
    """What a word did: before == after when the move was not in the table."""

    message_id: int
    attempt: int
    before: str
    after: str
    code: int | None
    contact_id: int
    number_id: int | None
    carrier: str | None
    segments: int
    kind: str
    script: str | None
    slot_at: float | None = None  # of this attempt's hand-over
    is_another: bool = False  # the word is about a text that the books don't have: the attempt was sent twice


_TELL = f"""
WITH told AS (
    SELECT * FROM json_to_recordset($4::json) AS t (
        message_id bigint, attempt smallint, state text, code int, reason text, provider_sid text,
        accepted_at float8, sent_at float8, final_at float8, memory_until float8, permanent boolean,
        opts_out boolean)
), moved AS (
    UPDATE messages m SET
        state = CASE WHEN (m.state || '>' || t.state) = ANY ($5::text[]) THEN t.state ELSE m.state END,
        code = CASE WHEN (m.state || '>' || t.state) = ANY ($5::text[]) THEN t.code ELSE m.code END,
        reason = CASE WHEN (m.state || '>' || t.state) = ANY ($5::text[]) THEN t.reason ELSE m.reason END,
        final_at = CASE WHEN (m.state || '>' || t.state) = ANY ($5::text[])
                        THEN to_timestamp(t.final_at) ELSE m.final_at END,
        ask_at = CASE WHEN (m.state || '>' || t.state) = ANY ($5::text[]) AND t.state <> 'unknown'
                      THEN NULL ELSE m.ask_at END,
        provider_sid = coalesce(m.provider_sid, t.provider_sid),
        accepted_at = coalesce(m.accepted_at, to_timestamp(t.accepted_at)),
        sent_at = coalesce(m.sent_at, to_timestamp(t.sent_at))
    FROM told t
    WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.message_id = t.message_id AND m.attempt = t.attempt
      AND m.state NOT IN ('queued', 'blocked')
    RETURNING m.message_id, m.attempt, OLD.state AS before, NEW.state AS after, t.code, m.contact_id,
              m.number_id, m.segments, m.kind, m.script, m.action_id, m.sender_id,
              extract(epoch FROM m.slot_at)::float8 AS slot_at, t.memory_until, t.permanent,
              t.opts_out, coalesce(m.provider_sid <> t.provider_sid, false) AS is_another
), known AS (
    SELECT moved.*, c.phone, c.carrier FROM moved
    LEFT JOIN LATERAL (SELECT phone, carrier FROM contacts c
                       WHERE c.organisation_id = $1 AND c.campaign_id = $2
                         AND c.contact_id = moved.contact_id LIMIT 1) c ON true
), failed AS (
    SELECT contact_id, max(held_until) AS held_until, (array_agg(code ORDER BY held_until DESC))[1] AS code
    FROM (SELECT contact_id, code, CASE WHEN permanent THEN 'infinity' ELSE to_timestamp(memory_until) END AS held_until
          FROM known WHERE before <> after) each
    WHERE held_until IS NOT NULL GROUP BY contact_id
), memory AS (
    UPDATE conversations v SET revision = v.revision + 1, failure_until = greatest(v.failure_until, failed.held_until),
        failure_code = CASE WHEN v.failure_until >= failed.held_until THEN v.failure_code ELSE failed.code END
    FROM failed WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id = failed.contact_id
     AND v.contact_id = ANY (ARRAY(SELECT contact_id FROM failed))
), stopped AS (
    INSERT INTO opt_outs (organisation_id, scope, phone, source, opted_out_at)
    SELECT DISTINCT $1::bigint, $3::bigint, phone, 'provider', to_timestamp($6) FROM known WHERE opts_out
    ON CONFLICT DO NOTHING
), {moved("moved WHERE before <> after", "to_timestamp($6)")}
SELECT message_id, attempt, before, after, code, contact_id, number_id, carrier, segments, kind, script,
       slot_at, is_another
FROM known ORDER BY message_id
"""  # noqa: S608 - fixed texts


async def tell(
    statements: Statements, key: CampaignKey, opt_out_scope: int, words: Sequence[Word], now: float
) -> list[Moved]:
    """Applies at most one word a message; a message that is queued, blocked or on a later attempt is not
    returned, and its word is for `late`."""
    rows = await statements.fetch(
        _TELL,
        *key,
        opt_out_scope,
        as_rows(words),
        LEGAL_MOVES,
        now,
    )
    return [Moved(*row) for row in rows]


_LATE = f"""
WITH told AS (
    SELECT * FROM json_to_recordset($3::json) AS t (
        message_id bigint, attempt smallint, state text, code int, provider_sid text)
), past AS (
    UPDATE attempts a SET state = t.state, code = coalesce(t.code, a.code),
           provider_sid = coalesce(a.provider_sid, t.provider_sid)
    FROM told t WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.message_id = t.message_id
      AND a.attempt = t.attempt
      AND a.state NOT IN ('delivered', 'undelivered')
      AND (t.state IN ('delivered', 'undelivered', 'failed') OR t.state = 'sent' AND a.code IS NULL)
), arrived AS (
    UPDATE messages m SET state = t.state, code = NULL, reason = 'an earlier attempt arrived after all',
           final_at = CASE WHEN t.state = 'delivered' THEN to_timestamp($4) END
    FROM told t JOIN attempts a ON a.organisation_id = $1 AND a.campaign_id = $2 AND a.message_id = t.message_id
      AND a.attempt = t.attempt
    WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.message_id = t.message_id AND m.state = 'queued'
      AND (t.state = 'delivered' OR t.state = 'sent' AND a.code IS NULL)
    RETURNING m.message_id, m.contact_id, m.action_id, m.sender_id, m.kind, m.script, m.segments, m.code,
              'queued' AS before, m.state AS after
), dequeued AS (
    DELETE FROM queue q USING arrived WHERE q.organisation_id = $1 AND q.campaign_id = $2
      AND q.message_id = arrived.message_id
), {moved("arrived", "to_timestamp($4)")}
SELECT message_id FROM arrived ORDER BY message_id
"""  # noqa: S608 - fixed texts


async def late(statements: Statements, key: CampaignKey, words: Sequence[Word], now: float) -> set[int]:
    """Words about attempts that are over. One that arrived after all takes its message out of the queue:
    `delivered`, or `sent` of an attempt that was thought never to have reached the provider. That nobody knows (the
    answer's time is up) says nothing of an attempt whose end is known."""
    rows = await statements.fetch(_LATE, *key, as_rows(words), now)
    return {row[0] for row in rows}


class InFlight(msgspec.Struct, frozen=True):
    """A message whose attempt failed, locked while what follows is decided. `has_words`: its person was not erased
    since."""

    message_id: int
    state: str
    attempt: int
    spent: int
    not_after: float
    number_id: int | None
    has_words: bool


async def lock(connection: Connection, key: CampaignKey, message_ids: Sequence[int]) -> dict[int, InFlight]:
    rows = await connection.fetch(
        """
        SELECT message_id, state, attempt, spent, extract(epoch FROM not_after)::float8, number_id,
               body <> '' OR media IS NOT NULL
        FROM messages
        WHERE organisation_id = $1 AND campaign_id = $2
          AND message_id = ANY ($3::bigint[]) ORDER BY message_id FOR UPDATE
        """,
        *key,
        message_ids,
    )
    return {row[0]: InFlight(*row) for row in rows}


class Requeue(msgspec.Struct, frozen=True, gc=False):
    """An attempt that is over, and when the next one is due; lane None: the message's own."""

    message_id: int
    attempt: int
    ended: str
    code: int | None
    provider_sid: str | None
    lane: int | None
    due_at: float
    spends_attempt: bool


_REQUEUE = f"""
WITH again AS (
    SELECT * FROM json_to_recordset($3::json) AS r (
        message_id bigint, attempt smallint, ended text, code int, provider_sid text, lane smallint,
        due_at float8, spends_attempt boolean)
), over AS (
    INSERT INTO attempts (organisation_id, campaign_id, message_id, attempt, number_id, provider_sid, slot_at,
      ended_at, state,
                          code)
    SELECT $1, $2, m.message_id, m.attempt, m.number_id, coalesce(m.provider_sid, r.provider_sid), m.slot_at,
           to_timestamp($4), r.ended, r.code
    FROM again r JOIN messages m ON m.organisation_id = $1 AND m.campaign_id = $2 AND m.message_id = r.message_id
    ON CONFLICT DO NOTHING
), moved AS (
    UPDATE messages m SET state = 'queued', code = r.code, reason = 'waits for another attempt', ask_at = NULL,
           spent = m.spent - (NOT r.spends_attempt)::int
    FROM again r
    WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.message_id = r.message_id AND m.attempt = r.attempt
      AND (m.state || '>queued') = ANY ($5::text[])
    RETURNING m.message_id, m.lane, m.contact_id, m.action_id, m.sender_id, m.kind, m.script, m.segments, m.code,
              OLD.state AS before, NEW.state AS after
), {moved("moved", "to_timestamp($4)")}
INSERT INTO queue (organisation_id, campaign_id, message_id, lane, due_at)
SELECT $1, $2, r.message_id, coalesce(r.lane, moved.lane), to_timestamp(r.due_at)
FROM again r JOIN moved USING (message_id)
ON CONFLICT DO NOTHING
"""  # noqa: S608 - fixed texts


async def requeue(connection: Connection, key: CampaignKey, rows: Sequence[Requeue], now: float) -> None:
    """Ends the current attempt of each message and puts the message back into the queue."""
    await connection.execute(_REQUEUE, *key, as_rows(rows), now, LEGAL_MOVES)


class Unsettled(msgspec.Struct, frozen=True, gc=False):
    """A text of which we do not know whether the provider has it, of a campaign's person, from a number.

    `others`: the provider's ids of other texts to this person, as far as the books know them.
    """

    organisation_id: int
    campaign_id: int
    message_id: int
    attempt: int
    phone: str
    number_phone: str
    body: str
    segments: int
    media: Sequence[str] | None
    slot_at: float
    others: Sequence[str]


_DUE = """(m.ask_at <= to_timestamp($3) OR m.ask_at > to_timestamp($4))"""
# Nearly always none is due, and the question that brings everything along costs three times as much to begin.
_ASK_TIMES = """
SELECT extract(epoch FROM min(first.ask_at))::float8, extract(epoch FROM max(last.ask_at))::float8
FROM unnest($1::bigint[], $2::bigint[]) AS owned (organisation_id, campaign_id)
CROSS JOIN LATERAL (
    SELECT m.ask_at FROM messages m
    WHERE m.organisation_id = owned.organisation_id AND m.campaign_id = owned.campaign_id AND m.ask_at IS NOT NULL
    ORDER BY m.ask_at LIMIT 1) first
CROSS JOIN LATERAL (
    SELECT m.ask_at FROM messages m
    WHERE m.organisation_id = owned.organisation_id AND m.campaign_id = owned.campaign_id AND m.ask_at IS NOT NULL
    ORDER BY m.ask_at DESC LIMIT 1) last
"""
_TO_ASK = f"""
SELECT EXISTS (
    SELECT FROM unnest($1::bigint[], $2::bigint[]) AS owned (organisation_id, campaign_id)
    JOIN messages m ON m.organisation_id = owned.organisation_id AND m.campaign_id = owned.campaign_id
    WHERE m.ask_at IS NOT NULL AND {_DUE})
"""  # noqa: S608 - fixed texts
_TO_ASK = f"""
SELECT m.organisation_id, m.campaign_id, m.message_id, m.attempt, c.phone, coalesce(n.phone, ''), m.body, m.segments,
       m.media, extract(epoch FROM m.slot_at)::float8, o.sids
FROM unnest($1::bigint[], $2::bigint[]) AS owned (organisation_id, campaign_id)
CROSS JOIN LATERAL (
    SELECT * FROM messages m
    WHERE m.organisation_id = owned.organisation_id AND m.campaign_id = owned.campaign_id
      AND m.ask_at IS NOT NULL AND {_DUE}
    ORDER BY m.ask_at LIMIT $5) m
JOIN contacts c ON c.organisation_id = m.organisation_id AND c.campaign_id = m.campaign_id AND c.contact_id = m.contact_id
LEFT JOIN numbers n ON n.organisation_id = m.organisation_id AND n.campaign_id = m.campaign_id
  AND n.number_id = m.number_id
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(known.sid ORDER BY known.sid), ARRAY[]::text[]) AS sids FROM (
        SELECT p.provider_sid AS sid FROM messages p
        WHERE p.organisation_id = m.organisation_id AND p.campaign_id = m.campaign_id
          AND p.contact_id = m.contact_id AND p.message_id <> m.message_id
        UNION ALL
        SELECT a.provider_sid FROM messages p JOIN attempts a USING (organisation_id, campaign_id, message_id)
        WHERE p.organisation_id = m.organisation_id AND p.campaign_id = m.campaign_id
          AND p.contact_id = m.contact_id) known
    WHERE known.sid IS NOT NULL) o
ORDER BY m.ask_at, m.message_id
"""  # noqa: S608 - fixed texts


class AskTimes(msgspec.Struct, frozen=True):
    """From when the first and the last of the campaigns' unsettled texts may be asked about (Unix seconds)."""

    first: float
    last: float


async def ask_times(database: Database, keys: Sequence[CampaignKey]) -> AskTimes | None:
    """Of all that the books call `sending` or `unknown`; None: there is nothing."""
    row = await database.fetch_row(_ASK_TIMES, *as_columns(keys))
    return None if row is None or row[0] is None else AskTimes(*row)


async def to_ask(
    database: Database, keys: Sequence[CampaignKey], now: float, never_after: float, limit: int
) -> list[Unsettled]:
    """What the books call `sending` or `unknown` and may be asked about now: of each campaign the `limit` that
    have waited longest, whoever has them in hand.

    A time later than `never_after` was written by a worker whose clock was ahead: there is nothing to wait for.
    """
    rows = await database.fetch(_TO_ASK, *as_columns(keys), now, never_after, limit)
    return [Unsettled(*row) for row in rows]


_ASK_LATER = """
WITH asked AS (
    SELECT * FROM json_to_recordset($1::json) AS a (
        organisation_id bigint, campaign_id bigint, message_id bigint, attempt smallint)
), free AS ( -- somebody may hold a row: the others need not wait for that
    SELECT m.organisation_id, m.campaign_id, m.message_id
    FROM asked a JOIN messages m ON m.organisation_id = a.organisation_id AND m.campaign_id = a.campaign_id
      AND m.message_id = a.message_id
    WHERE m.attempt = a.attempt AND m.state IN ('sending', 'unknown')
    ORDER BY m.organisation_id, m.campaign_id, m.message_id FOR UPDATE OF m SKIP LOCKED
)
UPDATE messages m SET state = 'unknown', ask_at = to_timestamp($2),
       reason = CASE WHEN m.state = 'unknown' THEN m.reason ELSE 'nobody told what became of it' END
FROM free
WHERE m.organisation_id = free.organisation_id AND m.campaign_id = free.campaign_id
  AND m.message_id = free.message_id
RETURNING OLD.state AS before, m.message_id
"""


class Asked(msgspec.Struct, frozen=True, gc=False):
    """An attempt about which the provider is being asked."""

    organisation_id: int
    campaign_id: int
    message_id: int
    attempt: int


async def ask_later(database: Database, asked: Sequence[Asked], at: float) -> dict[int, str]:
    """Notes that these are `unknown` and when they are asked about again; returns their messages and what they were
    before. What somebody holds, or what has moved on, is not among them."""
    rows = await database.fetch(_ASK_LATER, as_rows(asked), at)
    return {row[1]: row[0] for row in rows}
