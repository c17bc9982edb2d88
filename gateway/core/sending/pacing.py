"""When a message may go: the next free slot per number, carrier and campaign, and T-Mobile's daily cap.

Every limit is a meter without burst (GCRA with a tolerance of zero): a message takes a slot, and the meter is
free again `segments / rate` seconds later. In any window of W seconds a meter so passes at most
`rate x W` segments and one message more. A message takes its slot on all its meters at once.

No clock: `now` and slots are Unix seconds, sizes are SMS segments.
"""

import math
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from gateway.core.rules.registration import BIG_CARRIERS, Limits
from gateway.core.sending.daily_cap import (
    CAP_EDGE_S,
    CAPPED,
    DailyCap,
    PacerState,
    last_cap_reset,
    next_cap_reset,
)

__all__ = [
    "CAP_EDGE_S",
    "DailyCap",
    "Pacer",
    "PacerState",
    "Throttle",
    "last_cap_reset",
    "next_cap_reset",
]

SLOWEST_FACTOR: Final = 1 / 64
MOST_LOST: Final = 0.5  # of a pace at a time, however much of it was refused
LOOK_BACK_S: Final = 3  # seconds over which refusals are weighed against what was handed over
RECOVERY_STEP: Final = 0.05  # of the full rate
RECOVERY_STEP_S: Final = 1.0
_REMEMBERED_S: Final = 60
_GRANT_S: Final = 1.0

_NO_METER: Final[Mapping[int, float]] = MappingProxyType({})


class _Second(msgspec.Struct, gc=False):
    """What has its slot in one second, what was refused in it, and the highest pace it was planned at."""

    given: int = 0
    refused: int = 0
    factor: float = 0.0


class Throttle:
    """A share of a rate, lowered to what gets through when the provider pushes back, regained step by step.

    Additive increase, multiplicative decrease; the decrease is the share that was refused of what was handed
    over lately, so that a chance refusal among hundreds costs next to nothing. It is measured from the pace at
    which those were planned: many refusals of one pace lower it once.
    """

    __slots__ = ("_next_step_at", "_seconds", "factor")

    def __init__(self) -> None:
        self.factor = 1.0
        self._seconds: dict[int, _Second] = {}
        self._next_step_at = -math.inf

    def give(self, second: int) -> None:
        """A message took a slot in that second."""
        planned = self._seconds.get(second) or self._begin(second)
        planned.given += 1
        planned.factor = max(planned.factor, self.factor)

    def take_back(self, second: int) -> None:
        """A message will not be handed over in that second."""
        planned = self._seconds.get(second)
        if planned is not None and planned.given > 0:
            planned.given -= 1

    def slow_down(self, now: float, refused_at: float) -> None:
        """One refusal."""
        last = int(refused_at)
        (self._seconds.get(last) or self._begin(last)).refused += 1
        lately = [self._seconds[s] for s in range(last - LOOK_BACK_S + 1, last + 1) if s in self._seconds]
        refused = sum(each.refused for each in lately)
        share = refused / max(refused, sum(each.given for each in lately))
        pace = max((each.factor for each in lately if each.given), default=self.factor)
        if self.factor == 1.0:
            self._next_step_at = now + RECOVERY_STEP_S
        self.factor = max(SLOWEST_FACTOR, min(self.factor, pace * (1.0 - min(share, MOST_LOST))))

    def speed_up(self, now: float) -> None:
        while self.factor < 1.0 and self._next_step_at <= now:
            self.factor = min(1.0, self.factor + RECOVERY_STEP)
            self._next_step_at += RECOVERY_STEP_S

    def _begin(self, second: int) -> _Second:
        if len(self._seconds) > 2 * _REMEMBERED_S:
            recent = second - _REMEMBERED_S
            self._seconds = {each: known for each, known in self._seconds.items() if each >= recent}
        begun = self._seconds[second] = _Second()
        return begun


