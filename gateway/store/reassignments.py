"""Contacts that change hands, many at once: who is meant, the moves in pieces, and their undoing (F190 to F198)."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store import kept
from gateway.store.database import Connection, Database, Statements
from gateway.store.journal import handed_over
from gateway.store.kept import unless_gone

_OF_CONVERSATION: Final = 0
_OF_CONTACT: Final = -1  # whose the contact is before any action: contacts.assignee_id


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Which contacts: all that is given must hold. `from_id`: those that this person has; `action_id`: what they have in
    this action alone."""

    from_id: int | None = None
    contact_ids: tuple[int, ...] = ()
    list_id: int | None = None
    tag_id: int | None = None
    action_id: int | None = None
    needs_attention: bool = False


class Found(msgspec.Struct, frozen=True, gc=False):
    """A contact that is meant: the action in which it was last texted, whether somebody waits for an answer, whether it
    was never texted, and whether it is for staff alone."""

    contact_id: int
    action_id: int | None
    waits: bool
    untexted: bool
    staff_only: bool


# ---------------------------------------------------------------- which

Source = Literal["from", "contacts", "list", "tag", "action", "attention"]
_OWN = """
    SELECT a.contact_id FROM assignments a
    WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND (a.volunteer_id = $3 OR a.volunteer_id IS NULL AND a.kept_for = $3)
      AND ($7::bigint IS NULL OR a.action_id = $7)
    UNION
    SELECT v.contact_id FROM conversations v
    WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND v.volunteer_id = $3
      AND ($7::bigint IS NULL OR v.action_id = $7)
    UNION
    SELECT c.contact_id FROM contacts c
    WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND c.assignee_id = $3 AND $7::bigint IS NULL
"""
_SOURCES: Final[dict[Source, str]] = {
    "from": _OWN,
    "contacts": "SELECT DISTINCT unnest($4::bigint[]) AS contact_id",
    "list": """
    SELECT m.contact_id FROM list_members m
    WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.list_id = $5
""",
    "tag": """
    SELECT t.contact_id FROM contact_tags t
    WHERE t.organisation_id = $1 AND t.campaign_id = $2 AND t.tag_id = $6
""",
    "action": """
    SELECT a.contact_id FROM assignments a
    WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = $7
""",
    "attention": """
    SELECT w.contact_id FROM conversations w
    WHERE w.organisation_id = $1 AND w.campaign_id = $2 AND w.attention_at IS NOT NULL
""",
}
# Who is meant by the source, and of them by everything else that is asked for: each by its key.
_FIND = """
WITH source AS MATERIALIZED ({source})
SELECT s.contact_id, v.action_id, v.attention_at IS NOT NULL, v.last_outbound_at IS NULL, v.staff_only_at IS NOT NULL
FROM source s
JOIN LATERAL (SELECT * FROM contacts c WHERE c.organisation_id = $1 AND c.campaign_id = $2
              AND c.contact_id = s.contact_id LIMIT 1) c ON true
LEFT JOIN LATERAL (SELECT * FROM conversations v WHERE v.organisation_id = $1 AND v.campaign_id = $2
                   AND v.contact_id = s.contact_id LIMIT 1) v ON true
WHERE c.deleted_at IS NULL
  AND {from_holds}
  AND (cardinality($4::bigint[]) = 0 OR s.contact_id = ANY ($4::bigint[]))
  AND ($5::bigint IS NULL OR EXISTS (SELECT FROM list_members m WHERE m.organisation_id = $1 AND m.campaign_id = $2
       AND m.list_id = $5 AND m.contact_id = s.contact_id))
  AND ($6::bigint IS NULL OR EXISTS (SELECT FROM contact_tags t WHERE t.organisation_id = $1 AND t.campaign_id = $2
       AND t.contact_id = s.contact_id AND t.tag_id = $6))
  AND ($7::bigint IS NULL OR v.action_id = $7 OR EXISTS (SELECT FROM assignments a WHERE a.organisation_id = $1
       AND a.campaign_id = $2 AND a.action_id = $7 AND a.contact_id = s.contact_id))
  AND (NOT $8 OR v.attention_at IS NOT NULL)
ORDER BY s.contact_id LIMIT $9
"""
_FROM_HOLDS: Final = f"($3::bigint IS NULL OR s.contact_id IN ({_OWN}))"
_FINDS: Final = {
    name: _FIND.format(source=source, from_holds="true" if name == "from" else _FROM_HOLDS)
    for name, source in _SOURCES.items()
}


