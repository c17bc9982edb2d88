"""Publishing: the contacts of an action's lists become its assignments, in pieces; then people may see it."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store import kept
from gateway.store.database import Database, Statements
from gateway.store.kept import staff_for, unless_gone

# Who is on several of the lists is there once; an empty list of lists is the whole campaign.
_OF_LISTS = """
SELECT DISTINCT l.contact_id FROM list_members l
WHERE l.organisation_id = $1 AND l.campaign_id = $2 AND l.list_id = ANY ({lists}::bigint[]) AND l.contact_id > {after} {ours}
ORDER BY l.contact_id LIMIT {limit}
"""
_OF_ALL = """
SELECT c.contact_id FROM contacts c
WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND {lists}::bigint[] IS NOT NULL AND c.contact_id > {after} {ours}
ORDER BY c.contact_id LIMIT {limit}
"""
# Whoever begins to publish gives the action a new version: what an earlier attempt still assigns waits for that, or is
# waited for, and then assigns nobody any more.
_ASSIGN = """
WITH ours AS (
    SELECT ((a.settings ->> 'keep_assignments')::boolean IS TRUE OR (p.settings ->> 'keep_assignments')::boolean IS TRUE)
           AND a.settings ->> 'kind' IS DISTINCT FROM 'broadcast' AS keeps,
           a.settings ->> 'kind' IS DISTINCT FROM 'broadcast' AS by_hand
    FROM actions a JOIN campaigns p ON p.organisation_id = $1 AND p.campaign_id = $2
    WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = $3 AND a.version = $8
    AND a.published_at IS NULL FOR SHARE OF a
), piece AS (
    {members}
), abusive AS MATERIALIZED ( -- F126: for staff alone; without staff for nobody. A broadcast is sent by nobody.
    SELECT r.contact_id, {staff} AS staff_id
    FROM (SELECT DISTINCT contact_id FROM abuse_reports WHERE organisation_id = $1 AND campaign_id = $2) r
    LEFT JOIN conversations v ON v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id = r.contact_id
    WHERE (SELECT by_hand FROM ours)
), people AS (
    SELECT c.contact_id, c.hours_group, CASE WHEN abusive.contact_id IS NOT NULL THEN abusive.staff_id
        WHEN (SELECT keeps FROM ours) THEN coalesce({assignee}, (
        SELECT v.volunteer_id FROM conversations v
        WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id = piece.contact_id
        AND v.volunteer_id >= 0 AND NOT EXISTS (
            SELECT FROM memberships m WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.user_id = v.volunteer_id
            AND m.deactivated_at IS NOT NULL))) END AS kept_for
    FROM piece CROSS JOIN LATERAL ( -- of contacts that came a moment ago the planner knows nothing: by their order it
        SELECT * FROM contacts c    -- takes the key, and no other index of theirs, which it would read whole
        WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id >= piece.contact_id
        ORDER BY c.contact_id LIMIT 1) c
    LEFT JOIN abusive ON abusive.contact_id = piece.contact_id
    WHERE c.contact_id = piece.contact_id AND c.deleted_at IS NULL
      AND (abusive.contact_id IS NULL OR abusive.staff_id IS NOT NULL)
), assigned AS (
    INSERT INTO assignments (organisation_id, campaign_id, action_id, contact_id, hours_group, turn, kept_for)
    SELECT $1, $2, $3, contact_id, hours_group, hashint8extended(contact_id, $4), kept_for
    FROM people ORDER BY hashint8extended(contact_id, $4) -- so that a bucket's rows lie together
    ON CONFLICT DO NOTHING
)
SELECT count(*), max(contact_id), (SELECT count(*) FROM people) FROM piece
"""
_OURS = "AND EXISTS (SELECT FROM ours)"
_WHERE = {"lists": "$5", "after": "$6", "limit": "$7", "ours": _OURS}
_ASSIGNEE = unless_gone("c.assignee_id")
_STAFF = staff_for("r.contact_id", "v.volunteer_id")
_ASSIGN_LISTS = _ASSIGN.format(members=_OF_LISTS.format(**_WHERE), assignee=_ASSIGNEE, staff=_STAFF)
_ASSIGN_ALL = _ASSIGN.format(members=_OF_ALL.format(**_WHERE), assignee=_ASSIGNEE, staff=_STAFF)
AT_ONCE = 25_000


async def assign(
    database: Database,
    key: CampaignKey,
    action_id: int,
    version: int,
    list_ids: Sequence[int],
    seed: int,
    *,
    at_once: int = AT_ONCE,
) -> int:
    """Every contact of the lists (none: of the campaign) is the action's, unassigned, in an order drawn from `seed`
    (F177, F183); returns how many there are. Where assignments are kept, each is for whom the list says, or else whoever
    has texted with them before (F184, F185). In pieces of `at_once`, while the action is of this version; may be
    repeated."""
    sql = _ASSIGN_LISTS if list_ids else _ASSIGN_ALL
    total, last_id, more = 0, 0, at_once
    while more == at_once:
        async with database.transaction() as transaction:
            await kept.hold(transaction, key)
            asked = (*key, action_id, seed, list_ids, last_id or 0, at_once, version)
            [(more, last_id, people)] = await transaction.fetch(sql, *asked)
        total += people
    return total


# Whoever was overtaken takes nobody away from an action that somebody else has published meanwhile.
_DROP = """
WITH ours AS (
    SELECT FROM actions a WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = $3 AND a.version = $5
    AND a.published_at IS NULL FOR SHARE
), piece AS (
    SELECT contact_id FROM assignments
    WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $3 AND EXISTS (SELECT FROM ours) LIMIT $4
)
DELETE FROM assignments a USING piece
WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = $3 AND a.contact_id = piece.contact_id
RETURNING a.contact_id
"""


async def unassign(
    database: Database, key: CampaignKey, action_id: int, version: int, *, at_once: int = AT_ONCE
) -> None:
    """What an attempt to publish left that came to nothing, and nobody has seen; while the action is of this version."""
    gone = at_once
    while gone == at_once:
        gone = len(await database.fetch(_DROP, *key, action_id, at_once, version))


_PUBLISHED = """
UPDATE actions SET published_at = to_timestamp($5), state = $6, publish_at = NULL, publishes_as = NULL,
       version = version + 1
WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $3 AND version = $4 AND published_at IS NULL
RETURNING version
"""


async def publish(
    transaction: Statements, key: CampaignKey, action_id: int, version: int, state: str, now: float
) -> bool:
    """People may see it from now on; False: it was changed, or published, since that version was read."""
    return bool(await transaction.fetch(_PUBLISHED, *key, action_id, version, now, state))


# ---------------------------------------------------------------- whom it would have


class Reached(msgspec.Struct, frozen=True):
    """How many contacts an action would have, and in which groups of hours."""

    people: int
    hours_groups: list[str]


_REACHED = """
SELECT count(*), coalesce(array_agg(DISTINCT c.hours_group ORDER BY c.hours_group), '{{}}') FROM contacts c
WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND c.deleted_at IS NULL {on_lists}
"""
_ON_LISTS = """
AND c.contact_id IN (SELECT l.contact_id FROM list_members l
                     WHERE l.organisation_id = $1 AND l.campaign_id = $2 AND l.list_id = ANY ($3::bigint[]))
"""
_REACHED_LISTS = _REACHED.format(on_lists=_ON_LISTS)
_REACHED_ALL = _REACHED.format(on_lists="AND $3::bigint[] IS NOT NULL")


async def reached(database: Database, key: CampaignKey, list_ids: Sequence[int]) -> Reached:
    """Of the lists, or (none) of the whole campaign."""
    sql = _REACHED_LISTS if list_ids else _REACHED_ALL
    [row] = await database.fetch(sql, *key, list_ids)
    return Reached(row[0], list(row[1]))


class Person(msgspec.Struct, frozen=True, gc=False):
    """A contact as scripts see one; `fields` is JSON text."""

    contact_id: int
    first_name: str
    last_name: str
    email: str
    phone: str
    state: str
    carrier: str | None
    fields: str | None


_PEOPLE = """
WITH piece AS (
    {members}
)
SELECT c.contact_id, c.first_name, c.last_name, c.email, c.phone, c.state, c.carrier, c.fields::text,
       (SELECT count(*) FROM piece), (SELECT max(contact_id) FROM piece)
