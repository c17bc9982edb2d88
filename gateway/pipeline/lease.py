"""The lease of a claimed text: where it stands, until when a call for it may begin, and how long a look at it is good.

A claim is a lease. No call begins after its deadline, by a clock that runs on while this process is frozen, nor later
than `LOOK_VALID_S` after the last look at the text began (longer while the database is slow: `LookValidity`). So a STOP's or a pause's answer need only wait that long, on
whatever worker it came in, and whoever takes a campaign over knows when nothing of it can begin any more.
"""

import asyncio
from enum import Enum, auto

import msgspec

from gateway.core.rules.safeguards import Kind
from gateway.core.sending.pacing import Pacer
from gateway.pipeline.recent_durations import RecentDurations
from gateway.providers.base import OutboundText
from gateway.store.messages import Queued

LOOK_VALID_S = 0.25
MOST_LOOK_VALID_S = 5.0  # a database that takes longer to answer is as good as away
WIRE_MARGIN_S = 0.1  # from the moment a call begins until the provider has read it
_GRACE_S = 3.0
_AMPLE_S = 0.02  # a look begins at least so long before the slot that it is for
_LEAD_SHARE = 0.8  # and at most this share of its validity before
_WIDE_S = 0.00005  # a segment's time on a meter that all calls of a worker together never fill: nothing is late there
_TURNS = 2  # of the loop, from a call's task to its first byte
_LATE_S = 0.05  # a slot may be used so late, and never by more than half a segment of the campaign's


def lease_s(horizon_s: float) -> float:
    """From the decision to claim until no call may begin any more.

    Slots lie within the horizon; a slot that passed, a slow look or a busy provider may take as long again.
    """
    return 2 * horizon_s + _GRACE_S


class Place(Enum):
    """Where a claimed text stands."""

    BEFORE_LOOK = auto()  # waits for its last look
    IN_LOOK = auto()
    BEFORE_SLOT = auto()  # looked at, waits for its slot
    BEFORE_CALL = auto()  # its slot has come and all calls are under way
    IN_CALL = auto()
    OVER = auto()  # back in the queue


Key = tuple[int, int]
"""Message and attempt: a call may still hang when a callback has told its end and the next attempt waits."""


class Held(msgspec.Struct, gc=False):
    """A claimed text. `deadline` and `seen_until` are seconds of `Clock.steady`, the other instants Unix seconds."""

    text: OutboundText
    slot_at: float
    not_after: float
    number_id: int
    carrier: str | None
    pacer: Pacer
    lane: int
    due_at: float
    deadline: float  # no call begins later
    seen_until: (
        float  # how long the last look is good: its admission, its claim, or a look just before the wire
    )
    place: Place = Place.BEFORE_LOOK
    timer: asyncio.TimerHandle | None = None
    call: "asyncio.Task[None] | None" = None
    called_at: float = 0.0  # seconds of Clock.steady
    is_hung: bool = False

    @property
    def key(self) -> Key:
        return self.text.message_id, self.text.attempt

    def is_late(self, now: float) -> bool:
        """Whether its slot has passed, by more than a meter forgives: half a segment's time."""
        late_s, segment_s = now - self.slot_at, self.pacer.duration_s(1)
        return late_s > 0 and segment_s > _WIDE_S and late_s > min(_LATE_S, segment_s / 2)

    def take_new_slot(self, now: float) -> None:
        """The next free one; an infinite one when the day's cap is used up."""
        segments = self.text.segments
        self.pacer.give_back(self.slot_at, self.carrier, self.number_id, segments)
        self.slot_at = self.pacer.reserve(now, self.carrier, self.number_id, segments)


def outbound(message: Queued, campaign_id: int, number_phone: str) -> OutboundText:
    """A claimed message as its provider gets it."""
    return OutboundText(
        campaign_id,
        message.message_id,
        message.attempt,
        message.phone,
        number_phone,
        message.body,
        message.segments,
        0.0,
        None if message.media is None else tuple(message.media),
        message.kind == Kind.CONFIRMATION,
    )


class LookValidity:
    """For how long this worker's looks are good: `base_s`, and longer while the database is slow to answer or this
    process slow to begin a call.

    A look that took longer than it is good would stop all sending. Before `now_s` is lengthened the other workers have
    to be told, since a STOP's answer waits for the longest of all; after it was shortened, they may be. So a look is
    good for what was told when it *began*: of what is told later, a STOP that it missed may not have known.
    """

    def __init__(self, base_s: float) -> None:
        self.now_s = base_s
        self._base_s = self._before_s = base_s
        self._before_until = 0.0  # by Clock.steady: looks of before may be good until then
        self.took = RecentDurations()
        self.begin = RecentDurations()  # of calls: from its making until its task runs

    def until(self, began_at: float) -> float:
        """How long a look that begins now is good; both by Clock.steady."""
        return began_at + self.now_s

    @property
    def wanted_s(self) -> float:
        """Twice and a half what a look and a call's beginning typically take; a single slow one makes no STOP wait
        longer."""
        typical_s = self.took.typical_s + _TURNS * self.begin.typical_s
        return max(self._base_s, min(2.5 * typical_s, MOST_LOOK_VALID_S))

    @property
    def begins_in_s(self) -> float:
        """How long after it is made a call begins: some turns of the loop, which are long while this process is busy."""
        return min(_TURNS * self.begin.typical_s, self.now_s / 2)

    def to_tell(self, steady: float) -> float:
        """What the other workers are to be told now, in seconds."""
        self.took.forget(steady)
        self.begin.forget(steady)
        wanted_s = self.wanted_s
        if wanted_s < self.now_s / 2:
            self._before_s = max(self.now_s, self._before_s if steady < self._before_until else 0.0)
            self._before_until = max(self._before_until, steady + self.now_s)
            self.now_s = wanted_s
        before_s = self._before_s if steady < self._before_until else 0.0
        return max(self.now_s, wanted_s, before_s)

    def told(self, valid_s: float) -> None:
        """They can know it: looks that begin now may be good for so long, if they need it."""
        self.now_s = max(self.now_s, min(valid_s, self.wanted_s))

    @property
    def lead_s(self) -> float:
        """How long before its slot a text is looked at: the look ends before, and is still good then."""
        return min(max(_AMPLE_S, self.took.ample_s), _LEAD_SHARE * self.now_s)
