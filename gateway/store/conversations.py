"""Conversations: what people write to us, their opt-outs, and who waits for an answer."""

import math
from collections.abc import Sequence

import msgspec

from gateway.core.bank.events import FIRST_ANSWER, OPTED_OUT, EventKind
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.safeguards import GATEWAY
from gateway.core.text.consent import Intent
from gateway.store.buckets import Assigned
from gateway.store.database import Database, Statements
from gateway.store.journal import handed_over, noted
from gateway.store.recipients import ABOUT, FACTS, Recipient, given_to, since
from gateway.store.rows import as_rows


class Heard(msgspec.Struct, gc=False):
    """A person's text as consent reads it."""

    inbound_id: int
    provider_sid: str
    phone: str
    number_phone: str
    body: str
    intent: str
    suggests_opt_out: bool
    wrong_number: bool
    received_at: float


class Stored(msgspec.Struct, frozen=True, gc=False):
    """An inbound text that is new; contact_id None: a stranger.

    `opted_out_at` (Unix seconds): a text of this person, this one or one with it, has opted them out now.
    `volunteer_id`: whose conversation it is.
    """

    inbound_id: int
    contact_id: int | None
    opted_out_at: float | None = None
    volunteer_id: int | None = None


_HEARD = noted(
    EventKind.HEARD,
    "stored",
    at="max(received_at)",
    columns={
        "ids": "inbound_id",
        "contact_ids": "contact_id",
        "action_ids": "action_id",
        "user_ids": "volunteer_id",
        "scripts": "script",
        "befores": "before",
        "states": "state",
    },
)
# A text whose id at the provider is in `inbound_ids` was heard before, in whatever month.
# The last new STOP or START of a person decides; one that came before and comes again is not new.
# A START that comes late, fetched after its webhook was lost, lifts no newer opt-out, and none that the person has
# repeated since to any number of the scope, or somebody has noted for them. The scalar subquery is worked out
# for a START alone.
# A STOP locks the opt-out that is there already, so that no START lifts it meanwhile without having seen that STOP.
# F125: after an opt-out no reply needs attention. C5: only the person's own START clears an opt-out.
# F205: whatever a person writes brings their conversation back from the archive.
_HEAR = f"""
WITH heard AS (
    SELECT * FROM json_to_recordset($4::json) AS h (
        inbound_id bigint, provider_sid text, phone text, number_phone text, body text, intent text,
        suggests_opt_out boolean, wrong_number boolean, received_at float8)
), new AS (
    INSERT INTO inbound_ids (organisation_id, campaign_id, provider_sid, inbound_id)
    SELECT $1, $2, provider_sid, inbound_id FROM heard ORDER BY inbound_id
    ON CONFLICT (organisation_id, campaign_id, provider_sid) DO NOTHING
    RETURNING inbound_id
), fresh AS (
    SELECT h.*, c.contact_id, v.action_id, v.volunteer_id, v.initial_script,
           row_number() OVER (PARTITION BY c.contact_id ORDER BY h.inbound_id) = 1 AS comes_first,
           (SELECT o.phone FROM opt_outs o WHERE o.organisation_id = $1 AND o.scope = $3
             AND o.phone = h.phone) IS NOT NULL AS had_left
    FROM heard h
    LEFT JOIN contacts c ON c.organisation_id = $1 AND c.campaign_id = $2 AND c.phone = h.phone
    LEFT JOIN conversations v ON v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id = c.contact_id
    WHERE (h.inbound_id IN (SELECT inbound_id FROM new)) IS TRUE -- hashed, not a loop in a loop
), last_word AS (
    SELECT DISTINCT ON (phone) phone, intent, body, received_at, inbound_id FROM fresh f
    WHERE intent = 'stop' OR intent = 'start' AND NOT EXISTS (
        SELECT FROM fresh s WHERE s.phone = f.phone AND s.intent = 'stop' AND s.received_at > f.received_at)
      AND coalesce((
        SELECT max(i.received_at) FROM campaigns p
        JOIN contacts c ON c.organisation_id = $1 AND c.campaign_id = p.campaign_id AND c.phone = f.phone
        JOIN inbound i ON i.organisation_id = $1 AND i.campaign_id = p.campaign_id
         AND i.contact_id = c.contact_id AND i.intent = 'stop'
        WHERE p.organisation_id = $1 AND p.opt_out_scope = $3), '-infinity') <= to_timestamp(f.received_at)
    ORDER BY phone, inbound_id DESC
), stopped AS (
    INSERT INTO opt_outs (organisation_id, scope, phone, source, words, opted_out_at)
    SELECT $1, $3, phone, 'keyword', body, to_timestamp(received_at) FROM last_word WHERE intent = 'stop'
    ON CONFLICT (organisation_id, scope, phone) DO UPDATE SET phone = excluded.phone WHERE false
    RETURNING phone, opted_out_at
), talks AS MATERIALIZED ( -- locked, after the opt-outs as everywhere, and so read as they are
    SELECT contact_id, last_inbound_at, last_initial_at FROM conversations
    WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = ANY (ARRAY(SELECT contact_id FROM fresh))
      AND (SELECT count(*) FROM stopped) >= 0
    ORDER BY contact_id FOR NO KEY UPDATE
), stored AS (
    INSERT INTO inbound (organisation_id, campaign_id, inbound_id, provider_sid, contact_id, phone, number_phone, body,
        intent, suggests_opt_out, wrong_number, received_at, action_id, volunteer_id, script, opted_out, is_first)
    SELECT $1, $2, inbound_id, provider_sid, contact_id, phone, number_phone, body, intent, suggests_opt_out,
           wrong_number, to_timestamp(received_at), action_id, volunteer_id, initial_script,
           (inbound_id IN (SELECT w.inbound_id FROM stopped JOIN last_word w USING (phone))) IS TRUE,
           comes_first AND (t.last_inbound_at < t.last_initial_at) IS NOT FALSE
             AND (t.last_inbound_at IS NULL OR NOT EXISTS ( -- a first text of no action asks nobody anew
               SELECT FROM inbound i WHERE i.organisation_id = $1 AND i.campaign_id = $2
               AND i.contact_id = fresh.contact_id AND i.action_id = fresh.action_id))
    FROM fresh LEFT JOIN talks t USING (contact_id) ORDER BY inbound_id
    RETURNING inbound_id, contact_id, phone, action_id, volunteer_id, script, received_at,
              CASE WHEN is_first THEN '{FIRST_ANSWER}' END AS before, CASE WHEN opted_out THEN '{OPTED_OUT}' ELSE intent END AS state
), started AS (
    DELETE FROM opt_outs
    WHERE organisation_id = $1 AND scope = $3
      AND phone = ANY (ARRAY(SELECT phone FROM last_word WHERE intent = 'start'))
      AND greatest(opted_out_at, noted_again_at) <= (
        SELECT to_timestamp(w.received_at) FROM last_word w WHERE w.phone = opt_outs.phone)
), talk AS (
    INSERT INTO conversations AS v (organisation_id, campaign_id, contact_id, last_inbound_at, unread, attention_at)
    SELECT $1, $2, f.contact_id, to_timestamp(max(f.received_at)), count(*),
           CASE WHEN coalesce(max(w.intent) = 'stop', bool_or(f.had_left)) THEN NULL
                ELSE to_timestamp(min(f.received_at)) END
    FROM fresh f LEFT JOIN last_word w USING (phone)
    WHERE f.contact_id IS NOT NULL GROUP BY f.contact_id ORDER BY f.contact_id
    ON CONFLICT (organisation_id, campaign_id, contact_id) DO UPDATE SET
        revision = v.revision + 1,
        last_inbound_at = greatest(v.last_inbound_at, excluded.last_inbound_at),
        unread = v.unread + excluded.unread,
        archived_at = NULL,
        attention_at = CASE WHEN excluded.attention_at IS NULL OR v.archived_at IS NOT NULL THEN excluded.attention_at
                            ELSE coalesce(v.attention_at, excluded.attention_at) END
    RETURNING contact_id, volunteer_id
), {_HEARD}
SELECT inbound_id, contact_id, extract(epoch FROM opted_out_at)::float8, NULL::bigint
FROM stored LEFT JOIN stopped USING (phone)
UNION ALL SELECT NULL, contact_id, NULL, volunteer_id FROM talk WHERE volunteer_id IS NOT NULL
ORDER BY inbound_id
"""  # noqa: S608 - fixed texts


