"""Sets of numbers in arrays say what NumPy's own functions say."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulator.model.arrays import distinct, is_among

NUMBERS = st.lists(st.integers(-5, 5)).map(lambda numbers: np.array(numbers, np.int64))


@given(NUMBERS)
def test_the_distinct_come_once_and_in_order(values):
    assert distinct(values).tolist() == np.unique(values).tolist()


@given(NUMBERS, NUMBERS)
def test_who_is_among_the_chosen(values, chosen):
    assert is_among(values, chosen).tolist() == np.isin(values, chosen).tolist()
