"""What became of a run's arrivals, phase by phase and step by step, by the instant at which each was meant."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from loadtests.metrics import BUCKETS_S, LATE_S
from loadtests.recording import Counts, Handed, Recording

MOST_STEPS: Final = 600
"""In the length that was planned; each is a second, or more in a long run."""
_INTENDED, _STARTED, _LATE, _DROPPED, _FAILED, _BUCKETS = range(6)
_WIDTH: Final = _BUCKETS + len(BUCKETS_S) + 1


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """The arrivals that were meant in `step_s` from `at_s` on.

    `within`: how many of the answers came within each of BUCKETS_S since they were meant, and in no shorter one; the last
    are beyond all.
    """

    at_s: float
    step_s: float
    intended: int
    started: int
    late: int
    dropped: int
    failed: int
    within: list[int]


class Timeline:
    """Of one worker. `phases` are (name, first instant) in order, the first from 0; one phase does when nobody asks more."""

    def __init__(self, phases: Sequence[tuple[str, float]] = (("all", 0.0),), step_s: float = 1.0) -> None:
        self.phases = {name: Recording() for name, _ in phases}
        self._recordings = list(self.phases.values())
        self._begin_at = [begins for _, begins in phases]
        self._step_s = step_s
        self.rows: dict[int, list[int]] = {}

    def started(self, instant: float, late_s: float) -> None:
        """An arrival is asked, `late_s` after its instant."""
        self._recording(instant).started(late_s)
        row = self._row(instant)
        row[_INTENDED] += 1
        row[_STARTED] += 1
        row[_LATE] += late_s > LATE_S

    def dropped(self, instant: float) -> None:
        """An arrival is not asked."""
        self._recording(instant).dropped()
        row = self._row(instant)
        row[_INTENDED] += 1
        row[_DROPPED] += 1

    def ended(
        self, instant: float, *, since_intended_s: float, since_actual_s: float, blocked_s: float, ok: bool
    ) -> None:
        """It was answered, well or not."""
        self._recording(instant).ended(
            since_intended_s=since_intended_s, since_actual_s=since_actual_s, blocked_s=blocked_s, ok=ok
        )
        row = self._row(instant)
        row[_FAILED] += not ok
        row[_BUCKETS + bisect_left(BUCKETS_S, since_intended_s)] += 1

    def answered(
        self, instant: float, intended: float, actual: float, now: float, *, blocked_s: float = 0.0, ok: bool
    ) -> None:
        """It was meant, and set out, at these instants of one clock, and has its answer now."""
        self.ended(
            instant,
            since_intended_s=now - intended,
            since_actual_s=now - actual,
            blocked_s=blocked_s,
            ok=ok,
        )

    def counts(self) -> Counts:
        """Of all phases; cheap, unlike `whole`."""
        sums = Counts()
        for each in self._recordings:
            for name in Counts.__struct_fields__:
                setattr(sums, name, getattr(sums, name) + getattr(each.counts, name))
        return sums

    def buckets(self) -> dict[str, list[float]]:
        """Of all phases, as a worker hands them on; as cheap."""
        sums: dict[str, list[float]] = {}
        for recording in self._recordings:
            for name, counts in recording.bucket_counts.items():
                before = sums.get(name)
                sums[name] = (
                    counts if before is None else [a + b for a, b in zip(before, counts, strict=True)]
                )
        return sums

    def whole(self) -> Recording:
        """All phases as one record."""
        return Recording.merged(self.handed_phases().values())

    def handed_phases(self) -> dict[str, Handed]:
        """Each phase's record, for the master."""
        return {name: each.handed(cpu=0.0, whole=True) for name, each in self.phases.items()}

    def _recording(self, instant: float) -> Recording:
        if len(self._recordings) == 1:
            return self._recordings[0]
        return self._recordings[max(0, bisect_right(self._begin_at, instant) - 1)]

    def _row(self, instant: float) -> list[int]:
        nth = int(instant // self._step_s)
        row = self.rows.get(nth)
        if row is None:
            row = self.rows[nth] = [0] * _WIDTH
        return row


def steps(parts: Iterable[dict[int, list[int]]], step_s: float) -> list[Step]:
    """All workers' rows as one, in order."""
    sums: dict[int, list[int]] = {}
    for rows in parts:
        for nth, row in rows.items():
            sums[nth] = [a + b for a, b in zip(sums.get(nth, [0] * _WIDTH), row, strict=True)]
    return [
        Step(
            at_s=nth * step_s,
            step_s=step_s,
            intended=row[_INTENDED],
            started=row[_STARTED],
            late=row[_LATE],
            dropped=row[_DROPPED],
            failed=row[_FAILED],
            within=row[_BUCKETS:],
        )
        for nth, row in sorted(sums.items())
    ]