# Whoever says STOP just now, at another worker, has written it before a START is read against what was said.
_HOLD_OPT_OUTS = """
SELECT phone FROM opt_outs WHERE organisation_id = $1 AND scope = $2 AND phone = ANY ($3::text[])
ORDER BY phone FOR UPDATE
"""


def may_lift(texts: Sequence[Heard]) -> bool:
    """Whether one of them may clear an opt-out: then `hear` needs a transaction."""
    return any(each.intent == Intent.START for each in texts)


async def hear(
    statements: Statements, key: CampaignKey, opt_out_scope: int, texts: Sequence[Heard]
) -> list[Stored]:
    """Keeps new texts, honours their opt-outs and opens conversations; a text seen before is not returned.

    In a transaction, if one of them `may_lift` an opt-out.
    """
    if may_lift(texts):
        starting = [each.phone for each in texts if each.intent == Intent.START]
        await statements.fetch(_HOLD_OPT_OUTS, key.organisation_id, opt_out_scope, starting)
    rows = await statements.fetch(_HEAR, *key, opt_out_scope, as_rows(texts))
    volunteer_of = {row[1]: row[3] for row in rows if row[0] is None}
    return [Stored(row[0], row[1], row[2], volunteer_of.get(row[1])) for row in rows if row[0] is not None]


