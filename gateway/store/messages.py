"""Messages: written at admission, claimed at dispatch, moved by the provider's word."""

from collections.abc import Collection, Sequence
from datetime import datetime

import asyncpg
import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.lifecycle import MOVES
from gateway.store.database import Database, Statements
from gateway.store.first_texts import CARRIER, LATER, is_held, is_paused
from gateway.store.journal import ADMITTED
from gateway.store.opt_out_scopes import scope_in_force
from gateway.store.ownership import FencingToken
from gateway.store.rows import as_rows

LEGAL_MOVES = sorted(f"{before}>{after}" for before, afters in MOVES.items() for after in afters)


class Admission(msgspec.Struct, gc=False):
    """A decided request, to be written; times in Unix seconds.

    `seen_revision` is the conversation's revision the decision was taken on; a blocked message
    changes no conversation and needs none.
    """

    message_id: int
    contact_id: int
    phone: str
    action_id: int | None
    kind: str
    sender_id: int | None
    body: str
    segments: int
    text_hash: int
    state: str
    code: int | None
    reason: str | None
    requested_at: float
    not_after: float
    lane: int
    seen_revision: int
    number_id: int | None = None
    slot_at: float | None = None
    script: str | None = None
    media: Sequence[str] | None = None


# Opt-outs and used keys are looked up by a scalar subquery, which no planner turns into a scan of the whole list.
#
# A message enters the books in one statement. The conversation's row is the lock: it is written only
# if nobody changed it since the decision, and the message only if its conversation was. A message
# whose number and slot are known already enters as `sending`; others wait in the queue.
# A key that was used admits nothing. One that another worker is just using is met at its index: then the
# whole statement fails, and leaves nothing.
_ADMIT = f"""
WITH decided AS (
    SELECT * FROM json_to_recordset($4::json) AS d (
        message_id bigint, contact_id bigint, phone text, action_id bigint, kind text, sender_id bigint,
        body text, segments smallint, text_hash bigint, state text, code int, reason text, requested_at float8,
        not_after float8, lane smallint, seen_revision bigint, number_id bigint, slot_at float8, script text,
        media text[])
), keyed AS (
    SELECT * FROM json_to_recordset($6::json) AS k (
        message_id bigint, owner text, word text, request_hash bigint, state text, code int, reason text, at float8)
), repeated AS (
    SELECT message_id FROM keyed
    WHERE (SELECT k.request_hash FROM idempotency_keys k WHERE k.organisation_id = $1 AND k.campaign_id = $2
           AND k.owner = keyed.owner AND k.key = keyed.word) IS NOT NULL
), talk AS (
    INSERT INTO conversations AS v (organisation_id, campaign_id, contact_id, revision, number_id, last_initial_at,
                                    last_outbound_at, action_id, volunteer_id, initial_script)
    SELECT $1, $2, contact_id, seen_revision + 1, number_id,
           CASE WHEN kind = 'initial' THEN to_timestamp(requested_at) END,
           to_timestamp(requested_at), action_id, sender_id, CASE WHEN kind = 'initial' THEN script END
    FROM decided d
    WHERE state <> 'blocked'
      AND (kind = 'confirmation'
           OR (SELECT o.phone FROM opt_outs o WHERE o.organisation_id = $1 AND o.scope = {scope_in_force("$3")}
               AND o.phone = d.phone) IS NULL)
      AND message_id NOT IN (SELECT message_id FROM repeated)
      AND NOT (SELECT paused FROM campaigns WHERE organisation_id = $1 AND campaign_id = $2)
      AND (state <> 'sending' OR (SELECT owner_id = $9 AND owner_epoch = $10 FROM campaigns
                                  WHERE organisation_id = $1 AND campaign_id = $2))
      AND NOT ({is_paused("d")})
      AND NOT (state = 'sending' AND {is_held("d", CARRIER.format(contact_id="d.contact_id"))})
    ORDER BY contact_id
    ON CONFLICT (organisation_id, campaign_id, contact_id) DO UPDATE SET
        revision = excluded.revision,
        number_id = coalesce(excluded.number_id, v.number_id),
        last_initial_at = coalesce(excluded.last_initial_at, v.last_initial_at),
        last_outbound_at = excluded.last_outbound_at,
        action_id = coalesce(excluded.action_id, v.action_id),
        volunteer_id = coalesce(excluded.volunteer_id, v.volunteer_id),
        initial_script = CASE WHEN excluded.last_initial_at IS NULL THEN v.initial_script ELSE excluded.initial_script END,
        attention_at = CASE WHEN v.contact_id = ANY ($7::bigint[])
                                 OR $8 AND coalesce(v.last_report_at < v.last_inbound_at, true)
                            THEN v.attention_at END,
        unread = CASE WHEN v.contact_id = ANY ($7::bigint[]) THEN v.unread ELSE 0 END
    WHERE v.revision = excluded.revision - 1
    RETURNING contact_id
), written AS (
    INSERT INTO messages (organisation_id, campaign_id, message_id, contact_id, action_id, kind, sender_id, body,
        segments, text_hash, state, code, reason, requested_at, not_after, final_at, number_id,
        slot_at, attempt, spent, script, lane, media, ask_at)
    SELECT $1, $2, message_id, contact_id, action_id, kind, sender_id, body, segments, text_hash, state,
           code, reason, to_timestamp(requested_at), to_timestamp(not_after),
           CASE WHEN state = 'blocked' THEN to_timestamp(requested_at) END, number_id, to_timestamp(slot_at),
           (state = 'sending')::int, (state = 'sending')::int, script, lane, media,
           CASE WHEN state = 'sending' THEN to_timestamp($5) END
    FROM decided
    WHERE CASE state WHEN 'blocked' THEN message_id NOT IN (SELECT message_id FROM repeated)
               ELSE contact_id IN (SELECT contact_id FROM talk) END
    ORDER BY message_id
    ON CONFLICT DO NOTHING
    RETURNING message_id, contact_id, action_id, kind, sender_id, script, segments, state, code, lane, requested_at
), waiting AS (
    INSERT INTO queue (organisation_id, campaign_id, message_id, lane, due_at)
    SELECT $1, $2, message_id, lane, requested_at + CASE WHEN {is_held("written", CARRIER.format(contact_id="written.contact_id"))}
                                                         THEN interval '{LATER}' ELSE interval '0' END
    FROM written WHERE state = 'queued'
), kept AS (
    INSERT INTO idempotency_keys (organisation_id, campaign_id, owner, key, request_hash, message_id, state, code,
                                  reason, created_at)
    SELECT $1, $2, owner, word, request_hash, message_id, state, code, reason, to_timestamp(at)
    FROM keyed WHERE (message_id IN (SELECT message_id FROM written)) IS TRUE -- hashed, not a loop in a loop
    ORDER BY owner, word
), {ADMITTED}
SELECT message_id FROM written
"""  # noqa: S608 - fixed texts
_KEY_TAKEN = "idempotency_keys_pkey"


