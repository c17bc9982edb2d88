"""Claims: queued messages become `sending` at the second look, or are blocked; and the last look before the wire."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import SubReason
from gateway.core.rules.safeguards import (
    GATEWAY,
    LANDLINES,
    NOT_MOBILE,
    RULES,
    Consent,
    Facts,
    Kind,
    Rule,
    of_books,
)
from gateway.store.database import Connection, Database, Statements
from gateway.store.first_texts import CARRIER, waits
from gateway.store.journal import moved
from gateway.store.opt_out_scopes import scope_in_force
from gateway.store.ownership import FencingToken, OwnershipLost
from gateway.store.rows import as_rows


class Claim(msgspec.Struct, gc=False):
    """A message about to be handed over: its number is chosen and its capacity reserved. `hours_group`: by whose hours it
    may go now, as far as its owner knows; None: by whichever."""

    message_id: int
    contact_id: int
    number_id: int
    slot_at: float
    hours_group: str | None = None


def _is_one_of(names: Collection[str]) -> str:
    folded = ", ".join(f"'{name}'" for name in sorted(names))
    return f"translate(lower(c.line_type), '_- ', '') IN ({folded})"


# What each rule of the second look refuses, of a message m of contact c in conversation v, looked at at $5. The rules
# are the table in safeguards.py, which says why; a rule without a condition here does not start.
_REFUSED_BY = {
    "recipient_number": _is_one_of(LANDLINES),
    "opt_out": f"""(SELECT o.phone FROM opt_outs o WHERE o.organisation_id = $1 AND o.scope = {scope_in_force("$3")}
                  AND o.phone = c.phone) IS NOT NULL""",  # noqa: S608 - fixed texts
    "valid_mobile": f"v.failure_until = 'infinity' OR {_is_one_of(NOT_MOBILE)}",
    "consent": """(SELECT b.contact_id FROM broadcast_consents b WHERE b.organisation_id = $1 AND b.campaign_id = $2
                  AND b.contact_id = m.contact_id AND b.withdrawn_at IS NULL) IS NULL""",
    "failure_memory": "v.failure_until > to_timestamp($5)",
    "hours": "m.not_after <= to_timestamp($5)",
}


# A broadcast is a first text of the gateway's own (safeguards.of_books).
_IS = {kind: f"m.kind = '{kind}'" for kind in Kind} | {
    Kind.BROADCAST: f"m.kind = 'initial' AND m.sender_id = {GATEWAY}",
    Kind.INITIAL: f"m.kind = 'initial' AND m.sender_id IS DISTINCT FROM {GATEWAY}",
}


def _may_go(rule: Rule) -> str:
    spared = [_IS[kind] for kind in sorted(Kind) if kind not in rule.applies_to]
    unless = "".join(f"{each} OR " for each in spared)
    return f"({unless}({_REFUSED_BY[rule.name]}) IS NOT TRUE)"


_MAY_GO = "\n      AND ".join(_may_go(rule) for rule in RULES if rule.at_hand_over)

# The second look and the intent before the wire, in one statement: what a rule refuses, what is paused or no longer
# queued is not claimed, and nothing is by who is not the owner any more. Nor is whose person lives elsewhere by now, as a
# list has told that came in a moment ago: the owner reads by which hours.
_ROWS = """SELECT * FROM json_to_recordset($4::json) AS p (
        message_id bigint, contact_id bigint, number_id bigint, slot_at float8, hours_group text)"""
_CHOSEN = f"""chosen AS (
    {_ROWS}
)"""
# Those whose rows nobody else holds. To lock each first costs something, so that is done only after a lock was met.
_CHOSEN_AND_FREE = f"""wanted AS (
    {_ROWS}
), chosen AS (
    SELECT p.* FROM wanted p
    JOIN messages m ON m.organisation_id = $1 AND m.campaign_id = $2 AND m.message_id = p.message_id
    JOIN queue q ON q.organisation_id = $1 AND q.campaign_id = $2 AND q.message_id = p.message_id
    JOIN conversations v ON v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id = p.contact_id
    ORDER BY p.message_id FOR NO KEY UPDATE OF m, v SKIP LOCKED FOR UPDATE OF q SKIP LOCKED
)"""  # noqa: S608 - fixed texts
_CLAIM_THESE = """
WITH {chosen}, claimed AS (
    UPDATE messages m SET state = 'sending', number_id = p.number_id, slot_at = to_timestamp(p.slot_at),
           attempt = m.attempt + 1, spent = m.spent + 1, code = NULL, reason = NULL, provider_sid = NULL,
           accepted_at = NULL, sent_at = NULL, ask_at = to_timestamp($6)
    FROM chosen p
    JOIN contacts c ON c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = p.contact_id
    LEFT JOIN conversations v ON v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id = p.contact_id
    WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.message_id = p.message_id AND m.state = 'queued'
      AND {may_go}
      AND (p.hours_group <> c.hours_group) IS NOT TRUE
      AND NOT {waits}
      AND EXISTS (SELECT FROM campaigns WHERE organisation_id = $1 AND campaign_id = $2 AND NOT paused
                  AND owner_id = $7 AND owner_epoch = $8)
    RETURNING m.message_id, m.attempt, p.contact_id, p.number_id
), dequeued AS (
    DELETE FROM queue q USING claimed
    WHERE q.organisation_id = $1 AND q.campaign_id = $2 AND q.message_id = claimed.message_id
), talk AS (
    UPDATE conversations v SET number_id = claimed.number_id
    FROM claimed WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id = claimed.contact_id
     AND v.number_id IS DISTINCT FROM claimed.number_id
)
SELECT p.owner_id IS NOT DISTINCT FROM $7 AND p.owner_epoch = $8, claimed.message_id, claimed.attempt
FROM campaigns p LEFT JOIN claimed ON true WHERE p.organisation_id = $1 AND p.campaign_id = $2
"""
_WAITS = waits("m", "c.carrier")
_CLAIM = _CLAIM_THESE.format(chosen=_CHOSEN, may_go=_MAY_GO, waits=_WAITS)
_CLAIM_FREE = _CLAIM_THESE.format(chosen=_CHOSEN_AND_FREE, may_go=_MAY_GO, waits=_WAITS)


async def claim(
    connection: Connection,
    key: CampaignKey,
    opt_out_scope: int,
    rows: Sequence[Claim],
    *,
    now: float,
    ask_at: float,
    token: FencingToken,
    skips_locked: bool = False,
) -> dict[int, int]:
    """Moves queued messages to `sending`; returns message id -> attempt of those that may go.

    The others are not queued any more, or a rule of the second look or a pause holds them: see `standings`. Where
    somebody else holds a row, the statement waits for it, and none of them goes; with `skips_locked` the others do.
    `ask_at`: from when the provider is asked about them, should nobody tell what became of them. Raises
    OwnershipLost when the token is not the owner's any more.
    """
    sql = _CLAIM_FREE if skips_locked else _CLAIM
    asked = (*key, opt_out_scope, as_rows(rows), now, ask_at, *token)
    claimed = await connection.fetch(sql, *asked)
    if not claimed or not claimed[0][0]:
        raise OwnershipLost("another worker took it over")
    return {row[1]: row[2] for row in claimed if row[1] is not None}


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """A queued message that the second look stops for good."""

    message_id: int
    code: int
    reason: str


_BLOCK = f"""
WITH refused AS (
    SELECT * FROM json_to_recordset($3::json) AS r (message_id bigint, code int, reason text)
), blocked AS (
    UPDATE messages m SET state = 'blocked', code = r.code, reason = r.reason,
           final_at = to_timestamp($4)
    FROM refused r
    WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.message_id = r.message_id AND m.state = 'queued'
    RETURNING m.message_id, m.contact_id, m.action_id, m.sender_id, m.kind, m.script, m.segments, m.code,
              OLD.state AS before, NEW.state AS after
), dequeued AS (
    DELETE FROM queue q USING blocked
    WHERE q.organisation_id = $1 AND q.campaign_id = $2 AND q.message_id = blocked.message_id
), {moved("blocked", "to_timestamp($4)")}
SELECT message_id FROM blocked ORDER BY message_id
"""  # noqa: S608 - fixed texts


async def block(database: Database, key: CampaignKey, refusals: Sequence[Refusal], now: float) -> set[int]:
    """queued -> blocked(code); returns the ids that were still queued."""
    rows = await database.fetch(_BLOCK, *key, as_rows(refusals), now)
    return {row[0] for row in rows}


class Standing(msgspec.Struct, frozen=True):
    """A message that could not be claimed, and what the second look asks of its person and its hours."""

    message_id: int
    state: str
    kind: Kind
    facts: Facts


_STANDINGS = f"""
SELECT m.message_id, m.state, m.kind, c.phone, c.line_type, o.phone IS NOT NULL,
       CASE WHEN v.failure_until = 'infinity' THEN 'infinity'::float8
            ELSE extract(epoch FROM v.failure_until)::float8 END,
       m.not_after <= to_timestamp($5), m.sender_id, CASE WHEN m.sender_id = {GATEWAY} THEN (
           SELECT CASE WHEN b.withdrawn_at IS NULL THEN 'given' ELSE 'withdrawn' END FROM broadcast_consents b
           WHERE b.organisation_id = $1 AND b.campaign_id = $2 AND b.contact_id = m.contact_id) END
