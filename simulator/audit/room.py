"""When there was room for another text: the day in cells of a few seconds, by what the model knows."""

from collections.abc import Mapping

import numpy as np

from simulator.audit.breakers import of_filtered_scripts
from simulator.audit.evidence import Booleans, Evidence
from simulator.audit.wall_clock import Floats, Integers
from simulator.model.arrays import is_among
from simulator.model.carriers import CARRIERS

_CELL_S = 5.0
_MOST_CELLS = 40_000
_FREE_SHARE = 0.5  # of a rate: as little used, it holds nobody up
_AROUND_S = 30.0  # before a cell, and after it
_SEGMENTS_AROUND = 10  # of a slow rate
_CAP_SHARE, _CAP_KEPT = (
    0.9,
    25,
)  # of T-Mobile's day: the rest is for its edge, and for texts that may have come
_OPEN_FOR_S = 300.0  # nothing new goes shortly before the hours end, that could not be delivered
_SLOWED_S = 60.0  # after "slow down" a pace comes back step by step
_FILTERED, _NOT_KNOWN = 30007, (30034, 30035)
_FILTERED_S, _NOT_KNOWN_S = 4 * 3600.0, 1800.0  # so long a number rests at most after too many of these
_MOST_FILTERED = 3
_BIG = ("att", "tmobile", "verizon")
_CAP_ZONE = "America/Los_Angeles"


