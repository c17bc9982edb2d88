"""Buying a number: the pool says where and why, the provider sells, the store remembers (F015, C7)."""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from gateway.clock import Clock
from gateway.core.numbers import Number, NumberPool
from gateway.core.purchases import BuyOne
from gateway.providers.base import BoughtNumber, Provider, ProviderError
from gateway.store import numbers
from gateway.store.database import Database

_log = logging.getLogger(__name__)


class Buyer:
    """Purchases of one campaign's pool; at most one under way for each reason."""

    def __init__(
        self,
        provider: Provider,
        database: Database,
        clock: Clock,
        campaign_id: int,
        pool: NumberPool,
        done: Callable[[], None],
    ) -> None:
        self._provider = provider
        self._database = database
        self._clock = clock
        self._campaign_id = campaign_id
        self._pool = pool
        self._done = done
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._last_id = max(pool.numbers, default=0)

    def consider(self, buy: BuyOne | None) -> None:
        """Starts the purchase, unless one for the same reason is under way."""
        if buy is None or buy.reason in self._under_way:
            return
        self._pool.purchase_started(buy)
        task = asyncio.get_running_loop().create_task(self._buy(buy), name=f"buy {buy.reason}")
        self._under_way[buy.reason] = task

    def close(self) -> None:
        for task in self._under_way.values():
            task.cancel()

    async def _buy(self, buy: BuyOne) -> None:
        number, sold_out = None, list(buy.area_codes[:1])
        try:
            bought, sold_out = await self._ask(buy)
            number = None if bought is None else await self._keep(buy, bought)
        except Exception:  # noqa: BLE001 - bought or not, it can't be used; somebody else's number must do
            _log.exception("a number for %s could not be kept", buy.reason)
            sold_out = list(buy.area_codes[:1])
        finally:
            del self._under_way[buy.reason]
        for area_code in sold_out:
            self._pool.purchase_failed(buy, area_code, self._clock.now())
        if number is not None:
            self._pool.purchase_finished(buy, number)
        self._done()

    async def _ask(self, buy: BuyOne) -> tuple[BoughtNumber | None, list[str]]:
        """The first area code that has a number, and those that had none."""
        sold_out: list[str] = []
        for area_code in buy.area_codes:
            try:
                return await self._provider.buy(self._campaign_id, area_code), sold_out
            except ProviderError:
                sold_out.append(area_code)
        return None, sold_out

    async def _keep(self, buy: BuyOne, bought: BoughtNumber) -> Number:
        self._last_id += 1
        number = Number(number_id=self._last_id, phone=bought.phone, area_code=bought.phone[2:5])
        row = numbers.NumberRow(
            number.number_id,
            bought.phone,
            bought.provider_sid,
            number.state,
            buy.reason,
            msgspec.json.encode(number).decode(),
        )
        await numbers.add(self._database, self._campaign_id, row, self._clock.now())
        return number
