"""The rows behind each figure of an action's results, a page at a time: each page looks at so many rows and no more."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.core.bank.results import STORED, FigureName
from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database
from gateway.store.users import received


class ListedRow(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A row behind a figure; `id` is of what the figure lists, times in Unix seconds, None: it has none of it."""

    id: int
    at: float | None
    contact_id: int | None
    first_name: str | None
    last_name: str | None
    phone: str | None
    user_id: int | None
    user: str | None
    kind: str | None
    state: str | None
    code: int | None
    reason: str | None
    script: str | None
    text: str | None


class ListedPage(msgspec.Struct, frozen=True):
    """Rows in the order of their ids, and the id up to which was looked; None: there is nothing any more."""

    rows: list[ListedRow]
    next: int | None


# Whoever sends with a key names users as they like: only those of the campaign have a name here.
# Each looks at $4 rows after the id $3 and finds at most $5 of the action $6; its first two columns are as in a page.
_PIECES: Final = """
WITH piece AS MATERIALIZED ({piece} LIMIT $4), found AS (
    SELECT * FROM piece p WHERE {which} ORDER BY p.{id} LIMIT $5
)
SELECT (SELECT max({id}) FROM piece), (SELECT count(*) FROM piece), p.{id}, extract(epoch FROM p.{at})::float8,
       {columns}
FROM (SELECT) at_least_one_row LEFT JOIN (
    found p
    LEFT JOIN contacts c ON c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = p.{contact}
    LEFT JOIN (memberships w JOIN users u ON u.organisation_id = $1 AND u.user_id = w.user_id)
           ON w.organisation_id = $1 AND w.campaign_id = $2 AND w.user_id = p.{user}
) ON true ORDER BY p.{id}
"""
_WHO = "c.contact_id, c.first_name, c.last_name, CASE WHEN c.deleted_at IS NULL THEN c.phone END"
_MESSAGES: Final = _PIECES.format(
    piece="SELECT * FROM messages WHERE organisation_id = $1 AND campaign_id = $2 AND message_id > $3 ORDER BY message_id",
    which="p.action_id = $6 AND p.state = ANY ($7::text[]) AND ($8::text[] IS NULL OR p.kind = ANY ($8))"
    " AND p.kind <> ALL ($9::text[]) AND ($10::integer[] IS NULL OR p.code = ANY ($10))"
    " AND (p.code <> ALL ($11::integer[])) IS NOT FALSE AND ($12::text IS NULL OR p.script = $12)"
    " AND ($13::bigint IS NULL OR p.sender_id = $13)",
    id="message_id",
    at="requested_at",
    contact="contact_id",
    user="sender_id",
    columns=f"{_WHO}, p.sender_id, u.name, p.kind, p.state, p.code, p.reason, p.script, p.body",
)
_REPLIES: Final = _PIECES.format(
    piece="SELECT * FROM inbound WHERE organisation_id = $1 AND campaign_id = $2 AND inbound_id > $3 ORDER BY inbound_id",
    which="p.action_id = $6 AND p.contact_id IS NOT NULL",
    id="inbound_id",
    at="received_at",
    contact="contact_id",
    user="volunteer_id",
    columns=f"{_WHO}, p.volunteer_id, u.name, p.intent, NULL, NULL::int, NULL, p.script, p.body",
)
_REPORTS: Final = _PIECES.format(
    piece="SELECT * FROM reports WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $6 AND report_id > $3"
    " ORDER BY report_id",
    which="true",
    id="report_id",
    at="at",
    contact="contact_id",
    user="user_id",
    columns=f"{_WHO}, p.user_id, u.name, NULL, NULL, NULL::int, NULL, NULL, p.fields::text",
)
_CLICKS: Final = _PIECES.format(
    piece="SELECT k.*, l.url FROM clicks k LEFT JOIN links l ON l.organisation_id = $1 AND l.campaign_id = $2"
    " AND l.link_id = k.link_id WHERE k.organisation_id = $1 AND k.campaign_id = $2 AND k.action_id = $6"
    " AND k.click_id > $3 ORDER BY k.click_id",
    which="true",
    id="click_id",
    at="at",
    contact="contact_id",
    user="user_id",
    columns=f"{_WHO}, p.user_id, u.name, NULL, NULL, NULL::int, NULL, NULL, p.url",
)
_CONVERSATIONS = "SELECT * FROM conversations WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id > $3 ORDER BY contact_id"
_WAITING: Final = _PIECES.format(
    piece=_CONVERSATIONS,
    which="p.action_id = $6 AND p.attention_at IS NOT NULL AND p.archived_at IS NULL",
    id="contact_id",
    at="attention_at",
    contact="contact_id",
    user="volunteer_id",
    columns=f"{_WHO}, p.volunteer_id, u.name, NULL, NULL, NULL::int, NULL, NULL, NULL",
)
_OPT_OUTS: Final = _PIECES.format(
    piece="SELECT v.contact_id, v.action_id, v.last_report_at, o.opted_out_at, o.volunteer_id, o.source, o.words FROM conversations v"
    " JOIN contacts k ON k.organisation_id = $1 AND k.campaign_id = $2 AND k.contact_id = v.contact_id"
    " LEFT JOIN opt_outs o ON o.organisation_id = $1 AND o.scope = $7 AND o.phone = k.phone"
    " WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id > $3 ORDER BY v.contact_id",
    # As the counts have them: nobody's import, and none by another campaign that shares the list of opt-outs.
    which="p.action_id = $6 AND CASE WHEN p.source IN ('manual', 'erasure') THEN p.last_report_at >= p.opted_out_at"
    " WHEN p.source = 'keyword' THEN EXISTS (SELECT FROM inbound i WHERE i.organisation_id = $1 AND i.campaign_id = $2"
    " AND i.contact_id = p.contact_id AND i.action_id = $6 AND i.opted_out) END",
    id="contact_id",
    at="opted_out_at",
    contact="contact_id",
    user="volunteer_id",
    columns=f"{_WHO}, p.volunteer_id, u.name, p.source, NULL, NULL::int, NULL, NULL, p.words",
)
_REMAINING: Final = _PIECES.format(
    piece="SELECT contact_id, volunteer_id, assigned_at FROM assignments WHERE organisation_id = $1 AND campaign_id = $2"
    " AND action_id = $6 AND contact_id > $3 ORDER BY contact_id",
    which="p.volunteer_id IS NULL",
    id="contact_id",
    at="assigned_at",
    contact="contact_id",
    user="volunteer_id",
    columns=f"{_WHO}, NULL::bigint, NULL, NULL, NULL, NULL::int, NULL, NULL, NULL",
)
_SENT_TO: Final = f"""
SELECT m.user_id, extract(epoch FROM m.joined_at)::float8, NULL::bigint, NULL, NULL, NULL, m.user_id, u.name, NULL, NULL,
       NULL::int, NULL, NULL, NULL
FROM memberships m JOIN users u ON u.organisation_id = $1 AND u.user_id = m.user_id
WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.user_id > $3 AND m.deactivated_at IS NULL
  AND EXISTS ({received("$5")})
ORDER BY m.user_id LIMIT $4
"""  # noqa: S608 - fixed texts
_PEOPLE = """
SELECT u.user_id, extract(epoch FROM u.{did})::float8, NULL::bigint, NULL, NULL, NULL, u.user_id, n.name, NULL, NULL,
       NULL::int, NULL, NULL, u.performs::text
FROM action_users u LEFT JOIN users n ON n.organisation_id = $1 AND n.user_id = u.user_id
WHERE u.organisation_id = $1 AND u.campaign_id = $2 AND u.action_id = $5 AND u.user_id > $3 AND u.{did} IS NOT NULL
ORDER BY u.user_id LIMIT $4
"""
_OF_PEOPLE: Final[Mapping[FigureName, str]] = {
    FigureName.SENT_TO: _SENT_TO,
    FigureName.SEEN: _PEOPLE.format(did="seen_at"),
    FigureName.STARTED: _PEOPLE.format(did="started_at"),
    FigureName.COMPLETED: _PEOPLE.format(did="completed_at"),
    FigureName.PERFORMS: _PEOPLE.format(did="completed_at"),
}
_STATEMENTS: Final[Mapping[FigureName, str]] = {
    FigureName.RESPONSES: _REPLIES,
    FigureName.REPORTS: _REPORTS,
    FigureName.REPORTS_FILLED: _REPORTS,
    FigureName.CLICKS: _CLICKS,
    FigureName.OPT_OUTS: _OPT_OUTS,
    FigureName.REMAINING: _REMAINING,
    FigureName.NEEDS_ATTENTION: _WAITING,
    **dict.fromkeys(STORED, _MESSAGES),
}
_PAGE_COLUMNS: Final = 2


