"""One contact, one number; buy what is needed; a reserved slot with every choice."""

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.rules.registration import Limits, Registration, limits
from gateway.core.sending.filtering import FilteringPolicy, FilteringWatch
from gateway.core.sending.numbers import (
    BuyOne,
    BuyReason,
    Chosen,
    How,
    NoNumber,
    Number,
    NumberPool,
    NumberState,
    PoolPolicy,
    Suspect,
    Wait,
)
from gateway.core.sending.pacing import Pacer

NOON = 1_792_500_000.0
POLITICAL = limits(Registration())


def number(number_id: int, area_code: str = "215", **fields: object) -> Number:
    return Number(number_id=number_id, phone=f"+1{area_code}555{number_id:04}", area_code=area_code, **fields)


def pool_of(*numbers: Number, granted: Limits = POLITICAL, **policy: object) -> NumberPool:
    return NumberPool(PoolPolicy(**policy), granted, numbers, Pacer(granted))


def choose(
    pool: NumberPool,
    now: float = NOON,
    sticky: int | None = None,
    area_code: str = "215",
    carrier: str | None = "att",
    **more: object,
) -> Chosen | Wait | NoNumber:
    need = {"segments": 1} | more
    return pool.choose(now, sticky=sticky, area_code=area_code, carrier=carrier, **need)


class Shop:
    """Sells whatever is asked, at once, as an active number."""

    def __init__(self, pool: NumberPool, without: tuple[str, ...] = ()) -> None:
        self.pool = pool
        self.without = without
        self.sold: list[BuyOne] = []
        self.ids: Iterator[int] = count(len(pool.numbers) + 1)

    def serve(self, buy: BuyOne | None, now: float, state: NumberState = NumberState.ACTIVE) -> None:
        if buy is None:
            return
        self.pool.purchase_started(buy)
        if buy.area_codes[0] in self.without:
            self.pool.purchase_failed(buy, buy.area_codes[0], now)
            return
        self.sold.append(buy)
        bought = number(next(self.ids), buy.area_codes[0] or "628", state=state)
        self.pool.purchase_finished(buy, bought)

    def send(self, now: float, **need: object) -> Chosen:
        for _ in range(20):
            found = choose(self.pool, now, **need)
            assert not isinstance(found, NoNumber)
            self.serve(found.buy, now)
            if isinstance(found, Chosen):
                return found
        pytest.fail("no number after twenty purchases")


# Buying


@pytest.mark.parametrize("preferred", [(), ("215", "412", "717", "814")])
@pytest.mark.parametrize("carrier", ["att", "regional", None])
def test_one_number_serves_sixty_contacts_at_one_a_second(
    preferred: tuple[str, ...], carrier: str | None
) -> None:
    """F015: a number is bought when the first text asks for one."""
    pool = pool_of(preferred_area_codes=preferred)
    shop = Shop(pool)
    for second in range(60):
        area_code = ("215", "412", "717")[second % 3]
        assert shop.send(NOON + second, area_code=area_code, carrier=carrier).slot == NOON + second
    assert [buy.reason for buy in shop.sold] == [BuyReason.FIRST_NUMBER]


def test_a_purchase_under_way_is_waited_for_and_not_repeated() -> None:
    pool = pool_of()
    first = choose(pool)
    assert isinstance(first, Wait)
    assert first.buy == BuyOne(("",), BuyReason.FIRST_NUMBER)
    pool.purchase_started(first.buy)
    assert choose(pool, NOON + 1) == Wait(NOON + 6)
    pool.purchase_finished(first.buy, number(1, state=NumberState.PROVISIONING))
    assert choose(pool, NOON + 2) == Wait(NOON + 7)
    pool.activate(1)
    assert isinstance(choose(pool, NOON + 3), Chosen)


