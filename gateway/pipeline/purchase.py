"""Buying a number: the pool says where and why, the provider sells, the store remembers (F015, C7).

Nobody can tell whether a purchase whose answer was lost was carried out, nor one that a crash or a change of owner
interrupted. So before each purchase the provider is asked what it has sold for the campaign already: a number that is
in nobody's books is taken before another is bought.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec
import structlog

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import Kind, consequence
from gateway.core.sending import settling
from gateway.core.sending.numbers import Number, NumberPool
from gateway.core.sending.pool_policy import PoolPolicy
from gateway.core.sending.purchases import BuyOne, NoPurchase
from gateway.core.text.phone import masked
from gateway.metrics import Metrics
from gateway.providers.base import AnswerLost, BoughtNumber, NotSent, Provider, ProviderError, Refused, Stock
from gateway.store import numbers, purchases
from gateway.store.database import Database
from gateway.store.troubles import DatabaseAway

_log = structlog.get_logger("textbank.numbers")
_AWAY_FIRST_S, _AWAY_MOST_S = 0.5, 5.0
PATIENCE_S = 5.0  # a provider that is slow to answer holds up no campaign
_LONGEST_PURCHASE_S = 120.0  # then it is as if its answer were lost
_LONGEST_PAUSE_S = 3600.0
_MOST_DOUBLINGS = 20
_FORGOTTEN = "found_again"


class Buyer:
    """Purchases of one campaign's pool; at most one under way for each reason."""

    def __init__(
        self,
        provider: Provider,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        key: CampaignKey,
        pool: NumberPool,
        done: Callable[[], None],
    ) -> None:
        self._provider = provider
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._key = key
        self._pool = pool
        self._done = done
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._last_id = max(pool.numbers, default=0)
        self._one_at_a_time = asyncio.Lock()
        self._stopped: NoPurchase | None = None
        self._lost = 0  # purchases in a row of which nobody knows what became

    def consider(self, buy: BuyOne | None) -> None:
        """Starts the purchase, unless one for the same reason is under way."""
        if buy is None or buy.reason in self._under_way:
            return
        self._pool.purchase_started(buy)
        task = asyncio.get_running_loop().create_task(self._buy(buy), name=f"buy {buy.reason}")
        self._under_way[buy.reason] = task

    def look_ahead(self) -> None:
        """Buys what is wanted ahead of need, and says when nothing more is bought, and why."""
        now = self._clock.now()
        stopped = self._pool.no_purchase(now)
        if stopped is not self._stopped:
            self._stopped = stopped
            self._tell(stopped, now)
        self.consider(self._pool.buy_ahead(now))

    def _tell(self, stopped: NoPurchase | None, now: float) -> None:
        if stopped is None:
            _log.info("numbers may be bought again", campaign_id=self._key.campaign_id)
            return
        _log.warning(
            "no number is bought any more",
            campaign_id=self._key.campaign_id,
            why=str(stopped),
            numbers=len(self._pool.numbers),
            most_numbers=self._pool.max_numbers,
            bought_within_a_day=self._pool.bought_lately(now),
        )

    def close(self) -> None:
        for task in self._under_way.values():
            task.cancel()

    async def _buy(self, buy: BuyOne) -> None:
        number, sold_out = None, list(buy.area_codes[:1])
        try:
            async with self._one_at_a_time:  # two searches would both find the same forgotten number
                number, sold_out = await self._find_or_buy(buy)
        except (ProviderError, DatabaseAway) as error:
            sold_out = []
            self._postpone(buy, error)
        except Exception:  # noqa: BLE001 - bought or not, it can't be used; somebody else's number must do
            _log.exception(
                "a number could not be kept", campaign_id=self._key.campaign_id, reason=str(buy.reason)
            )
            sold_out = list(buy.area_codes[:1])
        finally:
            del self._under_way[buy.reason]
        for area_code in sold_out:
            self._pool.purchase_failed(buy, area_code, self._clock.now())
        if number is not None:
            self._pool.purchase_finished(buy, number)
        self._done()
        self.look_ahead()

    async def _find_or_buy(self, buy: BuyOne) -> tuple[Number | None, list[str]]:
        """Raises ProviderError when nothing can be said of stocks, DatabaseAway."""
        found = await self._forgotten()
        if found is not None:
            return await self._keep(found, _FORGOTTEN), []
        budget = self._pool.policy.purchases_per_day(self._pool.max_numbers)
        purchase_id = await purchases.begin(self._database, self._key, budget, self._clock.now())
        if purchase_id is None:
            self._pool.budget_is_spent(self._clock.now())
            self._pool.purchase_postponed(buy, self._clock.now())
            return None, []
        try:
            bought, sold_out = await self._ask(buy)
        except (NotSent, Refused):
            await purchases.not_made(self._database, self._key, purchase_id)
            raise
        if bought is None:
            await purchases.not_made(self._database, self._key, purchase_id)
            return None, sold_out
        self._lost = 0
        return await self._keep(bought, buy.reason), sold_out

    def _postpone(self, buy: BuyOne, error: Exception) -> None:
        """The provider is asked again soon after an outage, ever later after answers that leave doubt."""
        wait_s = self._pool.policy.purchase_poll_s
        if not isinstance(error, (NotSent, DatabaseAway)):
            wait_s = min(wait_s * 2.0**self._lost, _LONGEST_PAUSE_S)
            self._lost = min(self._lost + 1, _MOST_DOUBLINGS)
        _log.warning(
            "a number can't be asked for now",
            campaign_id=self._key.campaign_id,
            reason=str(buy.reason),
            error=str(error),
            again_in_s=round(wait_s),
        )
        self._pool.purchase_postponed(buy, self._clock.now(), wait_s)

    async def _forgotten(self) -> BoughtNumber | None:
        """A number that was bought for the campaign and is in nobody's books."""
        if not isinstance(self._provider, Stock):
            return None
        try:
            async with asyncio.timeout(PATIENCE_S):
                bought = await self._provider.bought_for(self._key.campaign_id)
        except TimeoutError as error:
            raise NotSent(text="the provider does not say in time what it has sold") from error
        except (NotSent, AnswerLost):
            raise
        except ProviderError as error:  # it can't say: a purchase may still work, and the budget bounds it
            _log.warning("what was bought can't be seen", campaign_id=self._key.campaign_id, error=str(error))
            return None
        unknown = await _in_nobodys_books(self._database, bought)
        return unknown[0] if unknown else None

    async def _ask(self, buy: BuyOne) -> tuple[BoughtNumber | None, list[str]]:
        """The first area code that has a number, and those that had none.

        What is raised says nothing of stocks: an outage, a lost answer, a refusal for another reason.
        """
        sold_out: list[str] = []
        for area_code in buy.area_codes:
            try:
                async with asyncio.timeout(_LONGEST_PURCHASE_S):
                    return await self._provider.buy(self._key.campaign_id, area_code), sold_out
            except TimeoutError as error:
                raise AnswerLost(text="no answer to a purchase in time") from error
            except Refused as error:
                if error.code is not None and consequence(error.code).kind is not Kind.PURCHASE:
                    raise
                sold_out.append(area_code)
        return None, sold_out

    async def _keep(self, bought: BoughtNumber, reason: str) -> Number:
        """It is paid for: while the database is away, it waits to be written down."""
        self._last_id += 1
        number = _settling(self._last_id, bought, self._pool.policy, self._clock.now())
        row = _row(number, bought, reason)
        away_s = _AWAY_FIRST_S
        while True:
            try:
                await numbers.add(self._database, self._key, row, self._clock.now())
                self._metrics.number_bought(reason)
                return number
            except DatabaseAway:
                await asyncio.sleep(away_s)
                away_s = min(2 * away_s, _AWAY_MOST_S)


