"""What follows a failed attempt. The codes' meanings are the catalogue's; the rules are here."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.rules.errors import CATALOGUE, Retry, consequence
from gateway.core.rules.lifecycle import State
from gateway.core.rules.retry import Again, Ended, GiveUp, RetryPolicy, after_failure

NOW = 1_780_000_000.0
END = NOW + 12 * 3600.0
POLICY = RetryPolicy()


def after(code: int | None, ended: Ended, attempt: int = 1, **changes: float | RetryPolicy) -> Again | GiveUp:
    arguments = {"not_after": END, "random": 0.0, "policy": POLICY, **changes}
    return after_failure(code, ended, attempt, NOW, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "ended", "free", "wait_s"),
    [
        (None, Ended.NOT_SENT, 0, 30),
        (None, Ended.NOT_SENT, 1, 60),
        (None, Ended.NOT_SENT, 4, 480),
        (None, Ended.NOT_SENT, 5, 900),
        (None, Ended.NOT_SENT, 5000, 900),
        (20429, Ended.THROTTLED, 0, 2),
        (20429, Ended.THROTTLED, 3, 16),
        (20429, Ended.THROTTLED, 5000, 900),
        (21611, Ended.THROTTLED, 3, 60),
        (21611, Ended.THROTTLED, 6, 128),
        (30001, Ended.FAILED, 5, 60),  # this one cost an attempt: its own count decides
    ],
)
def test_what_costs_no_attempt_waits_longer_each_time(
    code: int | None, ended: Ended, free: int, wait_s: float
) -> None:
    follows = after(code, ended, 1, free=free)
    assert isinstance(follows, Again)
    assert follows.at == NOW + wait_s
    assert follows.spends_attempt is (ended is Ended.FAILED)


@pytest.mark.parametrize(
    ("code", "ended", "attempt", "expected"),
    [
        # Slow down: costs the message no attempt, however often.
        (429, Ended.THROTTLED, 1, Again(NOW + 2, False, False)),
        (20429, Ended.THROTTLED, 99, Again(NOW + 2, False, False)),
        (None, Ended.THROTTLED, 4, Again(NOW + 2, False, False)),
        (21611, Ended.THROTTLED, 4, Again(NOW + 60, False, False)),
        (21611, Ended.REFUSED, 4, Again(NOW + 240, False, False)),
        (20429, Ended.REFUSED, 1, Again(NOW + 30, False, False)),
        # Never on the wire.
        (None, Ended.NOT_SENT, 1, Again(NOW + 30, False, False)),
        (None, Ended.NOT_SENT, 9, Again(NOW + 240, False, False)),
        # The same again, later.
        (30001, Ended.FAILED, 1, Again(NOW + 60, False, True)),
        (30017, Ended.FAILED, 2, Again(NOW + 60, False, True)),
        (30022, Ended.UNDELIVERED, 3, Again(NOW + 120, False, True)),
        (30022, Ended.UNDELIVERED, 4, GiveUp(State.UNDELIVERED)),
        (30036, Ended.FAILED, 1, Again(NOW + 30, False, True)),
        (30450, Ended.FAILED, 1, Again(NOW + 1800, False, True)),
        (30035, Ended.FAILED, 1, Again(NOW + 30, False, False)),
        (30035, Ended.FAILED, 9, Again(NOW + 240, False, False)),
        (30034, Ended.FAILED, 4, Again(NOW + 240, False, False)),
        (30034, Ended.REFUSED, 1, Again(NOW + 30, False, False)),
        # Once.
        (30500, Ended.FAILED, 1, Again(NOW + 30, False, True)),
        (30500, Ended.FAILED, 2, GiveUp(State.FAILED)),
        (20409, Ended.REFUSED, 1, Again(NOW + 30, False, True)),
        (30008, Ended.FAILED, 1, Again(NOW + 30, False, True)),
        # The phone may have had it.
        (30003, Ended.UNDELIVERED, 1, GiveUp(State.UNDELIVERED)),
        (30008, Ended.UNDELIVERED, 1, GiveUp(State.UNDELIVERED)),
        (30024, Ended.UNDELIVERED, 1, GiveUp(State.UNDELIVERED)),
        # Another number.
        (21212, Ended.REFUSED, 1, Again(NOW + 30, True, True)),
        (30024, Ended.FAILED, 2, Again(NOW + 60, True, True)),
        (30024, Ended.FAILED, 4, GiveUp(State.FAILED)),
        (21612, Ended.REFUSED, 1, Again(NOW + 30, True, True)),
        (21612, Ended.REFUSED, 2, GiveUp(State.FAILED)),
        # Somebody must act first.
        (20003, Ended.REFUSED, 1, Again(NOW + 900, False, True)),
        (20003, Ended.REFUSED, 4, GiveUp(State.FAILED)),
        (30002, Ended.FAILED, 1, GiveUp(State.FAILED)),
        (30033, Ended.FAILED, 1, GiveUp(State.FAILED)),
        (21408, Ended.REFUSED, 1, GiveUp(State.FAILED)),
        # Never.
        (21610, Ended.REFUSED, 1, GiveUp(State.FAILED)),
        (21610, Ended.FAILED, 1, GiveUp(State.FAILED)),
        (21614, Ended.REFUSED, 1, GiveUp(State.FAILED)),
        (30005, Ended.UNDELIVERED, 1, GiveUp(State.UNDELIVERED)),
        (30007, Ended.UNDELIVERED, 1, GiveUp(State.UNDELIVERED)),
        (30007, Ended.FAILED, 1, GiveUp(State.FAILED)),
        # Unknown codes, and outcomes.
        (21999, Ended.REFUSED, 1, GiveUp(State.FAILED)),
        (30999, Ended.UNDELIVERED, 1, GiveUp(State.UNDELIVERED)),
        (None, Ended.FAILED, 1, GiveUp(State.FAILED)),
        (20503, Ended.REFUSED, 1, GiveUp(State.UNKNOWN)),
        (502, Ended.REFUSED, 1, GiveUp(State.UNKNOWN)),
        (30410, Ended.FAILED, 1, GiveUp(State.FAILED)),
    ],
)
def test_what_follows(code: int | None, ended: Ended, attempt: int, expected: Again | GiveUp) -> None:
    assert after(code, ended, attempt) == expected


def test_an_undelivered_text_is_sent_once_more_only_when_the_campaign_says_so() -> None:
    bold = RetryPolicy(retry_undelivered=True)
    assert after(30003, Ended.UNDELIVERED, policy=bold) == Again(NOW + 4 * 3600, False, True)
    assert after(30003, Ended.UNDELIVERED, 2, policy=bold) == GiveUp(State.UNDELIVERED)
    assert after(30005, Ended.UNDELIVERED, policy=bold) == GiveUp(State.UNDELIVERED)


def test_a_daily_cap_waits_for_its_reset() -> None:
    reset_at = NOW + 5 * 3600
    assert after(30023, Ended.UNDELIVERED, daily_reset_at=reset_at) == Again(reset_at, False, True)
    late = after(30023, Ended.UNDELIVERED, daily_reset_at=reset_at, random=0.5)
    assert late == Again(reset_at + 15, False, True)


def test_a_daily_cap_whose_reset_is_after_the_end_is_given_up() -> None:
    assert after(30023, Ended.UNDELIVERED, daily_reset_at=END + 1) == GiveUp(State.UNDELIVERED)


@pytest.mark.parametrize(("not_after", "again"), [(NOW + 30, True), (NOW + 29.9, False), (NOW - 1, False)])
def test_the_end_of_the_messages_use_is_a_bound_that_may_be_met(not_after: float, again: bool) -> None:
    assert isinstance(after(30017, Ended.FAILED, not_after=not_after), Again) is again


def test_backoff_doubles_up_to_its_ceiling_and_jitter_lengthens_it() -> None:
    patient = RetryPolicy(max_attempts=20)
    delays = [after(30017, Ended.FAILED, n, policy=patient).at - NOW for n in range(1, 9)]  # type: ignore[union-attr]
    assert delays == [30, 60, 120, 240, 480, 900, 900, 900]
    assert after(30017, Ended.FAILED, random=0.5) == Again(NOW + 33, False, True)


codes = st.sampled_from([None, *sorted(CATALOGUE), 21999, 30999, 502])
endings = st.sampled_from(list(Ended))
numbers = st.floats(0, 1, exclude_max=True)


@settings(max_examples=100)
@given(
    code=codes,
    ended=endings,
    attempt=st.integers(1, 6),
    random=numbers,
    left_s=st.floats(0, 90_000),
    reset_s=st.none() | st.floats(0, 90_000),
    retry_undelivered=st.booleans(),
)
def test_another_attempt_lies_between_now_and_the_end(
    *,
    code: int | None,
    ended: Ended,
    attempt: int,
    random: float,
    left_s: float,
    reset_s: float | None,
    retry_undelivered: bool,
) -> None:
    answer = after_failure(
        code,
        ended,
        attempt,
        NOW,
        NOW + left_s,
        random=random,
        policy=RetryPolicy(retry_undelivered=retry_undelivered),
        daily_reset_at=None if reset_s is None else NOW + reset_s,
    )
    if isinstance(answer, Again):
        assert answer.at >= NOW
        nobody_took_it = ended is not Ended.FAILED and not answer.spends_attempt
        assert answer.at <= NOW + left_s or nobody_took_it  # the queue says what becomes of that
        assert not answer.spends_attempt or attempt < POLICY.max_attempts
    else:
        assert answer.final in {State.FAILED, State.UNDELIVERED, State.UNKNOWN}


@settings(max_examples=100)
@given(codes.filter(lambda code: code is not None), st.integers(1, 4), numbers)
def test_never_twice(code: int, attempt: int, random: float) -> None:
    """Where the phone may have the text, or nobody knows, nothing is sent again."""
    assert isinstance(after(code, Ended.UNDELIVERED, attempt, random=random), GiveUp) or (
        consequence(code).retry is Retry.SAME
    )
    if consequence(code).retry in (Retry.NEVER, Retry.RECONCILE):
        for ended in (Ended.REFUSED, Ended.FAILED, Ended.UNDELIVERED):
            assert isinstance(after(code, ended, attempt, random=random), GiveUp)


@settings(max_examples=100)
@given(
    st.lists(st.tuples(codes, st.sampled_from([Ended.REFUSED, Ended.FAILED, Ended.UNDELIVERED])), min_size=40)
)
def test_a_message_that_keeps_failing_ends(failures: list[tuple[int | None, Ended]]) -> None:
    attempt, free = 1, 0
    for code, ended in failures:
        answer = after(code, ended, attempt, not_after=NOW + 1e9)
        if isinstance(answer, GiveUp):
            return
        attempt += answer.spends_attempt
        free += not answer.spends_attempt
        assert attempt <= POLICY.max_attempts
    assert free >= len(failures) - POLICY.max_attempts


@pytest.mark.parametrize(
    "changes",
    [
        {"max_attempts": 0},
        {"max_attempts": 21},
        {"first_delay_s": 0.0},
        {"max_delay_s": -1.0},
        {"factor": 0.5},
        {"jitter": 1.5},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        RetryPolicy(**changes)  # type: ignore[arg-type]
