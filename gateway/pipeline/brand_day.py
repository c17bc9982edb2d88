"""One campaign's part of its brand's T-Mobile day: asked for in blocks, ahead of need, and handed back unused."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from gateway.clock import Clock
from gateway.core.sending.daily_cap import Ask, DailyCap
from gateway.pipeline.campaigns import Campaign
from gateway.store import brand_days
from gateway.store.database import Database
from gateway.store.troubles import DatabaseAway

_log = structlog.get_logger("textbank.brand_day")
_AWAY_S, _DEFECT_S = 1.0, 30.0


class BrandDay:
    """Keeps a shared cap supplied; at most one statement is under way. Without a cap there is nothing to do."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        campaign: Campaign,
        cap: DailyCap | None,
        done: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._campaign = campaign
        self._cap = cap
        self._done = done
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def consider(self) -> None:
        """Asks for more where the allowance runs low; cheap when it does not."""
        if self._cap is None or self._task is not None or self._closed:
            return
        asks = self._cap.asks(self._clock.now())
        if asks:
            settling = self._settle(self._cap, asks)
            self._task = asyncio.get_running_loop().create_task(settling, name="brand day")

    async def hand_back(self) -> None:
        """What is not used is the other campaigns'. Nothing more is asked for. Raises DatabaseAway."""
        self._closed = True
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._cap is not None:
            await self._ask(self._cap, self._cap.hand_back())

    def close(self) -> None:
        self._closed = True
        if self._task is not None:
            self._task.cancel()

    async def _settle(self, cap: DailyCap, asks: Sequence[Ask]) -> None:
        try:
            await self._ask(cap, asks)
        except DatabaseAway:
            await asyncio.sleep(_AWAY_S)
        except Exception:  # noqa: BLE001 - a defect must not stop the campaign's other texts
            _log.exception("a brand's day can't be shared now", campaign_id=self._campaign.campaign_id)
            await asyncio.sleep(_DEFECT_S)
        finally:
            self._task = None
        self._done()

    async def _ask(self, cap: DailyCap, asks: Sequence[Ask]) -> None:
        for ask in asks:
            held = await brand_days.settle(
                self._database,
                self._campaign.key,
                self._campaign.brand,
                ask.day,
                used=ask.used,
                wanted=ask.wanted,
                cap=cap.limit,
                is_reached=ask.is_reached,
            )
            cap.grant(ask, held.segments, held.is_reached, self._clock.now())