def _settling(number_id: int, bought: BoughtNumber, policy: PoolPolicy, now: float) -> Number:
    number = Number(number_id=number_id, phone=bought.phone, area_code=bought.phone[2:5])
    settling.settle(number, now, policy)
    return number


def _row(number: Number, bought: BoughtNumber, reason: str) -> numbers.NumberRow:
    details = msgspec.json.encode(number).decode()
    return numbers.NumberRow(
        number.number_id, bought.phone, bought.provider_sid, number.state, reason, details
    )


async def _in_nobodys_books(database: Database, bought: Sequence[BoughtNumber]) -> list[BoughtNumber]:
    if not bought:
        return []
    known = await numbers.campaigns_of(database, [each.phone for each in bought])
    return [each for each in bought if each.phone not in known]


async def take_in_forgotten(
    provider: Provider, database: Database, key: CampaignKey, policy: PoolPolicy, now: float
) -> int:
    """Numbers bought for the campaign that are in nobody's books, since a crash came between; returns how many.

    Only the campaign's owner may, before its road buys any. Raises DatabaseAway.
    """
    if not isinstance(provider, Stock):
        return 0
    try:
        async with asyncio.timeout(PATIENCE_S):
            bought = await provider.bought_for(key.campaign_id)
    except (ProviderError, TimeoutError) as error:
        _log.warning(
            "forgotten numbers can't be looked for now", campaign_id=key.campaign_id, error=str(error)
        )
        return 0
    forgotten = await _in_nobodys_books(database, bought)
    if not forgotten:
        return 0
    first_id = 1 + max((row.number_id for row in await numbers.load(database, key)), default=0)
    for number_id, each in enumerate(forgotten, first_id):
        _log.warning(
            "a number was bought and forgotten", campaign_id=key.campaign_id, number=masked(each.phone)
        )
        number = _settling(number_id, each, policy, now)
        await numbers.add(database, key, _row(number, each, _FORGOTTEN), now)
    return len(forgotten)
