"""What may go wrong: windows and shares given by the scenario, or drawn from the seed.

Times are seconds since the world's start. Everything is keyed: the nth create call, the nth purchase and the
nth number have the same luck in every run of one seed. All figures are assumptions.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from simulator.model.carriers import CARRIERS, INDEX, AtLeastOne, Carrier, Positive, Seconds, Share
from simulator.model.draws import Draws, Stream

_FAILING: tuple[Literal[30008, 30017, 30022], ...] = (30008, 30017, 30022)


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From `from_s` on, for `for_s` seconds."""

    from_s: Seconds
    for_s: Positive

    def holds(self, now: float) -> bool:
        return self.from_s <= now < self.from_s + self.for_s


class Brownout(Window, frozen=True, forbid_unknown_fields=True):
    """One carrier takes `slow_factor` times as long, in rate and in latency."""

    carrier: Carrier
    slow_factor: Annotated[float, msgspec.Meta(ge=1)] = 10.0


class Rush(Window, frozen=True, forbid_unknown_fields=True):
    """All carriers are slow together, as in the week before an election, and worst at the full hour.

    Published: throughput was adjusted for everybody from the 1st to the 8th of November (Twilio, 2024), MMS come 15
    to 30 minutes late, the top of the hour is worst (Prompt.io) [S]. How much slower, nobody says.
    """

    slow_factor: AtLeastOne = 2.0  # times as slow, in rate and in latency [A]
    full_hour_factor: AtLeastOne = 6.0  # the same at the full hour, when every campaign begins [A]
    full_hour_s: Positive = 600.0  # seconds in which that fades to slow_factor [A]
    mms_late_s: Seconds = 1_200.0  # seconds that each MMS is late, 15 to 30 min [S]


class CarrierFailure(Window, frozen=True, forbid_unknown_fields=True):
    """One carrier fails: a share of the texts it took ends undelivered, with one code."""

    carrier: Carrier
    code: Literal[30008, 30017, 30022] = 30008
    share: Share = 1.0


class WebhookBacklog(Window, frozen=True, forbid_unknown_fields=True):
    """The provider brings webhooks, people's texts too, more slowly than they come up; afterwards it catches up."""

    per_s: Positive = 1.0  # while it lasts
    after_per_s: Positive = 500.0  # until nothing waits any more: what Twilio posts to one address [S]


class StopWave(Window, frozen=True, forbid_unknown_fields=True):
    """While it lasts, a further `share` of the people who are texted answers STOP."""

    share: Share


class NumberBan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `nth` number bought (from 0) is banned at `at_s`: 30007 ends every text of it, 21606 refuses it."""

    at_s: Seconds
    nth: Annotated[int, msgspec.Meta(ge=0)]
    code: Annotated[int, msgspec.Meta(ge=21606, le=30007)] = 30007


class Chaos(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many of each fault the seed strews over the world."""

    brownouts: int = 0
    outages: int = 0
    receipt_storms: int = 0
    number_bans: int = 0
    gateway_crashes: int = 0
    carrier_failures: int = 0
    webhook_backlogs: int = 0
    longest_s: Positive = 600.0


class FaultParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes wrong; the defaults are a calm day."""

    answers_lost_after_share: Share = 0.0  # create calls that are processed but never answered
    answers_lost_before_share: Share = 0.0  # create calls that neither arrive nor are answered
    errors_after_share: Share = 0.0  # HTTP 500 although the message was created
    errors_before_share: Share = 0.0  # HTTP 500, nothing created
    throttled_share: Share = 0.0  # HTTP 429 code 20429, not processed
    purchase_failure_share: Share = 0.0  # purchases that end 21422, somebody else was quicker
    brownouts: tuple[Brownout, ...] = ()
    rushes: tuple[Rush, ...] = ()
    carrier_failures: tuple[CarrierFailure, ...] = ()
    webhook_backlogs: tuple[WebhookBacklog, ...] = ()
    outages: tuple[Window, ...] = ()  # the provider refuses connections
    receipt_storms: tuple[Window, ...] = ()  # receipts are held and released together at the end
    number_bans: tuple[NumberBan, ...] = ()
    stop_waves: tuple[StopWave, ...] = ()
    gateway_crashes_at_s: tuple[Seconds, ...] = ()
    chaos: Chaos = Chaos()

    def __post_init__(self) -> None:
        if sum(self.answer_shares()) > 1:
            raise ValueError("the shares of lost, failed and throttled answers exceed 1")

    def answer_shares(self) -> tuple[float, ...]:
        """The shares of unhappy answers, in the order of the fields."""
        return (
            self.answers_lost_after_share,
            self.answers_lost_before_share,
            self.errors_after_share,
            self.errors_before_share,
            self.throttled_share,
        )


class Answer(StrEnum):
    """What becomes of one create call's answer."""

    GOOD = "good"
    LOST_AFTER = "lost after"
    LOST_BEFORE = "lost before"
    ERROR_AFTER = "error after"
    ERROR_BEFORE = "error before"
    THROTTLED = "throttled"

    @property
    def processed(self) -> bool:
        """Whether the message exists at the provider."""
        return self in (Answer.GOOD, Answer.LOST_AFTER, Answer.ERROR_AFTER)


_UNHAPPY = (Answer.LOST_AFTER, Answer.LOST_BEFORE, Answer.ERROR_AFTER, Answer.ERROR_BEFORE, Answer.THROTTLED)


class Faults:
    """The faults of one world, asked by whoever may suffer them."""

    def __init__(
        self,
        parameters: FaultParameters,
        draws: Draws,
        duration_s: float = 43_200.0,
        *,
        start_at: float = 0.0,  # of the world, in Unix seconds: when an hour is full
    ) -> None:
        parameters = _with_chaos(parameters, draws.stream("faults/chaos"), duration_s)
        self.parameters = parameters
        self.crashes_at_s: Sequence[float] = sorted(parameters.gateway_crashes_at_s)
        self._answer_luck = draws.stream("faults/answer")
        self._purchase_luck = draws.stream("faults/purchase")
        self._answer_steps: list[tuple[float, Answer]] = []
        upto = 0.0
        for share, answer in zip(parameters.answer_shares(), _UNHAPPY, strict=True):
            upto += share
            self._answer_steps.append((upto, answer))
        self._any_unhappy = upto > 0
        self._brownouts: list[list[Brownout]] = [[] for _ in CARRIERS]
        for brownout in parameters.brownouts:
            self._brownouts[INDEX[brownout.carrier]].append(brownout)
        self._start_at = start_at
        self._failures: list[list[CarrierFailure]] = [[] for _ in CARRIERS]
        for failure in parameters.carrier_failures:
            self._failures[INDEX[failure.carrier]].append(failure)
        self._bans = {ban.nth: ban for ban in parameters.number_bans}

    def answer(self, nth: int) -> Answer:
        """What becomes of the answer to the nth create call."""
        if self._any_unhappy:
            uniform = self._answer_luck(nth)
            for upto, answer in self._answer_steps:
                if uniform < upto:
                    return answer
        return Answer.GOOD

    def answer_lost(self, nth: int) -> bool:
        """Whether the caller of the nth create call waits for an answer in vain."""
        return self.answer(nth) in (Answer.LOST_AFTER, Answer.LOST_BEFORE)

    @property
    def any_brownout(self) -> bool:
        """Whether a carrier is ever slow."""
        return bool(self.parameters.brownouts or self.parameters.rushes)

    def slow_factor(self, carrier: int, now: float) -> float:
        """How many times as long a carrier takes at `now`: 1 when it is well."""
        own = max((b.slow_factor for b in self._brownouts[carrier] if b.holds(now)), default=1.0)
        return own * self._rush_factor(now) if self.parameters.rushes else own

    def _rush_factor(self, now: float) -> float:
        past_the_hour_s = (self._start_at + now) % 3600.0
        return max(
            (_hurried(rush, past_the_hour_s) for rush in self.parameters.rushes if rush.holds(now)),
            default=1.0,
        )

    def mms_late_s(self, now: float) -> float:
        """How late an MMS comes at `now`, in seconds."""
        return max((rush.mms_late_s for rush in self.parameters.rushes if rush.holds(now)), default=0.0)

    @property
    def any_carrier_failure(self) -> bool:
        """Whether a carrier ever fails."""
        return bool(self.parameters.carrier_failures)

    def carrier_fails(self, carrier: int, now: float, luck: float) -> int:
        """The code with which a failing carrier ends a text whose luck this is, else 0."""
        return next((f.code for f in self._failures[carrier] if f.holds(now) and luck < f.share), 0)

    def backlog(self, now: float) -> WebhookBacklog | None:
        """The backlog of webhooks at `now`."""
        return next((each for each in self.parameters.webhook_backlogs if each.holds(now)), None)

    def refuses(self, now: float) -> bool:
        """Whether the provider refuses connections at `now`."""
        return _holds(self.parameters.outages, now)

    def receipts_held_until(self, now: float) -> float:
        """When receipts due at `now` come: `now` itself outside a storm."""
        return max((w.from_s + w.for_s for w in self.parameters.receipt_storms if w.holds(now)), default=now)

    def stop_wave_share(self, now: float) -> float:
        """The further share of people who answer STOP at `now`."""
        return max((wave.share for wave in self.parameters.stop_waves if wave.holds(now)), default=0.0)

    def ban_code(self, nth_number: int, now: float) -> int:
        """30007 or 21606 once the nth number bought is banned, else 0."""
        ban = self._bans.get(nth_number)
        return ban.code if ban is not None and now >= ban.at_s else 0

    def purchase_fails(self, nth: int) -> int:
        """21422 when the nth purchase loses the race for its number, else 0."""
        share = self.parameters.purchase_failure_share
        return 21422 if share and self._purchase_luck(nth) < share else 0


