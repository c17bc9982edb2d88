"""Wilson's interval against known values, and as laws."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bank.rates import rate


@pytest.mark.parametrize(
    ("number", "of", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3: the score method
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_known_intervals(number: int, of: int, low: float, high: float) -> None:
    found = rate(number, of)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_nothing_says_nothing() -> None:
    assert rate(0, 0).share is None
    assert (rate(0, 0).low, rate(0, 0).high) == (0.0, 1.0)


@given(st.integers(1, 10**6).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_it_holds_the_share_and_stays_within(case: tuple[int, int]) -> None:
    found = rate(*case)
    assert found.share is not None
    assert 0 <= found.low <= found.share <= found.high <= 1
    mirrored = rate(case[1] - case[0], case[1])
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - found.high, 1 - found.low))


@given(st.integers(1, 9))
def test_more_cases_say_more(tenths: int) -> None:
    widths = [found.high - found.low for found in (rate(tenths * 10**n, 10 ** (n + 1)) for n in range(5))]
    assert all(after < before for before, after in pairwise(widths))
