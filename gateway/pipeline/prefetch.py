"""The head of a campaign's queue in memory: what is due is read in time, and never more than memory may hold.

Nor more first texts to a carrier than can go soon (core/sending/memory_shares.py): the others of that carrier are left in
the store in their order, and looked past, until half of those in memory have gone.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.safeguards import Kind
from gateway.core.sending.memory_shares import LEAST_SHARE, most_in_memory
from gateway.core.sending.pacing import Pacer
from gateway.core.sending.waiting import Lane, Waiting, WaitingLine
from gateway.pipeline.options import DispatchOptions
from gateway.store import messages
from gateway.store.database import Database
from gateway.store.messages import Place, Queued

_LOOKED_PAST_S = 120.0  # a text may come late in before those that were looked past
_SOONEST_READ_S = 0.1  # after the last one, however often another worker says that something came
_URGENT, _INITIALS = (Lane.REPLY, Lane.RETRY), (Lane.INITIAL, Lane.INITIAL)


class Prefetch:
    """Messages in hand, by id, and the line in which they wait."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        options: DispatchOptions,
        key: CampaignKey,
        pacer: Pacer,
        is_held: Callable[[Queued], bool],
    ) -> None:
        """`is_held`: a first text that a breaker keeps in the store."""
        self._database = database
        self._clock = clock
        self._options = options
        self._key = key
        self._pacer = pacer
        self._is_held = is_held
        self._in_hand: dict[int, Queued] = {}
        self._first_texts: Counter[str | None] = Counter()  # in hand, by carrier
        self._left: set[str | None] = set()  # carriers of which the store has more than memory wants
        self._past: Place | None = None  # first texts up to there are in hand, or are left
        self._past_until = math.inf  # then the queue is read from its beginning
        self._goes_on = False  # with the next piece of the queue
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
        message = self._in_hand.pop(message_id, None)
        if message is not None and message.lane == Lane.INITIAL:
            self._first_texts[message.carrier] -= 1
            if message.carrier in self._left and self._wants_more(message.carrier):
                self.begin_anew()
        return message

    def push(self, message: Queued) -> None:
        if message.message_id not in self._in_hand:
            self._in_hand[message.message_id] = message
            self._first_texts[message.carrier] += message.lane == Lane.INITIAL
            self.line.push(self.waiting(message))

    def _most_of(self, carrier: str | None) -> int:
        """How many first texts to a carrier are worth a place now."""
        return most_in_memory(self._pacer, carrier, self._clock.now(), self._options.look_ahead)

    def _wants_more(self, carrier: str | None) -> bool:
        return self._first_texts[carrier] <= self._most_of(carrier) // 2

    def _leaves(self, message: Queued) -> bool:
        """Whether it stays in the store, as one of a carrier that has all the places it is worth."""
        carrier = message.carrier
        if message.lane != Lane.INITIAL:
            return False
        if carrier not in self._left:
            in_hand = self._first_texts[carrier]
            if in_hand < self._options.look_ahead // LEAST_SHARE or in_hand < self._most_of(carrier):
                return False
            self._left.add(carrier)
        return True

    def _make_room(self) -> None:
        """When memory is half full: who would wait for long goes back to the store, the youngest of each carrier, as rates
        and a day's use change while they wait."""
        if len(self._in_hand) <= self._options.look_ahead // 2:
            return
        for carrier, count in list(self._first_texts.items()):
            if count > (most := self._most_of(carrier)):
                theirs = [m for m in self if m.lane == Lane.INITIAL and m.carrier == carrier]
                theirs.sort(key=lambda message: (message.due_at, message.message_id))
                for message in theirs[most:]:
                    self.line.remove(message.message_id)
                    del self._in_hand[message.message_id]
                self._first_texts[carrier] = most
                self._left.add(carrier)
                self._from_the_beginning()

    def begin_anew(self) -> None:
        """First texts are read from the beginning of the queue, as far as memory wants them."""
        self._from_the_beginning()
        self._left = {carrier for carrier in self._left if not self._wants_more(carrier)}
        self.read_now()

    def _from_the_beginning(self) -> None:
        self._past, self._past_until = None, math.inf

    def enter(self, message: Queued) -> None:
        """A durable message to be picked up; beyond what memory may hold, or wants, it stays in the store only.

        While it is only suspected that the store holds more, it is taken in hand: else each that comes while the
        store is read would call for the next reading.
        """
        if self._leaves(message):
            return
        is_full = len(self._in_hand) >= self._options.look_ahead
        if message.lane != Lane.REPLY and (is_full or self._runs_over):
            self._left_one = self._runs_over = True
            self.read_again_in(self._options.poll_s)
        else:
            self.push(message)

    def line_up_anew(self) -> None:
        """Whoever was parked until a slot of before is looked at again; whoever is held now goes back to the store."""
        for message_id in [each.message_id for each in self if self._is_held(each)]:
            self.pop(message_id)
        self.line = WaitingLine()
        for message in self._in_hand.values():
            self.line.push(self.waiting(message))

    def clear(self) -> None:
        """Everything is read again."""
        self.line = WaitingLine()
        self._in_hand.clear()
        self._first_texts.clear()
        self._runs_over = True
        self.begin_anew()

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
        self._make_room()
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
            self.next_read_at = min(self.next_read_at, self._past_until)
        elif self._goes_on:
            self.next_read_at = min(self.next_read_at, now + _SOONEST_READ_S)

    async def _read_on(self, due_until: float) -> bool:
        """True when there may be more."""
        self._left_one = self._asked_again = self._goes_on = False
        more = await self._read(_URGENT, due_until, self._options.look_ahead)
        if len(self._in_hand) > self._options.look_ahead // 2:
            return True
        return await self._read_first_texts(due_until) or more

    async def _read(self, lanes: tuple[int, int], due_until: float, limit: int) -> bool:
        """Takes the first `limit` messages of the lanes in hand; True when there may be more."""
        head = await messages.waiting(self._database, self._key, lanes, due_until, limit, self._in_hand)
        for message in head.messages:
            self.push(message)
        return head.may_be_more

    async def _read_first_texts(self, due_until: float) -> bool:
        """The same of first texts, one piece of the queue: where some are left, the next one goes on behind it."""
        if self._clock.now() >= self._past_until:
            self._from_the_beginning()
        head = await messages.waiting(
            self._database,
            self._key,
            _INITIALS,
            due_until,
            self._options.look_ahead,
            self._in_hand,
            self._past,
            self._left,
        )
        for message in head.messages:
            if not self._is_held(message) and not self._leaves(message):
                self.push(message)
        if self._left:
            self._past = head.last or self._past
            self._past_until = math.inf if head.may_be_more else self._clock.now() + _LOOKED_PAST_S
            self._goes_on = head.may_be_more  # at once: those that may go stand somewhere behind
        return head.may_be_more
