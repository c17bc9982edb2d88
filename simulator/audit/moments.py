"""What happened to whom and when, sorted once, to be asked for each one's event before or after a moment."""

import numpy as np

from simulator.audit.wall_clock import Floats, Integers
from simulator.model.arrays import distinct, is_among

_MOMENT_BITS = 42  # microseconds of 50 days; what is left of 63 bits holds two million people
_EARLIEST_S = -10.0  # what happened before the world began counts as shortly before
_LATEST_S = 4e6


class Moments:
    """Events of persons (or of volunteers), each row one; times in seconds of the world, to the microsecond."""

    def __init__(self, who: Integers, at: Floats) -> None:
        self._at = at
        self._known = distinct(who.astype(np.int64))
        keys = self._keys(np.searchsorted(self._known, who), at)
        self._order = np.argsort(keys, kind="stable")
        self._sorted = keys[self._order]

    def _keys(self, ranks: Integers, at: Floats) -> Integers:
        since_s = np.clip(at, _EARLIEST_S, _LATEST_S) - _EARLIEST_S
        keys: Integers = (ranks.astype(np.int64) << _MOMENT_BITS) + np.rint(since_s * 1e6).astype(np.int64)
        return keys

    def before(self, who: Integers, at: Floats) -> Integers:
        """The row of each one's last event up to its moment; -1: there is none."""
        return self._rows(who, np.searchsorted(self._sorted, self._asked(who, at), side="right") - 1)

    def after(self, who: Integers, at: Floats) -> Integers:
        """The row of each one's first event from its moment on; -1: there is none."""
        return self._rows(who, np.searchsorted(self._sorted, self._asked(who, at)))

    def last_at(self, who: Integers, until: Floats) -> Floats:
        """When each one's last event up to a moment was; -inf: there is none."""
        return self._when(self.before(who, until), -np.inf)

    def next_at(self, who: Integers, since: Floats) -> Floats:
        """When each one's first event from a moment on was; inf: there is none."""
        return self._when(self.after(who, since), np.inf)

    def _asked(self, who: Integers, at: Floats) -> Integers:
        return self._keys(np.searchsorted(self._known, who), at)

    def _rows(self, who: Integers, places: Integers) -> Integers:
        if not len(self._sorted):
            return np.full(len(who), -1, np.int64)
        inside = np.clip(places, 0, len(self._sorted) - 1)
        is_theirs = (places == inside) & (self._known[self._sorted[inside] >> _MOMENT_BITS] == who)
        rows: Integers = np.where(is_theirs, self._order[inside], -1)
        return rows

    def _when(self, rows: Integers, never: float) -> Floats:
        if not len(self._at):
            return np.full(len(rows), never)
        times: Floats = np.where(rows >= 0, self._at[rows], never)
        return times


def latest(known: Integers, phones: Integers, at: Floats, whose: Integers, until: Floats) -> Integers:
    """The last event of each person up to a time, in microseconds after _EARLIEST_S; -1: none."""
    theirs = is_among(phones, known)
    events, moments = microseconds(at[theirs]), microseconds(until)
    width = 1 + max(events.max(initial=0), moments.max(initial=0))
    keys = np.sort(np.searchsorted(known, phones[theirs]) * width + events)
    asked = np.searchsorted(known, whose) * width + moments
    if not len(keys):
        return np.full(len(whose), -1, np.int64)
    place = np.searchsorted(keys, asked, side="right") - 1
    found = keys[np.maximum(place, 0)]
    latest: Integers = np.where((place >= 0) & (found // width == asked // width), found % width, -1)
    return latest


def microseconds(at: Floats) -> Integers:
    """Seconds of the world as whole microseconds after _EARLIEST_S."""
    moments: Integers = np.rint((np.maximum(at, _EARLIEST_S) - _EARLIEST_S) * 1e6).astype(np.int64)
    return moments
