"""Persons whom volunteers reported as abusive: staff alone have them from then on (F126)."""

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Statements

_REPORT = """
INSERT INTO abuse_reports (organisation_id, campaign_id, contact_id, user_id, words, at)
VALUES ($1, $2, $3, $4, $5, to_timestamp($6))
ON CONFLICT (organisation_id, campaign_id, contact_id, user_id) DO UPDATE SET words = excluded.words, at = excluded.at
"""
_HIDE = """
UPDATE conversations SET staff_only_at = coalesce(staff_only_at, to_timestamp($4)), revision = revision + 1
WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3
"""
_REPORTED_BY = """
SELECT user_id FROM abuse_reports WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3 AND user_id = $4
"""
_IS_FOR_OTHERS = """
SELECT FROM conversations v
WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id = $3 AND v.staff_only_at IS NOT NULL
  AND NOT EXISTS (SELECT FROM memberships m WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.user_id = $4
                  AND m.role <> 'volunteer' AND m.deactivated_at IS NULL)
"""
_STAFF = """
SELECT user_id FROM memberships
WHERE organisation_id = $1 AND campaign_id = $2 AND role <> 'volunteer' AND deactivated_at IS NULL
ORDER BY user_id LIMIT $3
"""


async def report(
    transaction: Statements, key: CampaignKey, contact_id: int, user_id: int, words: str, now: float
) -> None:
    """Who reported the person, and what they said; the thread is for staff alone from then on."""
    await transaction.fetch(_REPORT, *key, contact_id, user_id, words, now)
    await transaction.fetch(_HIDE, *key, contact_id, now)


async def was_reported_by(database: Database, key: CampaignKey, contact_id: int, user_id: int) -> bool:
    return bool(await database.fetch(_REPORTED_BY, *key, contact_id, user_id))


async def is_for_others(database: Database, key: CampaignKey, contact_id: int, user_id: int) -> bool:
    """Whether staff alone may have the conversation, and this is none of them."""
    return bool(await database.fetch(_IS_FOR_OTHERS, *key, contact_id, user_id))


async def staff(statements: Statements, key: CampaignKey, most: int) -> list[int]:
    """At most `most` of the campaign's active staff."""
    return [row[0] for row in await statements.fetch(_STAFF, *key, most)]
