"""The figures of an action: each text is in exactly one of them, however it ended (F065 to F074, F156 to F166)."""

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bank.results import (
    DEFINITIONS,
    STORED,
    FigureName,
    errors_of,
    failure_box,
    may_text_again,
    rates_of,
    result_of,
    tallied,
    used,
)
from gateway.core.rules.errors import CATALOGUE, Retry
from gateway.core.rules.errors import Kind as CodeKind
from gateway.core.rules.lifecycle import State

TEXTS = (
    FigureName.INITIALS,
    FigureName.FOLLOW_UPS,
    FigureName.OTHER_TEXTS,
    FigureName.UNDER_WAY,
    FigureName.TWILIO_ERRORS,
    FigureName.CARRIER_FILTERING,
    FigureName.SAFEGUARDS,
)
FAILURES = (FigureName.TWILIO_ERRORS, FigureName.CARRIER_FILTERING, FigureName.SAFEGUARDS)
ENDS = ["under_way", "sent", "delivered", "undelivered", "failed", "blocked"]


class Line(msgspec.Struct, frozen=True):
    what: str
    state: str
    code: int = 0
    number: int = 1
    segments: int = 1
    name: str = ""


CODES = st.one_of(st.just(0), st.sampled_from(sorted(CATALOGUE)), st.integers(1, 99_999))
LINES = st.lists(
    st.builds(
        Line,
        st.sampled_from(["initial", "reply", "confirmation", "broadcast"]),
        st.sampled_from(ENDS),
        CODES,
        st.integers(0, 1_000),
    )
)


def total(numbers: dict[FigureName, int], of: Iterable[FigureName]) -> int:
    return sum(numbers[each] for each in of)


@given(LINES)
def test_every_text_stands_in_one_figure(lines: list[Line]) -> None:
    """F065, F074: three failure boxes, what went out and what is under way sum to what was asked for."""
    assert total(tallied(lines), TEXTS) == sum(line.number for line in lines)


@given(LINES)
def test_the_three_boxes_sum_to_what_failed(lines: list[Line]) -> None:
    """F065, F164, F165, F166, F170."""
    failed = sum(line.number for line in lines if line.state in ("undelivered", "failed", "blocked"))
    assert total(tallied(lines), FAILURES) == failed == sum(each.number for each in errors_of(lines))


@given(st.sampled_from(["initial", "reply", "confirmation"]), st.sampled_from([*State]), CODES)
def test_rows_are_those_that_are_counted(kind: str, state: State, code: int) -> None:
    """A figure lists a message exactly when it counts it."""
    if state is State.DRAFT:
        return
    counted = "under_way" if state in (State.QUEUED, State.SENDING, State.UNKNOWN) else state.value
    stored = code or None
    assert [each for each in STORED if STORED[each].has(kind, state.value, stored)] == [
        result_of(kind, counted, code)
    ]


@pytest.mark.parametrize(
    ("state", "code", "box"),
    [
        ("undelivered", 30003, FigureName.TWILIO_ERRORS),  # F066, F069
        ("undelivered", 30004, FigureName.TWILIO_ERRORS),  # F070
        ("undelivered", 30007, FigureName.CARRIER_FILTERING),  # F071
        ("blocked", 1302, FigureName.SAFEGUARDS),  # F067
        ("failed", 21610, FigureName.TWILIO_ERRORS),
        ("failed", 0, FigureName.TWILIO_ERRORS),
        ("delivered", 0, None),  # F073
        ("under_way", 0, None),
    ],
)
def test_which_box(state: str, code: int, box: FigureName | None) -> None:
    assert failure_box(state, code) is box


def test_all_filtering_codes_are_the_carriers() -> None:
    for code, means in CATALOGUE.items():
        is_filtering = failure_box("undelivered", code) is FigureName.CARRIER_FILTERING
        assert is_filtering == (means.kind is CodeKind.FILTERED)


def test_the_filtering_playbook_stands_beside_the_code() -> None:
    """F072: stop the bank, ask support."""
    [line] = errors_of([Line("initial", "undelivered", 30007, 3)])
    assert (line.box, line.number) == (FigureName.CARRIER_FILTERING, 3)
    assert "stop" in line.cure.lower() or "pause" in line.cure.lower()


def test_replies_and_opt_outs() -> None:
    """F156, F158, F159, F160, F161."""
    numbers = tallied(
        [
            Line("initial", "delivered", number=10),
            Line("initial", "sent", number=2),
            Line("reply", "delivered", number=3),
            Line("response", "reply", number=4),
            Line("response", "opted_out", number=1),
            Line("responder", "", number=4),
            Line("opted_out", "", number=1),
            Line("report", "", number=5),
        ]
    )
    told = {each: number for each, number in numbers.items() if number}
    assert told == {
        FigureName.INITIALS: 12,
        FigureName.FOLLOW_UPS: 3,
        FigureName.RESPONSES: 5,
        FigureName.OPT_OUTS: 2,
        FigureName.REPORTS: 5,
    }


def test_rates_are_of_whom_they_could_be() -> None:
    lines = [
        Line("initial", "delivered", number=80),
        Line("initial", "sent", number=10),
        Line("initial", "undelivered", 30005, 20),
        Line("initial", "blocked", 1302, 7),
        Line("initial", "failed", 21610, 5),  # the provider took none of these
        Line("initial", "under_way", number=9),
        Line("responder", "", number=18),
        Line("response", "opted_out", number=9),
    ]
    rates = rates_of(lines)
    assert (rates.delivered.number, rates.delivered.of) == (80, 105)
    assert (rates.replied.number, rates.replied.of) == (18, 90)
    assert (rates.opted_out.number, rates.opted_out.of) == (9, 90)
    assert used(lines) == 110  # F118


def test_only_what_did_not_reach_the_phone_is_texted_again() -> None:
    again = {code for code in CATALOGUE if may_text_again(code)}
    assert {1202, 1203, 1204} <= again
    assert not {1302, 1205, 30005, 30006, 21610, 30007} & again
    assert not [code for code in again if CATALOGUE[code].retry in (Retry.NEVER, Retry.ONCE, Retry.RECONCILE)]


def test_every_figure_is_defined_once() -> None:
    assert list(DEFINITIONS) == list(FigureName)
    rows = [each.row for each in DEFINITIONS.values() if each.row]
    assert sorted(rows) == [f"F{number}" for number in range(151, 168)]
