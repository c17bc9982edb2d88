"""Volunteers at a text bank: they come in shifts, tap send, take breaks, answer what comes back.

A volunteer is a SimPy process that knows the gateway only as a `Bank`; every call to it is an event.
How many tap and how fast is drawn by (volunteer, nth), so a slower gateway changes no one's pace.
"""

from collections.abc import Generator, Sequence
from itertools import accumulate
from math import ceil
from typing import Annotated, Any, NamedTuple, Protocol
from zlib import crc32

import msgspec
from msgspec import Meta
from simpy import Environment, Event

from simulator.model.carriers import Positive, Share
from simulator.model.draws import Draws, Lognormal
from simulator.model.replies import Intent, intent_of


class Waiting(msgspec.Struct, frozen=True):
    """One conversation that needs attention (C9), as the inbox shows it.

    `conversation` is the bank's own key: an int, a str or a tuple of them, the same in every run.
    """

    conversation: object
    text: str
    suggests_opt_out: bool = False
    wrong_number: bool = False


class Bank(Protocol):
    """What a volunteer can do at the gateway. Every event must succeed: a refusal is a value, not a failure."""

    @property
    def finished(self) -> bool:
        """True when no contact of the list is left to claim, now or later."""
        ...

    def claim(self, volunteer: int) -> Event:
        """A bucket (F178); value: Sequence of items the volunteer only hands back, empty = nothing now."""
        ...

    def send(self, volunteer: int, item: object) -> Event | None:
        """Tap send on one item; value: bool sent. The volunteer does not wait for it."""
        ...

    def release(self, volunteer: int, items: Sequence[object]) -> Event:
        """The shift is over and `items` (perhaps none) were not texted; called once per volunteer."""
        ...

    def inbox(self, volunteer: int) -> Event:
        """Value: Sequence[Waiting] for this volunteer alone: no two get the same conversation at a time.

        Those at the desk (`volunteer >= Volunteers.texting`) take what others left behind.
        """
        ...

    def answer(self, volunteer: int, waiting: Waiting, response: int) -> Event:
        """Send the canned response of that index (F111); value: bool sent. False ends this look at the inbox."""
        ...

    def opt_out(self, volunteer: int, waiting: Waiting) -> Event:
        """Set the Opt Out tag and submit the report (F123)."""
        ...


_LEAVING = frozenset({Intent.LEAVES, Intent.ABUSE, Intent.WRONG_NUMBER})


