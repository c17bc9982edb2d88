"""Buying a number: the pool says where and why, the provider sells, the store remembers (F015, C7)."""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.core.sending.numbers import Number, NumberPool
from gateway.core.sending.purchases import BuyOne
from gateway.providers.base import AnswerLost, BoughtNumber, NotSent, Provider, ProviderError, Stock
from gateway.store import numbers
from gateway.store.database import Database
from gateway.store.troubles import DatabaseAway

_log = logging.getLogger(__name__)
_AWAY_FIRST_S, _AWAY_MOST_S = 0.5, 5.0
_PATIENCE_S = 5.0  # a provider that is slow to answer holds up no campaign
_FORGOTTEN = "found_again"


class Buyer:
    """Purchases of one campaign's pool; at most one under way for each reason."""

    def __init__(
        self,
        provider: Provider,
        database: Database,
        clock: Clock,
        key: CampaignKey,
        pool: NumberPool,
        done: Callable[[], None],
    ) -> None:
        self._provider = provider
        self._database = database
        self._clock = clock
        self._key = key
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
        except (NotSent, AnswerLost) as error:
            _log.warning("a number for %s can't be asked for now: %s", buy.reason, error)
            sold_out = []
            self._pool.purchase_postponed(buy, self._clock.now())
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
        """The first area code that has a number, and those that had none. An outage (raised) says nothing of stocks."""
        sold_out: list[str] = []
        for area_code in buy.area_codes:
            try:
                return await self._provider.buy(self._key.campaign_id, area_code), sold_out
            except (NotSent, AnswerLost):
                raise
            except ProviderError:
                sold_out.append(area_code)
        return None, sold_out

    async def _keep(self, buy: BuyOne, bought: BoughtNumber) -> Number:
        """It is paid for: while the database is away, it waits to be written down."""
        self._last_id += 1
        number, row = _new(self._last_id, bought, buy.reason)
        away_s = _AWAY_FIRST_S
        while True:
            try:
                await numbers.add(self._database, self._key, row, self._clock.now())
                return number
            except DatabaseAway:
                await asyncio.sleep(away_s)
                away_s = min(2 * away_s, _AWAY_MOST_S)


def _new(number_id: int, bought: BoughtNumber, reason: str) -> tuple[Number, numbers.NumberRow]:
    number = Number(number_id=number_id, phone=bought.phone, area_code=bought.phone[2:5])
    details = msgspec.json.encode(number).decode()
    row = numbers.NumberRow(number_id, bought.phone, bought.provider_sid, number.state, reason, details)
    return number, row


async def take_in_forgotten(provider: Provider, database: Database, key: CampaignKey, now: float) -> int:
    """Numbers bought for the campaign that are in nobody's books, since a crash came between; returns how many.

    Only the campaign's owner may, before its road buys any. Raises DatabaseAway.
    """
    if not isinstance(provider, Stock):
        return 0
    try:
        async with asyncio.timeout(_PATIENCE_S):
            bought = await provider.bought_for(key.campaign_id)
    except (ProviderError, TimeoutError) as error:
        _log.warning("campaign %s: forgotten numbers can't be looked for now: %s", key.campaign_id, error)
        return 0
    known = await numbers.campaigns_of(database, [each.phone for each in bought])
    forgotten = [each for each in bought if each.phone not in known]
    first_id = 1 + max((row.number_id for row in await numbers.load(database, key)), default=0)
    for number_id, each in enumerate(forgotten, first_id):
        _log.warning("campaign %s: number …%s was bought and forgotten", key.campaign_id, each.phone[-4:])
        await numbers.add(database, key, _new(number_id, each, _FORGOTTEN)[1], now)
    return len(forgotten)
