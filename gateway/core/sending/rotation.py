"""The sending numbers in the order in which new conversations get them (F016, F017, F018).

One number after the other is filled, `rotate_after` new conversations each, nearest to the recipient first.
Rotation serves capacity and locality, never evasion: a conversation that runs is no business of this file.
"""

import math
from collections.abc import Iterable
from enum import StrEnum
from itertools import chain

import msgspec

from gateway.core.sending.pacing import Pacer
from gateway.core.sending.purchases import local_codes
from gateway.core.text.localities import Nearness, nearness


class NumberState(StrEnum):
    """`PROVISIONING`: not yet, or not any more, known to the carriers. `QUARANTINED`: only finishes its running conversations."""

    PROVISIONING = "provisioning"
    ACTIVE = "active"
    QUARANTINED = "quarantined"
    RETIRED = "retired"


class Number(msgspec.Struct, kw_only=True):
    """One sending number of the pool, as stored. `moved_to` takes over the conversations of a retired one.

    `proved_at`: since when carriers are believed to know it, None while it settles or is on trial (settling.py).
    `was_seen`: people may have been texted from it. `bought_at`: None for one that was brought along.
    """

    number_id: int
    phone: str
    area_code: str
    state: NumberState = NumberState.ACTIVE
    new_conversations_in_turn: int = 0
    conversations: int = 0
    errors: int = 0
    errors_since: float = 0.0
    quarantines: int = 0
    quarantined_at: float | None = None
    last_used_at: float | None = None
    moved_to: int | None = None
    bought_at: float | None = None
    settles_at: float | None = None
    tried_at: float | None = None
    proved_at: float | None = 0.0
    was_seen: bool = True
    refusals: int = 0
    refused_with: int | None = None


class How(StrEnum):
    """How a number was chosen."""

    STICKY = "sticky"
    LOCAL = "local"
    PREFERRED = "preferred"
    ROTATION = "rotation"


class Order:
    """The active numbers as one kind of recipient should get them, nearest first."""

    __slots__ = ("first", "hows", "is_covered", "local_codes", "numbers", "turn")

    def __init__(self, pool: Iterable[Number], area_code: str, preferred: tuple[str, ...]) -> None:
        kept = [number for number in pool if number.state is not NumberState.RETIRED]
        self.numbers = [number for number in kept if number.state is NumberState.ACTIVE]
        self.numbers.sort(key=lambda n: self._rank(n, area_code, preferred))
        self.hows = [_how(number, area_code, preferred) for number in self.numbers]
        self.local_codes = local_codes(area_code, preferred)
        self.is_covered = not self.local_codes or any(
            nearness(area_code, number.area_code) <= Nearness.SAME_REGION for number in kept
        )
        self.first = 0  # all numbers before it have had their share of this turn
        self.turn = -1

    @staticmethod
    def _rank(number: Number, area_code: str, preferred: tuple[str, ...]) -> tuple[bool, int, int]:
        is_other = bool(preferred) and number.area_code not in preferred
        return is_other, nearness(area_code, number.area_code), number.number_id


def _how(number: Number, area_code: str, preferred: tuple[str, ...]) -> How:
    if nearness(area_code, number.area_code) < Nearness.ELSEWHERE:
        return How.LOCAL
    return How.PREFERRED if number.area_code in preferred else How.ROTATION


class Rotation:
    """The active numbers of a pool and their shares of the running turn."""

    def __init__(self, rotate_after: int) -> None:
        self.rotate_after = rotate_after
        self.active: list[Number] = []
        self._kept: list[Number] = []
        self._orders: dict[tuple[str, tuple[str, ...]], Order] = {}
        self._ceiling = rotate_after
        self._below_ceiling = 0
        self._turn = 0

    def regroup(self, kept: list[Number]) -> None:
        """The states have changed; `kept` are all numbers but the retired, by id."""
        self._kept = kept
        self.active = [number for number in kept if number.state is NumberState.ACTIVE]
        self._orders.clear()
        self._set_ceiling(self.rotate_after)

    def turn_is_over(self) -> bool:
        """All active numbers have had their share, or more."""
        return self._below_ceiling == 0 or self._ceiling > self.rotate_after

    def extend_turn(self) -> None:
        """Go on filling up while one more number is on its way."""
        if self._below_ceiling == 0:
            self._set_ceiling(self._ceiling + self.rotate_after)

    def begin_turn(self) -> None:
        for number in self.active:
            number.new_conversations_in_turn = 0
        self._set_ceiling(self.rotate_after)

    def count(self, number: Number) -> None:
        """One new conversation more."""
        number.conversations += 1
        number.new_conversations_in_turn += 1
        if number.new_conversations_in_turn == self._ceiling:
            self._below_ceiling -= 1

    def order(self, area_code: str, preferred: tuple[str, ...]) -> Order:
        found = self._orders.get((area_code, preferred))
        if found is None:
            found = self._orders[area_code, preferred] = Order(self._kept, area_code, preferred)
        return found

    def first_free(
        self, order: Order, free_at: float, carrier: str | None, pacer: Pacer
    ) -> tuple[int, float]:
        """Index and slot of the first number with a share left that is free at `free_at`; else of any free
        one, for capacity goes before rotation; else of the one free soonest."""
        first = self._first_with_share(order)
        busy, busy_with_carrier = pacer.number_meters(carrier)
        numbers, spare, best, best_slot = order.numbers, -1, -1, math.inf
        for index in chain(range(first, len(numbers)), range(first)):
            number = numbers[index]
            own = busy.get(number.number_id, 0.0)
            if busy_with_carrier:
                own = max(own, busy_with_carrier.get(number.number_id, 0.0))
            if own <= free_at:
                if number.new_conversations_in_turn < self._ceiling:
                    return index, free_at
                spare = index if spare < 0 else spare
            elif own < best_slot:
                best, best_slot = index, own
        return (spare, free_at) if spare >= 0 else (best, best_slot)

    def _first_with_share(self, order: Order) -> int:
        """Shares only shrink within a turn, so the search goes on where it ended."""
        if order.turn != self._turn:
            order.turn, order.first = self._turn, 0
        numbers, count = order.numbers, len(order.numbers)
        while order.first < count and numbers[order.first].new_conversations_in_turn >= self._ceiling:
            order.first += 1
        return order.first

    def _set_ceiling(self, ceiling: int) -> None:
        self._turn += 1
        self._ceiling = ceiling
        self._below_ceiling = sum(n.new_conversations_in_turn < ceiling for n in self.active)
