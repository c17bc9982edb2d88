"""Tokens of tracked links (F107): short, one's own, and nobody makes one up."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bank.links import SHAPE, Pressed, clean_slug, is_sealed, read, token_of
from gateway.core.rules.errors import BadInput

SECRET, OTHER = b"s" * 32, b"o" * 32
ids = st.integers(0, 2**63 - 1)
pressed = st.builds(Pressed, ids, ids, ids, ids)


@given(pressed)
def test_a_token_says_whose_it_is_and_is_the_campaigns_own(who: Pressed):
    token = token_of(SECRET, who)
    assert read(token) == who
    assert is_sealed(SECRET, token)
    assert not is_sealed(OTHER, token)


@given(pressed, st.data())
def test_a_changed_token_opens_nothing(who: Pressed, data: st.DataObject):
    token = token_of(SECRET, who)
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABab01-_"))
    changed = token[:place] + letter + token[place + 1 :]
    same = read(changed) == who and is_sealed(SECRET, changed)
    assert (
        changed == token or not is_sealed(SECRET, changed) or same
    )  # the last letter has bits that say nothing


@given(st.text(max_size=80))
def test_no_word_meets_a_defect(word: str):
    read(word)
    assert not is_sealed(SECRET, word)


def test_as_long_as_a_link_may_be():
    """Each character is paid for."""
    assert len(token_of(SECRET, Pressed(1, 1_000_003, 2_000_004, 1_250_000))) <= 28
    assert re.fullmatch(SHAPE, token_of(SECRET, Pressed(1, 1, 1, 1)))


@pytest.mark.parametrize("slug", ["", "a b", "é", "-x", "a" * 51, "x'y"])
def test_what_can_be_no_slug(slug: str):
    with pytest.raises(BadInput):
        clean_slug(slug)
    assert clean_slug(" vote-2 ") == "vote-2"
