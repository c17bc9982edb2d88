"""The carriers and the provider's queue in front of them: throughput, daily cap, latency, receipts, fees.

Figures are those of the 10DLC documentation as copied by vendors; [P] primary or vendor documentation,
[S] secondary, [A] an assumption of ours. Every figure is a parameter of the scenario.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, time, timedelta
from functools import cache, lru_cache
from heapq import heappop, heappush
from math import exp, inf, log
from statistics import NormalDist
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar, assert_never
from zoneinfo import ZoneInfo

import msgspec
import simpy

Carrier = Literal["att", "tmobile", "verizon", "uscellular", "regional", "voip"]
CARRIERS: tuple[Carrier, ...] = ("att", "tmobile", "verizon", "uscellular", "regional", "voip")
ATT, TMOBILE, VERIZON, USCELLULAR, REGIONAL, VOIP = range(6)
INDEX: dict[str, int] = {name: index for index, name in enumerate(CARRIERS)}

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
AtLeastOne = Annotated[float, msgspec.Meta(ge=1)]

_STEPS = 4096
_ROUNDING_S = 1e-9  # SimPy adds a delay to now: the sum may miss the slot by one unit in the last place
_PACIFIC = ZoneInfo("America/Los_Angeles")


class CarrierParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the carriers behave when nothing goes wrong."""

    answer_median_s: Positive = 0.09  # seconds, from a create call to its answer [A]
    answer_p99_s: Positive = 0.6  # seconds [A]
    accept_median_s: Positive = 0.6  # seconds, provider to carrier (`sent`) [A]
    accept_p99_s: Positive = 4.0  # seconds [A]
    unknown_error_share: Share = 0.005  # share ending 30008 [A]
    unknown_error: dict[Carrier, Share] = {}  # where a carrier has another share than that [A]
    latency_factor: dict[
        Carrier, Positive
    ] = {}  # so many times as slow as the times here and the handsets' [A]
    filter_factor: dict[Carrier, Positive] = {}  # its filter takes so many times as much [A]
    receipt_missing: dict[Carrier, Share] = msgspec.field(  # share of deliveries that stay `sent` [A]
        default_factory=lambda: {
            "att": 0.01,
            "tmobile": 0.01,
            "verizon": 0.01,
            "uscellular": 0.10,
            "regional": 0.10,
            "voip": 0.10,
        }
    )
    refusal_s: Positive = 0.3  # seconds until a message taken is found unsendable (`failed`) [A]
    inbound_median_s: Positive = 1.5  # seconds from a person's thumb to the provider [A]
    inbound_p99_s: Positive = 15.0  # seconds [A]
    queue_s: Positive = 36_000.0  # seconds of segments the provider queues: 10 hours [S]
    other_per_number_per_s: Positive = 1.0  # segments/s per number to a carrier without its own rate [S]
    base_usd: float = 0.0083  # per segment, out and in, 2026 [S]
    base_mms_usd: float = 0.022  # per MMS, out, 2026 [S]
    lookup_usd: float = 0.008  # per phone looked up for its line type; seen in price lists, not confirmed [A]
    number_monthly_usd: float = 1.15  # per long code [S]
    fee_out_usd: dict[Carrier, float] = msgspec.field(  # per outbound segment, May 2026 [S]
        default_factory=lambda: {
            "att": 0.0035,
            "tmobile": 0.0045,
            "verizon": 0.0045,
            "uscellular": 0.0045,
            "regional": 0.0035,
            "voip": 0.0020,
        }
    )
    fee_mms_usd: dict[Carrier, float] = msgspec.field(  # per outbound MMS, 2026 [S]
        default_factory=lambda: {
            "att": 0.009,
            "tmobile": 0.010,
            "verizon": 0.0070,
            "uscellular": 0.010,
            "regional": 0.0075,
            "voip": 0.0075,
        }
    )
    fee_in_usd: dict[Carrier, float] = msgspec.field(  # per inbound segment, May 2026 [S]
        default_factory=lambda: {"att": 0.0035, "tmobile": 0.0025, "regional": 0.0035}
    )

    def receipt_missing_share(self, carrier: Carrier) -> float:
        """The share of deliveries for which `carrier` sends no receipt."""
        return self.receipt_missing.get(carrier, 0.0)

    def unknown_error_of(self, carrier: Carrier) -> float:
        """The share of texts to `carrier` that end 30008."""
        return self.unknown_error.get(carrier, self.unknown_error_share)

    def price_out_usd(self, carrier: Carrier) -> float:
        """Dollars per outbound segment to `carrier`."""
        return self.base_usd + self.fee_out_usd.get(carrier, 0.0)

    def price_mms_usd(self, carrier: Carrier) -> float:
        """Dollars per outbound MMS to `carrier`."""
        return self.base_mms_usd + self.fee_mms_usd.get(carrier, 0.0)

    def price_in_usd(self, carrier: Carrier) -> float:
        """Dollars per inbound segment from `carrier`."""
        return self.base_usd + self.fee_in_usd.get(carrier, 0.0)