def _source(scope: Scope) -> Source:
    """The narrowest: the others are looked up for each of its contacts."""
    if scope.contact_ids:
        return "contacts"
    if scope.from_id is not None:
        return "from"
    if scope.list_id is not None:
        return "list"
    if scope.tag_id is not None:
        return "tag"
    return "attention" if scope.needs_attention else "action"


async def find(database: Database, key: CampaignKey, scope: Scope, limit: int) -> list[Found]:
    """At most `limit` of the contacts that are meant, by id. Of no scope: of its action, which may not be None."""
    rows = await database.fetch(
        _FINDS[_source(scope)],
        *key,
        scope.from_id,
        scope.contact_ids,
        scope.list_id,
        scope.tag_id,
        scope.action_id,
        scope.needs_attention,
        limit,
    )
    return [Found(*row) for row in rows]


async def barred(statements: Statements, key: CampaignKey, contact_ids: Sequence[int]) -> dict[int, set[int]]:
    """By contact, who reported it as abusive (F126)."""
    rows = await statements.fetch(
        """
        SELECT contact_id, user_id FROM abuse_reports
        WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = ANY ($3::bigint[])
        """,
        *key,
        contact_ids,
    )
    found: dict[int, set[int]] = {}
    for contact_id, user_id in rows:
        found.setdefault(contact_id, set()).add(user_id)
    return found


# ---------------------------------------------------------------- the moves


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A reassignment: `moved` contacts so far, by `who`, at an instant (Unix seconds); `result`: what was answered, as
    JSON, once all was moved."""

    reassignment_id: int
    at: float
    who: str
    moved: int
    result: str | None
    undone_at: float | None
    request_hash: int


_COLUMNS = """
reassignment_id, extract(epoch FROM at)::float8, who, moved, result::text, extract(epoch FROM undone_at)::float8, request_hash
"""
_BEGIN = """
INSERT INTO reassignments (organisation_id, campaign_id, reassignment_id, at, who, moved, key, request_hash)
VALUES ($1, $2, $3, to_timestamp($4), $5, 0, $6, $7)
ON CONFLICT (organisation_id, campaign_id, who, key) DO NOTHING
"""
_BY_KEY = f"""
SELECT {_COLUMNS} FROM reassignments WHERE organisation_id = $1 AND campaign_id = $2 AND who = $3 AND key = $4
"""  # noqa: S608 - fixed texts
_SHOW = f"""
SELECT {_COLUMNS} FROM reassignments WHERE organisation_id = $1 AND campaign_id = $2 AND reassignment_id = $3
"""  # noqa: S608 - fixed texts
_PAGE = f"""
SELECT {_COLUMNS} FROM reassignments
WHERE organisation_id = $1 AND campaign_id = $2 AND (at, reassignment_id) < (to_timestamp($3), $4)
ORDER BY at DESC, reassignment_id DESC LIMIT $5
"""  # noqa: S608 - fixed texts
# What can't be undone any more needs no memory.
_FORGET = """
DELETE FROM reassigned
WHERE organisation_id = $1 AND campaign_id = $2 AND reassignment_id = ANY (ARRAY(
    SELECT r.reassignment_id FROM reassignments r
    WHERE r.organisation_id = $1 AND r.campaign_id = $2 AND r.at < to_timestamp($3) AND r.at > to_timestamp($3) - interval '7 days'))