# A text to a number that is in nobody's books: the number was sold a moment ago, or given back. Whoever has this person
# among their contacts may have texted them from it. A text that is in the books already changes nothing. Who had left
# already has left at the newer STOP: an older START that comes late must not lift it.
_LEFT_EVERYBODY = """
WITH heard AS (
    SELECT * FROM json_to_recordset($3::json) AS h (provider_sid text, phone text, body text, received_at float8)
)
INSERT INTO opt_outs AS o (organisation_id, scope, phone, source, words, opted_out_at)
SELECT DISTINCT ON (p.organisation_id, p.opt_out_scope, h.phone)
       p.organisation_id, p.opt_out_scope, h.phone, 'keyword', h.body, to_timestamp(h.received_at)
FROM heard h
CROSS JOIN campaigns p
JOIN contacts c ON c.organisation_id = p.organisation_id AND c.campaign_id = p.campaign_id AND c.phone = h.phone
WHERE NOT EXISTS (SELECT FROM inbound_ids i WHERE i.organisation_id = $1 AND i.campaign_id = $2
                  AND i.provider_sid = h.provider_sid)
ORDER BY p.organisation_id, p.opt_out_scope, h.phone, h.received_at DESC
ON CONFLICT (organisation_id, scope, phone) DO UPDATE SET opted_out_at = greatest(o.opted_out_at, excluded.opted_out_at)
"""


async def leave_everybody(database: Database, nobodys: CampaignKey, stops: Sequence[Heard]) -> None:
    """STOPs to numbers that are in nobody's books hold for every campaign that has the person; before `hear`."""
    await database.fetch(_LEFT_EVERYBODY, *nobodys, as_rows(stops))


async def report(
    statements: Statements,
    key: CampaignKey,
    contact_id: int,
    now: float,
    *,
    revision: int | None = None,
    archive: bool = False,
    needs_reply: bool = False,
) -> bool:
    """A volunteer's report closes what needed attention (C9), and may archive the conversation (F206).

    `needs_reply`: not before the person's last text was answered as well. False: there is no conversation, or something
    in it has changed since `revision` (None: whatever has).
    """
    rows = await statements.fetch(
        """
        UPDATE conversations SET revision = revision + 1, unread = 0, last_report_at = to_timestamp($4),
               attention_at = CASE WHEN $7 AND coalesce(last_outbound_at < last_inbound_at, true)
                                   THEN attention_at END,
               archived_at = CASE WHEN $6::boolean THEN coalesce(archived_at, to_timestamp($4)) ELSE archived_at END
        WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3 AND revision = coalesce($5, revision)
        RETURNING contact_id
        """,
        *key,
        contact_id,
        now,
        revision,
        archive,
        needs_reply,
    )
    return bool(rows)


