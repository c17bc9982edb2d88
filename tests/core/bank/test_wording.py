"""What is read about a text of ours: few words, always the same, and the catalogue's cure."""

import pytest

from gateway.core.bank.wording import LONGEST_PREVIEW, STATE_WORDS, Told, preview, told
from gateway.core.rules.errors import SubReason, consequence
from gateway.core.rules.lifecycle import State

ON_THE_SCREENS = {"accepted", "queued", "sent", "delivered", "not delivered", "blocked", "unknown"}


def test_every_state_has_one_of_the_screens_words() -> None:
    assert set(STATE_WORDS) == set(State)
    assert set(STATE_WORDS.values()) == ON_THE_SCREENS


def test_without_a_code_there_is_nothing_to_explain() -> None:
    assert told("delivered", None, None) == Told("delivered")


@pytest.mark.parametrize(
    ("code", "reason"), [(1302, None), (1001, SubReason.IDENTICAL_TEXT), (30003, None), (99_999, None)]
)
def test_a_code_comes_with_the_catalogues_words(code: int, reason: SubReason | None) -> None:
    means = consequence(code, reason)
    assert told("failed", code, reason) == Told("not delivered", means.volunteer_reads, means.what_to_do)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("Yes", "Yes"),
        (" two\n\nlines\t here ", "two lines here"),
        ("x" * LONGEST_PREVIEW, "x" * LONGEST_PREVIEW),
        ("x" * (LONGEST_PREVIEW + 1), "x" * (LONGEST_PREVIEW - 1) + "…"),
        ("x" * (LONGEST_PREVIEW - 2) + " yz", "x" * (LONGEST_PREVIEW - 2) + "…"),
    ],
)
def test_a_preview_is_one_line_that_fits(text: str, shown: str) -> None:
    assert preview(text) == shown
    assert len(shown) <= LONGEST_PREVIEW