class Pacer:
    """The meters of one campaign: in total, per carrier, per number, per number and small carrier.

    An unknown carrier (None) counts against every big carrier and the daily cap, so that no rate is passed
    whatever it turns out to be.
    """

    def __init__(
        self, limits: Limits, state: PacerState | None = None, *, cap: DailyCap | None = None
    ) -> None:
        self.limits = limits
        self._total_free_at = 0.0
        self._carrier_free_at: dict[str, float] = {}
        self._number_free_at: dict[int, float] = {}
        self._small_free_at: dict[str | None, dict[int, float]] = {}
        self.cap = self._own_cap(state or PacerState()) if cap is None else cap
        self._throttle = Throttle()
        self._carrier_throttle: dict[str, Throttle] = {}
        self._slowed: dict[str | None, Throttle] = {}
        self._waits: Counter[str] = Counter()
        self._apply(limits)

    def change(self, limits: Limits) -> None:
        """Other limits from now on; meters, the day's use and what was slowed down stay. Whether there is a daily
        cap at all must not change."""
        assert (limits.tmobile_daily_segments is None) == (self.limits.tmobile_daily_segments is None)
        self.limits = limits
        if self.cap is not None and limits.tmobile_daily_segments is not None:
            rate_per_s = limits.carrier_per_s.get("tmobile", limits.total_per_s)
            self.cap.change(limits.tmobile_daily_segments, rate_per_s)
        self._apply(limits)

    def _apply(self, limits: Limits) -> None:
        names = limits.carrier_per_s
        self._carrier_free_at = {name: self._carrier_free_at.get(name, 0.0) for name in names}
        self._carrier_throttle = {name: self._carrier_throttle.get(name) or Throttle() for name in names}
        self._slowed = {
            scope: each for scope, each in self._slowed.items() if scope is None or scope in names
        }
        self._carriers_metered: dict[str | None, tuple[str, ...]] = {name: (name,) for name in names}
        self._carriers_metered[None] = tuple(name for name in BIG_CARRIERS if name in names)
        self._number_segment_s = 1.0 / limits.number_per_s
        self._small_segment_s = 1.0 / limits.small_carrier_number_per_s
        self._set_rates()

    def earliest(
        self, now: float, carrier: str | None, number: int | None = None, segments: int = 1
    ) -> float:
        """When the message could go, without reserving; without a number, the numbers' meters are left out.

        Infinite when it is longer than a whole day's cap.
        """
        slot = max(now, self._total_free_at)
        for metered in self._carriers_metered.get(carrier, ()):
            free_at = self._carrier_free_at[metered]
            slot = max(slot, free_at)
        if number is not None:
            free_at = self._number_free_at.get(number, 0.0)
            slot = max(slot, free_at)
            if (meter := self._small_meter(carrier)) is not None:
                slot = max(slot, meter.get(number, 0.0))
        if self.cap is not None and carrier in CAPPED:
            slot = self.cap.clear_at(slot, segments)
        return slot

    def number_meters(self, carrier: str | None) -> tuple[Mapping[int, float], Mapping[int, float]]:
        """Free-at times by number: of all its traffic, and of that to the small carrier. Missing: 0, fresh."""
        return self._number_free_at, self._small_meter(carrier) or _NO_METER

    def reserve(self, now: float, carrier: str | None, number: int, segments: int) -> float:
        """Take the earliest slot on all meters and return it."""
        slot = self.earliest(now, carrier, number, segments)
        if slot < math.inf:
            self.occupy(slot, carrier, number, segments)
        return slot

    def occupy(self, slot: float, carrier: str | None, number: int, segments: int) -> None:
        """Reserve a slot that `earliest` gave for the same message."""
        second = int(slot)
        if (tight := self._tight(slot, carrier, number)) is not None:
            self._waits[tight] += 1
        self._total_free_at = slot + segments * self._total_segment_s
        self._throttle.give(second)
        for metered in self._carriers_metered.get(carrier, ()):
            self._carrier_free_at[metered] = slot + segments * self._carrier_segment_s[metered]
            self._carrier_throttle[metered].give(second)
        self._number_free_at[number] = slot + segments * self._number_segment_s
        if (meter := self._small_meter(carrier)) is not None:
            meter[number] = slot + segments * self._small_segment_s
        if self.cap is not None and carrier in CAPPED:
            self.cap.add(slot, segments)

    def _tight(self, slot: float, carrier: str | None, number: int) -> str | None:
        """Which scope's meter is what a text with this slot waits for; None: none, or a carrier's day."""
        if slot == self._total_free_at:
            return "campaign"
        for metered in self._carriers_metered.get(carrier, ()):
            if slot == self._carrier_free_at[metered]:
                return "carrier"
        if slot == self._number_free_at.get(number):
            return "number"
        meter = self._small_meter(carrier)
        return "number" if meter is not None and slot == meter.get(number) else None

    def take_waits(self) -> Mapping[str, int]:
        """By scope, how many texts took a slot that they waited for, since the last time this was asked."""
        waits, self._waits = self._waits, Counter()
        return waits

    def give_back(self, slot: float, carrier: str | None, number: int, segments: int) -> None:
        """A reserved message was never handed over: its share of the day is free again, and so is its slot on every
        meter on which nobody has taken a later one. A missed slot of a slow rate is minutes."""
        self._throttle.take_back(int(slot))
        if self._total_free_at == slot + segments * self._total_segment_s:
            self._total_free_at = slot
        for metered in self._carriers_metered.get(carrier, ()):
            self._carrier_throttle[metered].take_back(int(slot))
            if self._carrier_free_at[metered] == slot + segments * self._carrier_segment_s[metered]:
                self._carrier_free_at[metered] = slot
        if self._number_free_at.get(number) == slot + segments * self._number_segment_s:
            self._number_free_at[number] = slot
        meter = self._small_meter(carrier)
        if meter is not None and meter.get(number) == slot + segments * self._small_segment_s:
            meter[number] = slot
        if self.cap is not None and carrier in CAPPED:
            self.cap.give_back(slot, segments)

    def duration_s(self, segments: int, carrier: str | None = "") -> float:
        """How long a message keeps the slowest of the campaign's and that carrier's meters busy."""
        metered = self._carriers_metered.get(carrier, ())
        slowest_s = max((self._carrier_segment_s[name] for name in metered), default=0.0)
        return segments * max(slowest_s, self._total_segment_s)

    def capped_until(self, now: float, carrier: str | None, segments: int = 1) -> float | None:
        """When T-Mobile's daily cap lets the message go (Pacific midnight); None when it does now."""
        if self.cap is None or carrier not in CAPPED:
            return None
        return self.cap.full_until(now, segments)

    def looked_at_again(self, now: float, slot: float, segments: int) -> float:
        """When to look again for a text with this slot: an infinite one may only wait for more of a shared cap."""
        may_be_granted = self.cap is not None and self.cap.shared and segments <= self.cap.limit
        return now + _GRANT_S if slot == math.inf and may_be_granted else slot

    def daily_cap_reached(self, now: float) -> None:
        """The provider says 30023: nothing more toward T-Mobile before the Pacific midnight."""
        if self.cap is None:
            self.cap = DailyCap(10**12)
        self.cap.exhaust(now)

    def hold(self, until: float, carrier: str | None = None, number: int | None = None) -> None:
        """Nothing before `until` to that carrier, or from that number, or (neither given) at all."""
        if number is not None:
            self._number_free_at[number] = max(until, self._number_free_at.get(number, 0.0))
        elif carrier is None:
            self._total_free_at = max(until, self._total_free_at)
        elif carrier in self._carrier_free_at:
            self._carrier_free_at[carrier] = max(until, self._carrier_free_at[carrier])

    def slow_down(self, now: float, carrier: str | None = None, refused_at: float | None = None) -> None:
        """One refusal by the provider (429, full queue) or one carrier (30017, 30022): that rate loses its share.

        By at most a half; `refused_at` is when it was refused, where that is learned later than it happened.
        """
        metered = carrier if carrier in self._carrier_throttle else None
        throttle = self._slowed[metered] = self._throttle_of(metered)
        throttle.slow_down(now, now if refused_at is None else refused_at)
        self._set_rates()

    def speed_up(self, now: float) -> None:
        """Slowed rates gain 5 % of the full rate per second passed, however often called."""
        if not self._slowed:
            return
        for throttle in self._slowed.values():
            throttle.speed_up(now)
        self._slowed = {scope: throttle for scope, throttle in self._slowed.items() if throttle.factor < 1.0}
        self._set_rates()

    def state(self) -> PacerState:
        """Plain data for `from_state`."""
        if self.cap is None:
            return PacerState()
        return PacerState(self.cap.resets_at, self.cap.used, self.cap.edge_used)

    @classmethod
    def from_state(cls, limits: Limits, state: PacerState) -> "Pacer":
        """A pacer after a restart: the day's use of the cap as it was, meters empty, rates full."""
        return cls(limits, state)

    def __repr__(self) -> str:
        slowed = {scope or "campaign": throttle.factor for scope, throttle in self._slowed.items()}
        used = "uncapped" if self.cap is None else f"{self.cap.used}/{self.cap.limit} today"
        return f"<Pacer {self.limits.total_per_s}/s, {used}, slowed {slowed}>"

    def _own_cap(self, state: PacerState) -> DailyCap | None:
        limit = self.limits.tmobile_daily_segments
        return None if limit is None else DailyCap(limit, state)

    def _small_meter(self, carrier: str | None) -> dict[int, float] | None:
        """Free-at times by number toward that small carrier; None for a big or, by default, unknown one."""
        if carrier in self._carrier_free_at:
            return None
        if self.limits.unknown_may_be_small:
            carrier = None  # whichever it is, one meter holds them all
        elif carrier is None:
            return None
        return self._small_free_at.setdefault(carrier, {})

    def _set_rates(self) -> None:
        self._total_segment_s = 1.0 / (self.limits.total_per_s * self._factor(None))
        self._carrier_segment_s = {
            carrier: 1.0 / (rate_per_s * self._factor(carrier))
            for carrier, rate_per_s in self.limits.carrier_per_s.items()
        }

    def _factor(self, scope: str | None) -> float:
        return self._throttle_of(scope).factor

    def _throttle_of(self, scope: str | None) -> Throttle:
        return self._throttle if scope is None else self._carrier_throttle[scope]
