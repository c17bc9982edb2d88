"""Breakers, pure (F072): what figures ask for, what they move, and what a person's word leaves alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.core.sending.breakers import (
    GATEWAY,
    Breaker,
    BreakerPolicy,
    Pair,
    Reason,
    State,
    Tally,
    Verdict,
    elsewhere,
    judge,
    moves,
)

POLICY = BreakerPolicy()
NOW = 1_000.0
ATT, VERIZON = Pair(1, "att", "a"), Pair(1, "verizon", "a")
WELL = Tally(finals=1000, filtered=2, delivered=950, opt_outs=30, replies=80)
NOBODY = Tally()


def filtered(finals: int, filtered: int) -> Tally:
    return Tally(finals=finals, filtered=filtered, delivered=finals - filtered)


@pytest.mark.parametrize(
    ("own", "elsewhere", "expected"),
    [
        (NOBODY, NOBODY, (State.CLOSED, Reason.NONE)),
        (WELL, WELL, (State.CLOSED, Reason.NONE)),
        (filtered(199, 199), NOBODY, (State.CLOSED, Reason.NONE)),  # too few, however bad
        (filtered(200, 17), NOBODY, (State.OPEN, Reason.FILTERED)),  # 5.4 % at least
        (filtered(200, 15), NOBODY, (State.WARNED, Reason.FILTERED)),  # 7.5 %, but surely only 4.6
        (filtered(200, 6), NOBODY, (State.CLOSED, Reason.NONE)),  # 3 %, but surely only 1.4
        (filtered(10_000, 250), NOBODY, (State.WARNED, Reason.FILTERED)),
        (filtered(10_000, 560), NOBODY, (State.OPEN, Reason.FILTERED)),
        # Of strangers a fifth leaves: nobody is stopped for that.
        (Tally(finals=1000, delivered=1000, opt_outs=222), NOBODY, (State.CLOSED, Reason.NONE)),
        (Tally(finals=1000, delivered=1000, opt_outs=300), NOBODY, (State.WARNED, Reason.OPT_OUTS)),
        (Tally(finals=1000, delivered=1000, opt_outs=1000), NOBODY, (State.WARNED, Reason.OPT_OUTS)),
        # Delivered, and hardly anybody answers, unlike elsewhere.
        (replace(WELL, replies=5), WELL, (State.WARNED, Reason.SILENT)),
        (replace(WELL, replies=40), WELL, (State.CLOSED, Reason.NONE)),
        (replace(WELL, replies=0), replace(WELL, delivered=199), (State.CLOSED, Reason.NONE)),
        (replace(WELL, replies=0), replace(WELL, replies=0), (State.CLOSED, Reason.NONE)),
    ],
)  # fmt: skip
def test_what_figures_ask_for(own: Tally, elsewhere: Tally, expected: Verdict) -> None:
    assert judge(own, elsewhere, POLICY) == expected


def test_an_admin_sets_the_thresholds() -> None:
    left = Tally(finals=1000, delivered=1000, opt_outs=60)
    assert judge(left, NOBODY, BreakerPolicy(opt_outs_warn=0.02, opt_outs_open=0.04)).state is State.OPEN
    assert judge(filtered(1000, 200), NOBODY, BreakerPolicy(filtered_open=1.0)).state is State.WARNED
    assert judge(filtered(1000, 200), NOBODY, BreakerPolicy(opens=False)).state is State.WARNED
    assert judge(filtered(60, 30), NOBODY, BreakerPolicy(least_texts=50)).state is State.OPEN


@given(st.integers(200, 5_000), st.integers(0, 200))
def test_more_filtered_texts_never_calm_it(finals: int, bad: int) -> None:
    order = [State.CLOSED, State.WARNED, State.OPEN]
    less, more = (order.index(judge(filtered(finals, n), NOBODY, POLICY).state) for n in (bad // 2, bad))
    assert less <= more


def test_only_the_guilty_pair_moves() -> None:
    tallies = {ATT: filtered(400, 60), VERIZON: filtered(400, 1), Pair(1, "att", "b"): filtered(400, 0)}
    [moved] = moves({}, tallies, POLICY, NOW)
    assert (moved.pair, moved.state, moved.reason) == (ATT, State.OPEN, Reason.FILTERED)
    assert (moved.since, moved.who) == (NOW, GATEWAY)


@pytest.mark.parametrize(
    ("state", "finals", "expected"),
    [
        (State.CLOSED, 60, [State.OPEN]),
        (State.CLOSED, 30, [State.WARNED]),
        (State.WARNED, 60, [State.OPEN]),
        (State.WARNED, 30, []),  # it is said once
        (State.WARNED, 0, []),  # and stands until somebody has looked
        (State.OPEN, 0, []),
        (State.OPEN, 60, []),
        (State.OFF, 60, []),  # a person's word
    ],
)
def test_what_moves_from_where(state: State, finals: int, expected: list[State]) -> None:
    tallies = {ATT: filtered(750, finals)}
    moved = moves({ATT: Breaker(pair=ATT, state=state)}, tallies, POLICY, NOW)
    assert [each.state for each in moved] == expected


def test_figures_begin_anew_where_it_was_resumed() -> None:
    base = filtered(400, 60)
    resumed = {ATT: Breaker(pair=ATT, base=base)}
    assert list(moves(resumed, {ATT: base.plus(filtered(199, 100))}, POLICY, NOW)) == []
    assert [each.state for each in moves(resumed, {ATT: base.plus(filtered(200, 100))}, POLICY, NOW)] == [
        State.OPEN
    ]
    assert Tally(1, 1, 1, 1, 1).since(base) == Tally(0, 0, 0, 1, 1)  # counted anew, they may be fewer


def test_elsewhere_is_the_same_script_at_other_carriers() -> None:
    tallies = {ATT: WELL, VERIZON: filtered(10, 1), Pair(2, "att", "a"): WELL, Pair(1, "verizon", "b"): WELL}
    assert elsewhere(ATT, tallies) == filtered(10, 1)