class CampaignRegistration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the carriers granted a campaign; rates in SMS segments per second, shared by all its numbers."""

    total_per_s: Positive = 225.0
    carrier_per_s: dict[Carrier, Positive] = msgspec.field(
        default_factory=lambda: {"att": 75.0, "tmobile": 75.0, "verizon": 75.0, "uscellular": 8.0}
    )
    tmobile_daily_segments: int | None = None  # None: uncapped
    max_numbers: int = 49  # without a number-pool approval [S]
    registered: bool = True
    brand: str = ""  # campaigns of one brand share T-Mobile's cap; empty: a brand of its own
    mms_per_s: Positive = 40.0  # MMS/s to each carrier
    tmobile_fee_waived: bool = False  # approved campaigns of 501(c)(3) organisations pay T-Mobile nothing [S]


_BY_SCORE = ((225.0, 75.0), (120.0, 40.0), (12.0, 4.0))  # 75-100, 50-74, below: total, each of the three [S]
_MMS_BY_RATE = ((75.0, 40.0), (40.0, 20.0), (0.0, 5.0))  # by what the three take: MMS/s to each carrier [S]
_TMOBILE_DAY = (
    (75, 200_000),
    (50, 40_000),
    (25, 10_000),
    (0, 2_000),
)  # by score, segments per Pacific day [P]

CampaignKind = Literal["political", "charity", "declared", "mixed", "low_volume_mixed", "sole_proprietor"]
BrandKind = Literal[
    "political_527", "standard", "nonprofit", "charity", "low_volume", "sole_proprietor", "government"
]


def registration_of(
    brand_kind: BrandKind, score: int = 0, campaign_kind: str = "", *, brand: str = ""
) -> CampaignRegistration:
    """The registration a brand gets by its kind and its vetting score 0-100 (10DLC throughput tables).

    A 527 organisation with a Campaign Verify token gets class K: the top rates, and no T-Mobile cap.
    """
    if campaign_kind == "low_volume_mixed":
        return _granted(3.75, (1.25,) * 3, 1.25, 2_000, brand=brand)
    match brand_kind:
        case "sole_proprietor":
            return _granted(2.25, (0.25, 1.0, 1.0), 1.0, 1_000, brand=brand, max_numbers=1)
        case "low_volume":
            return _granted(12.0, (4.0,) * 3, 4.0, 2_000, brand=brand)
        case "political_527" | "government":
            return _granted(225.0, (75.0,) * 3, 8.0, None, brand=brand)
        case "standard" | "nonprofit" | "charity":
            is_charity = campaign_kind == "charity"  # AT&T's class P, whatever the score [P]
            total, each = _BY_SCORE[1 if is_charity or 50 <= score < 75 else 0 if score >= 75 else 2]
            cap = next(segments for least, segments in _TMOBILE_DAY if score >= least)
            waived = brand_kind == "charity" and is_charity
            return _granted(total, (each,) * 3, min(8.0, each), cap, brand=brand, tmobile_fee_waived=waived)
        case _:
            assert_never(brand_kind)


def _granted(
    total: float,
    three: Sequence[float],
    uscellular: float,
    cap: int | None,
    *,
    brand: str,
    max_numbers: int = 49,
    tmobile_fee_waived: bool = False,
) -> CampaignRegistration:
    att, tmobile, verizon = three
    rates: dict[Carrier, float] = {
        "att": att,
        "tmobile": tmobile,
        "verizon": verizon,
        "uscellular": uscellular,
    }
    return CampaignRegistration(
        total,
        rates,
        cap,
        max_numbers,
        brand=brand,
        mms_per_s=next(mms_per_s for least, mms_per_s in _MMS_BY_RATE if verizon >= least),
        tmobile_fee_waived=tmobile_fee_waived,
    )


class Percentiles:
    """A time in seconds given by some of its percentiles, lognormal between and beyond them."""

    __slots__ = ("_table",)

    def __init__(self, *points: tuple[float, float], factor: float = 1.0) -> None:
        self._table = _times(points, factor)

    def at(self, uniform: float) -> float:
        """The time at quantile `uniform` in [0, 1)."""
        return self._table[int(uniform * _STEPS)]

    def at_bits(self, word: int) -> float:
        """The same for the lowest 12 bits of a random word: no float on the way."""
        return self._table[word & (_STEPS - 1)]


@lru_cache(256)
def _times(points: tuple[tuple[float, float], ...], factor: float) -> list[float]:
    """The time at each step: the same for every world with these parameters, of which tests make hundreds."""
    normal = NormalDist()
    scores = [normal.inv_cdf(share) for share, _ in points]
    logs = [log(factor * time_s) for _, time_s in points]
    last = len(points) - 2

    def at(score: float) -> float:
        left = min(max(bisect_right(scores, score) - 1, 0), last)
        slope = (logs[left + 1] - logs[left]) / (scores[left + 1] - scores[left])
        return exp(logs[left] + slope * (score - scores[left]))

    return [at(score) for score in _scores()]


@cache
def _scores() -> list[float]:
    """The standard normal at each step, which all tables have in common."""
    normal = NormalDist()
    return [normal.inv_cdf((step + 0.5) / _STEPS) for step in range(_STEPS)]


class DailyCap:
    """T-Mobile's segments per brand and Pacific day, reset at 00:00 America/Los_Angeles, DST included [P]."""

    __slots__ = ("_ends_at", "_start_at", "segments_per_day", "used")

    def __init__(self, segments_per_day: int, start_at: float) -> None:
        self.segments_per_day = segments_per_day
        self.used = 0
        self._start_at = start_at
        self._ends_at = -inf

    def take(self, segments: int, now: float) -> bool:
        """Whether the day has room for `segments` at `now` (seconds of the world); if so they are counted."""
        if now >= self._ends_at:
            self._ends_at = next_pacific_midnight(self._start_at + now) - self._start_at
            self.used = 0
        if self.used + segments > self.segments_per_day:
            return False
        self.used += segments
        return True


