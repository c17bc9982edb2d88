"""What follows an attempt that failed: again, when and how, or nothing more.

The catalogue says what a code allows; this module owns no list of codes. Above all rules stands "never
twice": a text that the phone may have is not sent again, and a lost answer is asked about, not repeated.
"""

from enum import StrEnum
from typing import assert_never

import msgspec

from gateway.core.rules.errors import Consequence, Kind, Retry, consequence
from gateway.core.rules.lifecycle import State


class Ended(StrEnum):
    """How an attempt ended without success."""

    REFUSED = "refused"  # the provider answered the request with an error: no message exists
    FAILED = "failed"  # the provider took it, and it never left the provider
    UNDELIVERED = "undelivered"  # it went to the carrier; the phone may have it after all
    THROTTLED = "throttled"  # HTTP 429: not processed
    NOT_SENT = "not_sent"  # certainly never on the wire, e.g. connection refused
    RECALLED = "recalled"  # we took it back before the wire; the look at hand-over finds out why


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how far apart. Delays are seconds; jitter is a share of a delay, 0…1."""

    max_attempts: int = 4
    first_delay_s: float = 30.0
    factor: float = 2.0
    max_delay_s: float = 900.0
    jitter: float = 0.2
    throttled_delay_s: float = 2.0
    once_delay_s: float = 4 * 3600.0  # a phone that was off needs hours, not minutes
    retry_undelivered: bool = False  # True risks that somebody gets a text twice

    def __post_init__(self) -> None:
        if not 1 <= self.max_attempts <= 20:
            raise ValueError("max_attempts must be 1 to 20")
        delays = (self.first_delay_s, self.max_delay_s, self.throttled_delay_s, self.once_delay_s)
        if min(delays) <= 0 or not 1 <= self.factor <= 10:
            raise ValueError("delays must be above 0 seconds, and factor 1 to 10")
        if not 0 <= self.jitter <= 1:
            raise ValueError("jitter must be 0 to 1")


class Again(msgspec.Struct, frozen=True):
    """Queue it again: not before `at` (Unix seconds), from another number if asked."""

    at: float
    other_number: bool
    spends_attempt: bool


class GiveUp(msgspec.Struct, frozen=True):
    """No further attempt; the message's last state. UNKNOWN: the provider is still to be asked."""

    final: State


class _Failure(msgspec.Struct, frozen=True):
    """One failed attempt with all that decides what follows."""

    means: Consequence | None  # None: the attempt never met a provider that could give a code
    ended: Ended
    attempt: int
    free: int
    now: float
    random: float
    policy: RetryPolicy
    daily_reset_at: float | None


_DEFAULT = RetryPolicy()
_MOST_DOUBLINGS = 40  # beyond, every wait is the longest, and a power would not fit into a float


def after_failure(
    code: int | None,
    ended: Ended,
    attempt: int,
    now: float,
    not_after: float,
    *,
    random: float,
    policy: RetryPolicy = _DEFAULT,
    daily_reset_at: float | None = None,
    free: int = 0,
) -> Again | GiveUp:
    """What to do after attempt number `attempt` (1 is the first) ended with this code.

    `free` hand-overs before it cost the message no attempt: they lengthen the wait all the same. `random` in [0, 1)
    spreads retries; `not_after` is the end of the message's use (hours, validity); `daily_reset_at` is when the
    carrier's daily cap starts anew. All instants are Unix seconds.
    """
    if ended is Ended.RECALLED:
        return Again(now, False, False)
    means = None if code is None else consequence(code)
    failure = _Failure(means, ended, attempt, free, now, random, policy, daily_reset_at)
    again = _again(failure)
    if again is not None and not again.spends_attempt and ended is not Ended.FAILED:
        return again  # nobody took it: to the queue, whose window's end holds it over, or tells why not
    if again is None or again.at > not_after or (again.spends_attempt and attempt >= policy.max_attempts):
        return GiveUp(_final(failure))
    return again