class Keyed(msgspec.Struct, frozen=True, gc=False):
    """The idempotency key of a decided request, and what is answered to a repeat."""

    message_id: int
    owner: str
    word: str
    request_hash: int
    state: str
    code: int | None
    reason: str | None
    at: float


async def admit(
    statements: Statements,
    key: CampaignKey,
    opt_out_scope: int,
    rows: Sequence[Admission],
    ask_at: float,
    keyed: Sequence[Keyed] = (),
    unseen: Sequence[int] = (),
    *,
    needs_report: bool = False,
    token: FencingToken | None = None,
) -> set[int]:
    """Writes decided requests; the ids not returned met a newer revision (or a used key) and stand unwritten.

    A text of ours answers what its person wrote; of the contacts in `unseen` something may have come that whoever asked
    for it had not seen, and that still waits for an answer. `needs_report`: it waits on until a report is filed as well.
    `ask_at`: from when the provider is asked about those that go straight on, should nobody tell what became of them;
    `token`: of the road they go on, and without it, or when another worker has taken it over, they stand unwritten.
    Where another worker has just taken one of the keys, nothing is written.
    """
    owner = (None, None) if token is None else token
    try:
        written = await statements.fetch(
            _ADMIT, *key, opt_out_scope, as_rows(rows), ask_at, as_rows(keyed), unseen, needs_report, *owner
        )
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != _KEY_TAKEN:
            raise
        return set()
    return {row[0] for row in written}


