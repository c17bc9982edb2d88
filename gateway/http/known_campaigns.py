"""The campaigns at the door: one that another worker has just made is read before anybody is told 404."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from math import inf
from typing import Final

from gateway.http.access import no_campaign
from gateway.http.problems import Refusal
from gateway.pipeline.campaigns import Campaign, Campaigns

_AT_MOST_EVERY_S: Final = 1.0  # whoever asks for ids that nobody has costs no more than this


class KnownCampaigns:
    """Campaigns by id; on a miss they are read again once, by whoever comes first."""

    def __init__(self, campaigns: Campaigns, now: Callable[[], float]) -> None:
        self._campaigns = campaigns
        self._now = now
        self._reading = asyncio.Lock()
        self._read_at = -inf

    async def find(self, campaign_id: int) -> Campaign:
        """Raises Refusal: 404, or 503 for one whose settings this release can't read."""
        if not await self.knows(campaign_id):
            if why := self._campaigns.unreadable.get(campaign_id):
                words = f"campaign {campaign_id} waits: its settings can't be read ({why})"
                raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, words)
            raise no_campaign(campaign_id)
        return self._campaigns[campaign_id]

    async def knows(self, campaign_id: int) -> bool:
        if campaign_id not in self._campaigns:
            await self._read_again()
        return campaign_id in self._campaigns

    async def all(self) -> list[Campaign]:
        """By id, those of other workers included."""
        await self._read_again()
        return [self._campaigns[campaign_id] for campaign_id in self._campaigns.ids()]

    async def _read_again(self) -> None:
        async with self._reading:
            began_at = self._now()
            if began_at - self._read_at >= _AT_MOST_EVERY_S:
                await self._campaigns.load()
                self._read_at = began_at
