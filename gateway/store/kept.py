"""Contacts that are kept for one person (F184), and what becomes of them when that person's place is taken away."""

from collections.abc import Collection
from typing import Final

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Statements

# Whoever keeps contacts for somebody and whoever takes that person's place away go one after the other: what the one has
# written the other sees.
_LOCK: Final = "hashint8extended($2, hashint8extended($1, 105))"
_HOLD: Final = f"SELECT pg_advisory_xact_lock_shared({_LOCK})"
_ALONE: Final = f"SELECT pg_advisory_xact_lock({_LOCK})"
_GONE: Final = """
SELECT user_id FROM memberships
WHERE organisation_id = $1 AND campaign_id = $2 AND user_id = ANY ($3::bigint[]) AND deactivated_at IS NOT NULL
"""


async def hold(transaction: Statements, key: CampaignKey) -> None:
    """Nobody's place is taken away until the transaction ends: the next statement sees whose was."""
    await transaction.fetch(_HOLD, *key)


async def gone(statements: Statements, key: CampaignKey, user_ids: Collection[int]) -> set[int]:
    """Those of these people whose place in the campaign was taken away."""
    return {row[0] for row in await statements.fetch(_GONE, *key, sorted(user_ids))}


def unless_gone(user_id: str) -> str:
    """SQL: the person's id; null once their place in the campaign was taken away: nothing is kept for them any more."""
    return f"""CASE WHEN NOT EXISTS (
        SELECT FROM memberships p WHERE p.organisation_id = $1 AND p.campaign_id = $2 AND p.user_id = {user_id}
        AND p.deactivated_at IS NOT NULL) THEN {user_id} END"""


def staff_for(contact_id: str, rather: str) -> str:
    """SQL: who of the staff may have a person that was reported as abusive (F126), `rather` if they may; null: nobody."""
    return f"""(
        SELECT m.user_id FROM memberships m
        WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.role <> 'volunteer' AND m.deactivated_at IS NULL
          AND NOT EXISTS (
              SELECT FROM abuse_reports o
              WHERE o.organisation_id = $1 AND o.campaign_id = $2 AND o.contact_id = {contact_id} AND o.user_id = m.user_id)
        ORDER BY m.user_id IS DISTINCT FROM {rather}, m.role <> 'admin', m.joined_at, m.user_id LIMIT 1)"""  # noqa: S608


_FOR_OTHERS: Final = f"""CASE WHEN EXISTS (
        SELECT FROM abuse_reports r
        WHERE r.organisation_id = $1 AND r.campaign_id = $2 AND r.contact_id = s.contact_id)
    THEN coalesce({staff_for("s.contact_id", "NULL")}, s.kept_for) END"""
# Whom they were to text, and nobody has texted yet, is for others (for staff, who was reported as abusive), in published
# actions and in those to come. Whoever is on their screen comes back when the bucket lies idle, and is for others then.
_NO_LONGER_KEPT = f"""
WITH free AS (
    UPDATE assignments s SET kept_for = {_FOR_OTHERS} FROM actions a
    WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND s.organisation_id = $1 AND s.campaign_id = $2
      AND s.action_id = a.action_id AND s.kept_for = $3 AND s.volunteer_id IS NULL AND NOT s.texted
), on_screen AS (
    UPDATE assignments s SET kept_for = {_FOR_OTHERS} FROM buckets b
    WHERE b.organisation_id = $1 AND b.campaign_id = $2 AND b.volunteer_id = $3 AND s.organisation_id = $1
      AND s.campaign_id = $2 AND s.action_id = b.action_id AND s.contact_id = ANY (b.contact_ids)
      AND s.kept_for = $3 AND s.volunteer_id IS NOT NULL AND NOT s.texted
)
UPDATE contacts SET assignee_id = NULL, version = version + 1
WHERE organisation_id = $1 AND campaign_id = $2 AND assignee_id = $3
"""  # noqa: S608 - fixed texts


async def no_longer_kept(transaction: Statements, key: CampaignKey, user_id: int) -> None:
    """Nobody waits for this person any more (F184), whose place the transaction has taken away."""
    await transaction.fetch(_ALONE, *key)
    await transaction.fetch(_NO_LONGER_KEPT, *key, user_id)