class Entered(msgspec.Struct, frozen=True, gc=False):
    """A message that is in the books already; `requested_at` in Unix seconds, to the microsecond."""

    message_id: int
    state: str
    code: int | None
    reason: str | None
    attempt: int
    requested_at: float


async def by_id(statements: Statements, key: CampaignKey, message_ids: Sequence[int]) -> list[Entered]:
    rows = await statements.fetch(
        """
        SELECT message_id, state, code, reason, attempt, extract(epoch FROM requested_at)::float8 FROM messages
        WHERE organisation_id = $1 AND campaign_id = $2 AND message_id = ANY ($3::bigint[]) ORDER BY message_id
        """,
        *key,
        message_ids,
    )
    return [Entered(*row) for row in rows]


class Queued(msgspec.Struct, gc=False):
    """A message that waits, with all that the dispatcher needs to send it."""

    message_id: int
    contact_id: int
    lane: int
    due_at: float
    segments: int
    not_after: float
    phone: str
    carrier: str | None
    hours_group: str
    number_id: int | None
    body: str
    kind: str
    attempt: int = 0
    media: Sequence[str] | None = None
    action_id: int | None = None
    script: str | None = None


Place = tuple[datetime, int]
"""Where a message stands in its lane: when it is due, and its id."""


class Head(msgspec.Struct, frozen=True):
    """The first messages of the queue, but for those in hand or unwanted; `may_be_more`: others wait behind them.

    `last` is the place of the last that was looked at, None when there was none.
    """

    messages: list[Queued]
    may_be_more: bool
    last: Place | None


# What is in hand costs its place in the queue's index, and no more: while a number settles thousands may wait.
_WAITING = """
WITH head AS (
    SELECT message_id, lane, due_at FROM queue
    WHERE organisation_id = $1 AND campaign_id = $2 AND lane <= $4 AND due_at <= to_timestamp($5)
      AND (lane, due_at, message_id) > ($3, coalesce($8::timestamptz, '-infinity'), coalesce($9::bigint, 0))
    ORDER BY lane, due_at, message_id LIMIT $6
), last AS (
    SELECT due_at, message_id FROM head ORDER BY lane DESC, due_at DESC, message_id DESC LIMIT 1
), fresh AS (
    SELECT * FROM head WHERE message_id NOT IN (SELECT unnest($7::bigint[])) -- hashed, not a loop in a loop
)
SELECT (SELECT count(*) FROM head), (SELECT due_at FROM last), (SELECT message_id FROM last),
       q.message_id, m.contact_id, q.lane, extract(epoch FROM q.due_at)::float8, m.segments,
       extract(epoch FROM m.not_after)::float8, c.phone, c.carrier, c.hours_group, v.number_id, m.body,
       m.kind, m.attempt, m.media, m.action_id, m.script
FROM (SELECT) at_least_one_row LEFT JOIN (
    fresh q
    JOIN messages m ON m.organisation_id = $1 AND m.campaign_id = $2 AND m.message_id = q.message_id
    JOIN contacts c ON c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = m.contact_id
      AND coalesce(c.carrier, '') <> ALL ($10::text[])
    LEFT JOIN conversations v ON v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id = m.contact_id
) ON true
ORDER BY q.lane, q.due_at, q.message_id
"""