"""


def _begun(row: Sequence[object]) -> Begun:
    names = Begun.__struct_fields__
    return msgspec.convert(dict(zip(names, row, strict=True)), Begun)


async def begin(
    database: Database,
    key: CampaignKey,
    reassignment_id: int,
    who: str,
    now: float,
    word: str | None,
    request_hash: int,
) -> Begun:
    """A new one, or the one that `who` began with this Idempotency-Key before."""
    await database.execute(_BEGIN, *key, reassignment_id, now, who, word, request_hash)
    shown = show(database, key, reassignment_id) if word is None else by_key(database, key, who, word)
    found = await shown
    assert found is not None  # written, or there before
    return found


async def by_key(database: Database, key: CampaignKey, who: str, word: str) -> Begun | None:
    """The one that `who` began with this Idempotency-Key; None: there is none."""
    found = await database.fetch_row(_BY_KEY, *key, who, word)
    return None if found is None else _begun(found)


async def forget(database: Database, key: CampaignKey, before: float) -> None:
    """Whose contacts were in reassignments of before an instant is no longer known."""
    await database.execute(_FORGET, *key, before)


async def show(statements: Statements, key: CampaignKey, reassignment_id: int) -> Begun | None:
    rows = await statements.fetch(_SHOW, *key, reassignment_id)
    return _begun(rows[0]) if rows else None


async def page(database: Database, key: CampaignKey, before: tuple[float, int], limit: int) -> list[Begun]:
    """At most `limit` of them before an instant and id, the newest first."""
    return [_begun(row) for row in await database.fetch(_PAGE, *key, *before, limit)]


class Move(msgspec.Struct, frozen=True, gc=False):
    """A contact and whose it becomes."""

    contact_id: int
    to_id: int


# A contact whom nobody has texted gets a conversation as well, so that whoever has it on the screen still, and decides
# on what was known before, is refused as for any that has changed (revision). Locks are taken in the order of contacts,
# as admission takes them. In an action in which nobody has texted them they are kept for the new one (F184), whose next
# buckets bring them, a screen at a time and within their hours. $5 is whose things alone are moved (null: whoever's), $6 the action alone (null: any).
_MOVE = f"""
WITH piece AS MATERIALIZED (
    SELECT p.contact_id, p.to_id FROM unnest($4::bigint[], $9::bigint[]) AS p (contact_id, to_id)
    WHERE NOT EXISTS (SELECT FROM reassigned r WHERE r.organisation_id = $1 AND r.campaign_id = $2
                      AND r.reassignment_id = $3 AND r.action_id = {_OF_CONVERSATION} AND r.contact_id = p.contact_id)
), talk AS (
    INSERT INTO conversations AS v (organisation_id, campaign_id, contact_id)
    SELECT $1, $2, contact_id FROM piece ORDER BY contact_id
    ON CONFLICT (organisation_id, campaign_id, contact_id) DO UPDATE SET
        revision = v.revision + 1,
        offered_at = CASE WHEN v.volunteer_id IS NOT NULL THEN to_timestamp($7) ELSE v.offered_at END,
        volunteer_id = CASE WHEN ($5::bigint IS NULL AND coalesce(v.last_outbound_at, v.last_inbound_at) IS NOT NULL
                                  OR v.volunteer_id = $5)
                             AND ($6::bigint IS NULL OR v.action_id = $6)
                            THEN ($9::bigint[])[array_position($4::bigint[], v.contact_id)]
                            ELSE v.volunteer_id END
    RETURNING v.contact_id, v.action_id, OLD.volunteer_id AS from_id, NEW.volunteer_id AS to_id, NEW.revision
), assigned AS (
    UPDATE assignments a SET kept_for = piece.to_id, assigned_at = to_timestamp($7),
           volunteer_id = CASE WHEN a.texted OR EXISTS (
               SELECT FROM messages m WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.contact_id = a.contact_id
               AND m.action_id = a.action_id AND m.state <> 'blocked') THEN piece.to_id END
    FROM piece
    WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.contact_id = piece.contact_id
      AND a.action_id = ANY ($8::bigint[])
      AND ($5::bigint IS NULL OR a.volunteer_id = $5 OR a.volunteer_id IS NULL AND a.kept_for = $5)
    RETURNING a.action_id, a.contact_id, OLD.volunteer_id AS from_id, OLD.kept_for AS from_kept_for, a.kept_for AS to_id
), owned AS (
    UPDATE contacts c SET assignee_id = piece.to_id, version = version + 1
    FROM piece
    WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = piece.contact_id AND $6::bigint IS NULL
      AND ($5::bigint IS NULL OR c.assignee_id = $5) AND c.assignee_id IS DISTINCT FROM piece.to_id
    RETURNING c.contact_id, OLD.assignee_id AS from_id, c.assignee_id AS to_id
), written AS (
    INSERT INTO reassigned (organisation_id, campaign_id, reassignment_id, action_id, contact_id, from_id, from_kept_for,
                            to_id, revision)
    SELECT $1, $2, $3, each.* FROM (
        SELECT {_OF_CONVERSATION}::bigint AS of_what, contact_id, from_id, NULL::bigint, to_id, revision FROM talk
        UNION ALL SELECT action_id, contact_id, from_id, from_kept_for, to_id, NULL FROM assigned
        UNION ALL SELECT {_OF_CONTACT}, contact_id, from_id, NULL, to_id, NULL FROM owned) each
), changed AS (
    SELECT contact_id, action_id, from_id AS volunteer_id, to_id FROM talk WHERE to_id IS DISTINCT FROM from_id
    UNION
    SELECT contact_id, action_id, coalesce(from_id, from_kept_for), to_id FROM assigned
    WHERE to_id IS DISTINCT FROM coalesce(from_id, from_kept_for)
), {handed_over("changed", to="to_id", at="to_timestamp($7)")}, counted AS (
    UPDATE reassignments SET moved = moved + (SELECT count(*) FROM talk)
    WHERE organisation_id = $1 AND campaign_id = $2 AND reassignment_id = $3
)
SELECT count(*) FROM talk
"""  # noqa: S608 - fixed texts
# Claims of one action take turns, and so does this: nobody claims meanwhile whom it gives away. Of a broadcast only
# conversations change hands: whoever has not had its text is the gateway's.
_ACTIONS = """
SELECT action_id FROM actions
WHERE organisation_id = $1 AND campaign_id = $2 AND ($3::bigint IS NULL OR action_id = $3)
  AND settings ->> 'kind' IS DISTINCT FROM 'broadcast'
