"""What people are told within the application, as each of them reads it (F173, F197)."""

import msgspec

from gateway.clock import Clock
from gateway.core.bank.permissions import Actor
from gateway.p2p.cursors import AtPlace, before, page_of
from gateway.p2p.preferences import person
from gateway.pipeline.campaigns import Campaigns
from gateway.store import user_notices
from gateway.store.database import Database
from gateway.store.user_notices import UserNotice

__all__ = ["NoticePage", "UserNotice", "UserNotices"]


class NoticePage(msgspec.Struct, frozen=True):
    """Messages, the newest first, the cursor of those before them, and how many are unread in all."""

    rows: list[UserNotice]
    next: str | None
    unread: int


class UserNotices:
    """Each person's own messages."""

    def __init__(self, database: Database, campaigns: Campaigns, clock: Clock) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock

    async def page(self, actor: Actor, campaign_id: int, cursor: str | None, limit: int) -> NoticePage:
        """Raises NoPerson for an API key, and BadInput for a cursor of another list."""
        key, user_id = self._campaigns[campaign_id].key, person(actor)
        rows = await user_notices.page(self._database, key, user_id, before(cursor), limit + 1)
        shown, after = page_of(rows, limit, lambda each: AtPlace(each.at, each.notice_id))
        return NoticePage(shown, after, await user_notices.unread(self._database, key, user_id))

    async def mark_read(self, actor: Actor, campaign_id: int, up_to: int) -> None:
        """All up to a message are read. Raises NoPerson."""
        key = self._campaigns[campaign_id].key
        await user_notices.mark_read(self._database, key, person(actor), up_to, self._clock.now())
