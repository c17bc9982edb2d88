"""Handsets: off and back on, the same for a person in any order of events."""

import pytest

from simulator.model.draws import Draws
from simulator.model.handsets import HandsetParameters, Handsets

PHONES = [12_155_550_000 + line for line in range(200, 5_200)]


def handsets(**parameters):
    return Handsets(HandsetParameters(**parameters), Draws(5))


def test_about_the_given_share_is_off_and_returns_with_the_given_percentiles():
    model = handsets(off_share=0.4)
    off_s = sorted(model.back_at(phone, 100.0) - 100.0 for phone in PHONES)
    away = [time_s for time_s in off_s if time_s > 0]
    assert len(away) / len(PHONES) == pytest.approx(0.4, abs=0.03)
    assert away[len(away) // 2] == pytest.approx(2_400, rel=0.2)
    assert away[int(len(away) * 0.95)] == pytest.approx(72_000, rel=0.3)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, len(PHONES))])
def test_nobody_and_everybody_off(share, expected):
    model = handsets(off_share=share)
    assert sum(model.back_at(phone, 0.0) > 0 for phone in PHONES) == expected


def test_luck_does_not_depend_on_the_order_of_sends():
    forth, back = handsets(off_share=0.3), handsets(off_share=0.3)
    there = {phone: forth.back_at(phone, 7_300.0) for phone in PHONES}
    here = {phone: back.back_at(phone, 7_300.0) for phone in reversed(PHONES)}
    assert there == here


def test_who_is_off_stays_off_until_then_and_is_reached_after():
    model = handsets(off_share=0.3)
    phone = next(phone for phone in PHONES if model.back_at(phone, 0.0) > 7_200)
    back_at = model.back_at(phone, 0.0)
    assert [model.back_at(phone, now) for now in (1.0, 3_700.0, back_at - 1)] == [back_at] * 3
    assert model.back_at(phone, back_at) >= back_at
