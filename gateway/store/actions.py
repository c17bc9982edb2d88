"""Actions: published whole, each of their contacts with nobody to text them yet."""

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import BadInput
from gateway.store.database import Database


class ActionRow(msgspec.Struct, frozen=True):
    """A texting action; `scripts` is JSON text: the initials' and the responses' sources."""

    key: CampaignKey
    action_id: int
    title: str
    scripts: str


_ANALYZE_S = 300.0
_BEGIN = """
WITH begun AS (
    INSERT INTO actions (organisation_id, campaign_id, action_id, title, scripts)
    VALUES ($1, $2, $3, $4, $5::text::jsonb) ON CONFLICT DO NOTHING
)
SELECT published_at IS NOT NULL FROM actions WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $3
"""
_ASSIGN = """
WITH piece AS (
    SELECT contact_id, hours_group FROM contacts
    WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id > $5 ORDER BY contact_id LIMIT $6
), assigned AS (
    INSERT INTO assignments (organisation_id, campaign_id, action_id, contact_id, hours_group, turn)
    SELECT $1, $2, $3, contact_id, hours_group, hashint8extended(contact_id, $4)
    FROM piece ORDER BY hashint8extended(contact_id, $4) -- so that a bucket's rows lie together
    ON CONFLICT DO NOTHING
)
SELECT count(*), max(contact_id) FROM piece
"""
_PUBLISHED = """
UPDATE actions SET published_at = to_timestamp($4)
WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $3 AND published_at IS NULL
"""


async def publish(
    database: Database, action: ActionRow, seed: int, now: float, *, at_once: int = 25_000
) -> int:
    """Stores the action with every contact of the campaign unassigned, in an order drawn from `seed`
    (F177, F183); returns how many contacts it has.

    In pieces of `at_once` contacts: nobody sees the action before all are there, and when it was broken off the
    same call goes on. Raises BadInput for an action that is published already.
    """
    if await database.fetch_value(_BEGIN, *action.key, action.action_id, action.title, action.scripts):
        raise BadInput(
            "the action is published already",
            f"campaign {action.key.campaign_id}, action {action.action_id}",
            "give another id",
        )
    count, last_id, more = 0, 0, at_once
    while more == at_once:
        [(more, last_id)] = await database.fetch(
            _ASSIGN, *action.key, action.action_id, seed, last_id or 0, at_once
        )
        count += more
    await database.execute(_PUBLISHED, *action.key, action.action_id, now)
    async with database.patient(_ANALYZE_S) as patient:
        await patient.script("ANALYZE contacts; ANALYZE assignments")
    return count


async def load(database: Database, key: CampaignKey, action_id: int) -> ActionRow:
    """Raises BadInput when there is no such action."""
    row = await database.fetch_row(
        """
        SELECT action_id, title, scripts::text FROM actions
        WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $3 AND published_at IS NOT NULL
        """,
        *key,
        action_id,
    )
    if row is None:
        raise BadInput(
            "there is no such action", f"campaign {key.campaign_id}, action {action_id}", "check the ids"
        )
    return ActionRow(key, *row)


async def unassigned(database: Database, key: CampaignKey) -> int:
    """How many contacts of all the campaign's actions nobody has been given yet."""
    count: int = await database.fetch_value(
        """
        SELECT count(*) FROM assignments
        WHERE organisation_id = $1 AND campaign_id = $2 AND volunteer_id IS NULL
        """,
        *key,
    )
    return count