async def import_opt_outs(
    database: Database, organisation_id: int, opt_out_scope: int, phones: Sequence[str], now: float
) -> None:
    """Opt-outs a list brings along, in force before anybody is texted."""
    await database.execute(
        """
        INSERT INTO opt_outs (organisation_id, scope, phone, source, opted_out_at)
        SELECT $1, $2, phone, 'import', to_timestamp($4) FROM unnest($3::text[]) AS u (phone) ORDER BY phone
        ON CONFLICT DO NOTHING
        """,
        organisation_id,
        opt_out_scope,
        phones,
        now,
    )


class Left(msgspec.Struct, frozen=True):
    """A contact's opt-out by keyword, to one of the campaign's own numbers."""

    contact_id: int
    opted_out_at: float


async def left_since(database: Database, key: CampaignKey, opt_out_scope: int, since: float) -> list[Left]:
    """The opt-outs in force that people texted to this campaign since an instant (Unix seconds)."""
    rows = await database.fetch(
        """
        SELECT c.contact_id, extract(epoch FROM o.opted_out_at)::float8
        FROM opt_outs o JOIN contacts c ON c.organisation_id = $1 AND c.campaign_id = $2 AND c.phone = o.phone
        WHERE o.organisation_id = $1 AND o.scope = $3 AND o.source = 'keyword' AND o.opted_out_at >= to_timestamp($4)
          AND EXISTS (SELECT FROM inbound i WHERE i.organisation_id = $1 AND i.campaign_id = $2
                      AND i.contact_id = c.contact_id AND i.received_at = o.opted_out_at)
        ORDER BY c.contact_id
        """,
        *key,
        opt_out_scope,
        since,
    )
    return [Left(*row) for row in rows]


class Attention(msgspec.Struct, frozen=True, gc=False):
    """A conversation that waits for its volunteer (C9): the person, with what admission will ask, and their last text."""

    person: Assigned
    attention_at: float
    body: str
    suggests_opt_out: bool
    wrong_number: bool

    @property
    def known(self) -> Recipient:
        return self.person.known

    @property
    def contact_id(self) -> int:
        return self.known.contact_id


class Inbox(msgspec.Struct, frozen=True):
    """What a look found for its volunteer.

    If nothing: `nobody_waits` when there is nothing for any volunteer of the campaign, and else `oldest_at` (Unix
    seconds), since when, at the earliest, somebody waits whose conversation may change hands.
    """

    found: list[Attention]
    nobody_waits: bool = False
    oldest_at: float = -math.inf


_OLDEST = 20  # conversations of which a look that finds nothing says when the first may change hands