FROM messages m
JOIN contacts c USING (organisation_id, campaign_id, contact_id)
LEFT JOIN conversations v USING (organisation_id, campaign_id, contact_id)
LEFT JOIN opt_outs o ON o.organisation_id = $1 AND o.scope = {scope_in_force("$3")} AND o.phone = c.phone
WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.message_id = ANY ($4::bigint[]) ORDER BY m.message_id
"""  # noqa: S608 - fixed texts


async def standings(
    database: Database, key: CampaignKey, opt_out_scope: int, message_ids: Sequence[int], now: float
) -> list[Standing]:
    """Where messages stand that a claim left; `safeguards.second_look(standing.kind, standing.facts, now)` says why."""
    rows = await database.fetch(_STANDINGS, *key, opt_out_scope, message_ids, now)
    return [_standing(row) for row in rows]


def _standing(row: Sequence[Any]) -> Standing:
    message_id, state, kind, phone, line_type, opted_out, failure_until, is_over, sender_id, consent = row
    facts = Facts(
        phone=phone,
        line_type=line_type,
        opted_out=opted_out,
        failure_until=failure_until,
        hours_shut=SubReason.EXPIRED_IN_QUEUE if is_over else None,
        consent=Consent(consent or Consent.NONE),
    )
    return Standing(message_id, state, of_books(kind, sender_id), facts)


# The last look before the wire: who may not be texted any more. A confirmation answers the very opt-out. The messages
# themselves are looked at only while some first texts wait.
_STOPPED = f"""
SELECT l.message_id FROM json_to_recordset($4::json) AS l (message_id bigint, phone text, answers_opt_out boolean)
WHERE (NOT l.answers_opt_out
       AND (SELECT o.phone FROM opt_outs o WHERE o.organisation_id = $1 AND o.scope = {scope_in_force("$3")}
            AND o.phone = l.phone) IS NOT NULL)
   OR (SELECT paused FROM campaigns WHERE organisation_id = $1 AND campaign_id = $2)
   OR ((SELECT cardinality(paused_actions) + cardinality(held_pairs) > 0 FROM campaigns
        WHERE organisation_id = $1 AND campaign_id = $2)
       AND EXISTS (SELECT FROM messages m WHERE m.organisation_id = $1 AND m.campaign_id = $2
                   AND m.message_id = l.message_id AND {waits("m", CARRIER.format(contact_id="m.contact_id"))}))
"""  # noqa: S608 - fixed texts


class Looked(msgspec.Struct, frozen=True, gc=False):
    """A claimed text at its last look."""

    message_id: int
    phone: str
    answers_opt_out: bool


async def stopped(
    statements: Statements, key: CampaignKey, opt_out_scope: int, texts: Sequence[Looked]
) -> set[int]:
    """Those that may not be handed over: their person has opted out, the campaign or the action is paused, or a breaker
    is open."""
    rows = await statements.fetch(_STOPPED, *key, opt_out_scope, as_rows(texts))
    return {row[0] for row in rows}
