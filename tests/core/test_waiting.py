"""Replies first, nobody behind a blocked carrier, nobody lost and nobody twice."""

import math
from collections.abc import Callable
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.rules.registration import Limits
from gateway.core.sending.numbers import Chosen, NoNumber, Number, NumberPool, PoolPolicy, Wait
from gateway.core.sending.pacing import Pacer
from gateway.core.sending.waiting import Lane, Picked, Taken, Waiting, WaitingLine

NOON = 1_792_500_000.0
LIMITS = Limits(
    total_per_s=12.0, carrier_per_s={"att": 4.0, "tmobile": 4.0, "verizon": 4.0}, number_per_s=12.0
)

items = st.lists(
    st.tuples(
        st.sampled_from(list(Lane)),
        st.sampled_from(["att", "tmobile", "verizon", "regional", None]),
        st.integers(1, 3),
        st.floats(0.0, 100.0),
    ),
    max_size=60,
)


class Bank:
    """A line with a pacer and a pool of one number."""

    def __init__(self, limits: Limits = LIMITS, **policy: object) -> None:
        self.pacer = Pacer(limits)
        one = Number(number_id=1, phone="+12155550100", area_code="215")
        self.pool = NumberPool(PoolPolicy(max_numbers=1, **policy), limits, [one], self.pacer)
        self.line = WaitingLine()

    def push(
        self, message_id: int, lane: Lane = Lane.INITIAL, carrier: str | None = "att", **more: object
    ) -> bool:
        fields = {"segments": 1, "due_at": NOON} | more
        return self.line.push(Waiting(message_id=message_id, lane=lane, carrier=carrier, **fields))

    def take(self, now: float = NOON, horizon_s: float = 1.0) -> Taken:
        def choose(item: Waiting, at: float) -> Chosen | Wait | NoNumber:
            return self.pool.choose(
                at,
                sticky=item.sticky,
                area_code=item.area_code,
                carrier=item.carrier,
                segments=item.segments,
                horizon_s=now + horizon_s - at,
                preferred=item.preferred,
                due_at=item.due_at,
            )

        return self.line.take(now, horizon_s, self.pacer, choose)

    def drain(self, now: float = NOON, horizon_s: float = 1.0, steps: int = 1000) -> list[Picked]:
        picked = []
        for _ in range(steps):
            taken = self.take(now, horizon_s)
            picked += taken.picked
            if taken.wake_at == math.inf:
                return picked
            assert taken.wake_at > now
            now = taken.wake_at
        raise AssertionError("the line never ran dry")


def ids(picked: list[Picked]) -> list[int]:
    return [one.item.message_id for one in picked]


def test_replies_go_before_retries_before_initials() -> None:
    bank = Bank()
    for message_id, lane in enumerate([Lane.INITIAL, Lane.RETRY, Lane.REPLY] * 3):
        bank.push(message_id, lane)
    assert ids(bank.drain()) == [2, 5, 8, 1, 4, 7, 0, 3, 6]


def test_within_a_lane_the_oldest_due_goes_first() -> None:
    bank = Bank()
    for message_id, age_s in enumerate([0.0, 5.0, 3.0, 5.0]):
        bank.push(message_id, due_at=NOON - age_s)
    assert ids(bank.drain()) == [1, 3, 2, 0]


def test_a_slow_carrier_leaves_the_others_their_full_rate() -> None:
    bank = Bank()
    for message_id in range(40):  # the oldest are all for one carrier
        bank.push(message_id, carrier="att", due_at=NOON - 10)
    for message_id in range(40, 80):
        bank.push(message_id, carrier="verizon")
    slots = [p.chosen.slot for p in bank.drain() if p.item.carrier == "verizon"]
    assert max(later - sooner for sooner, later in pairwise(slots)) < 0.5
    assert slots[-1] < NOON + 11  # forty at four a second


def test_a_capped_carrier_waits_for_midnight_alone() -> None:
    limits = Limits(
        total_per_s=12.0, carrier_per_s=LIMITS.carrier_per_s, number_per_s=12.0, tmobile_daily_segments=2
    )
    bank = Bank(limits)
    for message_id in range(6):
        bank.push(message_id, carrier="tmobile", due_at=NOON - 10)
    bank.push(6, carrier="att")
    taken = bank.take()
    assert set(ids(taken.picked)) == {0, 1, 6}
    assert taken.wake_at > NOON + 3600
    assert ids(bank.take(taken.wake_at).picked) == [2, 3]


def test_a_message_not_yet_due_waits_and_tells_when() -> None:
    bank = Bank()
    bank.push(1, Lane.RETRY, due_at=NOON + 30)
    bank.push(2, due_at=NOON)
    taken = bank.take(horizon_s=2.0)
    assert ids(taken.picked) == [2]
    assert taken.wake_at == NOON + 29
    picked = bank.take(NOON + 29, horizon_s=2.0).picked
    assert [p.chosen.slot for p in picked] == [NOON + 30]


