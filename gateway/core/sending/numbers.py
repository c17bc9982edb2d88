"""Which number sends a message: sticky, local, preferred, in rotation; and when to buy one more.

A running conversation keeps its number until that number is retired, then moves once and for good to one
other (F022, F023, C7). New conversations fill one number after the other, `rotate_after` each (F016), nearest
to the recipient first (F017, F018). Once all have had their share one more is bought, up to the registered
pool; then a new turn begins. Choosing takes the message's slot on the pacer in the same step.

No clock: `now` is Unix seconds.
"""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Final

from gateway.core.rules.errors import Scope, consequence
from gateway.core.rules.registration import Limits
from gateway.core.sending import settling
from gateway.core.sending.choice import Chosen, Need, NoNumber, Wait
from gateway.core.sending.filtering import FilteringWatch, Suspect
from gateway.core.sending.pacing import Pacer
from gateway.core.sending.pool_policy import PoolPolicy
from gateway.core.sending.purchases import BuyOne, BuyReason, NoPurchase, Purchases
from gateway.core.sending.rotation import How, Number, NumberState, Order, Rotation

__all__ = [
    "BuyOne",
    "BuyReason",
    "Chosen",
    "How",
    "NoNumber",
    "NoPurchase",
    "Number",
    "NumberPool",
    "NumberState",
    "PoolPolicy",
    "Suspect",
    "Wait",
]

_DAY_S: Final = 86_400.0
_BUDGET_AGAIN_S: Final = 600.0
_PATIENCE_S: Final = 300.0  # a text waits so long for a number that could not be bought: a few tries


