"""One campaign's part of its brand's T-Mobile day: asked for in blocks, ahead of need, and handed back unused."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.core.sending.daily_cap import Ask, DailyCap
from gateway.store import brand_days
from gateway.store.database import Database
from gateway.store.troubles import DatabaseAway

_log = logging.getLogger(__name__)
_AWAY_S, _DEFECT_S = 1.0, 30.0


class BrandDay:
    """Keeps a shared cap supplied; at most one statement is under way."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        brand: str,
        key: CampaignKey,
        cap: DailyCap,
        done: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._brand = brand
        self._key = key
        self._cap = cap
        self._done = done
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def consider(self) -> None:
        """Asks for more where the allowance runs low; cheap when it does not."""
        if self._task is not None or self._closed:
            return
        asks = self._cap.asks(self._clock.now())
        if asks:
            name = f"brand day {self._key.campaign_id}"
            self._task = asyncio.get_running_loop().create_task(self._settle(asks), name=name)

    async def hand_back(self) -> None:
        """What is not used is the other campaigns'. Nothing more is asked for. Raises DatabaseAway."""
        self._closed = True
        if self._task is not None:
            await asyncio.wait([self._task])
        await self._ask(self._cap.hand_back())

    def close(self) -> None:
        self._closed = True
        if self._task is not None:
            self._task.cancel()

    async def _settle(self, asks: Sequence[Ask]) -> None:
        try:
            await self._ask(asks)
        except DatabaseAway:
            await asyncio.sleep(_AWAY_S)
        except Exception:  # noqa: BLE001 - a defect must not stop the campaign's other texts
            _log.exception("campaign %s: its brand's day can't be shared now", self._key.campaign_id)
            await asyncio.sleep(_DEFECT_S)
        finally:
            self._task = None
        self._done()

    async def _ask(self, asks: Sequence[Ask]) -> None:
        for ask in asks:
            held = await brand_days.settle(
                self._database,
                self._key,
                self._brand,
                ask.day,
                used=ask.used,
                wanted=ask.wanted,
                cap=self._cap.limit,
                is_reached=ask.is_reached,
            )
            self._cap.grant(ask, held.segments, held.is_reached, self._clock.now())
