"""Settings that change under way: what was used, granted, bought and learned stays; the new numbers count at once."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.rules.registration import Limits
from gateway.core.sending.daily_cap import Ask, DailyCap, cap_day
from gateway.core.sending.numbers import Chosen, Number, NumberPool
from gateway.core.sending.pacing import Pacer
from gateway.core.sending.pool_policy import PoolPolicy

NOON = 1_780_000_000.0
PLAIN = Limits(total_per_s=10.0, carrier_per_s={"att": 4.0, "tmobile": 8.0}, number_per_s=100.0)


def slots(pacer: Pacer, count: int, carrier: str = "att") -> list[float]:
    return [pacer.reserve(NOON, carrier, 1, 1) - NOON for _ in range(count)]


def changed(limits: Limits = PLAIN, **changes: object) -> Limits:
    return msgspec.structs.replace(limits, **changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [0.5, 0.75, 1.0]),
        ({"carrier_per_s": {"att": 1.0}}, [0.5, 1.5, 2.5]),
        ({"carrier_per_s": {"att": 1000.0}}, [0.5, 0.6, 0.7]),
        ({"carrier_per_s": {}}, [0.35, 1.35, 2.35]),  # small from now on: a segment a second and number
        ({"total_per_s": 1.0}, [0.5, 1.5, 2.5]),
    ],
)
def test_the_next_text_but_one_has_the_new_rate(changes: dict[str, object], expected: list[float]):
    pacer = Pacer(PLAIN)
    assert slots(pacer, 2) == [0.0, 0.25]
    pacer.change(changed(**changes))
    assert slots(pacer, 3) == pytest.approx(expected)


def test_what_was_slowed_down_stays_slow():
    pacer = Pacer(PLAIN)
    slots(pacer, 4)
    for _ in range(4):
        pacer.slow_down(NOON, "att")
    before = pacer.duration_s(1, "att")
    pacer.change(changed(carrier_per_s={"att": 8.0, "verizon": 5.0}))
    assert pacer.duration_s(1, "att") == pytest.approx(before / 2)
    pacer.speed_up(NOON + 60)
    assert pacer.duration_s(1, "att") == pytest.approx(1 / 8)


@given(
    rates=st.lists(st.floats(0.5, 50.0), min_size=2, max_size=5),
    texts=st.lists(st.integers(1, 10), min_size=20, max_size=60),
)
def test_no_window_passes_the_highest_rate_that_was_in_force(rates: list[float], texts: list[int]):
    pacer = Pacer(changed(total_per_s=rates[0], carrier_per_s={}))
    sent = []
    for place, segments in enumerate(texts):
        rate = rates[place * len(rates) // len(texts)]
        if pacer.limits.total_per_s != rate:
            pacer.change(changed(total_per_s=rate, carrier_per_s={}))
        sent.append((pacer.reserve(NOON, "att", place, segments), segments))
    for first, (begin, _) in enumerate(sent):
        for last in range(first, len(sent)):
            lasted_s = sent[last][0] - begin
            passed = sum(segments for _, segments in sent[first:last])
            assert passed <= lasted_s * max(rates) + 1e-3


def granted(limit: int, allowance: int) -> DailyCap:
    cap = DailyCap(limit, shared=True)
    cap.recount(NOON, 100, 0)
    cap.grant(Ask(cap_day(NOON), 100, allowance, False), allowance, False, NOON)
    return cap


@pytest.mark.parametrize(
    ("limit", "has_room"),
    [(2000, 50), (150, 50), (120, 20), (100, 0), (10, 0)],
)
def test_a_shared_cap_that_changes_keeps_what_was_used_and_granted(limit: int, has_room: int):
    cap = granted(2000, 150)
    cap.change(limit, 1.0)
    assert cap.used == 100
    fitting = [segments for segments in range(1, 60) if cap.clear_at(NOON, segments) == NOON]
    assert fitting == list(range(1, has_room + 1))


def test_a_cap_that_was_lowered_and_raised_asks_for_more():
    cap = granted(2000, 150)
    cap.change(100, 1.0)
    assert cap.clear_at(NOON, 1) == math.inf
    cap.change(2000, 1.0)
    assert cap.clear_at(NOON, 60) == math.inf
    [ask] = cap.asks(NOON + 100)
    assert ask.wanted > 100


def test_a_cap_of_ones_own_changes_at_once():
    cap = DailyCap(100)
    cap.recount(NOON, 100, 0)
    assert cap.clear_at(NOON, 1) > NOON
    cap.change(200, 1.0)
    assert cap.clear_at(NOON, 100) == NOON


def test_a_day_that_the_carrier_ended_stays_ended():
    cap = DailyCap(100)
    cap.exhaust(NOON)
    cap.change(1_000_000, 1.0)
    assert cap.clear_at(NOON, 1) > NOON


def test_a_pool_keeps_its_numbers_and_follows_its_policy():
    pacer = Pacer(PLAIN)
    numbers = [Number(number_id=each, phone=f"+1267555010{each}", area_code="267") for each in (1, 2)]
    pool = NumberPool(PoolPolicy(rotate_after=300), PLAIN, numbers, pacer)

    def begin() -> int:
        chosen = pool.choose(NOON, sticky=None, area_code="215", carrier=None, segments=1)
        assert isinstance(chosen, Chosen)
        return chosen.number.number_id

    assert [begin() for _ in range(3)] == [1, 1, 1]
    pool.change(PoolPolicy(rotate_after=3, max_numbers=7), PLAIN)
    assert begin() == 2
    assert pool.max_numbers == 7
    assert pool.numbers[1].conversations == 3
