"""The head of a campaign's queue in memory: what is due is read in time, and never more than memory may hold."""

import math
from collections.abc import Collection, Iterator, Mapping

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.safeguards import Kind
from gateway.core.sending.waiting import Lane, Waiting, WaitingLine
from gateway.pipeline.options import DispatchOptions
from gateway.store import messages
from gateway.store.database import Database
from gateway.store.messages import Queued

_SOONEST_READ_S = 0.1  # after the last one, however often another worker says that something came
_URGENT, _INITIALS = (Lane.REPLY, Lane.RETRY), (Lane.INITIAL, Lane.INITIAL)


class Prefetch:
    """Messages in hand, by id, and the line in which they wait."""

    def __init__(self, database: Database, clock: Clock, options: DispatchOptions, key: CampaignKey) -> None:
        self._database = database
        self._clock = clock
        self._options = options
        self._key = key
        self._in_hand: dict[int, Queued] = {}
        self.area_codes: Mapping[int, tuple[str, ...]] = {}  # that an action's first texts prefer (F026)
        self.line = WaitingLine()
        self.more_in_store = True  # messages that are due and not in hand
        self._store_is_empty = False  # nothing in the queue, due or not, that is not in hand
        self._runs_over = True  # more in the store than memory may hold, as far as is known
        self._left_one = False  # there, since the last reading began
        self._asked_again = False  # to read, since the last reading began
        self._read_at = 0.0
        self.next_read_at = 0.0

    def __len__(self) -> int:
        return len(self._in_hand)

    def __getitem__(self, message_id: int) -> Queued:
        return self._in_hand[message_id]

    def __iter__(self) -> Iterator[Queued]:
        return iter(self._in_hand.values())

    @property
    def is_all(self) -> bool:
        """Whether nothing waits at all, here or in the store."""
        return not self._in_hand and self._store_is_empty

    def pop(self, message_id: int) -> Queued | None:
        """Takes a message out of hand; None when it isn't there."""
        self.line.remove(message_id)
        return self._in_hand.pop(message_id, None)

    def push(self, message: Queued) -> None:
        if message.message_id not in self._in_hand:
            self._in_hand[message.message_id] = message
            self.line.push(self.waiting(message))

    def enter(self, message: Queued) -> None:
        """A durable message to be picked up; beyond what memory may hold it stays in the store only.

        While it is only suspected that the store holds more, it is taken in hand: else each that comes while the
        store is read would call for the next reading.
        """
        is_full = len(self._in_hand) >= self._options.look_ahead
        if message.lane != Lane.REPLY and (is_full or self._runs_over):
            self._left_one = self._runs_over = True
            self.read_again_in(self._options.poll_s)
        else:
            self.push(message)

    def crowding(self, carriers: Collection[str | None]) -> list[int]:
        """First texts to these carriers that keep others from being read: all but the oldest, when memory is half full."""
        options = self._options
        if len(self._in_hand) <= options.look_ahead // 2:
            return []
        theirs = [
            each for each in self._in_hand.values() if each.lane == Lane.INITIAL and each.carrier in carriers
        ]
        theirs.sort(key=lambda each: (each.due_at, each.message_id))
        return [each.message_id for each in theirs[options.look_ahead // 4 :]]

    def line_up_anew(self) -> None:
        """Whoever was parked until a slot of before is looked at again."""
        self.line = WaitingLine()
        for message in self._in_hand.values():
            self.line.push(self.waiting(message))

    def clear(self) -> None:
        """Everything is read again."""
        self.line = WaitingLine()
        self._in_hand.clear()
        self._runs_over = True
        self.read_now()

    def waiting(self, message: Queued) -> Waiting:
        """What the line needs to know of a queued message."""
        action_id = message.action_id if message.kind == Kind.INITIAL else None
        return Waiting(
            message.message_id,
            Lane(message.lane),
            message.carrier,
            message.segments,
            message.due_at,
            message.phone[2:5],
            message.number_id,
            None if action_id is None else self.area_codes.get(action_id),
        )

    # ------------------------------------------------------------ reading

    def read_now(self) -> None:
        self.read_again_in(-math.inf)

    def read_again_in(self, delay_s: float) -> None:
        self.more_in_store = self._asked_again = True
        self._store_is_empty = False
        self.next_read_at = min(self.next_read_at, self._clock.now() + delay_s)

    def read_soon(self) -> None:
        """Something came into the queue through another worker's door; many such words cost a few looks."""
        self.read_again_in(0.0)
        self.next_read_at = max(self.next_read_at, self._read_at + _SOONEST_READ_S)

    async def refill(self, now: float) -> None:
        """Reads on in the queue: what is urgent at once, initials when half of what memory may hold is gone."""
        options = self._options
        self.next_read_at = now + options.poll_s  # should this not get through
        self._read_at, due_until = now, now + options.horizon_s
        more = await self._read_on(due_until)
        if self._left_one and not more:  # while it was read, and what comes from now on is taken in hand
            self._runs_over = False
            due_until = self._clock.now() + options.horizon_s
            more = await self._read_on(due_until)
        self._runs_over = more or self._left_one
        later = await messages.next_due(self._database, self._key, due_until)
        self.more_in_store = more or self._asked_again
        self._store_is_empty = not self.more_in_store and later is None
        # What is not due yet wakes the road; what comes meanwhile comes through a door.
        if not self.more_in_store:
            self.next_read_at = math.inf if later is None else max(now + 0.1, later - options.horizon_s)

    async def _read_on(self, due_until: float) -> bool:
        """True when there may be more."""
        self._left_one = self._asked_again = False
        more = await self._read(_URGENT, due_until, self._options.look_ahead)
        if len(self._in_hand) > self._options.look_ahead // 2:
            return True
        return await self._read(_INITIALS, due_until, self._options.look_ahead) or more

    async def _read(self, lanes: tuple[int, int], due_until: float, limit: int) -> bool:
        """Takes the first `limit` messages of the lanes in hand; True when there may be more."""
        head = await messages.waiting(self._database, self._key, lanes, due_until, limit, self._in_hand)
        for message in head.messages:
            self.push(message)
        return head.may_be_more
