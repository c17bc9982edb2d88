"""Wall clocks for arrays of moments: weekday, seconds after local midnight, local day.

Offsets are read from zoneinfo for every quarter of an hour of the span asked about: no zone in use changes its
clocks at another moment of UTC.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DAY_S = 86_400
_STEP_S = 900
_THURSDAY = 3  # 1 January 1970; Monday is 0


class WallClock:
    """The clocks of one zone from `first` to `last` (Unix seconds)."""

    def __init__(self, zone: str, first: float, last: float) -> None:
        self._zone = ZoneInfo(zone)
        self._first = int(first // _STEP_S)
        steps = range(self._first, int(last // _STEP_S) + 1)
        self._offsets_s = np.array([self._offset_s(step * _STEP_S) for step in steps], np.int64)

    def _offset_s(self, at: int) -> int:
        offset = datetime.fromtimestamp(at, self._zone).utcoffset()
        assert offset is not None  # the moment has a zone
        return int(offset.total_seconds())

    def local(self, at: Floats) -> Floats:
        """Seconds since 1 January 1970, 00:00, as the wall clock shows them."""
        steps = (at // _STEP_S).astype(np.int64) - self._first
        local: Floats = at + self._offsets_s[steps]
        return local

    def day(self, at: Floats) -> Integers:
        """The local day, counted from 1 January 1970."""
        days: Integers = (self.local(at) // DAY_S).astype(np.int64)
        return days

    def weekday_and_second(self, at: Floats) -> tuple[Integers, Floats]:
        """Weekday (Monday is 0) and seconds after midnight by the wall clock."""
        local = self.local(at)
        days = local // DAY_S
        return (days.astype(np.int64) + _THURSDAY) % 7, local - days * DAY_S


def clock_text(at: float, zone: ZoneInfo) -> str:
    """ "Tue 2026-11-03 12:00:05.250 EST" """
    moment = datetime.fromtimestamp(round(at, 3), zone)
    return f"{moment:%a %Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03} {moment:%Z}"
