"""The table of moves, and the law that the order of callbacks does not matter."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.rules.lifecycle import MOVES, TERMINAL, State, fold, move, provider_word

LEGAL = {
    ("draft", "blocked"),
    ("draft", "queued"),
    ("queued", "sending"),
    ("queued", "blocked"),
    ("sending", "sent"),
    ("sending", "failed"),
    ("sending", "queued"),
    ("sending", "unknown"),
    ("sending", "delivered"),
    ("sending", "undelivered"),
    ("sent", "delivered"),
    ("sent", "undelivered"),
    ("sent", "failed"),
    ("sent", "queued"),
    ("unknown", "sent"),
    ("unknown", "delivered"),
    ("unknown", "undelivered"),
    ("unknown", "failed"),
    ("unknown", "queued"),
}


@pytest.mark.parametrize(("current", "target"), list(product(State, State)))
def test_a_move_is_legal_exactly_when_the_table_has_it(current: State, target: State) -> None:
    assert move(current, target) is ((current.value, target.value) in LEGAL)


def test_every_state_has_a_row_and_final_states_have_no_moves() -> None:
    assert set(MOVES) == set(State)
    assert {State.BLOCKED, State.DELIVERED, State.UNDELIVERED, State.FAILED} == TERMINAL


def test_every_state_can_reach_a_final_one() -> None:
    reached = set(TERMINAL)
    for _ in State:
        reached |= {state for state in State if MOVES[state] & reached}
    assert reached == set(State)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("accepted", State.SENT),
        ("scheduled", State.SENT),
        ("queued", State.SENT),
        ("sending", State.SENT),
        ("sent", State.SENT),
        ("delivered", State.DELIVERED),
        ("undelivered", State.UNDELIVERED),
        ("failed", State.FAILED),
        ("canceled", State.FAILED),
        ("receiving", None),
        ("received", None),
        ("SENT", None),
        ("", None),
    ],
)
def test_provider_words(status: str, state: State | None) -> None:
    assert provider_word(status) is state


@pytest.mark.parametrize(
    ("current", "words", "final", "ignored"),
    [
        (State.SENDING, [State.SENT, State.DELIVERED], State.DELIVERED, 0),
        (State.SENDING, [State.DELIVERED, State.SENT], State.DELIVERED, 1),
        (State.SENT, [State.SENT], State.SENT, 1),
        (State.UNKNOWN, [State.DELIVERED, State.DELIVERED], State.DELIVERED, 1),
        (State.BLOCKED, [State.SENT, State.DELIVERED], State.BLOCKED, 2),
        (State.QUEUED, [State.DELIVERED], State.QUEUED, 1),
        (State.DELIVERED, [State.FAILED, State.UNDELIVERED], State.DELIVERED, 2),
        (State.SENDING, [], State.SENDING, 0),
    ],
)
def test_fold(current: State, words: list[State], final: State, ignored: int) -> None:
    assert fold(current, words) == (final, ignored)


BEFORE_RECEIPT = ("accepted", "scheduled", "queued", "sending", "sent")
RECEIPTS = ("delivered", "undelivered", "failed", "canceled")


@st.composite
def callbacks(draw: st.DrawFn) -> tuple[str, list[str]]:
    """One receipt and any earlier words, each at least once, repeated and shuffled at will."""
    receipt = draw(st.sampled_from(RECEIPTS))
    statuses = [*draw(st.lists(st.sampled_from(BEFORE_RECEIPT), max_size=6)), receipt]
    repeats = draw(st.lists(st.sampled_from(statuses), max_size=6))
    return receipt, draw(st.permutations(statuses + repeats))


@settings(max_examples=100)
@given(callbacks(), st.sampled_from([State.SENDING, State.SENT, State.UNKNOWN]))
def test_callbacks_in_any_order_and_number_end_in_the_same_state(
    drawn: tuple[str, list[str]], start: State
) -> None:
    receipt, statuses = drawn
    words = [word for status in statuses if (word := provider_word(status)) is not None]
    assert len(words) == len(statuses)
    final, _ = fold(start, words)
    assert final is provider_word(receipt)
    assert fold(final, words) == (final, len(words))  # replaying everything changes nothing


@settings(max_examples=100)
@given(st.sampled_from(list(State)), st.lists(st.sampled_from(list(State)), max_size=12))
def test_fold_only_takes_legal_moves_and_counts_the_rest(current: State, words: list[State]) -> None:
    walked, moves = current, 0
    for word in words:
        if (walked.value, word.value) in LEGAL:
            walked, moves = word, moves + 1
    assert fold(current, words) == (walked, len(words) - moves)
