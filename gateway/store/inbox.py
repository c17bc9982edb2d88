"""The inbox: lists of conversations in which the person has written, their counts, and one thread."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.core.bank.inbox import Filter, Order
from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database


class Place(msgspec.Struct, frozen=True):
    """Where a page ends: the instant by which it is ordered (Unix seconds) and the id at that place."""

    at: float
    id: int


class Which(msgspec.Struct, frozen=True, kw_only=True):
    """The conversations asked for; None: of every volunteer, of every action."""

    filter: Filter = Filter.ALL
    order: Order = Order.NEWEST
    volunteer_id: int | None = None
    action_id: int | None = None


class Conversation(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A conversation as it stands at `revision`; times in Unix seconds.

    `volunteer_id`: who has it. `attention_at`: since when the person has waited for us (C9). `reported_at`: of the last
    report, or opt-out by hand.
    """

    contact_id: int
    revision: int
    action_id: int | None
    action_title: str | None
    volunteer_id: int | None
    unread: int
    attention_at: float | None
    archived_at: float | None
    last_inbound_at: float | None
    reported_at: float | None
    first_name: str
    last_name: str
    phone: str
    hours_group: str
    opted_out: bool


class Row(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A conversation in a list with its last text, ours or theirs; `place` is where it stands in the list."""

    conversation: Conversation
    place: Place
    last_at: float | None
    last_is_ours: bool
    last_text: str
    suggests_opt_out: bool
    wrong_number: bool


_HEARD: Final = "v.last_inbound_at IS NOT NULL"
_WHICH: Final = {
    Filter.ALL: f"{_HEARD} AND v.archived_at IS NULL",
    Filter.UNREAD: f"{_HEARD} AND v.archived_at IS NULL AND v.unread > 0",
    Filter.NEEDS_ATTENTION: "v.attention_at IS NOT NULL AND v.archived_at IS NULL",
    Filter.ARCHIVED: f"{_HEARD} AND v.archived_at IS NOT NULL",
}
_BY: Final = dict.fromkeys(Filter, "v.last_inbound_at") | {Filter.NEEDS_ATTENTION: "v.attention_at"}
_DIRECTION: Final = {Order.NEWEST: ("DESC", "<"), Order.OLDEST: ("ASC", ">")}
_BEFORE_ALL: Final = {
    Order.NEWEST: Place(float("inf"), 2**63 - 1),
    Order.OLDEST: Place(float("-inf"), 0),
}

# In the order of Conversation's fields; v is the conversation, c the contact, $3 the opt-out scope.
_AS_IT_STANDS = """
v.contact_id, v.revision, v.action_id,
(SELECT a.title FROM actions a WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = v.action_id),
v.volunteer_id, v.unread, extract(epoch FROM v.attention_at)::float8, extract(epoch FROM v.archived_at)::float8,
extract(epoch FROM v.last_inbound_at)::float8, extract(epoch FROM v.last_report_at)::float8, c.first_name, c.last_name, c.phone, c.hours_group,
(SELECT o.phone FROM opt_outs o WHERE o.organisation_id = $1 AND o.scope = $3 AND o.phone = c.phone) IS NOT NULL
"""
_FIELDS: Final = len(Conversation.__struct_fields__)

# The page first, from the index alone; then what is told of each of its rows, one look-up by key each.
_PAGE = """
WITH page AS MATERIALIZED (
    SELECT v.*, {by} AS listed_at FROM conversations v
    WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND {which} {whose}
      AND ({by}, v.contact_id) {beyond} (to_timestamp($4), $5::bigint)
    ORDER BY {by} {direction}, v.contact_id {direction} LIMIT $6
)
SELECT {as_it_stands}, extract(epoch FROM v.listed_at)::float8, extract(epoch FROM heard.at)::float8, heard.body,
       coalesce(heard.suggests_opt_out, false), coalesce(heard.wrong_number, false),
       extract(epoch FROM said.at)::float8, said.body
FROM page v
JOIN LATERAL (SELECT * FROM contacts c WHERE c.organisation_id = $1 AND c.campaign_id = $2
              AND c.contact_id = v.contact_id LIMIT 1) c ON true
LEFT JOIN LATERAL (SELECT i.received_at AS at, i.body, i.suggests_opt_out, i.wrong_number FROM inbound i
                   WHERE i.organisation_id = $1 AND i.campaign_id = $2 AND i.contact_id = v.contact_id
                   ORDER BY i.received_at DESC, i.inbound_id DESC LIMIT 1) heard ON true
LEFT JOIN LATERAL (SELECT m.requested_at AS at, m.body FROM messages m
                   WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.contact_id = v.contact_id
                     AND m.state <> 'blocked'
                   ORDER BY m.requested_at DESC, m.message_id DESC LIMIT 1) said ON true
ORDER BY v.listed_at {direction}, v.contact_id {direction}
"""
_WHOSE: Final[tuple[tuple[str, ...], ...]] = (
    ("volunteer_id",),
    ("action_id",),
    ("volunteer_id", "action_id"),
    (),
)


def _whose(columns: Sequence[str], first: int) -> str:
    """The condition that these columns are the arguments from the `first` on. A statement for each: with a condition
    that may hold for all, no index would be used."""
    return "".join(f" AND v.{column} = ${first + place}" for place, column in enumerate(columns))


_PAGES: Final = {
    (each, order, columns): _PAGE.format(
        by=_BY[each],
        which=_WHICH[each],
        whose=_whose(columns, 7),
        beyond=_DIRECTION[order][1],
        direction=_DIRECTION[order][0],
        as_it_stands=_AS_IT_STANDS,
    )
    for each in Filter
    for order in Order
    for columns in _WHOSE
}
# One pass over those who wrote: four looks at four indexes take longer.
_COUNTED = ", ".join(f"count(*) FILTER (WHERE {which})" for which in _WHICH.values())
_COUNTS: Final = {
    columns: f"""
SELECT {_COUNTED} FROM conversations v
WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND {_HEARD} {_whose(columns, 3)}
"""  # noqa: S608 - fixed texts
    for columns in _WHOSE
}


def _given(volunteer_id: int | None, action_id: int | None) -> dict[str, int]:
    given = {"volunteer_id": volunteer_id, "action_id": action_id}
    return {column: value for column, value in given.items() if value is not None}


async def page(
    database: Database, key: CampaignKey, opt_out_scope: int, which: Which, after: Place | None, limit: int
) -> list[Row]:
    """The next `limit` conversations of a list, those after a place in it."""
    begin = after or _BEFORE_ALL[which.order]
    whose = _given(which.volunteer_id, which.action_id)
    sql = _PAGES[which.filter, which.order, tuple(whose)]
    rows = await database.fetch(sql, *key, opt_out_scope, begin.at, begin.id, limit, *whose.values())
    return [_listed(row) for row in rows]


def _conversation(row: Sequence[Any]) -> Conversation:
    return Conversation(**dict(zip(Conversation.__struct_fields__, row, strict=True)))


def _listed(row: Sequence[Any]) -> Row:
    conversation = _conversation(row[:_FIELDS])
    listed_at, heard_at, heard, suggests_opt_out, wrong_number, said_at, said = row[_FIELDS:]
    is_ours = said_at is not None and (heard_at is None or said_at > heard_at)
    return Row(
        conversation=conversation,
        place=Place(listed_at, conversation.contact_id),
        last_at=said_at if is_ours else heard_at,
        last_is_ours=is_ours,
        last_text=(said if is_ours else heard) or "",
        suggests_opt_out=suggests_opt_out,
        wrong_number=wrong_number,
    )


async def counts(
    database: Database, key: CampaignKey, *, volunteer_id: int | None, action_id: int | None
) -> dict[Filter, int]:
    """How many conversations each filter has, of a volunteer and of an action or (None) of all."""
    whose = _given(volunteer_id, action_id)
    [row] = await database.fetch(_COUNTS[tuple(whose)], *key, *whose.values())
    return dict(zip(Filter, row, strict=True))


_COUNTS_OF_EACH: Final = f"""
SELECT v.volunteer_id, {_COUNTED} FROM conversations v
WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND {_HEARD} AND v.volunteer_id = ANY ($3::bigint[])
GROUP BY v.volunteer_id
"""  # noqa: S608 - fixed texts


async def counts_of_each(
    database: Database, key: CampaignKey, volunteer_ids: Sequence[int]
) -> dict[int, dict[Filter, int]]:
    """How many conversations each filter has, by volunteer; nothing of those who have none."""
    rows = await database.fetch(_COUNTS_OF_EACH, *key, volunteer_ids)
    return {row[0]: dict(zip(Filter, row[1:], strict=True)) for row in rows}


class Text(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A text of a thread, ours or the person's; times in Unix seconds.

    Of ours: who sent it, by which script, and what became of it. Of theirs: what it may mean, and the media types of what
    came with it ("": unknown), of which nothing is fetched.
    """

    is_ours: bool
    text_id: int
    at: float
    body: str
    sender_id: int | None
    action_id: int | None
    kind: str
    script: str | None
    state: str
    code: int | None
    reason: str | None
    media: list[str]
    opts_out: bool
    suggests_opt_out: bool
    wrong_number: bool
    received: list[str]


class TextPlace(msgspec.Struct, frozen=True):
    """A place in a thread: texts of one instant are in the order of `is_ours`, then of their ids."""

    at: float
    is_ours: bool
    text_id: int


# The conversation and its texts as of one instant: a revision never stands beside a text that it does not know.
_THREAD = f"""
WITH texts AS (
    SELECT true AS is_ours, m.message_id AS text_id, m.requested_at AS at, m.body, m.sender_id, m.action_id, m.kind,
           m.script, m.state, m.code, m.reason, coalesce(m.media, ARRAY[]::text[]) AS media, false AS opts_out,
           false AS suggests_opt_out, false AS wrong_number
    FROM messages m WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.contact_id = $4
    UNION ALL
    SELECT false, i.inbound_id, i.received_at, i.body, NULL, NULL, 'inbound', NULL, 'received', NULL, NULL,
           ARRAY[]::text[], i.intent = 'stop', i.suggests_opt_out, i.wrong_number
    FROM inbound i WHERE i.organisation_id = $1 AND i.campaign_id = $2 AND i.contact_id = $4
), last AS (
    SELECT * FROM texts WHERE (at, is_ours, text_id) < (to_timestamp($5), $6::boolean, $7::bigint)
    ORDER BY at DESC, is_ours DESC, text_id DESC LIMIT $8
)
SELECT {_AS_IT_STANDS}, t.is_ours, t.text_id, extract(epoch FROM t.at)::float8, t.body, t.sender_id, t.action_id,
       t.kind, t.script, t.state, t.code, t.reason, t.media, t.opts_out, t.suggests_opt_out, t.wrong_number,
       CASE WHEN t.is_ours THEN '{{}}' ELSE ARRAY(
           SELECT m.media_type FROM inbound_media m WHERE m.organisation_id = $1 AND m.campaign_id = $2
            AND m.inbound_id = t.text_id ORDER BY m.place) END
FROM conversations v
JOIN contacts c ON c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = v.contact_id
LEFT JOIN last t ON true
WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id = $4
ORDER BY t.at, t.is_ours, t.text_id
"""  # noqa: S608 - fixed texts
_AFTER_ALL: Final = TextPlace(float("inf"), True, 2**63 - 1)


async def thread(
    database: Database,
    key: CampaignKey,
    opt_out_scope: int,
    contact_id: int,
    before: TextPlace | None,
    limit: int,
) -> tuple[Conversation, list[Text]] | None:
    """A conversation and the last `limit` of its texts before a place, oldest first; None: there is none."""
    place = before or _AFTER_ALL
    rows = await database.fetch(
        _THREAD, *key, opt_out_scope, contact_id, place.at, place.is_ours, place.text_id, limit
    )
    if not rows:
        return None
    texts = [
        Text(**dict(zip(Text.__struct_fields__, row[_FIELDS:], strict=True)))
        for row in rows
        if row[_FIELDS] is not None
    ]
    return _conversation(rows[0][:_FIELDS]), texts
