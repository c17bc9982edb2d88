"""Retention: messages and people's texts go when they are older than they are kept; by default they are kept for ever.
Idempotency keys are always kept for three days.

Opt-outs, contacts, conversations and what was texted in an action stay. Small pieces with rests between them: whoever
sends meanwhile does not notice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import structlog

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.pipeline.campaigns import Campaigns
from gateway.pipeline.inbound import NOBODYS
from gateway.store import idempotency, retention
from gateway.store.database import Database
from gateway.store.retention import Piece

_log = structlog.get_logger("textbank.retention")
DAY_S: Final = 86_400.0
KEYS_KEPT_S: Final = 3 * DAY_S  # what the API promises
_PIECE: Final = 1000
_REST: Final = 4  # a piece rests for so many times as long as it took
_LEAST_REST_S: Final = 0.05
_LONGEST_RUN_S: Final = 3000.0  # shorter than a chore's turn; what is left comes next time
# Ids rise with time but for blocks that a worker took long before it used them: so many young rows at a stretch
# are not one worker's.
_YOUNG_PIECES: Final = 5

Delete = Callable[[Database, CampaignKey, int, float, int], Awaitable[Piece]]


class Retention:
    """`messages_days`, `inbound_days`: for how long they are kept; None is for ever."""

    def __init__(
        self,
        database: Database,
        campaigns: Campaigns,
        clock: Clock,
        *,
        messages_days: int | None,
        inbound_days: int | None,
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._messages_days = messages_days
        self._inbound_days = inbound_days

    async def run(self, _done_until: float | None = None) -> float:
        """Everything that is too old, or as much as a run may take; returns when it began. Raises DatabaseAway."""
        now = self._clock.now()
        end = asyncio.get_running_loop().time() + _LONGEST_RUN_S
        for key, what, delete, before in self._works(now):
            gone = await self._delete(key, delete, before, end)
            if gone:
                _log.info("too old", what=what, campaign_id=key.campaign_id, rows=gone)
        for campaign_id in self._campaigns.ids():
            await self._forget_keys(self._campaigns[campaign_id].key, now - KEYS_KEPT_S, end)
        return now

    async def _forget_keys(self, key: CampaignKey, before: float, end: float) -> None:
        time = asyncio.get_running_loop().time
        while (began_at := time()) < end:
            if await idempotency.forget_keys(self._database, key, before, _PIECE) < _PIECE:
                return
            await asyncio.sleep(max(_LEAST_REST_S, _REST * (time() - began_at)))

    def _works(self, now: float) -> Iterator[tuple[CampaignKey, str, Delete, float]]:
        campaigns = [self._campaigns[campaign_id] for campaign_id in self._campaigns.ids()]
        for campaign in campaigns:
            if self._messages_days is not None:
                kept_s = max(self._messages_days * DAY_S, campaign.settings.safeguards.same_text_s)
                yield campaign.key, "messages", retention.delete_messages, now - kept_s
        for key in (NOBODYS, *(campaign.key for campaign in campaigns)):
            if self._inbound_days is not None:
                yield key, "inbound_texts", retention.delete_inbound, now - self._inbound_days * DAY_S

    async def _delete(self, key: CampaignKey, delete: Delete, before: float, end: float) -> int:
        time = asyncio.get_running_loop().time
        after_id = gone = young = 0
        while young < _YOUNG_PIECES and (began_at := time()) < end:
            piece = await delete(self._database, key, after_id, before, _PIECE)
            if piece.last_id is None:
                break
            after_id, gone = piece.last_id, gone + piece.gone
            young = 0 if piece.old else young + 1
            if piece.old:
                await asyncio.sleep(max(_LEAST_REST_S, _REST * (time() - began_at)))
        return gone
