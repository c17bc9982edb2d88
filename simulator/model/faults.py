"""What may go wrong: windows and shares given by the scenario, or drawn from the seed.

Times are seconds since the world's start. Everything is keyed: the nth create call, the nth purchase and the
nth number have the same luck in every run of one seed. All figures are assumptions.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import msgspec

from simulator.model.carriers import CARRIERS, INDEX, Carrier, Positive, Seconds, Share
from simulator.model.draws import Draws, Stream


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

    def __init__(self, parameters: FaultParameters, draws: Draws, duration_s: float = 43_200.0) -> None:
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
        return bool(self.parameters.brownouts)

    def slow_factor(self, carrier: int, now: float) -> float:
        """How many times as long a carrier takes at `now`: 1 when it is well."""
        return max((b.slow_factor for b in self._brownouts[carrier] if b.holds(now)), default=1.0)

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
    return msgspec.structs.replace(
        parameters,
        brownouts=parameters.brownouts + brownouts,
        outages=parameters.outages + tuple(Window(*window) for window in windows(1, chaos.outages)),
        receipt_storms=parameters.receipt_storms
        + tuple(Window(*w) for w in windows(2, chaos.receipt_storms)),
        number_bans=parameters.number_bans + bans,
        gateway_crashes_at_s=parameters.gateway_crashes_at_s
        + tuple(at_s for at_s, _ in windows(4, chaos.gateway_crashes)),
        chaos=Chaos(),
    )
