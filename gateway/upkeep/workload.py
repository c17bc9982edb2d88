"""The workload: what waits, how much of every limit is used and what is stuck, as gauges.

What memory knows is told at each scrape. What only the store knows is counted now and then, seldom enough that the
counting takes a small share of the time, however long the queue.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.registration import BIG_CARRIERS
from gateway.core.sending.numbers import NoPurchase, NumberState
from gateway.core.sending.waiting import Lane
from gateway.metric_families import CARRIERS, UNSETTLED_STATE
from gateway.metrics import Metrics
from gateway.pipeline.dispatch import Dispatch
from gateway.pipeline.road import CampaignRoad
from gateway.store import backlog
from gateway.store.backlog import Backlog, Budget
from gateway.store.database import Database
from gateway.store.group_commit import CommitWindow
from gateway.upkeep.periodic import repeatedly

_EVERY_S = 15.0
_REST = 20  # a count rests for so many times as long as it took
_UNKNOWN = "unknown"

Handed = Mapping[tuple[int, str | None], int]


class Workload:
    """Of the campaigns that this worker owns, so that a sum over workers is right."""

    def __init__(
        self,
        database: Database,
        session: Database | None,
        clock: Clock,
        metrics: Metrics,
        dispatch: Dispatch,
    ) -> None:
        self._database = database
        self._databases = {"main": database, **({} if session is None else {"session": session})}
        self._clock = clock
        self._metrics = metrics
        self._dispatch = dispatch
        self._handed: dict[int, dict[tuple[int, str | None], int]] = {}  # by campaign, at the last count
        self._handed_at = clock.now()
        self.waiting: Counter[int] = Counter()  # by campaign: segments that waited at the last count

    # ------------------------------------------------------------ what memory knows

    def look(self, windows: "Iterable[CommitWindow[Any, Any]]") -> None:
        """Takes microseconds: numbers, daily caps, connections, calls, and what waits to be written."""
        roads = list(self._dispatch.roads.values())
        states = Counter(number.state for road in roads for number in road.pool.numbers.values())
        for state in NumberState:
            self._metrics.numbers(state, states[state])
        reasons = Counter(road.pool.no_purchase(self._clock.now()) for road in roads)
        for reason in NoPurchase:
            self._metrics.campaigns_without_purchases(reason, reasons[reason])
        pools = [road.pool for road in roads]
        fullest = max((len(pool.numbers) / max(1, pool.max_numbers) for pool in pools), default=0.0)
        self._metrics.saturation("numbers", fullest)
        for road in roads:
            for scope, waits in road.pacer.take_waits().items():
                self._metrics.rate_limit_waits(scope, waits)
        self._daily_caps(roads)
        for pool, database in self._databases.items():
            self._metrics.pool_in_use(database.in_use, pool)
            self._metrics.saturation(f"{pool}_connections", database.use)
        self._metrics.rate_limit("account", self._dispatch.hand_over.use)
        now, windows = asyncio.get_running_loop().time(), list(windows)
        self._metrics.saturation("rows_to_write", max((window.use for window in windows), default=0.0))
        ages_s = [now - window.oldest_at for window in windows if window.oldest_at is not None]
        self._metrics.outbox_lag(max(ages_s, default=0.0))

    def _daily_caps(self, roads: Iterable[CampaignRoad]) -> None:
        now, used, fullest = self._clock.now(), 0, 0.0
        limits: dict[tuple[int, str], int] = {}  # a brand's campaigns share one
        for road in roads:
            state, segments = road.pacer.state(), road.campaign.limits.tmobile_daily_segments
            if segments is not None:
                limits[road.campaign.organisation_id, road.campaign.brand] = segments
                used_here = state.cap_used if now < state.cap_resets_at else 0
                used, fullest = used + used_here, max(fullest, used_here / max(1, segments))
        self._metrics.daily_cap("tmobile", used, sum(limits.values()))
        self._metrics.saturation("tmobile_day", fullest)

    # ------------------------------------------------------------ what the store knows

    def waiting_of(self, campaign_id: int) -> int:
        """Segments that waited at the last count."""
        return self.waiting[campaign_id]

    async def run(self) -> None:
        """For ever; what can't be counted now is counted next time."""
        await repeatedly(self.run_once, lambda took_s: max(_EVERY_S, _REST * took_s), "counting the workload")

    async def run_once(self) -> None:
        """Two reads, however many campaigns. Raises DatabaseAway."""
        roads = dict(self._dispatch.roads)
        keys = [road.key for _, road in sorted(roads.items())]
        self._limits(list(roads.values()))
        await self._queues(roads, keys)
        found = await backlog.stuck(self._database, keys, Budget(), self._clock.now())
        for state in UNSETTLED_STATE.values:
            self._metrics.stuck(state, found.get(state, 0))

    async def _queues(self, roads: Mapping[int, CampaignRoad], keys: Sequence[CampaignKey]) -> None:
        lines: dict[tuple[Lane, str], _Line] = {(lane, each): _Line() for lane in Lane for each in CARRIERS}
        rows = await backlog.waiting(self._database, keys)
        now, before = self._clock.now(), defaultdict[tuple[int, str | None], int](int)
        self.waiting = Counter()
        for row in rows:
            self.waiting[row.campaign_id] += row.segments
        for row in rows:  # by lane: who goes first comes first
            before[row.campaign_id, row.carrier] += row.segments
            ahead = before[row.campaign_id, row.carrier]
            eta_s = _drain_eta_s(roads[row.campaign_id], row.carrier, ahead, now)
            carrier = row.carrier if row.carrier in CARRIERS else _UNKNOWN
            lines[Lane(row.lane), carrier].add(row, now, eta_s)
        for (lane, carrier), line in lines.items():
            self._metrics.queue(
                lane.name.lower(),
                carrier,
                messages=line.messages,
                segments=line.segments,
                oldest_age_s=line.oldest_age_s,
                drain_eta_s=line.drain_eta_s,
            )

    # ------------------------------------------------------------ limits

    def _limits(self, roads: Sequence[CampaignRoad]) -> None:
        """The use of each limit since the last count, of the campaign, carrier and number that use it most."""
        now = self._clock.now()
        lasted_s, before = now - self._handed_at, self._handed
        self._handed = {road.campaign.campaign_id: dict(road.handed_over) for road in roads}
        self._handed_at = now
        if lasted_s <= 0:
            return
        most: dict[str, float] = dict.fromkeys(("campaign", "carrier", "number"), 0.0)
        for road in roads:
            campaign_id = road.campaign.campaign_id
            busy_s = _busy_s(road, _since(before.get(campaign_id, {}), self._handed[campaign_id]))
            most = {scope: max(most[scope], busy_s[scope]) for scope in most}
        for scope, longest_s in most.items():
            self._metrics.rate_limit(scope, min(1.0, longest_s / lasted_s))