class NumberPool:
    """The numbers of one campaign. `number_id`s are the caller's; ties go to the lowest."""

    def __init__(self, policy: PoolPolicy, limits: Limits, numbers: Iterable[Number], pacer: Pacer) -> None:
        self.policy = policy
        self.max_numbers = min(policy.max_numbers, limits.max_numbers)
        self.numbers: dict[int, Number] = {number.number_id: number for number in numbers}
        self.is_in_doubt = False  # a number is on trial: deliveries tell more than usual
        self._pacer = pacer
        self._rotation = Rotation(policy.rotate_after)
        self._purchases = Purchases(policy.restock_s, policy.retry_anywhere_s)
        self._no_budget_until = -math.inf
        self._watch = FilteringWatch(policy.filtering)
        self._dirty: set[int] = set()
        self.must_be_saved = False  # a number changed its state: a crash now must not forget it
        self._unserved: Counter[tuple[str, ...]] = Counter()
        self._bound: dict[str | None, tuple[float, float]] = {}  # first and last time, by carrier
        self._regroup()

    def change(self, policy: PoolPolicy, limits: Limits) -> None:
        """Another policy from now on; numbers, turns, purchases under way and what was learned stay."""
        self.policy = policy
        self.max_numbers = min(policy.max_numbers, limits.max_numbers)
        self._rotation.rotate_after = policy.rotate_after
        self._purchases.change(policy.restock_s, policy.retry_anywhere_s)
        self._watch.policy = policy.filtering
        self._regroup()

    # Choosing

    def choose(
        self,
        now: float,
        *,
        sticky: int | None,
        area_code: str,
        carrier: str | None,
        segments: int,
        horizon_s: float = math.inf,
        preferred: tuple[str, ...] | None = None,
        due_at: float | None = None,
    ) -> Chosen | Wait | NoNumber:
        """The number for a message, its slot reserved if it lies within `now + horizon_s`.

        `sticky` is the conversation's number, None for a new conversation. `area_code` is the recipient's.
        `preferred` is the action's own list of area codes (F026), else the campaign's holds.
        `due_at` is since when the message could have gone, if that is earlier than `now`.
        """
        if now >= self._next_release_at:
            self._release_due(now)
        codes = self.policy.preferred_area_codes if preferred is None else preferred
        ready_at = now if due_at is None else due_at
        need = Need(now, ready_at, now + horizon_s, area_code, carrier, segments, codes)
        if sticky is None:
            return self._begin(need)
        number = self.numbers.get(sticky)
        if number is not None and number.state is not NumberState.RETIRED:
            return self._stay(need, number, None)
        successor = self._successor(number)
        return self._move(need, sticky) if successor is None else self._stay(need, successor, sticky)

    def _stay(self, need: Need, number: Number, moved_from: int | None) -> Chosen | Wait | NoNumber:
        if number.state is NumberState.PROVISIONING:
            if not number.was_seen:  # nobody knows it: whoever was given it may have another
                return self._begin(need)
            return Wait(need.now + self.policy.purchase_poll_s, whole_pool=False)
        slot = self._pacer.earliest(need.now, need.carrier, number.number_id, need.segments)
        if slot > need.latest or slot == math.inf:
            return Wait(self._pacer.looked_at_again(need.now, slot, need.segments), whole_pool=False)
        if moved_from is not None:
            number.conversations += 1
        self._take(need, number, slot)
        return Chosen(number, slot, How.STICKY, moved_from)

    def _move(self, need: Need, leaving: int) -> Chosen | Wait | NoNumber:
        """The first conversation to leave a retired number chooses where all its others will follow."""
        found = self._begin(need)
        if not isinstance(found, Chosen):
            return found
        left = self.numbers.get(leaving)
        if left is not None:
            left.moved_to = found.number.number_id
            self._dirty.add(leaving)
            self.must_be_saved = True
        return Chosen(found.number, found.slot, found.how, leaving, found.buy)

    def _successor(self, number: Number | None) -> Number | None:
        while number is not None and number.state is NumberState.RETIRED:
            number = None if number.moved_to is None else self.numbers.get(number.moved_to)
        return number if number is not None and number.state is NumberState.ACTIVE else None

    def _begin(self, need: Need) -> Chosen | Wait | NoNumber:
        """A new conversation."""
        if not self._rotation.active:
            return self._without_numbers(need)
        buy = self._end_turn(need) if self._rotation.turn_is_over() else None
        order = self._rotation.order(need.area_code, need.preferred)
        free_at = self._pacer.earliest(need.now, need.carrier, None, need.segments)
        index, slot = self._rotation.first_free(order, free_at, need.carrier, self._pacer)
        if slot > free_at:
            buy = self._buy_for_capacity(need, slot) or buy
        if slot > need.latest or slot == math.inf:
            return Wait(self._pacer.looked_at_again(need.now, slot, need.segments), buy)
        if not order.is_covered:
            buy = self._buy_for_locality(need, order) or buy
        number = order.numbers[index]
        self._take(need, number, slot)
        self._rotation.count(number)
        return Chosen(number, slot, order.hows[index], None, buy)

    def _take(self, need: Need, number: Number, slot: float) -> None:
        self._pacer.occupy(slot, need.carrier, number.number_id, need.segments)
        self._watch.sent(need.now, number.number_id)
        number.last_used_at = slot
        if number.proved_at is None:
            self._try_out(number, slot, need.now)
        self._dirty.add(number.number_id)

    def _try_out(self, number: Number, slot: float, now: float) -> None:
        self._pacer.hold(slot + settling.TRIAL_GAP_S, number=number.number_id)
        if settling.try_out(number, now):
            self._changed(number)

    # Growing

    def _without_numbers(self, need: Need) -> Wait | NoNumber:
        poll_at = need.now + self.policy.purchase_poll_s
        if self._purchases or self._settling or self.is_unregistered:
            return Wait(poll_at)
        if self._purchases.are_postponed(need.now):
            return Wait(poll_at)
        buy = self._propose(need, BuyReason.REPLACEMENT if self.numbers else BuyReason.FIRST_NUMBER)
        if buy is not None:
            return Wait(poll_at, buy)
        # Somebody else was quicker, or all are sold out just now.
        may_be_had = self.no_purchase(need.now) is None
        return Wait(poll_at) if may_be_had and need.now < need.due_at + _PATIENCE_S else NoNumber()

    def _end_turn(self, need: Need) -> BuyOne | None:
        """All have had their share: buy one more, filling up as before meanwhile; else begin a new turn."""
        self._rotation.extend_turn()
        if self._settling or self.is_in_doubt or BuyReason.ROTATION in self._purchases:
            return None
        buy = self._propose(need, BuyReason.ROTATION)
        if buy is None:
            self._rotation.begin_turn()
            self._dirty.update(number.number_id for number in self._rotation.active)
        return buy

    def _buy_for_capacity(self, need: Need, slot: float) -> BuyOne | None:
        """The numbers' own rates, not the campaign's, hold this carrier's messages back, and have for long."""
        longest_s = self.policy.max_wait_s
        since, last = self._bound.get(need.carrier, (need.now, need.now))
        since = need.now if need.now - last > longest_s else since
        self._bound[need.carrier] = since, need.now
        lasts_s = max(slot, need.now) - since
        if min(lasts_s, slot - need.due_at) <= longest_s or self._settling or self.is_in_doubt:
            return None
        return self._propose(need, BuyReason.CAPACITY)

    def _buy_for_locality(self, need: Need, order: Order) -> BuyOne | None:
        """Recipients in a preferred area code without a number of ours: worth one when there are many."""
        self._unserved[order.local_codes] += 1
        if self._unserved[order.local_codes] < self.policy.local_after:
            return None
        return self._propose(need, BuyReason.AREA_CODE)

    def _propose(self, need: Need, reason: BuyReason) -> BuyOne | None:
        if self.no_purchase(need.now) is not None:
            return None
        return self._purchases.propose(need.now, reason, need.area_code, need.preferred)

    def buy_ahead(self, now: float) -> BuyOne | None:
        """One more number while there are fewer than `min_numbers`, in the preferred area codes by turns."""
        usable = sum(number.state is not NumberState.RETIRED for number in self.numbers.values())
        if usable + len(self._purchases) >= self.policy.min_numbers or self.no_purchase(now) is not None:
            return None
        codes = self.policy.preferred_area_codes
        nearest = codes[usable % len(codes)] if codes else ""
        return self._purchases.propose(now, BuyReason.AHEAD, nearest, codes)

    def no_purchase(self, now: float) -> NoPurchase | None:
        """Why nothing more may be bought; None when something may.

        A number counts until it is taken out of the registered campaign, and a retired one is still in it.
        """
        if len(self.numbers) + len(self._purchases) >= self.max_numbers:
            return NoPurchase.POOL_IS_FULL
        if self.is_unregistered:
            return NoPurchase.UNREGISTERED
        most = self.policy.purchases_per_day(self.max_numbers)
        if now < self._no_budget_until or self.bought_lately(now) + len(self._purchases) >= most:
            return NoPurchase.BUDGET
        return None

    def bought_lately(self, now: float) -> int:
        """Numbers bought within 24 hours."""
        since = now - _DAY_S
        return sum(n.bought_at is not None and n.bought_at > since for n in self.numbers.values())

    def purchase_started(self, buy: BuyOne) -> None:
        """Call before asking the provider, so that nobody asks twice."""
        self._purchases.started(buy)

    def purchase_finished(self, buy: BuyOne, number: Number) -> None:
        """The number is ours; while it is `PROVISIONING`, call `activate` once it may send."""
        self._purchases.finished(buy)
        self.add(number)

    def purchase_failed(self, buy: BuyOne, area_code: str, now: float) -> None:
        """This area code had none ("": nowhere): the next choice asks without it, for `restock_s`."""
        self._purchases.failed(buy, area_code, now)

    def purchase_postponed(self, buy: BuyOne, now: float, wait_s: float | None = None) -> None:
        """The provider could not be asked; messages wait, and it is asked again, else after `purchase_poll_s`."""
        self._purchases.postponed(buy, now + (self.policy.purchase_poll_s if wait_s is None else wait_s))

    def budget_is_spent(self, now: float) -> None:
        """The books count purchases of which no number was kept: no more for a while."""
        self._no_budget_until = now + _BUDGET_AGAIN_S

    # Judging

    def not_known(self, now: float, number_id: int, code: int) -> bool:
        """Carriers don't know a number (30034, 30035): it waits; False when that was known."""
        number = self.numbers.get(number_id)
        if number is None or settling.is_known_refusal(number, now):
            return False
        settling.refuse(number, code, now, self.policy)
        self._changed(number)
        return True

    def reached_carrier(self, now: float, number_id: int) -> None:
        """A text of this number's came to a carrier. Only of use while `is_in_doubt`."""
        number = self.numbers.get(number_id)
        if number is not None and number.proved_at is None and number.state is NumberState.ACTIVE:
            settling.prove(number, now)
            self._changed(number)

    def number_error(self, now: float, number_id: int, code_blames_number: bool) -> None:
        """A send failed; only errors that blame the number count toward quarantine and retirement (F023)."""
        number = self.numbers.get(number_id)
        if number is None or not code_blames_number or number.state is NumberState.RETIRED:
            return
        if now - number.errors_since > self.policy.error_window_s:
            number.errors, number.errors_since = 0, now
        number.errors += 1
        self._dirty.add(number_id)
        if number.errors >= self.policy.retire_after_errors:
            self.retire(number_id)
        elif number.errors >= self.policy.quarantine_after_errors:
            self.quarantine(now, number_id)

    def filtered(self, now: float, number_id: int, script_hash: str) -> Suspect | None:
        """A text was filtered (30007): who is suspected, the script first; a suspected number is quarantined."""
        suspect = self._watch.filtered(now, number_id, script_hash)
        if suspect is Suspect.NUMBER:
            self.quarantine(now, number_id)
        return suspect

    def quarantine(self, now: float, number_id: int) -> None:
        """No new conversation at once; running ones finish. The third quarantine retires the number."""
        number = self.numbers[number_id]
        if number.state not in (NumberState.ACTIVE, NumberState.PROVISIONING):
            return
        number.quarantines += 1
        if number.quarantines >= self.policy.retire_after_quarantines:
            self.retire(number_id)
            return
        number.quarantined_at = now
        self._set_state(number, NumberState.QUARANTINED)

    def retire(self, number_id: int) -> None:
        """For good: its conversations move with their next message."""
        self._set_state(self.numbers[number_id], NumberState.RETIRED)

    def release(self, number_id: int) -> None:
        """Out of quarantine, back into the rotation."""
        number = self.numbers[number_id]
        if number.state is NumberState.QUARANTINED:
            number.quarantined_at = None
            number.errors = 0
            self._set_state(number, NumberState.ACTIVE)

    def activate(self, number_id: int) -> None:
        """A number that has settled may be tried now."""
        number = self.numbers[number_id]
        if number.state is NumberState.PROVISIONING:
            number.settles_at = None
            self._set_state(number, NumberState.ACTIVE)

    def add(self, number: Number) -> None:
        """A number joins the pool: bought, or given by an admin."""
        self.numbers[number.number_id] = number
        self._dirty.add(number.number_id)
        self._regroup()

    def changes(self) -> list[Number]:
        """The numbers changed since last asked, by id, to be stored."""
        changed = [self.numbers[number_id] for number_id in sorted(self._dirty)]
        self._dirty.clear()
        self.must_be_saved = False
        return changed

    def not_saved(self, numbers: Iterable[Number]) -> None:
        """These could not be stored: `changes` gives them again."""
        self._dirty.update(number.number_id for number in numbers)
        self.must_be_saved = True

    def __repr__(self) -> str:
        states = Counter(number.state.value for number in self.numbers.values())
        return f"<NumberPool {dict(sorted(states.items()))}, {len(self._purchases)} on order>"

    def _set_state(self, number: Number, state: NumberState) -> None:
        number.state = state
        self._changed(number)

    def _changed(self, number: Number) -> None:
        self._dirty.add(number.number_id)
        self.must_be_saved = True
        self._regroup()

    def _release_due(self, now: float) -> None:
        for number in self.numbers.values():
            if number.quarantined_at is not None and now >= number.quarantined_at + self.policy.quarantine_s:
                self.release(number.number_id)
            if number.state is NumberState.PROVISIONING and now >= (number.settles_at or math.inf):
                self.activate(number.number_id)

    def _regroup(self) -> None:
        """What follows from the numbers' states."""
        by_id = sorted(self.numbers.values(), key=lambda number: number.number_id)
        kept = [number for number in by_id if number.state is not NumberState.RETIRED]
        self._rotation.regroup(kept)
        self._settling = sum(number.state is NumberState.PROVISIONING for number in kept)
        self.is_in_doubt = any(number.proved_at is None for number in self._rotation.active)
        self.is_unregistered = any(_is_unregistered(number) for number in kept)
        self._next_release_at = min((self._release_at(number) for number in kept), default=math.inf)
        self._bound.clear()

    def _release_at(self, number: Number) -> float:
        """When a number comes back into the rotation by itself."""
        if number.state is NumberState.QUARANTINED and number.quarantined_at is not None:
            return number.quarantined_at + self.policy.quarantine_s
        if number.state is NumberState.PROVISIONING and number.settles_at is not None:
            return number.settles_at
        return math.inf


def _is_unregistered(number: Number) -> bool:
    """Carriers said that its campaign is not registered, and nothing has reached one since."""
    return number.refused_with is not None and consequence(number.refused_with).scope is Scope.CAMPAIGN
