"""Whose phone is it: the ids of a campaign's contacts by their phones."""

from collections.abc import Sequence

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database


async def contact_ids(database: Database, key: CampaignKey, phones: Sequence[str]) -> dict[str, int]:
    """phone -> contact id, for those of the E.164 phones that are contacts of the campaign."""
    rows = await database.fetch(
        """
        SELECT phone, contact_id FROM contacts
        WHERE organisation_id = $1 AND campaign_id = $2 AND phone = ANY ($3::text[]) ORDER BY contact_id
        """,
        *key,
        phones,
    )
    return {row[0]: row[1] for row in rows}


async def among(database: Database, key: CampaignKey, contact_ids: Sequence[int]) -> set[int]:
    """Those of these ids that are contacts of the campaign."""
    rows = await database.fetch(
        """
        SELECT contact_id FROM contacts
        WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = ANY ($3::bigint[]) AND deleted_at IS NULL
        """,
        *key,
        contact_ids,
    )
    return {row[0] for row in rows}
