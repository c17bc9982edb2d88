"""What people choose for themselves in a campaign."""

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """`archive_on_report`: a report archives its conversation (F206); `mails`: the campaign may send mails (F174)."""

    archive_on_report: bool = False
    mails: bool = True


_SHOW = """
SELECT archive_on_report, no_mail_at IS NULL FROM memberships
WHERE organisation_id = $1 AND campaign_id = $2 AND user_id = $3
"""
_CHOOSE = """
UPDATE memberships SET archive_on_report = coalesce($4, archive_on_report),
       no_mail_at = CASE WHEN $5 THEN NULL WHEN NOT $5 THEN coalesce(no_mail_at, to_timestamp($6)) ELSE no_mail_at END
WHERE organisation_id = $1 AND campaign_id = $2 AND user_id = $3
RETURNING archive_on_report, no_mail_at IS NULL
"""


async def show(database: Database, key: CampaignKey, user_id: int) -> Preferences | None:
    row = await database.fetch_row(_SHOW, *key, user_id)
    return None if row is None else Preferences(archive_on_report=row[0], mails=row[1])


async def choose(
    database: Database,
    key: CampaignKey,
    user_id: int,
    now: float,
    *,
    archive_on_report: bool | None,
    mails: bool | None,
) -> Preferences | None:
    """What is None stays."""
    row = await database.fetch_row(_CHOOSE, *key, user_id, archive_on_report, mails, now)
    return None if row is None else Preferences(archive_on_report=row[0], mails=row[1])
