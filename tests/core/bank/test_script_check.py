"""Segments, culprits and cost over the people of a list (F006 to F008, C3)."""

import pytest

from gateway.core.bank.script_check import Tally
from gateway.core.text.segments import cost_usd


def test_segments_over_people_and_what_they_cost():
    """F006, F007."""
    tally = Tally("x")
    for length, carrier in ((10, "att"), (160, "verizon"), (161, None)):
        tally.add("a" * length, carrier)
    told = tally.told(people=300)
    assert (told.segments.min, told.segments.typical, told.segments.max, told.looked_at) == (1, 1, 2, 3)
    usd = cost_usd(1, "att", "full") + cost_usd(1, "verizon", "full") + cost_usd(2, None, "full")
    assert told.cost_cents == pytest.approx(100 * usd * 100, abs=0.01)


def test_who_is_guilty_of_the_dear_encoding_and_where_it_comes_from():
    tally = Tally("Hello\nit’s {{first_name}}")
    tally.add("Hello\nit’s Ann", None)
    tally.add("Hello\nit’s Łukasz", None)
    by_character = {each.character: each for each in tally.told(2).culprits}
    assert tally.told(2).ucs2 == 2
    apostrophe, letter = by_character["’"], by_character["Ł"]
    assert (apostrophe.line, apostrophe.column, apostrophe.people) == (2, 3, 2)
    assert (letter.line, letter.position, letter.people) == (None, 11, 1)


def test_a_picture_makes_it_one_message_whatever_it_says():
    """F013."""
    tally = Tally("x", mms=True)
    tally.add("a" * 900, "att")
    assert (tally.told(1).segments.max, tally.told(1).segments.legacy) == (1, 6)
    assert tally.told(1).cost_cents == pytest.approx(100 * cost_usd(1, "att", "full", mms=True), abs=0.01)


def test_nobody_costs_nothing():
    told = Tally("x").told(0)
    assert (told.looked_at, told.segments.typical, told.cost_cents) == (0, 0, 0.0)
