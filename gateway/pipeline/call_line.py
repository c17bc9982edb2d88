"""The line of texts whose slot has come while all calls are under way: replies first, then by their slots."""

import itertools
from collections.abc import Callable
from heapq import heapify, heappop, heappush

from gateway.pipeline.lease import Held, Place


class CallLine:
    """Who gave up waiting (`place` says so) is passed over."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, float, int, Held]] = []
        self._numbers = itertools.count()

    def __bool__(self) -> bool:
        return bool(self._heap)

    def enter(self, held: Held) -> None:
        held.place = Place.BEFORE_CALL
        heappush(self._heap, (held.lane, held.slot_at, next(self._numbers), held))

    def next(self) -> Held | None:
        """Takes out whoever is first."""
        while self._heap:
            held = heappop(self._heap)[-1]
            if held.place is Place.BEFORE_CALL:
                return held
        return None

    def take(self, most: int, wanted: Callable[[Held], bool]) -> list[Held]:
        """Takes out the first `most` of those who are wanted."""
        taken: list[Held] = []
        kept: list[tuple[int, float, int, Held]] = []
        for entry in sorted(self._heap):
            held = entry[-1]
            if held.place is not Place.BEFORE_CALL:
                continue
            if len(taken) < most and wanted(held):
                taken.append(held)
            else:
                kept.append(entry)
        heapify(kept)
        self._heap = kept
        return taken