def _again(failure: _Failure) -> Again | None:
    """The next attempt as the code allows it, whatever the limits of time and number say."""
    means, ended = failure.means, failure.ended
    if ended is Ended.THROTTLED:
        wait_s = _grown(failure, failure.policy.throttled_delay_s, failure.free)
        return Again(_later(failure, max(wait_s, means.retry_after_s if means else 0.0)), False, False)
    if ended is Ended.NOT_SENT:
        spent_before = min(failure.attempt, failure.policy.max_attempts) - 1
        wait_s = _grown(failure, failure.policy.first_delay_s, spent_before + failure.free)
        return Again(_later(failure, wait_s), False, False)
    if means is None or _may_have_it(means, failure):
        return None
    return _by_catalogue(means, failure)


def _by_catalogue(means: Consequence, failure: _Failure) -> Again | None:
    match means.retry:
        case Retry.NEVER | Retry.RECONCILE:
            return None
        case Retry.SAME:
            return Again(_same_at(means, failure), means.blames_number, not _is_free(means, failure.ended))
        case Retry.ONCE:
            return _once(failure, other_number=False)
        case Retry.ALTERNATE:
            return _once(failure, other_number=True)
        case Retry.FIX:
            return _fix(means, failure)
        case _:
            assert_never(means.retry)


def _may_have_it(means: Consequence, failure: _Failure) -> bool:
    """After `undelivered` only a code that rules out the phone (SAME) is safe to repeat."""
    if failure.ended is not Ended.UNDELIVERED or means.retry is Retry.SAME:
        return False
    return not failure.policy.retry_undelivered


def _is_free(means: Consequence, ended: Ended) -> bool:
    """Being told to slow down, or that a number is not known yet, is no fault of the message's."""
    if means.unsettles_number:
        return True
    return ended is Ended.REFUSED and means.kind in (Kind.THROTTLE, Kind.QUEUE_FULL)


def _same_at(means: Consequence, failure: _Failure) -> float:
    if means.kind is Kind.DAILY_CAP and failure.daily_reset_at is not None:
        # Never before the reset; pacing spreads what then comes due together.
        return max(failure.daily_reset_at, failure.now) + failure.policy.first_delay_s * failure.random
    return max(_backoff(failure), failure.now + means.retry_after_s)


def _once(failure: _Failure, *, other_number: bool) -> Again | None:
    if failure.attempt > 1:
        return None
    if failure.ended is Ended.UNDELIVERED:
        return Again(_later(failure, failure.policy.once_delay_s), other_number, True)
    return Again(_backoff(failure), other_number, True)


def _fix(means: Consequence, failure: _Failure) -> Again | None:
    """Another number mends what the number is to blame for; otherwise somebody must act first.

    A refusal that stops the account costs nothing and says nothing about this message, so it waits for
    the repair as long as its attempts last.
    """
    if means.blames_number:
        return Again(_backoff(failure), True, True)
    if failure.ended is Ended.REFUSED and means.kind in (Kind.AUTH, Kind.ACCOUNT, Kind.SERVICE):
        return Again(_later(failure, failure.policy.max_delay_s), False, True)
    return None


def _backoff(failure: _Failure) -> float:
    policy = failure.policy
    before = min(failure.attempt, policy.max_attempts) - 1
    if failure.means is not None and failure.means.unsettles_number:
        before += failure.free
    return _later(failure, _grown(failure, policy.first_delay_s, before))


def _grown(failure: _Failure, first_s: float, before: int) -> float:
    """The wait after so many failures before; an outage of the provider is not knocked at ever as often."""
    policy = failure.policy
    longest_s = max(first_s, policy.max_delay_s)
    return min(first_s * policy.factor ** min(before, _MOST_DOUBLINGS), longest_s)


def _later(failure: _Failure, delay_s: float) -> float:
    """Jitter only lengthens a delay: a least wait stays a least wait."""
    return failure.now + delay_s * (1 + failure.policy.jitter * failure.random)


def _final(failure: _Failure) -> State:
    match failure.ended:
        case Ended.UNDELIVERED:
            return State.UNDELIVERED
        case Ended.REFUSED if failure.means is not None and failure.means.retry is Retry.RECONCILE:
            return State.UNKNOWN
        case Ended.REFUSED | Ended.FAILED | Ended.THROTTLED | Ended.NOT_SENT | Ended.RECALLED:
            return State.FAILED
        case _:
            assert_never(failure.ended)
