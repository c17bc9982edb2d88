"""New numbers settle, are tried, and are believed; what carriers don't know is no reason to buy."""

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.rules.registration import Registration, limits
from gateway.core.sending import settling
from gateway.core.sending.numbers import (
    BuyOne,
    BuyReason,
    Chosen,
    NoNumber,
    NoPurchase,
    Number,
    NumberPool,
    NumberState,
    PoolPolicy,
    Wait,
)
from gateway.core.sending.pacing import Pacer

NOON = 1_792_500_000.0
DAY_S = 86_400.0
UNREGISTERED, UNKNOWN = 30034, 30035


def bought(number_id: int, at: float = NOON, policy: PoolPolicy | None = None) -> Number:
    made = Number(number_id=number_id, phone=f"+1215555{number_id:04}", area_code="215")
    settling.settle(made, at, policy or PoolPolicy())
    return made


def brought_along(number_id: int) -> Number:
    return Number(number_id=number_id, phone=f"+1215555{number_id:04}", area_code="215")


def pool_of(*numbers: Number, **policy: object) -> NumberPool:
    granted = limits(Registration())
    return NumberPool(PoolPolicy(**policy), granted, numbers, Pacer(granted))


def choose(
    pool: NumberPool, now: float, sticky: int | None = None, horizon_s: float = 0.0
) -> Chosen | Wait | NoNumber:
    return pool.choose(now, sticky=sticky, area_code="215", carrier="att", segments=1, horizon_s=horizon_s)


def test_a_bought_number_settles_before_its_first_text() -> None:
    pool = pool_of(bought(1), settle_s=30.0)
    assert isinstance(choose(pool, NOON), Wait)
    assert isinstance(choose(pool, NOON + 29), Wait)
    assert choose(pool, NOON + 30).number.number_id == 1


def test_no_time_to_settle_means_known_at_once() -> None:
    number = bought(1, policy=PoolPolicy(settle_s=0.0))
    pool = pool_of(number, settle_s=0.0)
    assert all(isinstance(choose(pool, NOON + i / 50), Chosen) for i in range(20))


def test_on_trial_a_number_sends_one_a_second_until_a_text_reached_a_carrier() -> None:
    pool = pool_of(bought(1, NOON - 30))
    assert isinstance(choose(pool, NOON), Chosen)
    assert choose(pool, NOON) == Wait(NOON + settling.TRIAL_GAP_S)
    assert isinstance(choose(pool, NOON + 1), Chosen)
    pool.reached_carrier(NOON + 3, 1)
    assert not pool.is_in_doubt
    assert all(isinstance(choose(pool, NOON + 4 + i / 50), Chosen) for i in range(20))


def test_a_minute_without_a_refusal_is_proof_too() -> None:
    pool = pool_of(bought(1, NOON - 30))
    for second in range(int(settling.TRIAL_S) + 2):
        choose(pool, NOON + second)
    assert not pool.is_in_doubt


def test_each_refusal_doubles_the_wait() -> None:
    pool = pool_of(bought(1, NOON - 30), settle_s=30.0, max_settle_s=400.0)
    now, waits = NOON, []
    for _ in range(5):
        assert isinstance(choose(pool, now), Chosen)
        assert pool.not_known(now, 1, UNKNOWN)
        waits.append(pool.numbers[1].settles_at - now)
        now = pool.numbers[1].settles_at
    assert waits == [60.0, 120.0, 240.0, 400.0, 400.0]


def test_many_refusals_at_once_count_once() -> None:
    pool = pool_of(bought(1, NOON - 30))
    choose(pool, NOON)
    assert [pool.not_known(NOON + 2, 1, UNKNOWN) for _ in range(9)] == [True] + [False] * 8


def test_a_late_refusal_does_not_unsettle_a_number_that_was_proved_since() -> None:
    pool = pool_of(bought(1, NOON - 30))
    choose(pool, NOON)
    pool.reached_carrier(NOON + 3, 1)
    assert not pool.not_known(NOON + 5, 1, UNKNOWN)
    assert pool.not_known(NOON + 500, 1, UNKNOWN)


def test_who_was_given_a_number_that_carriers_do_not_know_gets_another() -> None:
    pool = pool_of(brought_along(1), bought(2, NOON - 30))
    choose(pool, NOON)
    pool.not_known(NOON, 2, UNKNOWN)
    found = choose(pool, NOON + 1, sticky=2)
    assert (found.number.number_id, found.moved_from) == (1, None)


def test_a_number_that_people_know_keeps_them_while_it_settles_again() -> None:
    pool = pool_of(brought_along(1), brought_along(2))
    pool.not_known(NOON, 2, UNKNOWN)
    assert isinstance(choose(pool, NOON + 1, sticky=2), Wait)
    assert choose(pool, NOON + 61, sticky=2).number.number_id == 2