def _hurried(rush: Rush, past_the_hour_s: float) -> float:
    """How slow a rush makes the carriers so long after the full hour: worst at once, then less and less."""
    left = max(0.0, 1.0 - past_the_hour_s / rush.full_hour_s)
    return rush.slow_factor + max(0.0, rush.full_hour_factor - rush.slow_factor) * left


def _holds(windows: Sequence[Window], now: float) -> bool:
    return any(window.holds(now) for window in windows)


def _with_chaos(parameters: FaultParameters, luck: Stream, duration_s: float) -> FaultParameters:
    """The scenario's own faults and those that the seed strews; each kind has luck of its own."""
    chaos = parameters.chaos

    def windows(kind: int, count: int) -> list[tuple[float, float]]:
        return [
            (luck(kind, 2 * nth) * duration_s, max(1.0, luck(kind, 2 * nth + 1) * chaos.longest_s))
            for nth in range(count)
        ]

    brownouts = tuple(
        Brownout(from_s, for_s, CARRIERS[luck.word(5, nth) % 3], 5.0 + 15.0 * luck(6, nth))
        for nth, (from_s, for_s) in enumerate(windows(0, chaos.brownouts))
    )
    bans = tuple(
        NumberBan(at_s, luck.word(7, nth) % 10) for nth, (at_s, _) in enumerate(windows(3, chaos.number_bans))
    )
    failures = tuple(
        CarrierFailure(from_s, for_s, CARRIERS[luck.word(9, nth) % 3], _FAILING[luck.word(9, nth) % 5 % 3])
        for nth, (from_s, for_s) in enumerate(windows(8, chaos.carrier_failures))
    )
    backlogs = windows(11, chaos.webhook_backlogs)
    return msgspec.structs.replace(
        parameters,
        brownouts=parameters.brownouts + brownouts,
        outages=parameters.outages + tuple(Window(*window) for window in windows(1, chaos.outages)),
        receipt_storms=parameters.receipt_storms
        + tuple(Window(*w) for w in windows(2, chaos.receipt_storms)),
        number_bans=parameters.number_bans + bans,
        carrier_failures=parameters.carrier_failures + failures,
        webhook_backlogs=parameters.webhook_backlogs
        + tuple(WebhookBacklog(*w, 0.5 + 2.0 * luck(10, n)) for n, w in enumerate(backlogs)),
        gateway_crashes_at_s=parameters.gateway_crashes_at_s
        + tuple(at_s for at_s, _ in windows(4, chaos.gateway_crashes)),
        chaos=Chaos(),
    )
