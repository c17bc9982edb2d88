"""Months within ids: a month's rows are a range of ids, and what is late by a little is not lost."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.rules import months

MONTHS = st.integers(10, 200).flatmap(lambda year: st.integers(1, 12).map(lambda month: year * 100 + month))
INSTANTS = st.floats(
    datetime(2010, 1, 1, tzinfo=UTC).timestamp(), datetime(2200, 1, 1, tzinfo=UTC).timestamp()
)
DAY_S = 86_400.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-03T12:00:00", 2611),
        ("2026-11-30T23:59:59.999", 2611),
        ("2026-12-01T00:00:00", 2612),
        ("2000-01-01T00:00:00", 1001),  # before there was a gateway: a month all the same
        ("2100-02-01T00:00:00", 10002),
    ],
)
def test_the_month_of_an_instant(moment: str, expected: int):
    assert months.month_of(at(moment)) == expected


@pytest.mark.parametrize(
    ("month", "count", "expected"), [(2611, 1, 2612), (2612, 1, 2701), (2611, 2, 2701), (2611, 0, 2611), (2611, 14, 2801)]
)  # fmt: skip
def test_the_months_after(month: int, count: int, expected: int):
    assert months.after(month, count) == expected


def test_a_person_reads_the_month_off_an_id():
    assert months.first_id(2611) == 2611_0000000000


@given(MONTHS)
def test_months_follow_each_other_without_a_gap(month: int):
    following = months.after(month)
    assert months.month_of(months.begins_at(month)) == month
    assert months.begins_at(month) < months.begins_at(following)
    assert months.ids_of(month).stop == months.ids_of(following).start
    assert months.ids_of(month).start >= months.FIRST_WITH_A_MONTH
    assert months.ids_of(month).stop < 2**53  # JavaScript reads it exactly


@given(INSTANTS, st.floats(0.0, DAY_S))
def test_a_row_that_is_late_for_its_id_is_found_and_not_dropped_early(given_at: float, later_s: float):
    month, happened_at = months.month_of(given_at), given_at + later_s
    assert months.ids_since(happened_at) <= months.first_id(month)
    assert not months.is_past(month, happened_at)
    assert months.is_past(month, given_at + 33 * DAY_S)


@given(st.lists(MONTHS, unique=True).map(sorted), MONTHS)
def test_what_is_in_no_month_is_the_rest(there: list[int], month: int):
    outside = months.ids_outside(there)
    for each in (0, 1, months.FIRST_WITH_A_MONTH - 1):
        assert any(each in ids for ids in outside)
    first = months.first_id(month)
    assert any(first in ids for ids in outside) == (month not in there)