class _Line:
    """What waits in one lane for one carrier, over all campaigns."""

    def __init__(self) -> None:
        self.messages = self.segments = 0
        self.oldest_age_s = self.drain_eta_s = 0.0

    def add(self, row: Backlog, now: float, eta_s: float) -> None:
        self.messages += row.messages
        self.segments += row.segments
        self.oldest_age_s = max(self.oldest_age_s, now - row.due_at)
        self.drain_eta_s = max(self.drain_eta_s, eta_s)


def _drain_eta_s(road: CampaignRoad, carrier: str | None, segments: int, now: float) -> float:
    """At the rate allowed now; not before T-Mobile's midnight when the day is used up."""
    capped_until = road.pacer.capped_until(now, carrier)
    lasts_s = road.pacer.duration_s(segments, carrier)
    limits = road.campaign.limits
    if carrier is not None and carrier not in limits.carrier_per_s:
        numbers = sum(number.state is NumberState.ACTIVE for number in road.pool.numbers.values())
        lasts_s = max(lasts_s, segments / (limits.small_carrier_number_per_s * max(1, numbers)))
    return lasts_s if capped_until is None else capped_until - now + lasts_s


def _since(before: Handed, after: Handed) -> dict[tuple[int, str | None], int]:
    """A road of a new owner's begins at nothing."""
    return {each: max(0, segments - before.get(each, 0)) for each, segments in after.items()}


def _busy_s(road: CampaignRoad, handed: Handed) -> dict[str, float]:
    """For how long what was handed over keeps the busiest meter of each scope from other texts."""
    limits, pacer = road.campaign.limits, road.pacer
    by_carrier: Counter[str | None] = Counter()
    by_number: Counter[int] = Counter()
    small_s = [0.0]
    for (number_id, carrier), segments in handed.items():
        by_number[number_id] += segments
        for each in BIG_CARRIERS if carrier is None else (carrier,):
            by_carrier[each] += segments if each in limits.carrier_per_s else 0
        if carrier is not None and carrier not in limits.carrier_per_s:
            small_s.append(segments / limits.small_carrier_number_per_s)
    return {
        "campaign": pacer.duration_s(sum(handed.values())),
        "carrier": max((pacer.duration_s(n, each) for each, n in by_carrier.items()), default=0.0),
        "number": max(small_s + [n / limits.number_per_s for n in by_number.values()]),
    }
