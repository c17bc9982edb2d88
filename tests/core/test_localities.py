"""Nearness of area codes."""

import pytest

from gateway.core.text.localities import NEIGHBOURS, Nearness, nearest_first, nearness
from gateway.core.text.phone import PLACES


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("215", "215", Nearness.SAME_CODE),
        ("215", "445", Nearness.SAME_REGION),
        ("412", "878", Nearness.SAME_REGION),
        ("724", "878", Nearness.SAME_REGION),
        ("412", "724", Nearness.SAME_STATE),  # 878 lies over both, which doesn't make them one
        ("215", "412", Nearness.SAME_STATE),
        ("215", "609", Nearness.ELSEWHERE),
        ("215", "", Nearness.ELSEWHERE),
        ("999", "998", Nearness.ELSEWHERE),
        ("999", "999", Nearness.SAME_CODE),
    ],
)
def test_nearness_is_the_same_both_ways(one: str, other: str, expected: Nearness) -> None:
    assert nearness(one, other) is expected
    assert nearness(other, one) is expected


def test_the_overlay_table_agrees_with_the_table_of_states() -> None:
    for area_code, neighbours in NEIGHBOURS.items():
        assert {PLACES[other].state for other in neighbours} == {PLACES[area_code].state}


def test_equally_near_area_codes_keep_their_order() -> None:
    assert nearest_first(("503", "412", "212", "267"), "215") == ("267", "412", "503", "212")
