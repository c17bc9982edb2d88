"""The line of messages that wait for a slot: replies first, then retries, then initials.

One synchronous step picks who goes now. Each lane keeps a heap per carrier, so that a slow, capped or blocked
carrier never stands in the way of another. A lower lane goes first only where that delays no higher one.
"""

import math
from collections.abc import Callable
from enum import IntEnum
from heapq import heapify, heappop, heappush

import msgspec

from gateway.core.sending.numbers import BuyOne, BuyReason, Chosen, NoNumber, Wait
from gateway.core.sending.pacing import Pacer


class Lane(IntEnum):
    """A person who answered never waits behind a bank."""

    REPLY = 0
    RETRY = 1
    INITIAL = 2


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """A queued message: sizes in segments, `due_at` in Unix seconds; the rest is what `choose` needs."""

    message_id: int
    lane: Lane
    carrier: str | None
    segments: int
    due_at: float
    area_code: str = ""
    sticky: int | None = None
    preferred: tuple[str, ...] | None = None


class Picked(msgspec.Struct, frozen=True):
    """A message with its number and its reserved slot."""

    item: Waiting
    chosen: Chosen


class Room(msgspec.Struct, frozen=True):
    """How many may be picked; `for_others` is less, so that a reply always finds a free call."""

    for_replies: float = math.inf
    for_others: float = math.inf

    def of(self, lane: Lane) -> float:
        return self.for_replies if lane is Lane.REPLY else self.for_others


class Taken(msgspec.Struct, frozen=True):
    """What one step gives: who goes, who can have no number (1203), what to buy, when to look again.

    `wake_at` is infinite when nobody waits, or only for room: `wants_room` says so.
    """

    picked: list[Picked]
    refused: list[Waiting]
    buys: list[BuyOne]
    wake_at: float
    wants_room: bool = False


Entry = tuple[float, int, Waiting]
Choose = Callable[[Waiting, float], Chosen | Wait | NoNumber]


_ROOM_FOR_ALL = Room()


class _Step:
    """One look at the line: what it may see and what it has found."""

    __slots__ = (
        "buys",
        "latest",
        "now",
        "pacer",
        "parked",
        "picked",
        "refused",
        "room",
        "shut",
        "wake_at",
        "wants_room",
    )

    def __init__(self, now: float, latest: float, pacer: Pacer, room: Room) -> None:
        self.now = now
        self.latest = latest
        self.pacer = pacer
        self.room = room
        self.wants_room = False
        self.picked: list[Picked] = []
        self.refused: list[Waiting] = []
        self.buys: dict[BuyReason, BuyOne] = {}
        self.parked: list[tuple[float, Entry]] = []
        self.shut: dict[tuple[Lane, str | None], float] = {}
        self.wake_at = math.inf


