"""Limits told in time: how full each one is, when it will be full at the present pace, and when to say so.

| limit       | used                                                   | at most                            | begins anew          |
|-------------|--------------------------------------------------------|------------------------------------|----------------------|
| tmobile_day | segments of the campaign toward T-Mobile today         | the brand's cap                    | Pacific midnight     |
| rate        | segments a second of late                              | what the registration grants       | every second         |
| window      | seconds that what is left takes at the present pace    | seconds until texting hours end    | with the next window |
| numbers     | numbers in the pool                                    | as many as it may have             | never                |
| purchases   | numbers bought within 24 hours                         | the day's budget                   | hour by hour         |

It is said twice: at two thirds, and when it is full. Once said it is not said again before less than a half is used.
"""

from collections import deque
from collections.abc import Sequence
from enum import IntEnum, StrEnum
from math import isfinite
from typing import Final

import msgspec

TWO_THIRDS: Final = 2 / 3
_QUIET_BELOW: Final = 0.5
PACE_OVER_S: Final = 600.0
"""The present pace is that of so many seconds."""
MOST_READINGS: Final = 64


class Limit(StrEnum):
    """What may run out."""

    TMOBILE_DAY = "tmobile_day"
    RATE = "rate"
    WINDOW = "window"
    NUMBERS = "numbers"
    PURCHASES = "purchases"


class Level(IntEnum):
    """What has been said of a limit."""

    WELL = 0
    WARNED = 1  # two thirds are used
    REACHED = 2


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A limit at an instant (Unix seconds). `resets_at`: when it begins anew; `full_at`: when it is full, where that is
    known without a pace; infinite: it will not be."""

    at: float
    used: float
    most: float
    resets_at: float | None = None
    full_at: float | None = None


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """A limit as it stands, and the Unix second at which it will be full at the present pace: None, it will not."""

    limit: Limit
    level: Level
    used: float
    most: float
    hit_at: float | None
    resets_at: float | None

    @property
    def share(self) -> float:
        return share(self.used, self.most)


def share(used: float, most: float) -> float:
    """How much of a limit is used: 1 is all of it. Of nothing, anything is all."""
    if most > 0:
        return used / most
    return 1.0 if used > 0 else 0.0


def level(before: Level, used_share: float) -> Level:
    """What is to be said now: it rises at two thirds and at the whole, and falls below a half alone."""
    if used_share >= 1:
        return Level.REACHED
    if used_share < _QUIET_BELOW:
        return Level.WELL
    return max(before, Level.WARNED) if used_share >= TWO_THIRDS else before


class History:
    """The latest readings of one limit."""

    def __init__(self) -> None:
        self._readings: deque[Reading] = deque(maxlen=MOST_READINGS)

    def add(self, reading: Reading) -> None:
        """What began anew is a new history."""
        if self._readings and reading.used < self._readings[-1].used:
            self._readings.clear()
        self._readings.append(reading)

    def forecast(self, limit: Limit, before: Level) -> Forecast:
        """Of the last reading; there must be one."""
        now = self._readings[-1]
        return Forecast(
            limit=limit,
            level=level(before, share(now.used, now.most)),
            used=now.used,
            most=now.most,
            hit_at=hit_at(self._readings),
            resets_at=now.resets_at,
        )


def hit_at(readings: Sequence[Reading]) -> float | None:
    """When the limit will be full if it goes on as in the last ten minutes; None: not before it begins anew."""
    now = readings[-1]
    if now.full_at is not None:
        return now.full_at if isfinite(now.full_at) else None
    if share(now.used, now.most) >= 1:
        return now.at
    since = next(each for each in readings if each.at >= now.at - PACE_OVER_S)
    rose, lasted_s = now.used - since.used, now.at - since.at
    if rose <= 0 or lasted_s <= 0:
        return None
    at = now.at + (now.most - now.used) * lasted_s / rose
    return at if isfinite(at) and (now.resets_at is None or at < now.resets_at) else None


def seconds_left(segments: float, pace_per_s: float) -> float:
    """How long what is left takes; nothing takes no time, and without a pace nobody can say: 0."""
    return segments / pace_per_s if segments > 0 and pace_per_s > 0 else 0.0


_SAID: Final = {
    Limit.TMOBILE_DAY: ("T-Mobile's day", "texts to T-Mobile wait until Pacific midnight once it is full"),
    Limit.RATE: (
        "the campaign's rate",
        "texts wait for each other at this rate; a better score would raise it",
    ),
    Limit.WINDOW: ("the time until texting hours end", "what is not sent by then waits for the next window"),
    Limit.NUMBERS: ("the number pool", "no more numbers can be added: conversations share those there are"),
    Limit.PURCHASES: ("the day's budget of numbers", "no more numbers are bought today once it is spent"),
}


def title(forecast: Forecast) -> str:
    """What admins read at first."""
    name = _SAID[forecast.limit][0]
    return f"{name[0].upper()}{name[1:]} is {'used up' if forecast.level is Level.REACHED else 'two thirds used'}"


def words(limit: Limit) -> str:
    """What follows from it."""
    text = _SAID[limit][1]
    return f"{text[0].upper()}{text[1:]}."
