"""Counts of what happened in each action, folded from the journal.

A fold takes the next events and moves its place in the journal in one transaction, so that each event is counted once
whoever counts, and whatever breaks off. Counting anew from the books comes to the same.
"""

from collections.abc import Sequence
from typing import Final, Literal

import asyncpg
import msgspec

from gateway.core.bank.events import FIRST_ANSWER, OPTED_OUT, EventKind
from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Connection, Database
from gateway.store.first_texts import CARRIER
from gateway.store.rows import as_columns, as_rows
from gateway.store.troubles import DatabaseBusy

Per = Literal["action", "script", "user", "pair"]
_ANEW_S: Final = 600.0
_TRIES: Final = 5


class Count(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """How many there are of one sort; of messages their segments as well.

    `name`: the script's name or the user's id; of an action "", of a pair (of first texts alone) the carrier, "/" and the
    script's name. `what`: a message's kind, `response` (a person's text),
    `responder` (whoever answered a first text), `opted_out` (noted by hand), `report`. `state`: of messages `under_way`
    until `sent`, then as in the books; of responses what they ask for, `opted_out` for those that opted out. `code` is 0
    but of what was blocked, failed or undelivered.
    """

    action_id: int
    per: str
    name: str
    what: str
    state: str
    code: int
    number: int
    segments: int


class Version(msgspec.Struct, frozen=True, order=True):
    """Which counts these are: `epoch` changes when all is counted anew, `version` with each fold."""

    epoch: int
    version: int


class Counts(msgspec.Struct, frozen=True):
    """Counts as of a version; what happened in the last `behind_s` seconds may not be in them."""

    version: Version
    behind_s: float
    rows: list[Count]


def _state(state: str) -> str:
    return f"CASE WHEN {state} IN ('queued', 'sending', 'unknown') THEN 'under_way' ELSE {state} END"


def _code(state: str, code: str) -> str:
    return f"CASE WHEN {state} IN ('blocked', 'failed', 'undelivered') THEN coalesce({code}, 0) ELSE 0 END"


# What events change: action_id, user_id, script, what, state, code, number, segments, carrier.
# A carrier is looked up by a scalar subquery, which no planner turns into a scan of all contacts.
# Those alike are one row: three sums are made of each.
_ITEMS = """
    SELECT b.kind AS event, u.contact_id IS NULL AS is_strangers, u.action_id, u.user_id, u.kind, u.script, u.before, u.state,
           u.code, count(*) AS number, coalesce(sum(u.segments), 0) AS segments,
           CASE WHEN u.script IS NOT NULL THEN {carrier} END AS carrier
    FROM {events} b CROSS JOIN LATERAL unnest(b.contact_ids, b.action_ids, b.user_ids, b.kinds, b.scripts, b.segments,
        b.befores, b.states, b.codes)
        AS u (contact_id, action_id, user_id, kind, script, segments, before, state, code)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, carrier
"""
_CARRIER = CARRIER.format(contact_id="u.contact_id")
_OF_MESSAGES = f"""
    SELECT action_id, user_id, script, kind AS what, {_state("state")} AS state, {_code("state", "code")} AS code,
           number, segments, carrier
    FROM items WHERE event IN ('{EventKind.ADMITTED}', '{EventKind.MOVED}')
    UNION ALL
    SELECT action_id, user_id, script, kind, {_state("before")}, 0, -number, -segments, carrier
    FROM items WHERE event = '{EventKind.MOVED}'
"""  # noqa: S608 - fixed texts
_BY_HAND = f"""
    SELECT action_id, user_id, NULL::text AS script, CASE event WHEN '{EventKind.OPTED_OUT}' THEN 'opted_out' ELSE 'report' END AS what,
           coalesce(state, '') AS state, 0 AS code, number, 0 AS segments, NULL::text AS carrier
    FROM items WHERE event IN ('{EventKind.OPTED_OUT}', '{EventKind.REPORTED}')
"""  # noqa: S608 - fixed texts
_RESPONSES = f"""
    SELECT action_id, user_id, script, 'response' AS what, state, 0 AS code, number, 0 AS segments, carrier FROM heard
    UNION ALL
    SELECT action_id, user_id, script, 'responder', '', 0, number, 0, carrier FROM heard WHERE before = '{FIRST_ANSWER}'
"""  # noqa: S608 - fixed texts
_SPREAD = """
    SELECT coalesce(action_id, 0) AS action_id, per.per, per.name, what, state, code, sum(number) AS number,
           sum(segments) AS segments
    FROM changes CROSS JOIN LATERAL (VALUES ('action', ''), ('user', user_id::text), ('script', script),
        ('pair', CASE WHEN what IN ('initial', 'response', 'responder') THEN carrier || '/' || script END)) AS per (per, name)
    WHERE per.name IS NOT NULL
    GROUP BY 1, 2, 3, 4, 5, 6
"""
_CHANGES = f"""items AS MATERIALIZED ({_ITEMS.format(events="batch", carrier=_CARRIER)}), heard AS (
    SELECT * FROM items WHERE event = '{EventKind.HEARD}' AND NOT is_strangers
), changes AS ({_OF_MESSAGES} UNION ALL {_BY_HAND} UNION ALL {_RESPONSES})"""  # noqa: S608 - fixed texts

_FOLD = f"""
WITH place AS MATERIALIZED (
    SELECT xid, event_id FROM count_progress WHERE organisation_id = $1 AND campaign_id = $2 AND epoch > 0
    FOR NO KEY UPDATE SKIP LOCKED
), batch AS MATERIALIZED (
    SELECT e.* FROM place CROSS JOIN LATERAL (
        SELECT * FROM events e WHERE e.organisation_id = $1 AND e.campaign_id = $2
          AND (e.xid, e.event_id) > (place.xid, place.event_id) AND e.xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY e.xid, e.event_id LIMIT $4) e
), last AS (
    SELECT xid, event_id FROM batch ORDER BY xid DESC, event_id DESC LIMIT 1
), {_CHANGES}, counted AS (
    INSERT INTO counts AS c (organisation_id, campaign_id, action_id, per, name, what, state, code, number, segments)
    SELECT $1, $2, spread.* FROM ({_SPREAD}) AS spread WHERE number <> 0 OR segments <> 0
    ORDER BY action_id, per, name, what, state, code
    ON CONFLICT (organisation_id, campaign_id, action_id, per, name, what, state, code)
    DO UPDATE SET number = c.number + excluded.number, segments = c.segments + excluded.segments
), moved AS (
    UPDATE count_progress p SET version = version + 1, xid = last.xid, event_id = last.event_id,
           counted_at = to_timestamp($3)
    FROM last WHERE p.organisation_id = $1 AND p.campaign_id = $2
)
SELECT (SELECT count(*) FROM batch), (SELECT count(*) FROM place),
       EXISTS (SELECT FROM count_progress WHERE organisation_id = $1 AND campaign_id = $2 AND epoch > 0),
       EXISTS (SELECT FROM (SELECT greatest(place.xid, last.xid) AS xid,
                                   CASE WHEN last.xid IS NULL THEN place.event_id ELSE last.event_id END AS event_id
                            FROM place LEFT JOIN last ON true) here
               JOIN events e ON e.organisation_id = $1 AND e.campaign_id = $2
                AND (e.xid, e.event_id) > (here.xid, here.event_id))
"""  # noqa: S608 - fixed texts


class Folded(msgspec.Struct, frozen=True):
    """How many events were counted. `is_new`: the campaign has no counts yet. `is_more`: something is left, which may not
    be read yet, or which somebody else is just counting."""

    events: int
    is_new: bool = False
    is_more: bool = False


async def fold(database: Database, key: CampaignKey, now: float, *, limit: int = 200) -> Folded:
    """Counts the next `limit` events of a campaign, unless somebody else is just doing so."""
    [(events, places, is_there, is_more)] = await database.fetch(_FOLD, *key, now, limit)
    return Folded(events, not is_there, is_more or (is_there and not places))


async def catch_up(database: Database, key: CampaignKey, now: float) -> bool:
    """Counts all that may be counted now, from the books where nothing has been counted yet; whether it is all."""
    folded = await fold(database, key, now)
    if folded.is_new:
        await count_anew(database, key, now)
        folded = await fold(database, key, now)
    while folded.events and folded.is_more:
        folded = await fold(database, key, now)
    return not folded.is_more


# All that the books say, less what the journal will tell yet: events of transactions that ended beside ones that are
# still under way stand in the books, and are counted when they are read.
_ANEW = f"""
WITH batch AS MATERIALIZED (
    SELECT * FROM events WHERE organisation_id = $1 AND campaign_id = $2
      AND xid >= pg_snapshot_xmin(pg_current_snapshot())
), {_CHANGES}, by_hand AS MATERIALIZED (
    SELECT * FROM events WHERE organisation_id = $1 AND campaign_id = $2
      AND kind = '{EventKind.OPTED_OUT}'
), books AS (
    SELECT action_id, sender_id AS user_id, script, kind AS what, {_state("state")} AS state,
           {_code("state", "code")} AS code, 1 AS number, segments, {CARRIER.format(contact_id="b.contact_id")} AS carrier
    FROM messages b WHERE organisation_id = $1 AND campaign_id = $2
    UNION ALL
    SELECT i.action_id, i.volunteer_id, i.script, each.what, each.state, 0, 1, 0, {CARRIER.format(contact_id="i.contact_id")}
    FROM inbound i CROSS JOIN LATERAL (VALUES ('response', CASE WHEN i.opted_out THEN '{OPTED_OUT}' ELSE i.intent END),
        (CASE WHEN i.is_first THEN 'responder' END, '')) AS each (what, state)
    WHERE i.organisation_id = $1 AND i.campaign_id = $2 AND i.contact_id IS NOT NULL AND each.what IS NOT NULL
    UNION ALL
    SELECT * FROM (WITH items AS ({_ITEMS.format(events="by_hand", carrier=_CARRIER)}) {_BY_HAND}) AS noted
    UNION ALL
    SELECT action_id, user_id, NULL, 'report', '', 0, 1, 0, NULL FROM reports WHERE organisation_id = $1 AND campaign_id = $2
), signed AS (
    SELECT * FROM books
    UNION ALL SELECT action_id, user_id, script, what, state, code, -number, -segments, carrier FROM changes
)
SELECT spread.* FROM ({_SPREAD.replace("FROM changes", "FROM signed")}) AS spread
WHERE number <> 0 OR segments <> 0 ORDER BY action_id, per, name, what, state, code
"""  # noqa: S608 - fixed texts
# Below zero: it is just being counted anew, or whoever did so broke off.
_BEGIN = """
INSERT INTO count_progress AS p (organisation_id, campaign_id, epoch, version, xid, event_id, counted_at)
VALUES ($1, $2, -1, 0, '0', 0, to_timestamp($3))
ON CONFLICT (organisation_id, campaign_id) DO UPDATE SET epoch = -abs(p.epoch)
RETURNING -epoch
"""
# Of two who count anew at once the later one waits here, and is told that the row has changed.
_ALONE = """
SELECT epoch FROM count_progress WHERE organisation_id = $1 AND campaign_id = $2 FOR UPDATE
"""
_PUT = """
INSERT INTO counts (organisation_id, campaign_id, action_id, per, name, what, state, code, number, segments)
SELECT $1, $2, r.action_id, r.per, r.name, r.what, r.state, r.code, r.number, r.segments
FROM json_to_recordset($3::json) AS r (action_id bigint, per text, name text, what text, state text, code int,
                                       number bigint, segments bigint)
"""
_GO_ON = """
UPDATE count_progress SET epoch = $4, version = 0, counted_at = to_timestamp($3), event_id = 9223372036854775807,
       xid = (pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1)::text::xid8
WHERE organisation_id = $1 AND campaign_id = $2
"""


async def recount(connection: Connection, key: CampaignKey) -> list[Count]:
    """What the counts should be at the place up to which the journal may be read, from the books."""
    return [_count(row) for row in await connection.fetch(_ANEW, *key)]


async def count_anew(database: Database, key: CampaignKey, now: float) -> None:
    """Counts a campaign from its books, and goes on from there with the journal. May take a while."""
    async with database.patient(_ANEW_S) as patient:
        for left in reversed(range(_TRIES)):
            try:
                await _count_anew(patient, key, now)
            except (DatabaseBusy, asyncpg.UniqueViolationError):  # somebody else does the same
                if not left:
                    raise
            else:
                return


async def _count_anew(database: Database, key: CampaignKey, now: float) -> None:
    before = await database.fetch_value(_BEGIN, *key, now)
    async with database.connection() as connection, connection.transaction(isolation="repeatable_read"):
        await connection.execute(_ALONE, *key)
        rows = await recount(connection, key)
        await connection.execute("DELETE FROM counts WHERE organisation_id = $1 AND campaign_id = $2", *key)
        await connection.execute(_PUT, *key, as_rows(rows))
        await connection.execute(_GO_ON, *key, now, max(before + 1, int(now * 1_000_000)))


# One statement: the rows, the version they are of, and since when something has not been counted.
_READ = """
SELECT p.epoch, p.version, extract(epoch FROM to_timestamp($5) - (
           SELECT min(e.at) FROM (SELECT at FROM events e WHERE e.organisation_id = $1 AND e.campaign_id = $2
               AND (e.xid, e.event_id) > (p.xid, p.event_id) ORDER BY e.xid, e.event_id LIMIT 1) e))::float8,
       c.action_id, c.per, c.name, c.what, c.state, c.code, c.number, c.segments
FROM count_progress p LEFT JOIN counts c ON c.organisation_id = $1 AND c.campaign_id = $2 AND c.action_id = ANY ($3::bigint[])
  AND c.per = ANY ($4::text[]) AND c.number <> 0
WHERE p.organisation_id = $1 AND p.campaign_id = $2 AND p.epoch > 0
ORDER BY c.action_id, c.per, c.name, c.what, c.state, c.code
"""


async def read(
    database: Database, key: CampaignKey, action_id: int, now: float, per: Sequence[Per] = ("action",)
) -> Counts | None:
    """The counts of an action (0: of what belongs to none); None: the campaign is not counted yet."""
    return await read_all(database, key, [action_id], now, per)


async def read_all(
    database: Database,
    key: CampaignKey,
    action_ids: Sequence[int],
    now: float,
    per: Sequence[Per] = ("action",),
) -> Counts | None:
    """The counts of several actions, one after the other."""
    rows = await database.fetch(_READ, *key, action_ids, per, now)
    if not rows:
        return None
    epoch, version, behind_s = rows[0][:3]
    found = [_count(row[3:]) for row in rows if row[3] is not None]
    return Counts(Version(epoch, version), max(0.0, behind_s or 0.0), found)


def _count(row: Sequence[object]) -> Count:
    return Count(**dict(zip(Count.__struct_fields__, row, strict=True)))  # type: ignore[arg-type]


_VERSIONS = """
SELECT owned.campaign_id, p.epoch, p.version
FROM unnest($1::bigint[], $2::bigint[]) AS owned (organisation_id, campaign_id)
JOIN count_progress p ON p.organisation_id = owned.organisation_id AND p.campaign_id = owned.campaign_id
WHERE p.epoch > 0 ORDER BY 1
"""


async def versions(database: Database, keys: Sequence[CampaignKey]) -> dict[int, Version]:
    """Of which version the campaigns' counts are, in one question; those that are not counted yet are left out."""
    rows = await database.fetch(_VERSIONS, *as_columns(keys))
    return {row[0]: Version(row[1], row[2]) for row in rows}


_UNCOUNTED = """
SELECT owned.campaign_id FROM unnest($1::bigint[], $2::bigint[]) AS owned (organisation_id, campaign_id)
LEFT JOIN count_progress p ON p.organisation_id = owned.organisation_id AND p.campaign_id = owned.campaign_id
WHERE p.epoch IS NULL OR p.epoch < 0 OR EXISTS (
    SELECT FROM events e WHERE e.organisation_id = owned.organisation_id AND e.campaign_id = owned.campaign_id
      AND (e.xid, e.event_id) > (p.xid, p.event_id))
ORDER BY 1
"""


async def uncounted(database: Database, keys: Sequence[CampaignKey]) -> list[int]:
    """Those of the campaigns of which something is not counted yet."""
    organisations, campaigns = [key.organisation_id for key in keys], [key.campaign_id for key in keys]
    return [row[0] for row in await database.fetch(_UNCOUNTED, organisations, campaigns)]