@pytest.mark.parametrize("code", [UNREGISTERED, UNKNOWN])
@pytest.mark.parametrize("alone", [True, False], ids=["the only number", "one of two"])
def test_a_number_that_carriers_do_not_know_is_no_reason_to_buy(code: int, alone: bool) -> None:
    numbers = [bought(1, NOON - 30)] if alone else [bought(1, NOON - 30), brought_along(2)]
    pool = pool_of(*numbers, rotate_after=1)
    for minute in range(600):
        now = NOON + 60 * minute
        found = choose(pool, now)
        assert not isinstance(found, NoNumber)
        if isinstance(found, Chosen) and found.number.number_id == 1:
            pool.not_known(now + 2, 1, code)
        if alone or code == UNREGISTERED or pool.numbers[1].state is NumberState.PROVISIONING:
            assert found.buy is None
    assert pool.numbers[1].state is not NumberState.RETIRED


def test_an_unregistered_campaign_buys_nothing_until_a_text_reached_a_carrier() -> None:
    pool = pool_of(bought(1, NOON - 30), min_numbers=5)
    assert pool.buy_ahead(NOON) is not None
    choose(pool, NOON)
    pool.not_known(NOON, 1, UNREGISTERED)
    assert pool.no_purchase(NOON) is NoPurchase.UNREGISTERED
    assert pool.buy_ahead(NOON) is None
    reloaded = pool_of(*pool.numbers.values(), min_numbers=5)
    assert reloaded.no_purchase(NOON) is NoPurchase.UNREGISTERED
    assert isinstance(choose(reloaded, NOON + 3600), Chosen)
    reloaded.reached_carrier(NOON + 3603, 1)
    assert reloaded.no_purchase(NOON + 3603) is None


@pytest.mark.parametrize(
    ("given", "most", "a_day"), [(None, 49, 25), (None, 12, 10), (None, 400, 200), (3, 49, 3), (0, 49, 0)]
)
def test_the_budget_of_a_day_follows_from_the_pool(given: int | None, most: int, a_day: int) -> None:
    assert PoolPolicy(max_purchases_per_day=given).purchases_per_day(most) == a_day


def test_the_budget_of_a_day_survives_a_restart_and_comes_back() -> None:
    numbers = [bought(each, NOON + each) for each in range(1, 4)]
    pool = pool_of(*numbers, max_purchases_per_day=3)
    assert pool.no_purchase(NOON + 10) is NoPurchase.BUDGET
    assert pool_of(*pool.numbers.values(), max_purchases_per_day=3).no_purchase(NOON + 10)
    assert pool.no_purchase(NOON + 1 + DAY_S) is None


def test_numbers_brought_along_cost_no_budget() -> None:
    pool = pool_of(*(brought_along(each) for each in range(1, 30)), max_purchases_per_day=1)
    assert pool.no_purchase(NOON) is None


def test_numbers_are_bought_ahead_in_every_preferred_area_code() -> None:
    pool = pool_of(min_numbers=4, preferred_area_codes=("215", "412"))
    asked = []
    for number_id in range(1, 9):
        buy = pool.buy_ahead(NOON)
        if buy is None:
            break
        asked.append(buy.area_codes[0])
        pool.purchase_started(buy)
        assert pool.buy_ahead(NOON) is None  # one at a time
        pool.purchase_finished(buy, bought(number_id))
    assert asked == ["215", "412", "215", "412"]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["send", "send", "send", "unknown", "unregistered", "retire", "error", "reached"]
            ),
            st.integers(0, 9),
        ),
        max_size=150,
    ),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_whatever_fails_no_more_is_bought_than_pool_and_budget_allow(
    events: list[tuple[str, int]], most: int, a_day: int
) -> None:
    pool = pool_of(rotate_after=2, max_numbers=most, max_purchases_per_day=a_day)
    ids = count(1)
    purchases: list[float] = []
    for step, (event, which) in enumerate(events):
        now = NOON + 600.0 * step
        usable = sorted(pool.numbers)
        if event == "send":
            buy = getattr(choose(pool, now), "buy", None)
            if buy is not None:
                assert isinstance(buy, BuyOne)
                pool.purchase_started(buy)
                pool.purchase_finished(buy, bought(next(ids), now))
                purchases.append(now)
        elif usable:
            number_id = usable[which % len(usable)]
            match event:
                case "retire":
                    pool.retire(number_id)
                case "error":
                    pool.number_error(now, number_id, True)
                case "reached":
                    pool.reached_carrier(now, number_id)
                case _:
                    pool.not_known(now, number_id, UNKNOWN if event == "unknown" else UNREGISTERED)
    assert len(purchases) <= most
    for at in purchases:
        assert sum(at - DAY_S < other <= at for other in purchases) <= a_day


def test_the_first_number_is_still_bought() -> None:
    assert choose(pool_of(), NOON).buy.reason is BuyReason.FIRST_NUMBER
