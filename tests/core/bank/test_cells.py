"""Cells of a spreadsheet: nothing that people write is run, and what they wrote can be had back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bank.cells import escaped, unescaped

RUNS = ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"]
TEXTS = st.one_of(
    st.text(), st.builds("{}{}{}".format, st.sampled_from(["", "'", "''"]), st.sampled_from(RUNS), st.text())
)


@pytest.mark.parametrize("begin", RUNS)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(begin: str) -> None:
    assert escaped(f"{begin}SUM(A1)") == f"'{begin}SUM(A1)"


@pytest.mark.parametrize("text", ["+12155550101", "-5", "+1.5", "Hello", "", "'quoted'", "1+1"])
def test_phones_numbers_and_plain_words_stay(text: str) -> None:
    assert escaped(text) == text


@pytest.mark.parametrize("text", ["+1+cmd|'/C calc'!A0", "-1-1", "+", "-5\n", "+1.", "=1"])
def test_what_only_begins_like_a_number_is_no_number(text: str) -> None:
    assert escaped(text) == f"'{text}"


@given(TEXTS)
def test_it_can_be_had_back(text: str) -> None:
    assert unescaped(escaped(text)) == text


@given(TEXTS)
def test_no_cell_is_run(text: str) -> None:
    cell = escaped(text)
    if cell and cell[0] in RUNS:
        float(cell)  # a number and nothing else
