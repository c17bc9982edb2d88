"""Whose phone is it: the ids of a campaign's contacts by their phones."""

from collections.abc import Sequence

from gateway.store.database import Database


async def contact_ids(database: Database, campaign_id: int, phones: Sequence[str]) -> dict[str, int]:
    """phone -> contact id, for those of the E.164 phones that are contacts of the campaign."""
    rows = await database.fetch(
        """
        SELECT phone, contact_id FROM contacts
        WHERE campaign_id = $1 AND phone = ANY ($2::text[]) ORDER BY contact_id
        """,
        campaign_id,
        phones,
    )
    return {row[0]: row[1] for row in rows}
