"""T-Mobile's cap on a brand's segments of a Pacific day, as one of the brand's campaigns sees it.

The cap is the brand's, over all its campaigns, whoever dispatches them. A campaign that shares it takes from the day
in blocks: what it was granted is its allowance, and it asks for more before that is used up (`asks`, `grant`). One
that shares with nobody has the whole cap for its own.

No clock: times are Unix seconds.
"""

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

CAPPED: Final = (None, "tmobile")  # an unknown carrier may be T-Mobile
CAP_ZONE: Final = ZoneInfo("America/Los_Angeles")
# The carrier counts a text when it arrives there: one handed over this late may fall into the next day.
CAP_EDGE_S: Final = 30.0
_ASKED_AGAIN_S: Final = 60.0  # when the brand had no more; and how long an unused allowance is kept
_SMALLEST_BLOCK: Final = 8
_BLOCK_SHARE: Final = 10  # no block is more than this part of the cap


def next_cap_reset(at: float) -> float:
    """The next 00:00 in America/Los_Angeles strictly after `at`, daylight saving included."""
    return _midnight(cap_day(at) + timedelta(days=1))


def last_cap_reset(at: float) -> float:
    """The last 00:00 in America/Los_Angeles at or before `at`."""
    return _midnight(cap_day(at))


def cap_day(at: float) -> date:
    """The day in America/Los_Angeles."""
    return datetime.fromtimestamp(at, UTC).astimezone(CAP_ZONE).date()


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=CAP_ZONE).timestamp()


class PacerState(msgspec.Struct, frozen=True):
    """What must survive a restart: the day's use of the cap. Meters may start empty."""

    cap_resets_at: float = 0.0
    cap_used: int = 0
    cap_edge_used: int = 0


class Ask(msgspec.Struct, frozen=True):
    """What a campaign has used of the brand's day, and how much it wants to have in all.

    `is_reached`: the carrier says that the brand's day is used up (30023).
    """

    day: date
    used: int
    wanted: int
    is_reached: bool


class _Day:
    """A campaign's part of one day; `is_final`: the brand has no more for it."""

    __slots__ = ("allowance", "asked_at", "is_final", "is_reached", "is_told", "used", "wanted")

    def __init__(self, allowance: int, is_final: bool) -> None:
        self.allowance = allowance
        self.is_final = is_final
        self.used = 0
        self.wanted = 0  # segments of the longest text that did not fit
        self.asked_at = -math.inf
        self.is_reached = False
        self.is_told = False

    def fits(self, segments: int) -> bool:
        return self.used + segments <= self.allowance

    def reach(self) -> None:
        self.is_reached = self.is_final = True
        self.allowance = min(self.allowance, self.used)