@pytest.mark.parametrize(
    ("area_code", "asked"),
    [
        ("267", ("215", "412", "717", "")),  # overlay first, then the state in the campaign's order
        ("717", ("717", "412", "215", "")),
        ("503", ("412", "215", "717", "")),  # nowhere near: the campaign's order
    ],
)
def test_the_nearest_preferred_area_code_is_asked_first(area_code: str, asked: tuple[str, ...]) -> None:
    """F017, F018."""
    found = choose(pool_of(preferred_area_codes=("412", "215", "717")), area_code=area_code)
    assert isinstance(found, Wait)
    assert found.buy == BuyOne(asked, BuyReason.FIRST_NUMBER)


def test_an_area_code_out_of_stock_is_left_alone_for_an_hour() -> None:
    """F019: no area code is promised."""
    pool = pool_of(preferred_area_codes=("215",))
    buy = choose(pool).buy
    pool.purchase_started(buy)
    pool.purchase_failed(buy, "215", NOON)
    assert choose(pool, NOON + 1).buy == BuyOne(("",), BuyReason.FIRST_NUMBER)
    assert choose(pool, NOON + 3601).buy == BuyOne(("215", ""), BuyReason.FIRST_NUMBER)


def test_no_number_anywhere_is_1203_after_some_tries() -> None:
    """F054: one purchase that failed is no reason yet, somebody else may have been quicker."""
    pool = pool_of()
    for minute in range(5):
        buy = choose(pool, NOON + 61 * minute, due_at=NOON).buy
        pool.purchase_started(buy)
        pool.purchase_failed(buy, "", NOON + 61 * minute)
        assert choose(pool, NOON + 61 * minute + 1, due_at=NOON).buy is None
    assert choose(pool, NOON + 301, due_at=NOON) == NoNumber()
    assert isinstance(choose(pool, NOON + 301, due_at=NOON + 300), Wait)


def test_without_a_number_that_may_be_bought_it_is_1203_at_once() -> None:
    pool = pool_of(max_purchases_per_day=0)
    assert choose(pool, NOON, due_at=NOON) == NoNumber()


def test_a_new_number_takes_over_once_all_have_had_their_share() -> None:
    """F016 (C7)."""
    pool = pool_of(rotate_after=10)
    shop = Shop(pool)
    senders = [shop.send(NOON + i).number.number_id for i in range(35)]
    assert [buy.reason for buy in shop.sold] == [BuyReason.FIRST_NUMBER, *[BuyReason.ROTATION] * 3]
    # the choice that finds all shares used asks for one more, and is itself still served
    assert senders == [1] * 11 + [2] * 10 + [1] + [3] * 10 + [1] + [4] * 2


def test_a_full_pool_begins_a_new_turn() -> None:
    pool = pool_of(number(1), number(2), rotate_after=3, max_numbers=2)
    senders = [choose(pool, NOON + i).number.number_id for i in range(12)]
    assert senders == [1, 1, 1, 2, 2, 2] * 2
    assert [n.conversations for n in pool.numbers.values()] == [6, 6]


def test_while_one_is_on_order_the_others_go_on_by_turns() -> None:
    pool = pool_of(number(1), number(2), rotate_after=2)
    senders = []
    for i in range(10):
        found = choose(pool, NOON + i)
        senders.append(found.number.number_id)
        if found.buy:
            pool.purchase_started(found.buy)
    assert senders == [1, 1, 2, 2, 1, 1, 2, 2, 1, 1]
    pool.purchase_finished(BuyOne(("",), BuyReason.ROTATION), number(3))
    assert [choose(pool, NOON + i).number.number_id for i in (10, 11)] == [3, 3]


def test_the_numbers_own_rates_make_the_pool_grow() -> None:
    pool = pool_of(number(1))
    found = [choose(pool, carrier="regional") for _ in range(7)]
    assert [round(f.slot - NOON) for f in found] == list(range(7))
    assert [f.buy and f.buy.reason for f in found] == [None] * 6 + [BuyReason.CAPACITY]


def test_within_a_short_horizon_lasting_want_makes_the_pool_grow() -> None:
    pool = pool_of(number(1))
    buys = []
    for second in range(8):
        for _ in range(3):  # three a second to a carrier that takes one
            found = choose(pool, NOON + second, carrier="regional", horizon_s=0.5, due_at=NOON)
        assert isinstance(found, Wait)
        buys.append(found.buy)
    assert [buy and buy.reason for buy in buys] == [None] * 5 + [BuyReason.CAPACITY] * 3