async def waiting(
    database: Database,
    key: CampaignKey,
    lanes: tuple[int, int],
    due_until: float,
    limit: int,
    in_hand: Collection[int] = (),
    after: Place | None = None,
    without: Collection[str | None] = (),
) -> Head:
    """Of the first `limit` of the queue within (lowest, highest) lane those that aren't in hand: replies first, then
    oldest due. `after` a place in the lowest lane; `without` those to some carriers."""
    unwanted = [carrier or "" for carrier in without]
    rows = await database.fetch(
        _WAITING, *key, *lanes, due_until, limit, list(in_hand), *(after or (None, None)), unwanted
    )
    count, *last = rows[0][:3]
    found = [Queued(*row[3:]) for row in rows if row[3] is not None]
    return Head(found, count == limit, (last[0], last[1]) if count else None)


async def next_due(database: Database, key: CampaignKey, after: float) -> float | None:
    """When the next queued message of later than `after` is due; None: there is none."""
    due: float | None = await database.fetch_value(
        """
        SELECT extract(epoch FROM min(due_at))::float8 FROM queue
        WHERE organisation_id = $1 AND campaign_id = $2 AND due_at > to_timestamp($3)
        """,
        *key,
        after,
    )
    return due


class Swept(msgspec.Struct, frozen=True):
    """A piece of the queue in the order of its ids: whose window is over, and after which id to go on.

    `after_id` None: this was the last piece.
    """

    over: list[int]
    after_id: int | None


# LATERAL with LIMIT 1: one look-up by key for each, though the planner may have seen the table while it was empty.
_SWEEP = """
WITH piece AS (
    SELECT message_id FROM queue WHERE organisation_id = $1 AND campaign_id = $2 AND message_id > $4
    ORDER BY message_id LIMIT $5
)
SELECT ARRAY(SELECT piece.message_id FROM piece CROSS JOIN LATERAL (
                 SELECT m.not_after FROM messages m WHERE m.organisation_id = $1 AND m.campaign_id = $2
                   AND m.message_id = piece.message_id LIMIT 1) m
             WHERE m.not_after <= to_timestamp($3) ORDER BY piece.message_id),
       (SELECT max(message_id) FROM piece), (SELECT count(*) FROM piece)
"""


async def sweep(database: Database, key: CampaignKey, end: float, after_id: int, *, limit: int) -> Swept:
    """Of the next `limit` queued messages those that may not be handed over after `end` any more."""
    [(over, last_id, count)] = await database.fetch(_SWEEP, *key, end, after_id, limit)
    return Swept(over, last_id if count == limit else None)


class WindowEnd(msgspec.Struct, frozen=True, gc=False):
    """Until when people of a group may be texted (Unix seconds): answers to what they wrote, or other texts."""

    hours_group: str
    is_answer: bool
    until: float


_SHORTEN = """
WITH piece AS (
    SELECT message_id FROM queue WHERE organisation_id = $1 AND campaign_id = $2 AND message_id > $4
    ORDER BY message_id LIMIT $5
), ends AS (
    SELECT * FROM json_to_recordset($3::json) AS e (hours_group text, is_answer boolean, until float8)
), shortened AS (
    UPDATE messages m SET not_after = to_timestamp(ends.until)
    FROM piece, contacts c, ends
    WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.message_id = piece.message_id AND m.state = 'queued'
      AND c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = m.contact_id
      AND ends.hours_group = c.hours_group AND ends.is_answer = (m.kind IN ('reply', 'confirmation'))
      AND m.not_after > to_timestamp(ends.until)
)
SELECT max(message_id), count(*) FROM piece
"""


async def shorten(
    database: Database, key: CampaignKey, ends: Sequence[WindowEnd], *, at_once: int = 5000
) -> None:
    """No queued message may be handed over after its window's end; one that ends earlier stays as it is."""
    after_id, count = 0, at_once
    while count == at_once:
        [(after_id, count)] = await database.fetch(_SHORTEN, *key, as_rows(ends), after_id, at_once)