class Shift(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hours since the start of the world, and the share of the texting volunteers who come."""

    from_h: Annotated[float, Meta(ge=0)]
    to_h: Positive
    share: Share

    def __post_init__(self) -> None:
        if self.to_h <= self.from_h:
            raise ValueError("to_h is not after from_h")


class VolunteerParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many volunteers come, when, and how they work. [S] 200-800 texts an hour; the rest [A]."""

    per_thousand_contacts: Positive = 0.9  # volunteers of both kinds [A]
    count: Annotated[int, Meta(ge=1)] | None = None  # instead of per_thousand_contacts
    shifts: Annotated[tuple[Shift, ...], Meta(min_length=1)] = (Shift(from_h=0.0, to_h=12.0, share=1.0),)
    bucket: Annotated[int, Meta(ge=1, le=500)] = 100  # contacts a claim asks for (F178, C13)
    late_at_most_s: Annotated[float, Meta(ge=0)] = 600.0  # after the shift began, evenly [A]
    tap_median_s: Positive = 4.0  # from one tap to the next; with p99: 620 taps an hour [S: 200-800]
    tap_p99_s: Positive = 30.0
    double_tap_share: Share = 0.003  # of taps: the thumb bounces, and the press comes twice [A]
    break_every_s: Positive = 2700.0  # [A]
    break_s: Annotated[float, Meta(ge=0)] = 420.0  # [A]
    inbox_every_s: Positive = 600.0  # a texting volunteer looks at the replies [A]
    answer_median_s: Positive = 15.0  # read and answer one reply [A]
    answer_p99_s: Positive = 90.0
    retry_claim_s: Annotated[float, Meta(ge=60, le=300)] = 120.0  # nothing to claim: try again [A]
    opt_out_noticed_share: Share = 0.97  # of people who ask in their own words to be left alone [A]
    desk_share: Share = 0.12  # of volunteers: they only answer, from start to end [A]
    desk_every_s: Positive = 120.0  # the desk found nothing: look again [A]
    desk_until_h: Positive | None = None  # hours since the start of the world; without it, to the end

    def __post_init__(self) -> None:
        if abs(sum(shift.share for shift in self.shifts) - 1) > 0.001:
            raise ValueError("the shares of the shifts do not sum to 1")


class Duty(NamedTuple):
    """When one volunteer works, in seconds since the start of the world."""

    begins_at: float
    ends_at: float
    texts: bool


class _Rhythm:
    """When one volunteer next looks up from the send button."""

    __slots__ = ("_parameters", "break_at", "inbox_at", "taps")

    def __init__(self, parameters: VolunteerParameters, now: float) -> None:
        self._parameters = parameters
        self.taps = 0
        self.inbox_at = now + parameters.inbox_every_s
        self.break_at = now + parameters.break_every_s

    def inbox_read(self, now: float) -> None:
        self.inbox_at = now + self._parameters.inbox_every_s

    def rested(self, now: float) -> None:
        self.break_at = now + self._parameters.break_every_s


class Volunteers:
    """Everybody who comes to the bank; `start()` lets them in. Numbers 0..texting-1 text, the rest are the desk."""

    def __init__(
        self,
        env: Environment,
        parameters: VolunteerParameters,
        draws: Draws,
        bank: Bank,
        *,
        contacts: int,
        duration_s: float,
        responses: Sequence[str],
    ) -> None:
        self._env = env
        self._parameters = parameters
        self._bank = bank
        self._responses = responses
        self._duration_s = duration_s
        self.count = parameters.count or max(1, ceil(contacts * parameters.per_thousand_contacts / 1000))
        self.texting = max(1, self.count - round(self.count * parameters.desk_share))
        self.taps = 0
        self.answers = 0
        self.opt_outs = 0
        self.opt_outs_overlooked = 0
        self._answers_of = [0] * self.count
        self._late = draws.stream("volunteers/late")
        self._tap = draws.stream("volunteers/tap")
        self._bounce = draws.stream("volunteers/double tap")
        self._tap_s = Lognormal(parameters.tap_median_s, parameters.tap_p99_s)
        self._answer = draws.stream("volunteers/answer")
        self._answer_s = Lognormal(parameters.answer_median_s, parameters.answer_p99_s)
        self._notice = draws.stream("volunteers/notice")
        self._choose = draws.stream("volunteers/choose")

    def __repr__(self) -> str:
        return (
            f"Volunteers({self.texting} texting, {self.count - self.texting} at the desk, "
            f"{self.taps:,} taps, {self.answers:,} answers)"
        )

    def start(self) -> None:
        """Let everybody come in his or her own time."""
        for volunteer in range(self.count):
            duty = self.duty(volunteer)
            self._env.process(
                self._text(volunteer, duty) if duty.texts else self._sit_at_desk(volunteer, duty)
            )

    def duty(self, volunteer: int) -> Duty:
        """The shift of one volunteer, the same whatever happens at the bank."""
        late_s = self._late(volunteer) * self._parameters.late_at_most_s
        if volunteer >= self.texting:
            until_h = self._parameters.desk_until_h
            return Duty(late_s, self._duration_s if until_h is None else until_h * 3600, texts=False)
        shifts = self._parameters.shifts
        limits = list(accumulate(shift.share for shift in shifts))
        place = (volunteer + 0.5) / self.texting * limits[-1]
        shift = next(s for s, limit in zip(shifts, limits, strict=True) if place <= limit)
        begins_at = shift.from_h * 3600 + late_s
        return Duty(begins_at, min(shift.to_h * 3600, self._duration_s), texts=True)

    def _text(self, volunteer: int, duty: Duty) -> Generator[Event, Any, None]:
        """A shift: a bucket, and another, until the time is over (F178, F179, F211)."""
        env, bank = self._env, self._bank
        yield env.timeout(duty.begins_at)
        rhythm = _Rhythm(self._parameters, env.now)
        left: Sequence[object] = ()
        while env.now < duty.ends_at:
            items: Sequence[object] = () if bank.finished else (yield bank.claim(volunteer))
            if items:
                left = yield from self._tap_through(volunteer, items, duty, rhythm)
                continue
            yield from self._read_inbox(volunteer, duty)
            yield env.timeout(self._at_most(self._parameters.retry_claim_s, duty))
        yield bank.release(volunteer, left)

    def _tap_through(
        self, volunteer: int, items: Sequence[object], duty: Duty, rhythm: _Rhythm
    ) -> Generator[Event, Any, Sequence[object]]:
        """One bucket, tap by tap; the value is what was left when the shift was over."""
        env, send, tap, tap_s = self._env, self._bank.send, self._tap, self._tap_s
        bounce = self._bounce
        for position, item in enumerate(items):
            if env.now >= duty.ends_at:
                return items[position:]
            rhythm.taps += 1
            yield env.timeout(tap_s.at(tap(volunteer, rhythm.taps)))
            self.taps += 1
            send(volunteer, item)
            if bounce(volunteer, rhythm.taps) < self._parameters.double_tap_share:
                send(volunteer, item)
            if env.now >= rhythm.inbox_at or env.now >= rhythm.break_at:
                yield from self._look_up(volunteer, duty, rhythm)
        return ()

    def _look_up(self, volunteer: int, duty: Duty, rhythm: _Rhythm) -> Generator[Event, Any, None]:
        """Between two taps: the replies, and now and then a break."""
        yield from self._read_inbox(volunteer, duty)
        rhythm.inbox_read(self._env.now)
        if self._env.now >= rhythm.break_at:
            yield self._env.timeout(self._at_most(self._parameters.break_s, duty))
            rhythm.rested(self._env.now)

    def _sit_at_desk(self, volunteer: int, duty: Duty) -> Generator[Event, Any, None]:
        """The reply desk: answer, and wait for more, to the end of the day."""
        yield self._env.timeout(duty.begins_at)
        while self._env.now < duty.ends_at:
            answered = yield from self._read_inbox(volunteer, duty)
            if not answered:
                yield self._env.timeout(self._at_most(self._parameters.desk_every_s, duty))
        yield self._bank.release(volunteer, ())

    def _read_inbox(self, volunteer: int, duty: Duty) -> Generator[Event, Any, bool]:
        """Deal with what waits, until it is done, refused, or the shift over; was all of it dealt with?"""
        inbox: Sequence[Waiting] = yield self._bank.inbox(volunteer)
        for waiting in inbox:
            if self._env.now >= duty.ends_at:
                return False
            nth = self._answers_of[volunteer] = self._answers_of[volunteer] + 1
            yield self._env.timeout(self._answer_s.at(self._answer(volunteer, nth)))
            done = yield self._deal_with(volunteer, waiting)
            if done is False:
                return False
        return bool(inbox)

    def _deal_with(self, volunteer: int, waiting: Waiting) -> Event:
        """Opt out whoever wants to be left alone, if it is noticed; answer everybody else."""
        key = crc32(repr(waiting.conversation).encode())
        intent = intent_of(waiting.text)
        leaves = waiting.suggests_opt_out or waiting.wrong_number or intent in _LEAVING
        if leaves and self._notice(key) < self._parameters.opt_out_noticed_share:
            self.opt_outs += 1
            return self._bank.opt_out(volunteer, waiting)
        self.opt_outs_overlooked += leaves
        self.answers += 1
        return self._bank.answer(volunteer, waiting, self._response_to(intent, key))

    def _response_to(self, intent: Intent | None, key: int) -> int:
        """The canned response named after what the person wants; without one, any."""
        if intent is not None and intent.value in self._responses:
            return self._responses.index(intent.value)
        return int(self._choose(key) * len(self._responses))

    def _at_most(self, wait_s: float, duty: Duty) -> float:
        """A wait that does not outlast the shift."""
        return min(wait_s, max(0.0, duty.ends_at - self._env.now))
