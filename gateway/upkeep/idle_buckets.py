"""Buckets in which nobody has pressed Send for an hour, or what the campaign says, are given back (C22): whoever left
without a word keeps nobody from being texted. A campaign without a bucket that is due costs one look into an index.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from gateway.clock import Clock
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.store import buckets
from gateway.store.database import Database

_log = structlog.get_logger("textbank.buckets")
_PIECE: Final = 50  # buckets
_REST_S: Final = 0.05

Freed = Callable[[int, Sequence[tuple[int, int]]], None]
"""Is told of a campaign's contacts that are free again, each with its action before it."""


class IdleBuckets:
    """What gives them back."""

    def __init__(self, database: Database, campaigns: Campaigns, clock: Clock, freed: Freed) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._freed = freed

    async def run(self, _done_until: float | None = None) -> float:
        """All campaigns'; returns when it began. Raises DatabaseAway."""
        now = self._clock.now()
        for campaign_id in self._campaigns.ids():
            freed = await self._tidy(self._campaigns[campaign_id], now)
            if freed:
                self._freed(campaign_id, freed)
                _log.info("idle buckets given back", campaign_id=campaign_id, contacts=len(freed))
        return now

    async def _tidy(self, campaign: Campaign, now: float) -> list[tuple[int, int]]:
        freed: list[tuple[int, int]] = []
        while True:
            tidied = await buckets.tidy(
                self._database, campaign.key, now, campaign.settings.idle_bucket_s, _PIECE
            )
            freed += tidied.freed
            if tidied.looked_at < _PIECE:
                return freed
            await asyncio.sleep(_REST_S)