def test_the_campaigns_own_rate_buys_nothing() -> None:
    granted = Limits(total_per_s=1.0, carrier_per_s={"att": 1.0}, number_per_s=1.0)
    pool = pool_of(number(1), granted=granted)
    found = [choose(pool) for _ in range(100)]
    assert found[-1].slot == NOON + 99
    assert [f.buy for f in found] == [None] * 100


def test_many_recipients_of_a_preferred_area_code_earn_a_number_there() -> None:
    pool = pool_of(number(1, "215"), preferred_area_codes=("215", "412"), local_after=5)
    shop = Shop(pool)
    hows = [shop.send(NOON + i, area_code="878").how for i in range(6)]  # 878 lies over 412
    assert shop.sold == [BuyOne(("412",), BuyReason.AREA_CODE)]
    assert hows == [How.LOCAL] * 6  # the same state before, the same region after
    assert shop.send(NOON + 9, area_code="878").number.area_code == "412"


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 6),
    st.lists(st.tuples(st.sampled_from(["215", "412", "503"]), st.integers(0, 9)), max_size=80),
)
def test_never_more_than_the_registered_numbers(most: int, events: list[tuple[str, int]]) -> None:
    pool = pool_of(
        preferred_area_codes=("412", "503"), rotate_after=2, local_after=2, max_numbers=most, max_wait_s=0.5
    )
    ids = count(1)
    under_way: list[BuyOne] = []
    for area_code, dice in events:
        found = choose(pool, area_code=area_code, carrier="regional")
        buy = getattr(found, "buy", None)
        if buy is not None:
            assert buy.reason not in [other.reason for other in under_way]
            pool.purchase_started(buy)
            under_way.append(buy)
        assert len(pool.numbers) + len(under_way) <= most  # a retired number stays in the registered campaign
        held = [n for n in pool.numbers.values() if n.state is not NumberState.RETIRED]
        if dice < 5 and under_way:
            pool.purchase_finished(under_way.pop(), number(next(ids), area_code))
        elif dice == 9 and held:
            pool.retire(held[0].number_id)


# Choosing


@pytest.mark.parametrize(
    ("recipient", "preferred", "expected", "how"),
    [
        ("412", (), 3, How.LOCAL),
        ("724", (), 6, How.LOCAL),  # same state only
        ("878", (), 3, How.LOCAL),  # overlay
        ("310", (), 4, How.LOCAL),  # overlay of 424
        ("907", (), 2, How.ROTATION),  # nowhere near: the lowest id
        ("907", ("424",), 4, How.PREFERRED),
        ("412", ("424",), 4, How.PREFERRED),  # the action's list goes before nearness (F026)
        ("814", ("412", "424"), 3, How.LOCAL),
        ("412", ("212",), 3, How.LOCAL),  # nothing of the list in the pool
    ],
)
def test_whose_number_a_recipient_gets(
    recipient: str, preferred: tuple[str, ...], expected: int, how: How
) -> None:
    numbers = [number(4, "424"), number(3, "412"), number(2, "503"), number(6, "215"), number(5, "330")]
    if recipient == "724":
        numbers = [n for n in numbers if n.area_code != "412"]
    found = choose(pool_of(*numbers), area_code=recipient, preferred=preferred)
    assert (found.number.number_id, found.how) == (expected, how)


def test_capacity_goes_before_rotation_and_nearness() -> None:
    pool = pool_of(number(1, "215"), number(2, "503"), number(3, "212"))
    senders = [choose(pool, area_code="215", carrier="voip").number.number_id for _ in range(4)]
    assert sorted(senders[:3]) == [1, 2, 3]
    assert senders[3] == 1


def test_sticky_sends_and_long_texts_reserve_real_segments() -> None:
    granted = Limits(total_per_s=100.0, carrier_per_s={"att": 2.0}, number_per_s=1.0)
    pool = pool_of(number(1), granted=granted, max_numbers=1)
    assert choose(pool, sticky=1, segments=2).slot == NOON
    assert choose(pool).slot == NOON + 2.0  # the number is busy with the two segments
    assert choose(pool, sticky=1, segments=3).slot == NOON + 3.0
    assert choose(pool, sticky=1).slot == NOON + 6.0


