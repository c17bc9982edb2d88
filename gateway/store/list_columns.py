"""What a list's columns may name: the active people of a campaign, and its custom fields."""

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database


class Assignee(msgspec.Struct, frozen=True):
    """Somebody who can be given contacts."""

    user_id: int
    name: str
    email: str


_ACTIVE = """
SELECT u.user_id, u.name, u.email
FROM memberships m JOIN users u ON u.organisation_id = m.organisation_id AND u.user_id = m.user_id
WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.deactivated_at IS NULL ORDER BY u.user_id
"""
_SLUGS = """
SELECT slug FROM custom_fields WHERE organisation_id = $1 AND campaign_id = $2 AND archived_at IS NULL ORDER BY slug
"""


async def active(database: Database, key: CampaignKey) -> list[Assignee]:
    """By id."""
    return [Assignee(*row) for row in await database.fetch(_ACTIVE, *key)]


async def custom_fields(database: Database, key: CampaignKey) -> list[str]:
    """The slugs of the campaign's custom fields: a header may name one without a prefix (C21)."""
    return [row[0] for row in await database.fetch(_SLUGS, *key)]