def _block(limit: int, rate_per_s: float) -> int:
    block = min(math.ceil(20 * min(rate_per_s, limit + 1)), max(_SMALLEST_BLOCK, limit // _BLOCK_SHARE))
    return max(1, min(block, limit))


class DailyCap:
    """Segments toward T-Mobile per Pacific day. `shared`: nothing is ours before it is granted."""

    def __init__(
        self, limit: int, state: PacerState | None = None, *, shared: bool = False, rate_per_s: float = 1.0
    ) -> None:
        state = state or PacerState()
        self.limit = limit
        self.shared = shared
        self.block = _block(limit, rate_per_s)
        self.resets_at = state.cap_resets_at
        self.begins_at = last_cap_reset(self.resets_at - 1.0) if self.resets_at else 0.0
        self._today, self._tomorrow = self._day(), self._day()
        self._today.used, self._tomorrow.used = state.cap_used, state.cap_edge_used
        self._last_added_at = -math.inf
        self._names = cap_day(self.begins_at), cap_day(self.resets_at)

    def change(self, limit: int, rate_per_s: float) -> None:
        """Another cap from now on; what was used and granted stays, as far as it lies within."""
        self.limit = limit
        self.block = _block(limit, rate_per_s)
        for day in (self._today, self._tomorrow):
            if not day.is_reached:
                day.allowance = min(day.allowance, limit) if self.shared else limit
                day.is_final = not self.shared

    def __repr__(self) -> str:
        return f"<DailyCap {self.used} of {self._today.allowance} ours, of {self.limit}>"

    @property
    def used(self) -> int:
        return self._today.used

    @property
    def edge_used(self) -> int:
        return self._tomorrow.used

    def clear_at(self, at: float, segments: int) -> float:
        """The earliest time from `at` on when so many segments fit; infinite if they never do, or more must be asked.

        The day before the one that is counted is full: its count is forgotten.
        """
        if segments > self.limit:
            return math.inf
        at = max(at, self.begins_at)
        full = self._without_room(at, segments)
        if full is None:
            return at
        day, ends_at = full
        day.wanted = max(day.wanted, segments)
        return ends_at if day.is_final else math.inf

    def full_until(self, at: float, segments: int) -> float | None:
        """Until when the day is used up for a text (Pacific midnight); None when it is not."""
        if segments > self.limit:
            return math.inf
        full = self._without_room(max(at, self.begins_at), segments)
        return full[1] if full is not None and full[0].is_final else None

    def _without_room(self, at: float, segments: int) -> tuple[_Day, float] | None:
        """The day on which a text at that time counts and which has no room for it, and its end."""
        if at >= self.resets_at:
            day = self._day_after(at)
            return None if day.fits(segments) else (day, next_cap_reset(at))
        if not self._today.fits(segments):
            return self._today, self.resets_at
        is_edge = at >= self.resets_at - CAP_EDGE_S
        return (self._tomorrow, self.resets_at) if is_edge and not self._tomorrow.fits(segments) else None

    def add(self, at: float, segments: int) -> None:
        if at >= self.resets_at:
            self._begin_day(at)
        self._today.used += segments
        if at >= self.resets_at - CAP_EDGE_S:
            self._tomorrow.used += segments
        self._last_added_at = max(self._last_added_at, at)

    def give_back(self, at: float, segments: int) -> None:
        if at < self.resets_at:
            self._today.used = max(0, self._today.used - segments)

    def exhaust(self, now: float) -> None:
        """The carrier says that the brand has used up its day."""
        if now >= self.resets_at:
            self._begin_day(now)
        if not self.shared:
            self._today.used = max(self._today.used, self.limit)
        self._today.reach()

    # sharing with the brand's other campaigns

    def recount(self, now: float, used: int, edge_used: int) -> None:
        """What the books say was used today, and of it in the last seconds before midnight."""
        if now >= self.resets_at:
            self._begin_day(now)
        self._today.used, self._tomorrow.used = used, edge_used

    def asks(self, now: float) -> list[Ask]:
        """What to ask the brand for, each to be answered with `grant`; empty most of the time."""
        if not self.shared:
            return []
        if now >= self.resets_at:
            self._begin_day(now)
        return [ask for name, day in self._named_days() if (ask := self._ask(name, day, now)) is not None]

    def _ask(self, name: date, day: _Day, now: float) -> Ask | None:
        if day.is_reached:
            return None if day.is_told else Ask(name, day.used, day.used, True)
        if day.is_final and now < day.asked_at + _ASKED_AGAIN_S:
            return None
        runs_low = 0 < day.allowance < day.used + self.block / 2
        is_whole = day.allowance >= self.limit
        if not is_whole and (day.wanted or (runs_low and now < self._last_added_at + _ASKED_AGAIN_S)):
            more = max(self.block, day.wanted)
            return Ask(name, day.used, max(day.allowance, min(day.used + more, self.limit)), False)
        if day.allowance > day.used and now >= max(self._last_added_at, day.asked_at) + _ASKED_AGAIN_S:
            return self._handed_back(name, day)
        return None

    def hand_back(self) -> list[Ask]:
        """What we don't use any more, for the others; nothing goes before it is granted again."""
        if not self.shared or not self.resets_at:
            return []
        return [self._handed_back(name, day) for name, day in self._named_days() if day.allowance > day.used]

    @staticmethod
    def _handed_back(name: date, day: _Day) -> Ask:
        day.allowance = day.used  # before anybody else may have it
        day.is_final = False
        return Ask(name, day.used, day.used, False)

    def grant(self, ask: Ask, allowance: int, is_reached: bool, now: float) -> None:
        """The brand's answer: so much of the day is ours in all."""
        day = dict(self._named_days()).get(ask.day)
        if day is None:  # it is over
            return
        day.asked_at = now
        if is_reached or ask.is_reached:
            day.reach()
            day.is_told = True
            return
        day.allowance = allowance
        day.is_final = allowance < ask.wanted or allowance >= self.limit
        if day.is_final or day.fits(day.wanted):
            day.wanted = 0

    def _named_days(self) -> Sequence[tuple[date, _Day]]:
        return (self._names[0], self._today), (self._names[1], self._tomorrow)

    def _day(self) -> _Day:
        return _Day(0, False) if self.shared else _Day(self.limit, True)

    def _day_after(self, at: float) -> _Day:
        """The day of an instant that is not today's: tomorrow, which may have begun to count."""
        return self._tomorrow if self.resets_at <= at < next_cap_reset(self.resets_at) else self._day()

    def _begin_day(self, at: float) -> None:
        """What went in the last seconds before midnight counts on both days."""
        self._today = self._day_after(at)
        self._tomorrow = self._day()
        self.resets_at = next_cap_reset(at)
        self.begins_at = last_cap_reset(at)
        self._names = cap_day(at), cap_day(at) + timedelta(days=1)