FROM piece LEFT JOIN contacts c ON c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = piece.contact_id
  AND c.deleted_at IS NULL
ORDER BY c.contact_id
"""
_PEOPLE_LISTS = _PEOPLE.format(members=_OF_LISTS.format(lists="$3", after="$4", limit="$5", ours=""))
_PEOPLE_ALL = _PEOPLE.format(members=_OF_ALL.format(lists="$3", after="$4", limit="$5", ours=""))


async def people(
    database: Database, key: CampaignKey, list_ids: Sequence[int], *, at_once: int
) -> AsyncIterator[list[Person]]:
    """The contacts of the lists, or of the campaign, by id, `at_once` at a time."""
    sql = _PEOPLE_LISTS if list_ids else _PEOPLE_ALL
    more, last_id = at_once, 0
    while more == at_once:
        rows: list[Any] = await database.fetch(sql, *key, list_ids, last_id, at_once)
        if not rows:
            return
        more, last_id = rows[0][8], rows[0][9]
        yield [Person(*row[:8]) for row in rows if row[0] is not None]


_SAMPLE = """
SELECT c.contact_id, c.first_name, c.last_name, c.email, c.phone, c.state, c.carrier, c.fields::text FROM contacts c
WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND c.deleted_at IS NULL {on_lists}
ORDER BY hashint8extended(c.contact_id, $4) LIMIT $5
"""
_SAMPLE_LISTS = _SAMPLE.format(on_lists=_ON_LISTS)
_SAMPLE_ALL = _SAMPLE.format(on_lists="AND $3::bigint[] IS NOT NULL")


async def sample(
    database: Database, key: CampaignKey, list_ids: Sequence[int], *, seed: int, limit: int
) -> list[Person]:
    """So many of them, the same ones for the same seed."""
    sql = _SAMPLE_LISTS if list_ids else _SAMPLE_ALL
    return [Person(*row) for row in await database.fetch(sql, *key, list_ids, seed, limit)]


_CONSENTED = """
SELECT count(*) FROM broadcast_consents b
JOIN contacts c ON c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = b.contact_id
WHERE b.organisation_id = $1 AND b.campaign_id = $2 AND b.withdrawn_at IS NULL AND c.deleted_at IS NULL {on_lists}
"""
_CONSENTED_LISTS = _CONSENTED.format(on_lists=_ON_LISTS)
_CONSENTED_ALL = _CONSENTED.format(on_lists="AND $3::bigint[] IS NOT NULL")


async def consented(database: Database, key: CampaignKey, list_ids: Sequence[int]) -> int:
    """How many of them have agreed to broadcasts (F057)."""
    count: int = await database.fetch_value(_CONSENTED_LISTS if list_ids else _CONSENTED_ALL, *key, list_ids)
    return count


async def missing_lists(database: Database, key: CampaignKey, list_ids: Sequence[int]) -> list[int]:
    """Those of the lists that the campaign doesn't have."""
    rows = await database.fetch(
        """
        SELECT wanted.list_id FROM unnest($3::bigint[]) AS wanted (list_id)
        WHERE NOT EXISTS (SELECT FROM contact_lists l WHERE l.organisation_id = $1 AND l.campaign_id = $2
                          AND l.list_id = wanted.list_id)
        ORDER BY wanted.list_id
        """,
        *key,
        list_ids,
    )
    return [row[0] for row in rows]


async def by_id(database: Database, key: CampaignKey, contact_ids: Sequence[int]) -> list[Person]:
    """These contacts as scripts see them, by id."""
    rows = await database.fetch(
        """
        SELECT c.contact_id, c.first_name, c.last_name, c.email, c.phone, c.state, c.carrier, c.fields::text
        FROM contacts c WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = ANY ($3::bigint[])
        ORDER BY c.contact_id
        """,
        *key,
        contact_ids,
    )
    return [Person(*row) for row in rows]
