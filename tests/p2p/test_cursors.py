"""A cursor gives back the place it was made of, and any other word is refused in one line."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from gateway.core.rules.errors import BadInput
from gateway.p2p.cursors import cursor_of, place_of


class Place(msgspec.Struct, frozen=True, array_like=True):
    at: float
    name: str
    id: int


PLACES = some.builds(
    Place, some.floats(allow_nan=False), some.text(), some.integers(min_value=0, max_value=2**63 - 1)
)


@given(PLACES)
def test_a_cursor_gives_back_its_place(place: Place) -> None:
    word = cursor_of(place)
    assert place_of(word, Place) == place
    assert word.replace("-", "").replace("_", "").isalnum()
    assert word.isascii()


@given(some.text())
def test_any_other_word_is_refused(word: str) -> None:
    try:
        found = place_of(word, Place)
    except BadInput:
        return
    assert place_of(cursor_of(found), Place) == found


@pytest.mark.parametrize("word", ["", "x", "AAAA", "====", "é", cursor_of(7), cursor_of(("a", "b", "c"))])
def test_words_of_other_lists_are_refused(word: str) -> None:
    with pytest.raises(BadInput):
        place_of(word, Place)
