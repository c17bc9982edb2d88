"""Numbers on order: what to buy next, where, and why (F015, F018, F019, F025).

At most one purchase per reason is on its way, and an area code out of stock is left alone for a while.
"""

from enum import StrEnum
from math import inf
from typing import Final

import msgspec

from gateway.core.text.localities import Nearness, nearest_first, nearness

ANYWHERE: Final = ""


class BuyReason(StrEnum):
    """Why a number is needed."""

    FIRST_NUMBER = "first_number"
    AREA_CODE = "area_code"
    CAPACITY = "capacity"
    ROTATION = "rotation"
    REPLACEMENT = "replacement"
    AHEAD = "ahead"


class NoPurchase(StrEnum):
    """Why nothing is bought for a campaign at present."""

    POOL_IS_FULL = "pool_is_full"
    UNREGISTERED = "unregistered"
    BUDGET = "budget"


class BuyOne(msgspec.Struct, frozen=True):
    """Buy one number from the first of these area codes that has one; "" is anywhere."""

    area_codes: tuple[str, ...]
    reason: BuyReason


class Purchases:
    """The purchases under way and the area codes known to be out of stock."""

    def __init__(self, restock_s: float, retry_anywhere_s: float) -> None:
        self._restock_s = restock_s
        self._retry_anywhere_s = retry_anywhere_s
        self._under_way: dict[BuyReason, BuyOne] = {}
        self._asked_again_at: dict[str, float] = {}
        self._postponed_until = -inf

    def change(self, restock_s: float, retry_anywhere_s: float) -> None:
        """Other waits from the next failure on."""
        self._restock_s = restock_s
        self._retry_anywhere_s = retry_anywhere_s

    def __len__(self) -> int:
        return len(self._under_way)

    def __contains__(self, reason: BuyReason) -> bool:
        return reason in self._under_way

    def propose(
        self, now: float, reason: BuyReason, area_code: str, preferred: tuple[str, ...]
    ) -> BuyOne | None:
        """What to buy for a recipient in `area_code`; None when under way already or nowhere in stock."""
        if reason in self._under_way or self.are_postponed(now):
            return None
        wanted = (*nearest_first(preferred, area_code), ANYWHERE)
        if reason is BuyReason.AREA_CODE:
            wanted = local_codes(area_code, preferred)
        in_stock = tuple(code for code in wanted if self._asked_again_at.get(code, now) <= now)
        return BuyOne(in_stock, reason) if in_stock else None

    def started(self, buy: BuyOne) -> None:
        self._under_way[buy.reason] = buy

    def finished(self, buy: BuyOne) -> None:
        self._under_way.pop(buy.reason, None)

    def postponed(self, buy: BuyOne, until: float) -> None:
        """The provider could not be asked: nobody knows what is in stock."""
        self._under_way.pop(buy.reason, None)
        self._postponed_until = until

    def are_postponed(self, now: float) -> bool:
        """Whether the provider could not be asked a moment ago."""
        return now < self._postponed_until

    def failed(self, buy: BuyOne, area_code: str, now: float) -> None:
        self._under_way.pop(buy.reason, None)
        pause_s = self._retry_anywhere_s if area_code == ANYWHERE else self._restock_s
        self._asked_again_at[area_code] = now + pause_s


def local_codes(area_code: str, preferred: tuple[str, ...]) -> tuple[str, ...]:
    """The preferred area codes that a recipient would take for local, nearest first."""
    near = tuple(code for code in preferred if nearness(area_code, code) <= Nearness.SAME_REGION)
    return nearest_first(near, area_code)