def test_beyond_the_horizon_nothing_is_reserved() -> None:
    granted = Limits(total_per_s=1.0, carrier_per_s={}, number_per_s=1.0)
    pool = pool_of(number(1), granted=granted)
    choose(pool)
    for _ in range(3):
        assert choose(pool, horizon_s=0.5) == Wait(NOON + 1.0)
        assert choose(pool, sticky=1, horizon_s=0.5) == Wait(NOON + 1.0, whole_pool=False)
    assert choose(pool, horizon_s=1.0).slot == NOON + 1.0
    assert pool.numbers[1].conversations == 2


# Staying and moving


def test_a_quarantined_number_finishes_its_own_and_gets_nobody_new() -> None:
    pool = pool_of(number(1), number(2))
    pool.quarantine(NOON, 1)
    assert choose(pool).number.number_id == 2
    assert choose(pool, sticky=1).number.number_id == 1
    assert choose(pool, sticky=1).how is How.STICKY
    pool.release(1)
    assert choose(pool).number.number_id == 1


def test_a_quarantine_ends_by_itself_and_the_third_one_retires() -> None:
    pool = pool_of(number(1), number(2), quarantine_s=100.0)
    for round_at in (NOON, NOON + 1000):
        pool.quarantine(round_at, 1)
        assert choose(pool, round_at + 99).number.number_id == 2
        assert choose(pool, round_at + 100).number.number_id == 1
    pool.quarantine(NOON + 2000, 1)
    assert pool.numbers[1].state is NumberState.RETIRED
    assert choose(pool, NOON + 9000).number.number_id == 2


def test_the_conversations_of_a_retired_number_move_together_and_for_good() -> None:
    pool = pool_of(number(1), number(2), number(3), rotate_after=1)
    pool.retire(1)
    moved = [choose(pool, sticky=1) for _ in range(3)]
    assert {m.number.number_id for m in moved} == {2}
    assert [m.moved_from for m in moved] == [1, 1, 1]
    assert choose(pool, sticky=2).moved_from is None
    reloaded = pool_of(*pool.numbers.values())
    assert choose(reloaded, sticky=1).number.number_id == 2
    pool.retire(2)
    assert choose(pool, sticky=1).number.number_id == 3  # who slept through both moves moves once
    assert choose(pool, sticky=99).moved_from == 99  # a number we no longer know


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["send", "send", "send", "quarantine", "retire", "release", "error"]),
            st.integers(0, 7),
        ),
        max_size=120,
    )
)
def test_a_contact_changes_number_once_per_retirement_and_never_otherwise(
    events: list[tuple[str, int]],
) -> None:
    """F022."""
    pool = pool_of(rotate_after=3, max_numbers=4, retire_after_quarantines=1000)
    shop = Shop(pool)
    numbers_of: dict[int, int] = {}
    for step, (event, which) in enumerate(events):
        now = NOON + step
        usable = [n.number_id for n in pool.numbers.values() if n.state is not NumberState.RETIRED]
        if event == "send":
            had = numbers_of.get(which)
            states = {n.number_id: n.state for n in pool.numbers.values()}
            found = choose(pool, now, sticky=had)
            if not isinstance(found, Chosen):
                shop.serve(getattr(found, "buy", None), now)
                continue
            shop.serve(found.buy, now)
            got = numbers_of[which] = found.number.number_id
            if had is None or states[had] is NumberState.RETIRED:
                assert states[got] is NumberState.ACTIVE
                assert found.moved_from == had
            else:
                assert got == had
                assert found.moved_from is None
        elif usable:
            number_id = usable[which % len(usable)]
            match event:
                case "quarantine":
                    pool.quarantine(now, number_id)
                case "retire":
                    pool.retire(number_id)
                case "release":
                    pool.release(number_id)
                case _:
                    pool.number_error(now, number_id, code_blames_number=True)


# Judging


