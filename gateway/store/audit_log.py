"""The audit log: who changed what of a campaign, when, and from what to what."""

from typing import Final

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Statements

NO_CAMPAIGN: Final = CampaignKey(0, 0)
"""Whose lines are about no campaign alone."""


class AuditRow(msgspec.Struct, frozen=True):
    """A change. `at` in Unix seconds; `before` and `after` are JSON, None where there is nothing."""

    audit_id: int
    at: float
    who: str
    act: str
    before: str | None
    after: str | None


_WRITE = """
INSERT INTO audit_log (organisation_id, campaign_id, at, who, act, before, after)
VALUES ($1, $2, to_timestamp($3), $4, $5, $6::text::jsonb, $7::text::jsonb)
"""


async def write(
    transaction: Statements,
    key: CampaignKey,
    now: float,
    who: str,
    act: str,
    *,
    before: str | None = None,
    after: str | None = None,
) -> None:
    """A line, in the transaction of the change that it tells of."""
    await transaction.fetch(_WRITE, *key, now, who, act, before, after)


_PAGE = """
SELECT audit_id, extract(epoch FROM at)::float8, who, act, before::text, after::text FROM audit_log
WHERE organisation_id = $1 AND campaign_id = $2 AND ($3::bigint IS NULL OR audit_id < $3)
ORDER BY audit_id DESC LIMIT $4
"""


async def page(database: Database, key: CampaignKey, before_id: int | None, limit: int) -> list[AuditRow]:
    """At most `limit` lines, the newest first: all, or those before a line."""
    rows = await database.fetch(_PAGE, *key, before_id, limit)
    return [AuditRow(*row) for row in rows]
