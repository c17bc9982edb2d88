"""The provider's webhooks on their way to the gateway: late, twice, out of order or never.

A handler that raises ConnectionError is called again as often as the retry rule says, then the webhook is
lost; the message itself is untouched and can still be fetched.
"""

from collections.abc import Callable
from math import inf
from typing import Annotated, Any

import msgspec
import simpy

from simulator.model.carriers import Seconds, Share
from simulator.model.draws import Draws
from simulator.model.faults import Faults
from simulator.model.ledger import SENT, STATUSES, Ledger
from simulator.model.messages import Passage

_BITS_16, _BITS_12 = (1 << 16) - 1, (1 << 12) - 1
_INBOUND_LUCK, _STATUS_LUCK = "webhooks/inbound", "webhooks/status"


class WebhookParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All shares and times are assumptions [A]; the retry rule is the provider's documented default [P]."""

    fastest_s: Seconds = 0.05  # seconds from the provider to the gateway, at best [A]
    slowest_s: Seconds = 0.30  # seconds, at worst; uniform between [A]
    overtaken_share: Share = 0.015  # `sent` webhooks held back so that the final one overtakes them [A]
    overtaken_s: Seconds = 20.0  # seconds such a webhook is held back [A]
    twice_share: Share = 0.002  # webhooks delivered twice [A]
    twice_s: Seconds = 5.0  # seconds between the two [A]
    lost_share: Share = 0.0005  # webhooks that never come [A]
    retries: Annotated[int, msgspec.Meta(ge=0, le=5)] = 1  # after a failed connect [P]
    retry_s: Seconds = 5.0  # seconds between two tries; all fit into 15 s [P]


class StatusEvent(msgspec.Struct, frozen=True, gc=False):
    """A status callback as it reaches the gateway at `at`; `code` is 0 or the provider's error code."""

    reference: object
    sid: str
    status: str
    code: int
    at: float


class InboundEvent(msgspec.Struct, frozen=True, gc=False):
    """A person's text as it reaches the gateway at `at`; `pictures`: the media types of what came with it."""

    sid: str
    sender: int
    to: int
    body: str
    at: float
    segments: int
    pictures: tuple[str, ...] = ()


class _StatusCall(msgspec.Struct, gc=False):
    passage: Passage
    status: int
    code: int
    tries_left: int


class _InboundCall(msgspec.Struct, gc=False):
    n: int
    event: InboundEvent
    tries_left: int


def no_status(_: StatusEvent) -> None:
    """Nobody listens."""


def no_inbound(_: InboundEvent) -> None:
    """Nobody listens."""


class Webhooks:
    """Carries status callbacks and inbound texts to `on_status` and `on_inbound`."""

    def __init__(
        self,
        env: simpy.Environment,
        parameters: WebhookParameters,
        draws: Draws,
        ledger: Ledger,
        faults: Faults | None = None,
    ) -> None:
        self.on_status: Callable[[StatusEvent], object] = no_status
        self.on_inbound: Callable[[InboundEvent], object] = no_inbound
        self._env = env
        self._ledger = ledger
        self._status_luck = draws.stream(_STATUS_LUCK)
        self._inbound_luck = draws.stream(_INBOUND_LUCK)
        self._parameters = parameters
        self._faults = faults
        self._line_ends_at = 0.0  # of the webhooks that wait in a backlog
        self._after_per_s = inf
        spread_s = parameters.slowest_s - parameters.fastest_s
        self._latency_s = [parameters.fastest_s + spread_s * step / 4096 for step in range(4096)]
        self._lost_below = round(parameters.lost_share * 65536)
        self._twice_below = round(parameters.twice_share * 65536)
        self._overtaken_below = round(parameters.overtaken_share * 65536)

    def status(self, passage: Passage, status: int, code: int = 0) -> None:
        """Send word of one status; `sent` may be overtaken by the final one."""
        early = status == SENT
        word = self._status_luck.word(passage.submission.to, passage.nth * 2 + early)
        if (word >> 12 & _BITS_16) < self._lost_below:
            self._ledger.webhooks_lost += 1
            return
        delay_s = self._latency_s[word & _BITS_12]
        if early and (word >> 28 & _BITS_16) < self._overtaken_below:
            delay_s += self._parameters.overtaken_s
        delay_s = self._with_backlog(delay_s)
        call = _StatusCall(passage, status, code, self._parameters.retries)
        self._env.timeout(delay_s, call).callbacks.append(self._bring_status)
        if (word >> 44 & _BITS_16) < self._twice_below:
            again = _StatusCall(passage, status, code, self._parameters.retries)
            self._env.timeout(delay_s + self._parameters.twice_s, again).callbacks.append(self._bring_status)

    def _with_backlog(self, delay_s: float) -> float:
        """The delay of a webhook that is due so late, with what it waits in line."""
        if self._faults is None or not self._faults.parameters.webhook_backlogs:
            return delay_s
        due = self._env.now + delay_s
        first_at = max(due, self._line_ends_at)
        backlog = self._faults.backlog(first_at)
        if backlog is not None:
            self._line_ends_at = first_at + 1 / backlog.per_s
            self._after_per_s = backlog.after_per_s
        elif first_at > due:
            self._line_ends_at = first_at + 1 / self._after_per_s
        else:
            return delay_s
        return self._line_ends_at - self._env.now

    def _bring_status(self, event: Any) -> None:
        call: _StatusCall = event.value
        passage = call.passage
        now = self._env.now
        try:
            self.on_status(
                StatusEvent(passage.submission.reference, passage.sid, STATUSES[call.status], call.code, now)
            )
        except ConnectionError:
            self._again(call, self._bring_status)
            return
        self._ledger.statuses.append(passage.n, now, call.status, call.code)

    def inbound(self, n: int, event: InboundEvent, nth: int) -> None:
        """Send the nth text of a person; `event.at` is replaced by the time it comes."""
        word = self._inbound_luck.word(event.sender, nth)
        if (word >> 12 & _BITS_16) < self._lost_below:
            self._ledger.webhooks_lost += 1
            return
        delay_s = self._latency_s[word & _BITS_12]
        delay_s = self._with_backlog(delay_s)
        retries = self._parameters.retries
        self._env.timeout(delay_s, _InboundCall(n, event, retries)).callbacks.append(self._bring_inbound)
        if (word >> 44 & _BITS_16) < self._twice_below:
            later_s = delay_s + self._parameters.twice_s
            self._env.timeout(later_s, _InboundCall(n, event, retries)).callbacks.append(self._bring_inbound)

    def _bring_inbound(self, event: Any) -> None:
        call: _InboundCall = event.value
        now = self._env.now
        try:
            self.on_inbound(msgspec.structs.replace(call.event, at=now))
        except ConnectionError:
            self._again(call, self._bring_inbound)
            return
        self._ledger.inbound_deliveries.append(call.n, now)

    def _again(self, call: "_StatusCall | _InboundCall", bring: Callable[[Any], None]) -> None:
        if call.tries_left <= 0:
            self._ledger.webhooks_lost += 1
            return
        call.tries_left -= 1
        self._env.timeout(self._parameters.retry_s, call).callbacks.append(bring)