ORDER BY action_id FOR NO KEY UPDATE
"""


async def move(
    database: Database,
    key: CampaignKey,
    begun: Begun,
    scope: Scope,
    moves: Sequence[Move],
    now: float,
    *,
    along: Callable[[Connection], Awaitable[None]] | None = None,
) -> int:
    """A piece of a reassignment: all of it, or nothing; what it has moved already is passed over, and so is what would be
    somebody's whose place was taken away a moment ago. `along`: what is written with it. Returns how many contacts were
    moved."""
    async with database.transaction() as transaction:
        await kept.hold(transaction, key)
        gone = await kept.gone(transaction, key, {each.to_id for each in moves})
        moves = [each for each in moves if each.to_id not in gone]
        actions = [row[0] for row in await transaction.fetch(_ACTIONS, *key, scope.action_id)]
        moved: int = await transaction.fetchval(
            _MOVE,
            *key,
            begun.reassignment_id,
            [each.contact_id for each in moves],
            scope.from_id,
            scope.action_id,
            now,
            actions,
            [each.to_id for each in moves],
        )
        if along is not None:
            await along(transaction)
    return moved


_DONE = """
UPDATE reassignments SET result = $4::text::jsonb
WHERE organisation_id = $1 AND campaign_id = $2 AND reassignment_id = $3 AND result IS NULL RETURNING moved
"""


async def done(transaction: Statements, key: CampaignKey, reassignment_id: int, result: str) -> int | None:
    """How many contacts were moved in all; None: somebody else has said so already."""
    rows = await transaction.fetch(_DONE, *key, reassignment_id, result)
    return rows[0][0] if rows else None


# ---------------------------------------------------------------- undone


class Undone(msgspec.Struct, frozen=True):
    """Contacts that are back, and those that were changed since and stay (some of their ids)."""

    undone: int
    changed: int
    changed_ids: list[int]


_MOST_TOLD: Final = 100
# Whom nobody has texted goes back to whoever had them on the screen only while a bucket brings them there: else they are
# for others. An undo that was broken off goes on with those whose revision still stands.
_UNDO = f"""
WITH moved AS MATERIALIZED (
    SELECT r.contact_id, r.from_id, r.revision FROM reassigned r
    WHERE r.organisation_id = $1 AND r.campaign_id = $2 AND r.reassignment_id = $3 AND r.action_id = {_OF_CONVERSATION}
      AND r.contact_id > $4 AND r.revision IS NOT NULL
    ORDER BY r.contact_id LIMIT $5 FOR UPDATE
), looked_at AS (
    UPDATE reassigned r SET revision = NULL FROM moved
    WHERE r.organisation_id = $1 AND r.campaign_id = $2 AND r.reassignment_id = $3 AND r.action_id = {_OF_CONVERSATION}
      AND r.contact_id = moved.contact_id
), talk AS (
    UPDATE conversations v SET volunteer_id = moved.from_id, revision = v.revision + 1, offered_at = to_timestamp($6)
    FROM moved
    WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id = moved.contact_id
      AND v.revision = moved.revision
    RETURNING v.contact_id, v.action_id, OLD.volunteer_id, NEW.volunteer_id AS to_id
), assigned AS (
    UPDATE assignments a SET volunteer_id = back.to_id, kept_for = {unless_gone("r.from_kept_for")},
           assigned_at = CASE WHEN back.to_id IS NULL THEN NULL ELSE to_timestamp($6) END
    FROM reassigned r JOIN talk ON talk.contact_id = r.contact_id
    CROSS JOIN LATERAL (SELECT CASE WHEN EXISTS (
        SELECT FROM buckets b WHERE b.organisation_id = $1 AND b.campaign_id = $2 AND b.action_id = r.action_id
        AND b.volunteer_id = r.from_id AND r.contact_id = ANY (b.contact_ids)
    ) OR EXISTS (
        SELECT FROM messages m WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.contact_id = r.contact_id
        AND m.action_id = r.action_id AND m.state <> 'blocked'
    ) OR EXISTS (
        SELECT FROM assignments t WHERE t.organisation_id = $1 AND t.campaign_id = $2 AND t.contact_id = r.contact_id
        AND t.action_id = r.action_id AND t.texted
    ) THEN r.from_id END AS to_id) back
    WHERE r.organisation_id = $1 AND r.campaign_id = $2 AND r.reassignment_id = $3 AND r.action_id > {_OF_CONVERSATION}
      AND a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = r.action_id AND a.contact_id = r.contact_id
      AND a.kept_for = r.to_id
    RETURNING a.contact_id, a.action_id, OLD.kept_for AS volunteer_id, coalesce(a.volunteer_id, a.kept_for) AS to_id
), owned AS (
    UPDATE contacts c SET assignee_id = {unless_gone("r.from_id")}, version = version + 1
    FROM reassigned r JOIN talk ON talk.contact_id = r.contact_id
    WHERE r.organisation_id = $1 AND r.campaign_id = $2 AND r.reassignment_id = $3 AND r.action_id = {_OF_CONTACT}
      AND c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = r.contact_id AND c.assignee_id = r.to_id
), changed AS (
    SELECT contact_id, action_id, volunteer_id, to_id FROM talk WHERE to_id IS DISTINCT FROM volunteer_id
    UNION
    SELECT contact_id, action_id, volunteer_id, to_id FROM assigned WHERE to_id IS DISTINCT FROM volunteer_id
), {handed_over("changed", to="to_id", at="to_timestamp($6)")}
SELECT max(contact_id), count(*), (SELECT count(*) FROM talk),
       (array_agg(contact_id ORDER BY contact_id) FILTER (WHERE contact_id NOT IN (SELECT contact_id FROM talk)))[:{_MOST_TOLD}]