def test_only_errors_that_blame_the_number_count() -> None:
    """F023."""
    pool = pool_of(number(1), number(2))
    for _ in range(100):
        pool.number_error(NOON, 1, code_blames_number=False)
    assert pool.numbers[1].state is NumberState.ACTIVE
    states = []
    for _ in range(6):
        pool.number_error(NOON, 1, code_blames_number=True)
        states.append(pool.numbers[1].state)
    active, quarantined, retired = NumberState.ACTIVE, NumberState.QUARANTINED, NumberState.RETIRED
    assert states == [active, active, quarantined, quarantined, retired, retired]


def test_old_errors_are_forgotten() -> None:
    pool = pool_of(number(1))
    for hour in range(20):
        pool.number_error(NOON + 1801 * hour, 1, code_blames_number=True)
    assert pool.numbers[1].state is NumberState.ACTIVE


def test_the_last_number_lost_is_replaced() -> None:
    pool = pool_of(number(1))
    pool.retire(1)
    assert choose(pool, sticky=1).buy.reason is BuyReason.REPLACEMENT


def sent(pool: NumberPool, number_id: int, times: int) -> None:
    for _ in range(times):
        choose(pool, sticky=number_id)


@pytest.mark.parametrize(
    ("filtered", "suspect"),
    [
        ([(1, "a"), (2, "a"), (3, "a")] * 3, Suspect.SCRIPT),  # one text from all numbers
        ([(1, "a")] * 4, None),  # too few to tell
        ([(1, "a"), (1, "b")] * 4, Suspect.NUMBER),  # one number over several texts
        ([(2, "a")] * 2 + [(1, "a")] * 20, Suspect.NUMBER),  # far above its pool
    ],
)
def test_the_script_is_suspected_first_and_the_number_second(
    filtered: list[tuple[int, str]], suspect: Suspect | None
) -> None:
    pool = pool_of(number(1), number(2), number(3))
    for number_id in (1, 2, 3):
        sent(pool, number_id, 100)
    for number_id, script in filtered:
        last = pool.filtered(NOON + 60, number_id, script)
    assert last is suspect
    expected = NumberState.QUARANTINED if suspect is Suspect.NUMBER else NumberState.ACTIVE
    assert pool.numbers[1].state is expected
    assert pool.numbers[2].state is NumberState.ACTIVE


def test_the_only_number_with_the_only_script_puts_the_script_under_suspicion() -> None:
    pool = pool_of(number(1))
    sent(pool, 1, 100)
    assert [pool.filtered(NOON, 1, "a") for _ in range(5)] == [None] * 4 + [Suspect.SCRIPT]


@pytest.mark.parametrize(
    ("s_ago", "suspect"), [(10.0, Suspect.NUMBER), (1790.0, Suspect.NUMBER), (3601.0, Suspect.SCRIPT)]
)
def test_a_number_is_seen_whenever_counting_began(s_ago: float, suspect: Suspect) -> None:
    """What the others did a moment ago counts though an hour is over, and what they did an hour ago does not."""
    watch = FilteringWatch(FilteringPolicy())
    watch.sent(NOON, 2)
    for _ in range(100):
        watch.sent(NOON + 3601 - s_ago, 2)
    assert [watch.filtered(NOON + 3601, 1, "a") for _ in range(5)][-1] is suspect


def test_the_usual_noise_and_the_last_hour_make_no_suspect() -> None:
    pool = pool_of(number(1), number(2))
    sent(pool, 1, 2000)
    sent(pool, 2, 2000)
    assert {pool.filtered(NOON, 1 + i % 2, "a") for i in range(8)} == {None}  # 0.2 %
    spread = pool_of(number(1))
    hours = (NOON + 3600 * i for i in range(12))
    assert {spread.filtered(hour, 1, "a") for hour in hours} == {None}


def test_changes_are_told_once_in_id_order() -> None:
    pool = pool_of(number(2), number(1), number(3))
    choose(pool, sticky=3)
    pool.quarantine(NOON, 2)
    assert [n.number_id for n in pool.changes()] == [2, 3]
    assert pool.changes() == []