def next_pacific_midnight(at: float) -> float:
    """Unix seconds of the first 00:00 in Los Angeles after the Unix time `at`."""
    today = datetime.fromtimestamp(at, _PACIFIC).date()
    return datetime.combine(today + timedelta(days=1), time.min, _PACIFIC).timestamp()


class Queued(Protocol):
    """What may stand in a campaign's queue."""

    n: int
    carrier: int
    segments: int
    is_mms: bool
    deadline: float
    waiting: bool


Item = TypeVar("Item", bound=Queued)


class _Lane(Generic[Item]):
    __slots__ = ("free_at", "rate_per_s", "waiting")

    def __init__(self, rate_per_s: float | None) -> None:
        self.rate_per_s = rate_per_s  # None: so much per number
        self.free_at = 0.0
        self.waiting: deque[Item] = deque()


class CampaignQueue(Generic[Item]):
    """The provider's queue of one campaign: one lane per carrier, first come first served in each.

    A lane departs segments at its rate and the campaign at its total, without bursts: a message of k segments
    keeps its lane for k/rate seconds. A full lane never holds up another. What has not departed by its deadline
    is handed to `expire` then, and takes no capacity.
    """

    def __init__(
        self,
        env: simpy.Environment,
        registration: CampaignRegistration,
        parameters: CarrierParameters,
        *,
        depart: Callable[[Item], object],
        expire: Callable[[Item], object],
        slow_factor: Callable[[int, float], float] | None = None,
        in_queue: list[int] | None = None,
    ) -> None:
        self._env = env
        self._depart = depart
        self._expire = expire
        self._slow_factor = slow_factor
        self._in_queue = in_queue if in_queue is not None else [0] * len(CARRIERS)
        self._other_per_number_per_s = parameters.other_per_number_per_s
        self._free_at = 0.0
        self._armed_at = inf
        self._expiry_armed_at = inf
        self._deadlines: list[tuple[float, int, Item]] = []
        self._lanes: list[_Lane[Item]] = [_Lane(None) for _ in CARRIERS]
        self.numbers = 0
        self.waiting_segments = 0
        self.limit(registration)

    def limit(self, registration: CampaignRegistration) -> None:
        """Set the rates; what already waits departs at the new ones."""
        self._total_per_s = registration.total_per_s
        self._mms_per_s = registration.mms_per_s
        for name, lane in zip(CARRIERS, self._lanes, strict=True):
            lane.rate_per_s = registration.carrier_per_s.get(name)

    def push(self, item: Item) -> None:
        """Depart now if the lane and the campaign are free, else wait for a slot."""
        lane = self._lanes[item.carrier]
        now = self._env.now
        if not lane.waiting and lane.free_at <= now and self._free_at <= now:
            self._go(item, lane, now)
            return
        item.waiting = True
        lane.waiting.append(item)
        self.waiting_segments += item.segments
        self._in_queue[item.carrier] += 1
        heappush(self._deadlines, (item.deadline, item.n, item))
        self._arm_expiry()
        self._wake_at(max(lane.free_at, self._free_at))

    def _go(self, item: Item, lane: "_Lane[Item]", now: float) -> None:
        rate_per_s = lane.rate_per_s or self._other_per_number_per_s * max(1, self.numbers)
        if item.is_mms:
            rate_per_s = min(rate_per_s, self._mms_per_s)
        if self._slow_factor is not None:
            rate_per_s /= self._slow_factor(item.carrier, now)
        lane.free_at = max(lane.free_at, now) + item.segments / rate_per_s
        self._free_at = max(self._free_at, now) + item.segments / self._total_per_s
        self._depart(item)

    def _leave(self, item: Item) -> None:
        item.waiting = False
        self.waiting_segments -= item.segments
        self._in_queue[item.carrier] -= 1

    def _wake_at(self, at: float) -> None:
        if at < self._armed_at:
            self._armed_at = at
            self._env.timeout(max(0.0, at - self._env.now), at).callbacks.append(self._pump)

    def _pump(self, event: Any) -> None:
        """Let go whoever has a slot, the longest waiting first; wake again for the next."""
        if event.value == self._armed_at:
            self._armed_at = inf
        now = self._env.now
        while self._free_at <= now + _ROUNDING_S:
            lane = self._ready(now + _ROUNDING_S)
            if lane is None:
                break
            item = lane.waiting.popleft()
            self._leave(item)
            self._go(item, lane, now)
        first_at = min((lane.free_at for lane in self._lanes if _prune(lane)), default=inf)
        self._wake_at(max(first_at, self._free_at))

    def _ready(self, latest: float) -> "_Lane[Item] | None":
        ready = None
        for lane in self._lanes:
            may_go = lane.waiting and lane.free_at <= latest and _prune(lane)
            if may_go and (ready is None or lane.waiting[0].n < ready.waiting[0].n):
                ready = lane
        return ready

    def _arm_expiry(self) -> None:
        while self._deadlines and not self._deadlines[0][2].waiting:
            heappop(self._deadlines)
        if self._deadlines and self._deadlines[0][0] < self._expiry_armed_at:
            self._expiry_armed_at = self._deadlines[0][0]
            delay_s = max(0.0, self._expiry_armed_at - self._env.now)
            self._env.timeout(delay_s, self._expiry_armed_at).callbacks.append(self._expire_due)

    def _expire_due(self, event: Any) -> None:
        if event.value == self._expiry_armed_at:
            self._expiry_armed_at = inf
        latest = self._env.now + _ROUNDING_S
        while self._deadlines and self._deadlines[0][0] <= latest:
            item = heappop(self._deadlines)[2]
            if item.waiting:
                self._leave(item)
                self._expire(item)
        self._arm_expiry()


def _prune(lane: _Lane[Item]) -> bool:
    """Drop the expired from the head of a lane; whether anybody still waits."""
    while lane.waiting and not lane.waiting[0].waiting:
        lane.waiting.popleft()
    return bool(lane.waiting)