FROM moved
"""  # noqa: S608 - fixed texts
_CLOSE = f"""
UPDATE reassignments SET undone_at = to_timestamp($4)
WHERE organisation_id = $1 AND campaign_id = $2 AND reassignment_id = $3 AND (undone_at IS NULL OR EXISTS (
    SELECT FROM reassigned r WHERE r.organisation_id = $1 AND r.campaign_id = $2 AND r.reassignment_id = $3
    AND r.action_id = {_OF_CONVERSATION} AND r.revision IS NOT NULL))
RETURNING moved
"""  # noqa: S608 - fixed texts


async def close(transaction: Connection, key: CampaignKey, reassignment_id: int, now: float) -> bool:
    """Whether it is undone from now on, and was not before, or not whole."""
    return bool(await transaction.fetch(_CLOSE, *key, reassignment_id, now))


async def undo(
    database: Database, key: CampaignKey, reassignment_id: int, now: float, *, at_once: int = 500
) -> Undone:
    """Every contact that nothing has happened to since goes back to whoever had it, a piece at a time."""
    undone, changed, told = 0, 0, list[int]()
    last_id, looked_at = 0, at_once
    while looked_at == at_once:
        async with database.transaction() as transaction:
            await kept.hold(transaction, key)
            asked = (*key, reassignment_id, last_id or 0, at_once, now)
            [(last_id, looked_at, back, stay)] = await transaction.fetch(_UNDO, *asked)
        undone, changed = undone + back, changed + looked_at - back
        told += (stay or [])[: _MOST_TOLD - len(told)]
    return Undone(undone, changed, told)