class WaitingLine:
    """All that waits in one campaign. O(log n) per message."""

    def __init__(self) -> None:
        self._heaps: dict[Lane, dict[str | None, list[Entry]]] = {lane: {} for lane in Lane}
        self._live: dict[int, int] = {}  # message id -> sequence of its one valid entry
        self._sequence = 0
        self._stale = 0

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, message_id: int) -> bool:
        return message_id in self._live

    def push(self, item: Waiting) -> bool:
        """False, and nothing is done, when the message waits already."""
        if item.message_id in self._live:
            return False
        self._sequence += 1
        self._enter((item.due_at, self._sequence, item))
        return True

    def remove(self, message_id: int) -> bool:
        """Take a message out of the line; False when it isn't there."""
        if self._live.pop(message_id, None) is None:
            return False
        self._stale += 1
        if self._stale > len(self._live) + 64:
            self._sweep()
        return True

    def take(
        self, now: float, horizon_s: float, pacer: Pacer, choose: Choose, room: Room = _ROOM_FOR_ALL
    ) -> Taken:
        """Pick all who have a slot no later than `now + horizon_s`, as far as there is room.

        `choose(item, at)` chooses a number and reserves a slot from `at` on (`NumberPool.choose`); `at` is
        later than `now` for a message that isn't due yet, and the slot must not pass `now + horizon_s`.
        """
        step = _Step(now, now + horizon_s, pacer, room)
        while (front := self._front(step)) is not None:
            entry = heappop(self._heaps[front[0]][front[1]])
            due_at, _, item = entry
            del self._live[item.message_id]
            match choose(item, max(now, due_at)):
                case Chosen() as chosen:
                    step.picked.append(Picked(item, chosen))
                    _note(step, chosen.buy)
                case Wait() as wait:
                    self._wait(step, front, entry, wait)
                case NoNumber():
                    step.refused.append(item)
        for until, (_, sequence, item) in step.parked:
            self._enter((until, sequence, item))
        wake_at = min([step.wake_at, *step.shut.values(), *(until for until, _ in step.parked)])
        # half a horizon early: whoever looks again finds half a horizon of slots, not one
        wake_at = max(now, wake_at - horizon_s / 2)
        return Taken(step.picked, step.refused, list(step.buys.values()), wake_at, step.wants_room)

    def _wait(self, step: _Step, front: tuple[Lane, str | None], entry: Entry, wait: Wait) -> None:
        """A busy pool shuts the lane for that carrier; a conversation's busy number parks the one message."""
        _note(step, wait.buy)
        until = max(wait.until, step.latest)
        if wait.whole_pool:
            self._enter(entry)
            step.shut[front] = until
        else:
            step.parked.append((until, entry))

    def _front(self, step: _Step) -> tuple[Lane, str | None] | None:
        """The lane and carrier whose first message goes next; None, with `wake_at`, when nobody can go."""
        front, front_slot = None, math.inf
        led: set[str | None] = set()  # carriers for which a higher lane has somebody due: it goes first
        for lane, heaps in self._heaps.items():
            if len(step.picked) >= step.room.of(lane):
                step.wants_room = step.wants_room or any(heaps.values())
                continue
            best = self._best(step, lane, heaps, led)
            if best is not None:
                slot, _, _, item = best
                if front is None or slot + self._delay_s(step, item, front[1]) <= front_slot:
                    front, front_slot = (lane, item.carrier), slot
        step.wake_at = front_slot
        return front if front_slot <= step.latest else None

    @staticmethod
    def _delay_s(step: _Step, item: Waiting, carrier: str | None) -> float:
        """How long a message keeps meters busy that one to `carrier` needs too (an unknown one needs all)."""
        shared = item.carrier if carrier is None else ""
        return step.pacer.duration_s(item.segments, shared)

    def _best(
        self, step: _Step, lane: Lane, heaps: dict[str | None, list[Entry]], led: set[str | None]
    ) -> tuple[float, float, int, Waiting] | None:
        """The lane's soonest message, of equally soon ones the oldest: slot, due, sequence, message."""
        best = None
        for carrier, heap in heaps.items():
            if not heap or carrier in led or (step.shut and (lane, carrier) in step.shut):
                continue
            if not self._prune(heap):
                continue
            due_at, sequence, item = heap[0]
            is_due = due_at <= step.now
            slot = step.pacer.earliest(step.now if is_due else due_at, carrier, None, item.segments)
            if is_due and slot < math.inf:
                led.add(carrier)
            if best is None or (slot, due_at, sequence) < best[:3]:
                best = slot, due_at, sequence, item
        return best

    def _enter(self, entry: Entry) -> None:
        _, sequence, item = entry
        self._live[item.message_id] = sequence
        heappush(self._heaps[item.lane].setdefault(item.carrier, []), entry)

    def _prune(self, heap: list[Entry]) -> bool:
        """Drop removed messages from the front; False when nothing is left."""
        while heap and self._live.get(heap[0][2].message_id) != heap[0][1]:
            heappop(heap)
            self._stale -= 1
        return bool(heap)

    def _sweep(self) -> None:
        """Drop removed messages everywhere, so that memory follows what waits."""
        for heaps in self._heaps.values():
            for heap in heaps.values():
                heap[:] = [entry for entry in heap if self._live.get(entry[2].message_id) == entry[1]]
                heapify(heap)
        self._stale = 0


def _note(step: _Step, buy: BuyOne | None) -> None:
    if buy is not None:
        step.buys.setdefault(buy.reason, buy)