class Room:
    """In which cells a text to some carrier could have gone."""

    def __init__(self, evidence: Evidence, until: float) -> None:
        self._evidence = evidence
        self._cell_s = max(_CELL_S, until / _MOST_CELLS)
        self._count = int(until // self._cell_s) + 1
        self.at: Floats = np.arange(self._count, dtype=np.float64) * self._cell_s
        self._is_served = ~is_among(evidence.to, evidence.world.out_of_service)
        self._in_vain = np.bincount(self._cell(evidence.books.calls_in_vain["at"]), minlength=self._count)
        self._toward: dict[int, Booleans] = {}
        self._everywhere = (
            self._is_there()
            & self._some_number()
            & self._is_free(np.ones(len(evidence.to), np.bool_), evidence.world.registration.total_per_s)
        )

    def idle_s(self, kind: int, is_open: Booleans, since: Floats, until: Floats) -> Floats:
        """How many seconds between two moments there was room, for people whose hours are open at `is_open`."""
        passed_s = np.concatenate(([0.0], np.cumsum(self._has_room(kind) & self._stays_open(is_open))))
        first, last = self._cell(since) + 1, self._cell(until)
        idle_s: Floats = (passed_s[np.maximum(first, last)] - passed_s[first]) * self._cell_s
        return idle_s

    def is_at(self, kinds: Integers, at: Floats) -> Booleans:
        """For which texts there was room at their moments, but for the hours of their people."""
        found = np.zeros(len(at), np.bool_)
        for kind in np.unique(kinds).tolist():
            found[kinds == kind] = self._has_room(kind)[self._cell(at[kinds == kind])]
        return found

    def _cell(self, at: Floats) -> Integers:
        cells: Integers = np.clip(at // self._cell_s, 0, self._count - 1).astype(np.int64)
        return cells

    def _stays_open(self, is_open: Booleans) -> Booleans:
        ahead = min(int(_OPEN_FOR_S // self._cell_s) + 1, self._count)
        later = np.concatenate((is_open[ahead:], np.repeat(is_open[-1:], ahead)))
        return is_open & later

    # ------------------------------------------------------------ rates

    def _has_room(self, kind: int) -> Booleans:
        if kind not in self._toward:
            self._toward[kind] = self._everywhere & self._carrier_is_free(kind)
        return self._toward[kind]

    def _carrier_is_free(self, kind: int) -> Booleans:
        """A text of unknown carrier counts toward each of the big three, and in T-Mobile's day."""
        names = (CARRIERS[kind],) if kind < len(CARRIERS) else _BIG
        world, carriers = self._evidence.world, self._evidence.submissions["carrier"]
        rates: Mapping[str, float] = {
            str(carrier): rate for carrier, rate in world.registration.carrier_per_s.items()
        }
        is_free = np.ones(self._count, np.bool_)
        for name in names:
            counted = (carriers == CARRIERS.index(name)) | (~self._is_served if name in _BIG else False)
            granted_per_s = rates.get(name)
            rate_per_s = world.other_per_number_per_s if granted_per_s is None else granted_per_s
            is_free &= self._is_free(counted, rate_per_s)
        return is_free & self._day_has_room() if "tmobile" in names else is_free

    def _is_free(self, counted: Booleans, rate_per_s: float) -> Booleans:
        """In which cells a rate was used by less than half, in the time before as in the time after."""
        around_s = max(_AROUND_S, _SEGMENTS_AROUND / rate_per_s) if rate_per_s else np.inf
        reach = max(1, int(min(around_s / self._cell_s, self._count)))
        total = np.concatenate(([0.0], np.cumsum(self._segments(counted) + self._in_vain)))
        cells = np.arange(self._count)
        first, last = np.maximum(cells - reach, 0), np.minimum(cells + reach + 1, self._count)
        most = _FREE_SHARE * rate_per_s * self._cell_s
        before, after = total[cells + 1] - total[first], total[last] - total[cells]
        free: Booleans = (before < most * (cells + 1 - first)) & (after < most * (last - cells))
        return free

    def _day_has_room(self) -> Booleans:
        evidence = self._evidence
        cap = evidence.world.registration.tmobile_daily_segments
        if cap is None:
            return np.ones(self._count, np.bool_)
        to_tmobile = evidence.submissions["carrier"] == CARRIERS.index("tmobile")
        used = np.cumsum(self._segments(to_tmobile | ~self._is_served))
        days = evidence.wall_clock(_CAP_ZONE).day(evidence.world.start_at + self.at)
        before = np.concatenate(([0.0], used))[np.searchsorted(days, days)]
        has_room: Booleans = used - before < _CAP_SHARE * cap - _CAP_KEPT
        return has_room

    def _segments(self, counted: Booleans) -> Floats:
        """Segments handed over in each cell."""
        cells = self._cell(self._evidence.handed_at[counted])
        segments = self._evidence.submissions["segments"][counted]
        per_cell: Floats = np.bincount(cells, weights=segments, minlength=self._count).astype(np.float64)
        return per_cell

    # ------------------------------------------------------------ who was there

    def _is_there(self) -> Booleans:
        """Where neither gateway nor provider was away, nor a call of a moment ago in vain."""
        in_vain = self._evidence.books.calls_in_vain["at"].tolist()
        spans = [*self._evidence.world.away, *((at, at + _SLOWED_S) for at in in_vain)]
        return ~self._covered(spans)

    def _covered(self, spans: list[tuple[float, float]]) -> Booleans:
        changes = np.zeros(self._count + 1, np.int64)
        for begin, end in spans:
            if begin <= self.at[-1]:
                changes[int(max(0.0, begin) // self._cell_s)] += 1
                changes[min(int(end // self._cell_s) + 1, self._count)] -= 1
        covered: Booleans = np.cumsum(changes[:-1]) > 0
        return covered

    def _some_number(self) -> Booleans:
        """Where some number of ours could be relied upon: none while carriers don't know the campaign."""
        found = np.zeros(self._count, np.bool_)
        if not self._evidence.world.registration.registered:
            return found
        for number in self._evidence.world.numbers or ():
            is_known = (self.at >= number.known_at) & (self.at < number.dies_at)
            found |= is_known & ~self._in_doubt(number.phone)
        return found

    def _in_doubt(self, phone: int) -> Booleans:
        """Where carriers had lately filtered several texts of a number, of which no script was to blame for it, or said that
        they don't know it."""
        evidence = self._evidence
        is_its = evidence.submissions["sender"] == phone
        at, code = evidence.final_at[is_its], evidence.final_code[is_its]
        filtered = np.sort(at[(code == _FILTERED) & ~of_filtered_scripts(evidence)[is_its]])
        spans = [(last, last + _FILTERED_S) for last in filtered[_MOST_FILTERED - 1 :].tolist()]
        spans += [(last, last + _NOT_KNOWN_S) for last in at[np.isin(code, _NOT_KNOWN)].tolist()]
        return self._covered(spans)
