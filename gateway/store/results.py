"""What is counted of an action beside the counts: its people, its open ends, tags and fields of its reports."""

from typing import Final

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.buckets import REMAINING
from gateway.store.database import Database
from gateway.store.users import received


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of an action that no journal tells; `people_reported` are those about whom there is a report."""

    title: str
    published_at: float | None
    sent_to: int
    seen: int
    started: int
    completed: int
    performs: int
    people_reported: int
    remaining: int
    needs_attention: int
    clicks: int
    people_clicked: int


_SENT_TO = f"""
(SELECT count(*) FROM memberships m JOIN users u ON u.organisation_id = $1 AND u.user_id = m.user_id
 WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.deactivated_at IS NULL
   AND EXISTS ({received("$3")}))
"""  # noqa: S608 - fixed texts
NEEDS_ATTENTION: Final = """
(SELECT count(*) FROM conversations v WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND v.action_id = $3
 AND v.attention_at IS NOT NULL AND v.archived_at IS NULL)
"""
_BESIDE: Final = f"""
SELECT a.title, extract(epoch FROM a.published_at)::float8, {_SENT_TO}, w.seen, w.started, w.completed, w.performs,
       (SELECT count(DISTINCT r.contact_id) FROM reports r
        WHERE r.organisation_id = $1 AND r.campaign_id = $2 AND r.action_id = $3),
       {REMAINING.format(which="AND s.action_id = $3")},
       {NEEDS_ATTENTION},
       k.clicks, k.people
FROM actions a
CROSS JOIN LATERAL (
    SELECT count(u.seen_at) AS seen, count(u.started_at) AS started, count(u.completed_at) AS completed,
           coalesce(sum(u.performs), 0)::bigint AS performs
    FROM action_users u WHERE u.organisation_id = $1 AND u.campaign_id = $2 AND u.action_id = $3) w
CROSS JOIN LATERAL (
    SELECT count(*) AS clicks, count(DISTINCT c.contact_id) AS people FROM clicks c
    WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND c.action_id = $3) k
WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = $3
"""  # noqa: S608 - fixed texts


async def beside(database: Database, key: CampaignKey, action_id: int) -> Beside | None:
    """None: there is no such action."""
    row = await database.fetch_row(_BESIDE, *key, action_id)
    return None if row is None else Beside(**dict(zip(Beside.__struct_fields__, row, strict=True)))


class LabelTotal(msgspec.Struct, frozen=True):
    """How often the reports of an action gave a tag (its name; `value` None) or a field a value (its slug)."""

    name: str
    value: str | None
    number: int


_MOST_LABELS: Final = 1_000
_LABELS: Final = """
WITH filed AS MATERIALIZED (
    SELECT tags, fields FROM reports WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $3
), tagged AS (
    SELECT tag_id, count(*) AS number FROM filed CROSS JOIN LATERAL unnest(filed.tags) AS tag_id GROUP BY tag_id
)
SELECT g.name, NULL, tagged.number FROM tagged
JOIN tags g ON g.organisation_id = $1 AND g.campaign_id = $2 AND g.tag_id = tagged.tag_id
UNION ALL
(SELECT each.key, each.value, count(*) FROM filed CROSS JOIN LATERAL jsonb_each_text(filed.fields) AS each
 WHERE each.value IS NOT NULL GROUP BY 1, 2)
ORDER BY 3 DESC, 1, 2 LIMIT $4
"""


async def labels(database: Database, key: CampaignKey, action_id: int) -> list[LabelTotal]:
    """What the reports of an action gave, the most frequent first; 1,000 at most (F169)."""
    rows = await database.fetch(_LABELS, *key, action_id, _MOST_LABELS)
    return [LabelTotal(*row) for row in rows]


_NAMES: Final = """
SELECT u.user_id, u.name FROM memberships m JOIN users u ON u.organisation_id = $1 AND u.user_id = m.user_id
WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.user_id = ANY ($3::bigint[])
"""


async def names(database: Database, key: CampaignKey, user_ids: list[int]) -> dict[int, str]:
    """The names of the campaign's people by their ids; who is none of them is missing."""
    return {row[0]: row[1] for row in await database.fetch(_NAMES, *key, user_ids)}
