"""The audit log of a campaign, to be read: page after page, the newest change first."""

from typing import TypeAlias

import msgspec

from gateway.p2p.cursors import IdPlace, page_of, place_of
from gateway.pipeline.campaigns import Campaign
from gateway.store import audit_log
from gateway.store.audit_log import AuditRow
from gateway.store.database import Database

Changed: TypeAlias = AuditRow


class AuditPage(msgspec.Struct, frozen=True):
    """Some lines, and the cursor of those before them; None: there are none."""

    rows: list[Changed]
    next: str | None


class AuditLog:
    """Who changed what of a campaign."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, campaign: Campaign, cursor: str | None, limit: int) -> AuditPage:
        """At most `limit` lines. Raises BadInput for a cursor of another list."""
        before_id = None if cursor is None else place_of(cursor, IdPlace).id
        rows = await audit_log.page(self._database, campaign.key, before_id, limit + 1)
        return AuditPage(*page_of(rows, limit, lambda each: IdPlace(each.audit_id)))
