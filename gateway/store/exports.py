"""Everything of a campaign read out page by page, for files: each page looks at so many rows and no more.

A page is bounded by what it looks at, not by what it finds, so that no statement is long, whatever is asked for. Each
row begins with two columns of the page: the last key that was looked at, and how many.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.core.bank.exports import Subject
from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database


class Which(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: of an action (None: of all), from an instant on and before another (Unix seconds)."""

    action_id: int | None = None
    since: float = float("-inf")
    until: float = float("inf")


class Page(msgspec.Struct, frozen=True):
    """Rows in the order of their keys. `last`: the key up to which was looked; None: there was nothing any more."""

    rows: Sequence[Sequence[Any]]
    last: Any
    looked_at: int


# $1 and $2 the campaign's key, $3 the key after which, $4 how many to look at, $5 to $7 as in Which, $8 the opt-out scope
_PERSON = "contacts c ON c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id ="
_NAMES = "c.first_name, c.last_name"
_PHONE = "CASE WHEN c.deleted_at IS NULL THEN c.phone END"  # of whom was erased nothing is told
_ACTION = "actions a ON a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id ="
# Of the campaign's people alone: whoever sends with a key names users as they like.
_USER = (
    "(memberships w JOIN users u ON u.organisation_id = $1 AND u.user_id = w.user_id)"
    " ON w.organisation_id = $1 AND w.campaign_id = $2 AND w.user_id ="
)
_WANTED = "($5::bigint IS NULL OR p.action_id = $5) AND {at} >= to_timestamp($6) AND {at} < to_timestamp($7)"
_MESSAGES: Final = f"""
WITH piece AS MATERIALIZED (
    SELECT * FROM messages WHERE organisation_id = $1 AND campaign_id = $2 AND message_id > $3
    ORDER BY message_id LIMIT $4
)
SELECT (SELECT max(message_id) FROM piece), (SELECT count(*) FROM piece), p.message_id, p.requested_at, p.contact_id,
       {_PHONE}, {_NAMES}, p.action_id, a.title, p.kind, p.script, p.sender_id, u.name, n.phone, p.body, p.media,
       p.segments, p.state, p.code, p.reason, p.attempt, p.provider_sid, p.slot_at, p.sent_at, p.final_at, c.carrier,
       past.attempts
FROM (SELECT) at_least_one_row LEFT JOIN (
    (SELECT * FROM piece p WHERE {_WANTED.format(at="p.requested_at")}) p
    LEFT JOIN {_PERSON} p.contact_id
    LEFT JOIN {_ACTION} p.action_id
    LEFT JOIN {_USER} p.sender_id
    LEFT JOIN numbers n ON n.organisation_id = $1 AND n.campaign_id = $2 AND n.number_id = p.number_id
    LEFT JOIN LATERAL (
        SELECT json_agg(json_build_array(t.state, t.code, t.provider_sid IS NOT NULL) ORDER BY t.attempt)::text AS attempts
        FROM attempts t WHERE t.organisation_id = $1 AND t.campaign_id = $2 AND t.message_id = p.message_id
    ) past ON p.attempt > 0
) ON true
ORDER BY p.message_id
"""  # noqa: S608 - fixed texts
_REPLIES: Final = f"""
WITH piece AS MATERIALIZED (
    SELECT * FROM inbound WHERE organisation_id = $1 AND campaign_id = $2 AND inbound_id > $3
    ORDER BY inbound_id LIMIT $4
)
SELECT (SELECT max(inbound_id) FROM piece), (SELECT count(*) FROM piece), p.inbound_id, p.received_at, p.contact_id,
       CASE WHEN c.deleted_at IS NULL THEN p.phone END, {_NAMES}, p.action_id, a.title, p.volunteer_id, u.name, p.number_phone, p.body, p.intent, p.opted_out,
       p.suggests_opt_out, p.wrong_number
FROM (SELECT) at_least_one_row LEFT JOIN (
    (SELECT * FROM piece p WHERE {_WANTED.format(at="p.received_at")}) p
    LEFT JOIN {_PERSON} p.contact_id
    LEFT JOIN {_ACTION} p.action_id
    LEFT JOIN {_USER} p.volunteer_id
) ON true
ORDER BY p.inbound_id
"""  # noqa: S608 - fixed texts
# Who is in an action is written in its assignments.
_CONTACTS: Final = """
WITH piece AS MATERIALIZED (
    SELECT * FROM contacts WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id > $3
    ORDER BY contact_id LIMIT $4
)
SELECT (SELECT max(contact_id) FROM piece), (SELECT count(*) FROM piece), c.contact_id, c.phone, c.first_name, c.last_name,
       c.email, c.zip, c.state, c.line_type, c.carrier, c.fields::text, v.last_outbound_at, v.last_inbound_at,
       v.attention_at, o.opted_out_at, o.source,
       CASE WHEN v.failure_until > to_timestamp($7) THEN v.failure_code END, t.names,
       c.assignee_id
FROM (SELECT) at_least_one_row LEFT JOIN (
    (SELECT * FROM piece p WHERE p.deleted_at IS NULL AND ($5::bigint IS NULL OR EXISTS (
        SELECT FROM assignments s WHERE s.organisation_id = $1 AND s.campaign_id = $2 AND s.action_id = $5
          AND s.contact_id = p.contact_id))) c
    LEFT JOIN conversations v ON v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id = c.contact_id
    LEFT JOIN opt_outs o ON o.organisation_id = $1 AND o.scope = $8 AND o.phone = c.phone
    LEFT JOIN LATERAL (
        SELECT string_agg(g.name, '; ' ORDER BY g.name) AS names
        FROM contact_tags k JOIN tags g ON g.organisation_id = $1 AND g.campaign_id = $2 AND g.tag_id = k.tag_id
        WHERE k.organisation_id = $1 AND k.campaign_id = $2 AND k.contact_id = c.contact_id
    ) t ON true
) ON $6::float8 IS NOT NULL
ORDER BY c.contact_id
"""
_NAMED_TAGS = """
(SELECT string_agg(g.name, '; ' ORDER BY w.place) FROM unnest({tags}) WITH ORDINALITY AS w (tag_id, place)
 JOIN tags g ON g.organisation_id = $1 AND g.campaign_id = $2 AND g.tag_id = w.tag_id)
"""
_REPORTS: Final = f"""
WITH piece AS MATERIALIZED (
    SELECT * FROM reports WHERE organisation_id = $1 AND campaign_id = $2 AND report_id > $3
    ORDER BY report_id LIMIT $4
)
SELECT (SELECT max(report_id) FROM piece), (SELECT count(*) FROM piece), p.report_id, p.at, p.contact_id, {_PHONE}, {_NAMES},
       p.action_id, a.title, p.user_id, u.name, {_NAMED_TAGS.format(tags="p.tags")}, p.fields::text,
       {_NAMED_TAGS.format(tags="p.removed_tags")}
FROM (SELECT) at_least_one_row LEFT JOIN (
    (SELECT * FROM piece p WHERE {_WANTED.format(at="p.at")}) p
    LEFT JOIN {_PERSON} p.contact_id
    LEFT JOIN {_ACTION} p.action_id
    LEFT JOIN {_USER} p.user_id
) ON true
ORDER BY p.report_id
"""  # noqa: S608 - fixed texts
_OPT_OUTS: Final = f"""
WITH piece AS MATERIALIZED (
    SELECT * FROM opt_outs WHERE organisation_id = $1 AND scope = $8 AND phone > $3 ORDER BY phone LIMIT $4
)
SELECT (SELECT max(phone) FROM piece), (SELECT count(*) FROM piece), p.phone, p.opted_out_at, p.source, p.words,
       c.contact_id, {_NAMES}, p.volunteer_id, u.name
FROM (SELECT) at_least_one_row LEFT JOIN (
    (SELECT * FROM piece p WHERE p.opted_out_at >= to_timestamp($6) AND p.opted_out_at < to_timestamp($7)
       AND $5::bigint IS NULL) p
    LEFT JOIN contacts c ON c.organisation_id = $1 AND c.campaign_id = $2 AND c.phone = p.phone
    LEFT JOIN {_USER} p.volunteer_id
) ON true
ORDER BY p.phone
"""  # noqa: S608 - fixed texts
_CLICKS: Final = f"""
WITH piece AS MATERIALIZED (
    SELECT * FROM clicks WHERE organisation_id = $1 AND campaign_id = $2 AND click_id > $3 ORDER BY click_id LIMIT $4
)
SELECT (SELECT max(click_id) FROM piece), (SELECT count(*) FROM piece), p.click_id, p.at, p.contact_id, {_PHONE}, {_NAMES},
       p.action_id, a.title, p.user_id, u.name, p.message_id, s.name, l.slug, l.url
FROM (SELECT) at_least_one_row LEFT JOIN (
    (SELECT * FROM piece p WHERE {_WANTED.format(at="p.at")}) p
    LEFT JOIN {_PERSON} p.contact_id
    LEFT JOIN {_ACTION} p.action_id
    LEFT JOIN {_USER} p.user_id
    LEFT JOIN scripts s ON s.organisation_id = $1 AND s.campaign_id = $2 AND s.script_id = p.script_id
    LEFT JOIN links l ON l.organisation_id = $1 AND l.campaign_id = $2 AND l.link_id = p.link_id
) ON true
ORDER BY p.click_id
"""  # noqa: S608 - fixed texts
_STATEMENTS: Final[Mapping[Subject, str]] = {
    Subject.MESSAGES: _MESSAGES,
    Subject.REPLIES: _REPLIES,
    Subject.CONTACTS: _CONTACTS,
    Subject.REPORTS: _REPORTS,
    Subject.OPT_OUTS: _OPT_OUTS,
    Subject.CLICKS: _CLICKS,
}
_WITH_SCOPE: Final = (Subject.CONTACTS, Subject.OPT_OUTS)
_PAGE_COLUMNS: Final = 2


async def page(
    database: Database,
    key: CampaignKey,
    opt_out_scope: int,
    subject: Subject,
    which: Which,
    after: int | str,
    look_at: int,
) -> Page:
    """The rows that are asked for among the next `look_at` after a key: an id, of opt-outs a phone.

    Of contacts `until` says at which instant a failure must still hold.
    """
    scope = [opt_out_scope] if subject in _WITH_SCOPE else []
    rows = await database.fetch(
        _STATEMENTS[subject], *key, after, look_at, which.action_id, which.since, which.until, *scope
    )
    last, looked_at = rows[0][:_PAGE_COLUMNS]
    found = [row[_PAGE_COLUMNS:] for row in rows if row[_PAGE_COLUMNS] is not None]
    return Page(found, last, looked_at)
