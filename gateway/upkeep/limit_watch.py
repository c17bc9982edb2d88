"""Looks at every limit of the campaigns that this worker owns, and tells admins before one is full (and when it is)."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from math import inf, isfinite
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from gateway.clock import Clock
from gateway.core.bank.limits import (
    PACE_OVER_S,
    Forecast,
    History,
    Level,
    Limit,
    Reading,
    seconds_left,
    share,
    title,
    words,
)
from gateway.core.rules.hours import Open, group_key, verdict
from gateway.core.sending.daily_cap import cap_day, next_cap_reset
from gateway.metrics import Metrics
from gateway.pipeline.campaigns import Campaign
from gateway.pipeline.dispatch import Dispatch
from gateway.pipeline.road import CampaignRoad
from gateway.store import brand_days, campaign_limits, user_notices, users
from gateway.store.database import Database
from gateway.store.ids import Ids
from gateway.store.user_notices import UserNotice
from gateway.store.users import MemberFilter
from gateway.upkeep.periodic import repeatedly

_log = structlog.get_logger("textbank.limits")
_EVERY_S: Final = 15.0
_RATE_OVER_S: Final = 60.0
_MOST_ADMINS: Final = 200
Waiting = Callable[[int], int]
"""Of a campaign: how many segments wait, or how many contacts nobody has been given yet."""


class _Watched:
    """What is remembered of a road between two looks."""

    def __init__(self) -> None:
        self.histories: dict[Limit, History] = {}
        self.levels: dict[Limit, Level] | None = None
        self.written: tuple[tuple[Limit, Level, float, bool], ...] = ()
        self.handed: deque[tuple[float, int]] = deque()  # when, segments ever

    def pace_per_s(self, now: float, over_s: float) -> float:
        """Segments a second over the last seconds that were looked at."""
        since_at, since = next((each for each in self.handed if each[0] >= now - over_s), self.handed[-1])
        return (self.handed[-1][1] - since) / (now - since_at) if now > since_at else 0.0


class LimitWatch:
    """`waiting` and `remaining`: segments that wait, contacts that nobody has been given yet, by campaign id."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        dispatch: Dispatch,
        waiting: Waiting,
        remaining: Waiting,
    ) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._dispatch = dispatch
        self._waiting = waiting
        self._remaining = remaining
        self._ids = Ids(database)
        self._watched: dict[int, _Watched] = {}

    async def run(self) -> None:
        """For ever."""
        await repeatedly(self.run_once, lambda _: _EVERY_S, "the watch on limits")

    async def run_once(self) -> None:
        """Every owned campaign; one in which nothing changes costs no statement. Raises DatabaseAway."""
        roads = dict(self._dispatch.roads)
        self._watched = {each: self._watched.get(each) or _Watched() for each in roads}
        fullest = dict.fromkeys(Limit, 0.0)
        for campaign_id, road in roads.items():
            for each in await self._look(road, self._watched[campaign_id]):
                fullest[each.limit] = max(fullest[each.limit], each.share)
        for limit, used in fullest.items():
            self._metrics.limit_used(limit, used)

    async def _look(self, road: CampaignRoad, watched: _Watched) -> Sequence[Forecast]:
        now = self._clock.now()
        watched.handed.append((now, sum(road.handed_over.values())))
        while watched.handed[0][0] < now - PACE_OVER_S:
            watched.handed.popleft()
        if watched.levels is None:
            watched.levels = await campaign_limits.levels(self._database, road.key)
        readings = dict(self._readings(road, watched, now))
        if (day := await self._tmobile_day(road, now)) is not None:
            readings[Limit.TMOBILE_DAY] = day
        forecasts = [_forecast(watched, limit, reading) for limit, reading in sorted(readings.items())]
        seen = tuple((each.limit, each.level, each.used, each.hit_at is None) for each in forecasts)
        if seen != watched.written:
            await self._write(road.campaign, watched, forecasts, now)
            watched.written = seen
            watched.levels = {each.limit: each.level for each in forecasts}
        return forecasts

    def _readings(self, road: CampaignRoad, watched: _Watched, now: float) -> Iterator[tuple[Limit, Reading]]:
        pool, most_per_s = road.pool, road.pacer.limits.total_per_s
        if isfinite(most_per_s):
            used = round(watched.pace_per_s(now, _RATE_OVER_S), 2)
            full_at = now if share(used, most_per_s) >= 1 else inf
            yield Limit.RATE, Reading(at=now, used=used, most=most_per_s, full_at=full_at)
        yield Limit.NUMBERS, Reading(at=now, used=len(pool.numbers), most=pool.max_numbers)
        budget = pool.policy.purchases_per_day(pool.max_numbers)
        yield Limit.PURCHASES, Reading(at=now, used=pool.bought_lately(now), most=budget)
        if (window := self._window(road.campaign, watched, now)) is not None:
            yield Limit.WINDOW, window

    def _window(self, campaign: Campaign, watched: _Watched, now: float) -> Reading | None:
        """What is left: what waits, and a segment for each contact that nobody has been given. None: texting is shut."""
        hours = campaign.settings.hours
        until = verdict(now, hours, group_key(None, [hours.zone]))
        if not isinstance(until, Open):
            return None
        left = self._waiting(campaign.campaign_id) + self._remaining(campaign.campaign_id)
        needed_s = round(seconds_left(left, watched.pace_per_s(now, PACE_OVER_S)))
        left_s = until.until - now
        return Reading(
            at=now,
            used=needed_s,
            most=left_s,
            resets_at=until.until,
            full_at=until.until if needed_s >= left_s else inf,
        )

    async def _tmobile_day(self, road: CampaignRoad, now: float) -> Reading | None:
        """What all campaigns of the brand have of the day, used or set aside."""
        cap, campaign = road.pacer.cap, road.campaign
        if cap is None:
            return None
        held = await brand_days.held(self._database, road.key, campaign.brand, cap_day(now))
        ours = cap.used if now < cap.resets_at else 0
        return Reading(at=now, used=max(held, ours), most=cap.limit, resets_at=next_cap_reset(now))

    async def _write(
        self, campaign: Campaign, watched: _Watched, forecasts: Sequence[Forecast], now: float
    ) -> None:
        before: Mapping[Limit, Level] = watched.levels or {}
        rising = [each for each in forecasts if each.level > before.get(each.limit, Level.WELL)]
        notices = await self._notices(campaign, rising, now) if rising else {}
        async with self._database.transaction() as transaction:
            risen = await campaign_limits.write(transaction, campaign.key, forecasts, now)
            told = [notice for limit in sorted(risen) for notice in notices.get(limit, ())]
            await user_notices.tell(transaction, campaign.key, told)
        for each in forecasts:
            if each.limit in risen:
                self._metrics.limit_warning(each.limit, each.level.name.lower())
                _log.warning(
                    "a limit is nearly or wholly used",
                    campaign_id=campaign.campaign_id,
                    limit=each.limit,
                    used=each.used,
                    most=each.most,
                )

    async def _notices(
        self, campaign: Campaign, rising: Sequence[Forecast], now: float
    ) -> Mapping[Limit, Sequence[UserNotice]]:
        """For each admin, by limit: made before the transaction that tells them, which must not wait for another."""
        wanted = MemberFilter(role="admin", active=True)
        admins = await users.members(self._database, campaign.key, wanted, after=0, limit=_MOST_ADMINS)
        ids = iter(await self._ids.take(len(admins) * len(rising)))
        zone = campaign.settings.hours.zone
        return {
            each.limit: [
                UserNotice(
                    notice_id=next(ids),
                    user_id=admin.user_id,
                    kind="limit",
                    title=title(each),
                    body=_body(each, zone),
                    at=now,
                )
                for admin in admins
            ]
            for each in rising
        }


def _forecast(watched: _Watched, limit: Limit, reading: Reading) -> Forecast:
    history = watched.histories.setdefault(limit, History())
    history.add(reading)
    levels: Mapping[Limit, Level] = watched.levels or {}
    return history.forecast(limit, levels.get(limit, Level.WELL))


def _body(forecast: Forecast, zone: str) -> str:
    if forecast.level is Level.REACHED or forecast.hit_at is None:
        return words(forecast.limit)
    local = datetime.fromtimestamp(forecast.hit_at, ZoneInfo(zone))
    place = zone.rpartition("/")[2].replace("_", " ")
    clock = f"{local:%I:%M %p}".lstrip("0")
    return f"At the present pace it is full at {clock} {place} time on {local:%A}. {words(forecast.limit)}"
