"""Counting: what happens in a campaign is in its counts a second later.

The worker that wrote something counts it, whoever owns the campaign: it knows that there is something, and which place
in the journal comes next is in the books. What a worker left that is gone, the campaign's owner finds, once a minute in
one question about all its campaigns. So nobody asks about a campaign in which nothing happens.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Final

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.pipeline.campaigns import Campaigns
from gateway.store import counts
from gateway.store.database import Database
from gateway.upkeep.periodic import tried

_EVERY_S: Final = 1.0
_LOOK_EVERY_S: Final = 60.0


class Counting:
    """`owned`: the campaigns that this worker owns."""

    def __init__(
        self,
        database: Database,
        campaigns: Campaigns,
        clock: Clock,
        owned: Callable[[], Iterable[CampaignKey]],
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._owned = owned
        self._written: dict[int, None] = {}
        self._woken = asyncio.Event()
        self._look_at = 0.0

    def wrote(self, campaign_id: int) -> None:
        """Something has happened in the campaign, and is in the books."""
        self._written[campaign_id] = None
        self._woken.set()

    @property
    def has_news(self) -> bool:
        """Whether anything was written here that is not counted."""
        return bool(self._written)

    async def run(self) -> None:
        """For ever; what goes wrong is tried again."""
        while True:
            await tried(self.run_once, "counting")
            await self._rest()

    async def _rest(self) -> None:
        if not self._written:
            self._woken.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._woken.wait()
        await asyncio.sleep(_EVERY_S)

    async def run_once(self) -> None:
        """Counts what was written here, and now and then what others left. Raises DatabaseAway."""
        if self._clock.steady() >= self._look_at:
            self._look_at = self._clock.steady() + _LOOK_EVERY_S
            owned = sorted(self._owned())
            left = await counts.uncounted(self._database, owned) if owned else []
            self._written.update(dict.fromkeys(left))
        for campaign_id in list(self._written):
            del self._written[campaign_id]
            if campaign_id in self._campaigns and not await self._count(campaign_id):
                self._written[campaign_id] = None

    async def _count(self, campaign_id: int) -> bool:
        """Whether all is counted. Raises DatabaseAway."""
        try:
            return await counts.catch_up(self._database, self._campaigns[campaign_id].key, self._clock.now())
        except Exception:
            self._written[campaign_id] = None
            raise