class Narrowed(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the messages behind a figure; None: whichever."""

    code: int | None = None
    script: str | None = None
    user_id: int | None = None


async def page(
    database: Database,
    key: CampaignKey,
    opt_out_scope: int,
    action_id: int,
    result: FigureName,
    narrowed: Narrowed,
    *,
    after_id: int,
    limit: int,
    look_at: int,
) -> ListedPage:
    """At most `limit` rows behind a figure, among the next `look_at` after an id."""
    if result in _OF_PEOPLE:
        rows = [
            _row(row) for row in await database.fetch(_OF_PEOPLE[result], *key, after_id, limit, action_id)
        ]
        return ListedPage(rows, rows[-1].id if len(rows) == limit else None)
    more = _arguments(result, narrowed, opt_out_scope)
    found = await database.fetch(_STATEMENTS[result], *key, after_id, look_at, limit, action_id, *more)
    last, looked_at = found[0][:_PAGE_COLUMNS]
    rows = [_row(row[_PAGE_COLUMNS:]) for row in found if row[_PAGE_COLUMNS] is not None]
    if len(rows) == limit:
        return ListedPage(rows, rows[-1].id)
    return ListedPage(rows, last if looked_at == look_at else None)


def _arguments(result: FigureName, narrowed: Narrowed, opt_out_scope: int) -> Sequence[object]:
    """What a statement takes beyond the place and the action."""
    if result is FigureName.OPT_OUTS:
        return [opt_out_scope]
    if result not in STORED:
        return []
    stored = STORED[result]
    codes = stored.codes
    if narrowed.code is not None:
        codes = [narrowed.code] if codes is None or narrowed.code in codes else []
    return [
        stored.states,
        stored.kinds,
        stored.but_kinds,
        codes,
        stored.but_codes,
        narrowed.script,
        narrowed.user_id,
    ]


def _row(row: Sequence[Any]) -> ListedRow:
    return ListedRow(**dict(zip(ListedRow.__struct_fields__, row, strict=True)))