# Oldest first: the volunteer's own, what answers a broadcast and is nobody's yet, and what has waited long without being
# on anybody's screen lately. Such a conversation changes hands, and so does the contact's assignment (F193).
_ATTENTION = f"""
WITH own AS (
    SELECT v.contact_id, v.action_id, v.volunteer_id, v.attention_at
    FROM conversations v JOIN contacts c USING (organisation_id, campaign_id, contact_id)
    WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND v.volunteer_id = $7 AND v.attention_at IS NOT NULL
      AND v.action_id = $6 AND v.archived_at IS NULL
      AND c.hours_group = ANY ($11::text[])
    ORDER BY v.attention_at, v.contact_id LIMIT $9 FOR UPDATE OF v SKIP LOCKED
), nobodys AS (
    SELECT v.contact_id, v.action_id, v.volunteer_id, v.attention_at
    FROM conversations v JOIN contacts c USING (organisation_id, campaign_id, contact_id)
    WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND v.volunteer_id = {GATEWAY} AND v.attention_at IS NOT NULL
      AND v.staff_only_at IS NULL AND v.action_id = $6 AND v.archived_at IS NULL
      AND c.hours_group = ANY ($11::text[]) AND $8 > '-infinity'::float8
    ORDER BY v.attention_at, v.contact_id LIMIT $9 FOR UPDATE OF v SKIP LOCKED
), others AS (
    SELECT v.contact_id, v.action_id, v.volunteer_id, v.attention_at
    FROM conversations v JOIN contacts c USING (organisation_id, campaign_id, contact_id)
    WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND v.attention_at <= to_timestamp($8)
      AND v.volunteer_id IS DISTINCT FROM $7 AND v.volunteer_id IS DISTINCT FROM {GATEWAY} AND v.staff_only_at IS NULL
      AND (v.offered_at IS NULL OR v.offered_at <= to_timestamp($8)) AND v.action_id = $6
      AND v.archived_at IS NULL
      AND c.hours_group = ANY ($11::text[])
    ORDER BY v.attention_at, v.contact_id LIMIT $9 FOR UPDATE OF v SKIP LOCKED
), wanted AS (
    SELECT * FROM (TABLE own UNION ALL TABLE nobodys UNION ALL TABLE others) either ORDER BY attention_at, contact_id LIMIT $9
), offered AS (
    UPDATE conversations v SET offered_at = to_timestamp($10), volunteer_id = $7
    FROM wanted WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id = wanted.contact_id
), moved AS (
    UPDATE assignments a SET volunteer_id = $7, assigned_at = to_timestamp($10)
    FROM wanted WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = $6
      AND a.contact_id = wanted.contact_id
     AND wanted.volunteer_id IS DISTINCT FROM $7
), {handed_over("wanted WHERE volunteer_id IS DISTINCT FROM $7", to="$7::bigint", at="to_timestamp($10)")}
SELECT CASE WHEN wanted.contact_id IS NULL THEN EXISTS (
           SELECT FROM conversations w WHERE w.organisation_id = $1 AND w.campaign_id = $2 AND w.attention_at IS NOT NULL
           AND w.archived_at IS NULL)
       END,
       CASE WHEN wanted.contact_id IS NULL THEN (
           SELECT extract(epoch FROM least(min(CASE WHEN w.volunteer_id = $7 THEN '-infinity' -- somebody holds its row
                                                    ELSE greatest(w.attention_at, w.offered_at) END),
                                           CASE WHEN count(*) = {_OLDEST} THEN max(w.attention_at) END))::float8
           FROM (SELECT v.volunteer_id, v.attention_at, v.offered_at
                 FROM conversations v JOIN contacts c USING (organisation_id, campaign_id, contact_id)
                 WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND v.attention_at IS NOT NULL AND v.action_id = $6
                   AND v.archived_at IS NULL
                   AND c.hours_group = ANY ($11::text[])
                 ORDER BY v.attention_at LIMIT {_OLDEST}) w)
       END,
       extract(epoch FROM wanted.attention_at)::float8, t.body, t.suggests_opt_out, t.wrong_number,
       c.first_name, c.last_name, c.email, c.zip, c.state, c.fields::text, {FACTS}
FROM (VALUES (1)) AS look LEFT JOIN wanted ON true -- one row without a contact when there is none
LEFT JOIN LATERAL (
    SELECT body, suggests_opt_out, wrong_number FROM inbound i
    WHERE i.organisation_id = $1 AND i.campaign_id = $2
      AND i.contact_id = wanted.contact_id ORDER BY inbound_id DESC LIMIT 1) t ON true {ABOUT}
WHERE wanted.contact_id IS NULL OR t.body IS NOT NULL
ORDER BY wanted.attention_at, wanted.contact_id
"""  # noqa: S608 - fixed texts


async def attention(
    database: Database,
    key: CampaignKey,
    action_id: int,
    volunteer_id: int,
    *,
    opt_out_scope: int,
    texts_since: float,
    open_groups: Sequence[str],
    take_over_before: float,
    limit: int,
    now: float,
) -> Inbox:
    """What waits for this volunteer and may be answered now, oldest first.

    What has waited since before `take_over_before`, and was on nobody's screen since, changes hands.
    """
    rows = await database.fetch(
        _ATTENTION,
        *key,
        opt_out_scope,
        *since(texts_since),
        action_id,
        volunteer_id,
        take_over_before,
        limit,
        now,
        open_groups,
    )
    found = [
        Attention(Assigned(given_to(volunteer_id, row[12:]), *row[6:12]), *row[2:6])
        for row in rows
        if row[12] is not None
    ]
    if found or not rows:
        return Inbox(found)
    anybody_waits, oldest_at = rows[0][:2]
    return Inbox([], not anybody_waits, math.inf if oldest_at is None else oldest_at)


async def waiting(database: Database, key: CampaignKey) -> int:
    """How many conversations wait for an answer (F163)."""
    count: int = await database.fetch_value(
        """
        SELECT count(*) FROM conversations
        WHERE organisation_id = $1 AND campaign_id = $2 AND attention_at IS NOT NULL
        """,
        *key,
    )
    return count
