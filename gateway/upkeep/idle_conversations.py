"""Conversations in which nothing has happened for two months leave the inbox (F207); the person's next text brings them
back. In small pieces with rests between them, so that whoever texts meanwhile does not notice.
"""

import asyncio
from typing import Final

import structlog

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.pipeline.campaigns import Campaigns
from gateway.store import threads
from gateway.store.database import Database

_log = structlog.get_logger("textbank.inbox")
IDLE_S: Final = 61 * 86_400.0  # two months
_PIECE: Final = 500
_REST_S: Final = 0.05


class IdleConversations:
    """What archives them."""

    def __init__(self, database: Database, campaigns: Campaigns, clock: Clock) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock

    async def run(self, _done_until: float | None = None) -> float:
        """All campaigns'; returns when it began. Raises DatabaseAway."""
        now = self._clock.now()
        for campaign_id in self._campaigns.ids():
            archived = await self._archive(self._campaigns[campaign_id].key, now)
            if archived:
                _log.info("idle conversations archived", campaign_id=campaign_id, conversations=archived)
        return now

    async def _archive(self, key: CampaignKey, now: float) -> int:
        archived, more = await threads.archive_idle(self._database, key, now - IDLE_S, now, limit=_PIECE)
        while more is not None:
            await asyncio.sleep(_REST_S)
            gone, more = await threads.archive_idle(
                self._database, key, now - IDLE_S, now, after=more, limit=_PIECE
            )
            archived += gone
        return archived