def test_a_busy_number_parks_its_own_conversation_only() -> None:
    limits = Limits(total_per_s=12.0, carrier_per_s=LIMITS.carrier_per_s, number_per_s=12.0)
    bank = Bank(limits)
    second = Number(number_id=2, phone="+12155550101", area_code="215")
    bank.pool = NumberPool(PoolPolicy(), limits, [bank.pool.numbers[1], second], bank.pacer)
    bank.pacer.hold(NOON + 60, number=1)
    bank.push(1, Lane.REPLY, sticky=1)
    bank.push(2, Lane.REPLY, sticky=2)
    bank.push(3)
    taken = bank.take()
    assert [(p.item.message_id, p.chosen.number.number_id) for p in taken.picked] == [(2, 2), (3, 2)]
    assert NOON + 59 <= taken.wake_at <= NOON + 60
    assert ids(bank.take(NOON + 60).picked) == [1]


def test_without_any_number_the_purchase_is_asked_once_and_messages_keep_their_place() -> None:
    bank = Bank()
    bank.pool = NumberPool(PoolPolicy(), LIMITS, [], bank.pacer)
    for message_id, carrier in enumerate(["att", "verizon", None, "att"]):
        bank.push(message_id, carrier=carrier)
    taken = bank.take()
    assert (taken.picked, taken.refused, len(taken.buys), len(bank.line)) == ([], [], 1, 4)
    bank.pool.purchase_started(taken.buys[0])
    assert bank.take(NOON + 1).buys == []
    bank.pool.purchase_failed(taken.buys[0], "", NOON + 2)
    assert (bank.take(NOON + 3).refused, len(bank.line)) == ([], 4)
    [again] = bank.take(NOON + 63).buys
    bank.pool.purchase_started(again)
    bank.pool.purchase_failed(again, "", NOON + 290)
    assert [item.message_id for item in bank.take(NOON + 301).refused] == [0, 1, 2, 3]
    assert len(bank.line) == 0


def test_a_message_stands_in_the_line_once() -> None:
    bank = Bank()
    assert bank.push(1)
    assert not bank.push(1)
    assert bank.line.remove(1)
    assert not bank.line.remove(1)
    assert 1 not in bank.line
    assert bank.push(1, due_at=NOON - 5)
    assert ids(bank.drain()) == [1]


def test_removed_messages_leave_no_trace() -> None:
    bank = Bank()
    for message_id in range(1000):
        bank.push(message_id)
    for message_id in range(1, 1000):
        bank.line.remove(message_id)
    kept = sum(len(heap) for heaps in bank.line._heaps.values() for heap in heaps.values())
    assert kept < 100
    assert ids(bank.drain()) == [0]


def test_an_empty_line_sleeps() -> None:
    assert Bank().take() == Taken([], [], [], math.inf)


@settings(max_examples=60, deadline=None)
@given(items)
def test_a_bank_never_delays_a_reply(waiting: list[tuple[Lane, str | None, int, float]]) -> None:
    alone, crowded = Bank(), Bank()
    for message_id, (lane, carrier, segments, age_s) in enumerate(waiting):
        fields = {"segments": segments, "due_at": NOON - age_s}
        crowded.push(message_id, lane, carrier, **fields)
        if lane is Lane.REPLY:
            alone.push(message_id, lane, carrier, **fields)

    def slots(bank: Bank) -> dict[int, float]:
        return {
            p.item.message_id: p.chosen.slot
            for p in bank.take(horizon_s=1.0).picked
            if p.item.lane == Lane.REPLY
        }

    with_bank, without_bank = slots(crowded), slots(alone)
    assert with_bank.keys() == without_bank.keys()
    for message_id, slot in with_bank.items():
        assert slot <= without_bank[message_id] + 1e-6


@settings(max_examples=60, deadline=None)
@given(items, st.sampled_from([0.2, 1.0, 5.0]))
def test_everybody_goes_once_within_the_horizon(
    waiting: list[tuple[Lane, str | None, int, float]], horizon_s: float
) -> None:
    bank = Bank()
    for message_id, (lane, carrier, segments, age_s) in enumerate(waiting):
        bank.push(message_id, lane, carrier, segments=segments, due_at=NOON - 50 + age_s)
    assert sorted(ids(bank.drain(horizon_s=horizon_s))) == list(range(len(waiting)))
    assert len(bank.line) == 0


@settings(max_examples=60, deadline=None)
@given(items, st.lists(st.integers(0, 3), min_size=1, max_size=200))
def test_whatever_the_choice_says_the_step_ends_and_books_balance(
    waiting: list[tuple[Lane, str | None, int, float]], answers: list[int]
) -> None:
    bank, number = Bank(), Number(number_id=1, phone="+12155550100", area_code="215")
    for message_id, (lane, carrier, segments, age_s) in enumerate(waiting):
        bank.push(message_id, lane, carrier, segments=segments, due_at=NOON - age_s)
    script = iter(answers * (len(waiting) + 1))

    def choose(item: Waiting, at: float) -> Chosen | Wait | NoNumber:
        replies: list[Callable[[], Chosen | Wait | NoNumber]] = [
            lambda: Chosen(number, bank.pacer.reserve(at, item.carrier, 1, item.segments), "rotation"),
            lambda: Wait(at),
            lambda: Wait(at, whole_pool=False),
            NoNumber,
        ]
        return replies[next(script)]()

    taken = bank.line.take(NOON, 1.0, bank.pacer, choose)
    assert len(taken.picked) + len(taken.refused) + len(bank.line) == len(waiting)
    assert taken.wake_at > NOON
