"""The way of one message: from the provider's queue through its carrier to the handset, and the receipt back.

Four SimPy events: accepted by the carrier, word of that, the end (on the handset, or certainly never), word of
that.
"""

from collections.abc import Sequence
from math import inf
from typing import Any

import simpy

from simulator.model.carriers import CARRIERS, TMOBILE, CarrierParameters, DailyCap, Percentiles
from simulator.model.draws import Draws
from simulator.model.faults import Faults
from simulator.model.filtering import Filtering, Screened
from simulator.model.handsets import Handsets
from simulator.model.inventory import Inventory
from simulator.model.ledger import DELIVERED, FAILED, SENT, UNDELIVERED, Ledger
from simulator.model.messages import LANDLINE, Passage, Receiver
from simulator.model.webhooks import Webhooks

_SILENT = -1  # reported as delivered, never shown
_BITS_20 = (1 << 20) - 1
_FROM_20 = 2.0**-20


class Journey:
    """Carries messages from `depart` to their final word; `caps` are the daily caps by campaign."""

    def __init__(
        self,
        env: simpy.Environment,
        parameters: CarrierParameters,
        *,
        draws: Draws,
        ledger: Ledger,
        faults: Faults,
        filtering: Filtering,
        handsets: Handsets,
        inventory: Inventory,
        webhooks: Webhooks,
    ) -> None:
        self.people: Receiver | None = None
        self.caps: dict[int, DailyCap] = {}
        self._fee_waived: set[int] = set()  # campaigns that pay T-Mobile nothing
        self._env = env
        self._ledger = ledger
        self._faults = faults
        self._filtering = filtering
        self._handsets = handsets
        self._inventory = inventory
        self._webhooks = webhooks
        self._filter_luck = draws.stream("market/filter")
        self._any_brownout = faults.any_brownout
        self._any_failure = faults.any_carrier_failure
        self._any_storm = bool(faults.parameters.receipt_storms)
        self._refusal_s = parameters.refusal_s
        slowness = [parameters.latency_factor.get(name, 1.0) for name in CARRIERS]
        accept = (0.5, parameters.accept_median_s), (0.99, parameters.accept_p99_s)
        self._accept_s = _per_carrier(slowness, *accept)
        self._arrival_s = _per_carrier(slowness, *handsets.arrival)
        self._filter_factor = [parameters.filter_factor.get(name, 1.0) for name in CARRIERS]
        self._unknown_below = [_threshold(parameters.unknown_error_of(name)) for name in CARRIERS]
        self._missing_below = [_threshold(parameters.receipt_missing_share(name)) for name in CARRIERS]

    def waive_tmobile_fee(self, campaign: int, *, waived: bool) -> None:
        """Whether a campaign pays T-Mobile's fee."""
        (self._fee_waived.add if waived else self._fee_waived.discard)(campaign)

    def fail_soon(self, passage: Passage, code: int) -> None:
        passage.code = code
        self._env.timeout(self._refusal_s, passage).callbacks.append(self._fail)

    def _fail(self, event: Any) -> None:
        self._end(event.value, FAILED)

    def expire(self, passage: Passage) -> None:
        passage.code = 30036
        self._end(passage, FAILED)

    def depart(self, passage: Passage) -> None:
        """A message leaves the provider's queue for its carrier."""
        now = self._env.now
        submission = passage.submission
        if self._filtering.suspended(submission.campaign, now):
            self.fail_soon(passage, 30033)
            return
        passage.departed_at = now
        is_waived = passage.carrier == TMOBILE and submission.campaign in self._fee_waived
        self._ledger.bill(passage.carrier, passage.segments, is_mms=passage.is_mms, fee_waived=is_waived)
        latency_s = self._accept_s[passage.carrier].at_bits(passage.word)
        if self._any_brownout:
            latency_s *= self._faults.slow_factor(passage.carrier, now)
        reached = self._accepted
        if passage.carrier == TMOBILE:
            cap = self.caps.get(submission.campaign)
            if cap is not None and not cap.take(passage.segments, now):
                passage.code = 30023
                reached = self._ended
        self._env.timeout(latency_s, passage).callbacks.append(reached)

    def _accepted(self, event: Any) -> None:
        """The carrier has the message; what will become of it is decided now."""
        passage: Passage = event.value
        now = self._env.now
        self._ledger.accept(passage.n, passage.departed_at, now)
        self._webhooks.status(passage, SENT)
        delay_s = self._arrival_s[passage.carrier].at_bits(passage.word >> 12)
        if self._any_brownout:
            delay_s *= self._faults.slow_factor(passage.carrier, now)
            if passage.is_mms:
                delay_s += self._faults.mms_late_s(now)
        code = self._obstacle(passage, now)
        if not code:
            off_s = self._handsets.back_at(passage.submission.to, now) - now
            kept_s = self._handsets.kept_s(passage.submission.to, now) if off_s > 0 else inf
            if off_s > kept_s:
                code, delay_s = 30003, kept_s
            else:
                delay_s += off_s
        passage.code = code
        self._env.timeout(delay_s, passage).callbacks.append(self._ended)

    def _obstacle(self, passage: Passage, now: float) -> int:
        """The code that will end a message short of its handset, _SILENT, or 0."""
        submission = passage.submission
        to, sender = submission.to, submission.sender
        verdict = self._filtering.judge(
            submission.campaign,
            sender,
            submission.body,
            body_key=submission.body_key,
            first=passage.nth == 0,
            uniform=self._filter_luck(to, passage.nth),
            now=now,
            factor=self._filter_factor[passage.carrier],
        )
        if verdict:
            return _SILENT if verdict is Screened.SILENT else 30007
        holding = self._inventory.holding(sender)
        if holding is not None and self._faults.ban_code(holding.nth, now):
            return 30007
        if passage.line:
            return 30006 if passage.line == LANDLINE else 30005
        luck = passage.word >> 24 & _BITS_20
        if luck < self._unknown_below[passage.carrier]:
            return 30008
        return self._faults.carrier_fails(passage.carrier, now, luck * _FROM_20) if self._any_failure else 0

    def _ended(self, event: Any) -> None:
        """The message is on the handset, or certainly never will be."""
        passage: Passage = event.value
        now = self._env.now
        submission = passage.submission
        if passage.code > 0:
            if passage.code in {30005, 30006}:
                self._filtering.dead(submission.campaign, submission.sender, now)
            self._receipt(passage, UNDELIVERED, now)
            return
        shown = not passage.code
        passage.code = 0
        self._ledger.arrive(passage.n, now, shown)
        if (passage.word >> 44) >= self._missing_below[passage.carrier]:
            self._receipt(passage, DELIVERED, now)
        if shown and self.people is not None:
            self.people.received(
                passage.index, submission.to, submission.sender, submission.body, passage.nth, now
            )

    def _receipt(self, passage: Passage, status: int, now: float) -> None:
        if self._any_storm:
            held_s = self._faults.receipts_held_until(now) - now
            if held_s > 0:
                self._env.timeout(held_s, (passage, status)).callbacks.append(self._release_receipt)
                return
        self._end(passage, status)

    def _release_receipt(self, event: Any) -> None:
        self._end(*event.value)

    def _end(self, passage: Passage, status: int) -> None:
        self._ledger.final(passage.n, self._env.now, status, passage.code)
        self._webhooks.status(passage, status, passage.code)


def _per_carrier(slowness: Sequence[float], *points: tuple[float, float]) -> list[Percentiles]:
    """A time's distribution for each carrier, by how slow it is; carriers alike have one in common."""
    known = {factor: Percentiles(*points, factor=factor) for factor in slowness}
    return [known[factor] for factor in slowness]


def _threshold(share: float) -> int:
    """A share as a bound for 20 random bits."""
    return round(share * (_BITS_20 + 1))
