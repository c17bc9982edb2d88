"""Breakers: which variant of a script draws a carrier's filter, and whether its first texts to that carrier go on.

A breaker stands before each pair of a script and a carrier. It is closed while texts go, and open while first texts
wait; replies go on either way. Only a person closes it again.

| state    | first texts | what moved it there                                                         |
|----------|-------------|-----------------------------------------------------------------------------|
| `closed` | go          | nothing, or a person who resumed it: its figures begin anew                 |
| `warned` | go          | a share that is surely above its lower threshold, or replies that stay away |
| `open`   | wait        | a share that is surely above its upper threshold, or a person               |
| `off`    | go          | a person: this pair is not looked at any more                               |

"Surely" is the lower end of Wilson's 95 % interval (bank/rates.py), of enough texts that have ended. Opt-outs warn, and
open nothing by default: of strangers 17 to 22 % leave after a decent first text, so that no fixed share tells a bad
script from a new list. Texts that a filter swallows may count as delivered: then nobody answers at that carrier, while
people of the others do. That warns as well, and never opens anything. Sources: F072; N9 and N10 of the survey of rivals.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from gateway.core.bank.rates import Rate, rate

Share = Annotated[float, Meta(ge=0, le=1)]

SILENT_BELOW: Final = 1 / 3
"""Of the share that answers at the other carriers: where surely fewer do, texts are delivered and not shown."""


class BreakerPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When breakers warn and open. Shares of texts that have ended (filtered), or were delivered (opt-outs); 1: never.

    `least_texts`: of fewer nothing is said. `opens` false: breakers warn, and open for nobody but a person.
    """

    opens: bool = True
    least_texts: Annotated[int, Meta(ge=20, le=1_000_000)] = 200
    filtered_warn: Share = 0.02
    filtered_open: Share = 0.05
    opt_outs_warn: Share = 0.25
    opt_outs_open: Share = 1.0


class Pair(NamedTuple):
    """A script of an action by its name, and a carrier as look-ups name it; "": the carriers that nobody knows."""

    action_id: int
    carrier: str
    script: str

    @property
    def word(self) -> str:
        """As a campaign's row names it, and SQL puts it together (store/first_texts.py)."""
        return f"{self.action_id}/{self.carrier}/{self.script}"


class Tally(msgspec.Struct, frozen=True):
    """First texts of a pair that have ended, those filtered and those delivered among them; who opted out by a text of
    their own, and who wrote anything at all."""

    finals: int = 0
    filtered: int = 0
    delivered: int = 0
    opt_outs: int = 0
    replies: int = 0

    def since(self, before: "Tally") -> "Tally":
        """What came since; counts that were made anew may be lower."""
        return Tally(*(max(0, ours - theirs) for ours, theirs in zip(self.all(), before.all(), strict=True)))

    def plus(self, other: "Tally") -> "Tally":
        return Tally(*(ours + theirs for ours, theirs in zip(self.all(), other.all(), strict=True)))

    def all(self) -> tuple[int, ...]:
        return msgspec.structs.astuple(self)

    @property
    def filtered_share(self) -> Rate:
        return rate(self.filtered, self.finals)

    @property
    def opt_out_share(self) -> Rate:
        """Of those delivered; somebody may leave before the receipt is there."""
        return rate(min(self.opt_outs, self.delivered), self.delivered)

    @property
    def reply_share(self) -> Rate:
        return rate(min(self.replies, self.delivered), self.delivered)


class State(StrEnum):
    """Of a breaker."""

    CLOSED = "closed"
    WARNED = "warned"
    OPEN = "open"
    OFF = "off"


class Reason(StrEnum):
    """Why a breaker is where it is."""

    NONE = ""
    FILTERED = "filtered"
    OPT_OUTS = "opt_outs"
    SILENT = "silent"
    BY_HAND = "by_hand"


MOVED: Final = (State.WARNED, State.OPEN, State.OFF)
REASONS: Final = (Reason.FILTERED, Reason.OPT_OUTS, Reason.SILENT, Reason.BY_HAND)
"""The states in which something has moved a breaker, and what may have."""


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """A pair's breaker: since when (Unix seconds; None: ever) and by whom it is in its state. `base` is what had been
    counted when its figures last began anew."""

    pair: Pair
    state: State = State.CLOSED
    reason: Reason = Reason.NONE
    since: float | None = None
    who: str = ""
    base: Tally = Tally()


class Verdict(NamedTuple):
    """What figures ask for."""

    state: State
    reason: Reason


_WELL: Final = Verdict(State.CLOSED, Reason.NONE)


def judge(own: Tally, elsewhere: Tally, policy: BreakerPolicy) -> Verdict:
    """What a pair's figures ask for; `elsewhere` are those of the same script at all other carriers."""
    least = policy.least_texts
    filtered = own.filtered_share.low if own.finals >= least else 0.0
    opt_outs = own.opt_out_share.low if own.delivered >= least else 0.0
    for reason, share, limit in (
        (Reason.FILTERED, filtered, policy.filtered_open),
        (Reason.OPT_OUTS, opt_outs, policy.opt_outs_open),
    ):
        if policy.opens and share > limit:
            return Verdict(State.OPEN, reason)
    for reason, share, limit in (
        (Reason.FILTERED, filtered, policy.filtered_warn),
        (Reason.OPT_OUTS, opt_outs, policy.opt_outs_warn),
    ):
        if share > limit:
            return Verdict(State.WARNED, reason)
    if min(own.delivered, elsewhere.delivered) >= least and (
        own.reply_share.high < SILENT_BELOW * elsewhere.reply_share.low
    ):
        return Verdict(State.WARNED, Reason.SILENT)
    return _WELL


def moves(
    breakers: Mapping[Pair, Breaker], tallies: Mapping[Pair, Tally], policy: BreakerPolicy, now: float
) -> Iterator[Breaker]:
    """The breakers that figures move: to `warned`, and to `open`. A person's word stands, and so does a warning."""
    for pair in sorted(tallies):
        before = breakers.get(pair) or Breaker(pair=pair)
        if before.state not in (State.CLOSED, State.WARNED):
            continue
        found = judge(tallies[pair].since(before.base), elsewhere(pair, tallies), policy)
        if found.state is State.OPEN or (found.state is State.WARNED and before.state is State.CLOSED):
            yield msgspec.structs.replace(
                before, state=found.state, reason=found.reason, since=now, who=GATEWAY
            )


GATEWAY: Final = "gateway"
"""Who moved a breaker, when it was not a person."""


def elsewhere(pair: Pair, tallies: Mapping[Pair, Tally]) -> Tally:
    """The same script at all other carriers."""
    found = Tally()
    for other, tally in tallies.items():
        if (other.action_id, other.script) == (pair.action_id, pair.script) and other != pair:
            found = found.plus(tally)
    return found
