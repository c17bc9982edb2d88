"""The inbound poll: people's texts that a webhook lost are fetched and take the same way in.

By default Twilio tries a webhook once again at most. A STOP lost there must not stay lost, so the provider is
asked for what came to our numbers. Windows overlap, and what is in the books already is left alone.
"""

import asyncio
import logging

from gateway.clock import Clock
from gateway.metrics import Metrics
from gateway.pipeline.campaigns import Campaigns
from gateway.providers.base import History, InboundText, Sink
from gateway.store import numbers, reconciliation
from gateway.store.database import Database

_log = logging.getLogger(__name__)
_OVERLAP_S = 300.0  # the provider's list may lag behind what it knows
_FIRST_S = 86_400.0  # how far back the first poll of a deployment looks
_WEBHOOK_COMES_S = 20.0  # all tries of one webhook end within 15 s: a younger text may still come by itself
_SLICE = 500


class InboundPoll:
    """One look at what came to all numbers of all campaigns."""

    def __init__(
        self,
        database: Database,
        campaigns: Campaigns,
        clock: Clock,
        metrics: Metrics,
        history: History,
        sink: Sink,
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._metrics = metrics
        self._history = history
        self._sink = sink

    async def poll(self, done_until: float | None) -> float:
        """Fetches what came since the last poll; returns until when all is fetched. Raises ProviderError."""
        now = self._clock.now()
        since = (now - _FIRST_S if done_until is None else done_until) - _OVERLAP_S
        for campaign_id in self._campaigns.ids():
            await self._poll_campaign(campaign_id, since, now - _WEBHOOK_COMES_S)
        return now

    async def _poll_campaign(self, campaign_id: int, since: float, until: float) -> None:
        phones = await numbers.phones(self._database, self._campaigns[campaign_id].key)
        for phone in phones:
            listed = [text async for text in self._history.inbound_since([phone], since)]
            await self._take_in(campaign_id, [text for text in listed if text.phone and text.at <= until])

    async def _take_in(self, campaign_id: int, texts: list[InboundText]) -> None:
        """Oldest first: the list is newest first, and a person's last word on opting out decides."""
        texts.reverse()
        texts.sort(key=lambda text: text.at)
        for start in range(0, len(texts), _SLICE):
            some = texts[start : start + _SLICE]
            unheard = await reconciliation.unheard(
                self._database, self._campaigns[campaign_id].key, [text.provider_sid for text in some]
            )
            lost = [text for text in some if text.provider_sid in unheard]
            kept = await asyncio.gather(*(self._sink.inbound(text) for text in lost), return_exceptions=True)
            for text, failure in zip(lost, kept, strict=True):
                if failure is not None:  # it harms this text only
                    _log.error("text %s was not kept: %s", text.provider_sid, failure)
            if lost:
                _log.warning("campaign %s: webhooks lost %d texts, fetched now", campaign_id, len(lost))
                self._metrics.recovered("inbound", len(lost))
