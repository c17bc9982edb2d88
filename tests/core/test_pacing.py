"""No meter above its rate in any window, no Pacific day above the cap."""

import math
from collections import defaultdict, deque
from collections.abc import Callable
from datetime import datetime
from itertools import count, pairwise
from random import Random
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.core.rules.registration import Limits
from gateway.core.sending.pacing import CAP_EDGE_S, SLOWEST_FACTOR, Pacer, PacerState, next_cap_reset

PACIFIC = ZoneInfo("America/Los_Angeles")
CARRIERS = ["att", "tmobile", "verizon", "uscellular", "regional", "voip", None]
BIG = ("att", "tmobile", "verizon")
NOON = datetime(2026, 10, 20, 12, tzinfo=PACIFIC).timestamp()

LIMITS = Limits(
    total_per_s=12.0,
    carrier_per_s={"att": 4.0, "tmobile": 4.0, "verizon": 3.0, "uscellular": 2.0},
    number_per_s=5.0,
    small_carrier_number_per_s=1.0,
)

requests = st.lists(
    st.tuples(
        st.floats(0.0, 3.0),  # passes before it
        st.sampled_from(CARRIERS),
        st.integers(1, 3),  # number
        st.integers(1, 4),  # segments
    ),
    min_size=1,
    max_size=60,
)


def metered_by(carrier: str | None, number: int, limits: Limits) -> dict[object, float]:
    """The rates that bind a message, told anew from the documents and not from the code."""
    rates: dict[object, float] = {"total": limits.total_per_s, number: limits.number_per_s}
    for name in BIG if carrier is None else (carrier,):
        if name in limits.carrier_per_s:
            rates[name] = limits.carrier_per_s[name]
    if carrier in ("regional", "voip"):
        rates[number, carrier] = limits.small_carrier_number_per_s
    if carrier is None and limits.unknown_may_be_small:  # it may be either
        rates[number, "regional"] = rates[number, "voip"] = limits.small_carrier_number_per_s
    return rates


@settings(max_examples=100, deadline=None)
@given(requests, st.booleans())
def test_no_meter_passes_its_rate_in_any_window(
    asked: list[tuple[float, str | None, int, int]], unknown_may_be_small: bool
) -> None:
    limits = msgspec.structs.replace(LIMITS, unknown_may_be_small=unknown_may_be_small)
    pacer, now = Pacer(limits), NOON
    sent: dict[object, list[tuple[float, int]]] = defaultdict(list)
    rates: dict[object, float] = {}
    for gap, carrier, number, segments in asked:
        now += gap
        expected = pacer.earliest(now, carrier, number, segments)
        slot = pacer.reserve(now, carrier, number, segments)
        assert slot == expected >= now
        for meter, rate in metered_by(carrier, number, limits).items():
            sent[meter].append((slot, segments))
            rates[meter] = rate
    for meter, slots in sent.items():
        for first in range(len(slots)):
            passed = 0
            for slot, segments in slots[first:]:
                # `passed` counts the window up to, but without, its last message
                assert passed <= rates[meter] * (slot - slots[first][0]) + 1e-3, meter
                passed += segments


def test_an_unknown_carrier_counts_against_every_big_one() -> None:
    pacer = Pacer(LIMITS)
    pacer.reserve(NOON, None, 1, 4)
    assert pacer.earliest(NOON, "att") == pytest.approx(NOON + 1.0)
    assert pacer.earliest(NOON, "verizon") == pytest.approx(NOON + 4 / 3)
    assert pacer.earliest(NOON, "uscellular") == pytest.approx(NOON + 4 / 12)


def test_a_small_carrier_takes_one_segment_per_second_and_number() -> None:
    pacer = Pacer(LIMITS)
    assert pacer.reserve(NOON, "regional", 1, 2) == NOON
    assert pacer.earliest(NOON, "regional", 1) == pytest.approx(NOON + 2.0)
    assert pacer.earliest(NOON, "voip", 1) == pytest.approx(NOON + 0.4)  # the number's own 5 a second
    assert pacer.earliest(NOON, "regional", 2) == pytest.approx(NOON + 2 / 12)


def test_looking_reserves_nothing() -> None:
    pacer = Pacer(LIMITS)
    for _ in range(3):
        assert pacer.earliest(NOON, "att", 1, 3) == NOON
    assert pacer.capped_until(NOON, "tmobile", 10**9) is None


@pytest.mark.parametrize(
    ("at", "resets"),
    [
        ("2026-10-20T12:00:00-07:00", "2026-10-21T00:00:00-07:00"),
        ("2026-10-20T00:00:00-07:00", "2026-10-21T00:00:00-07:00"),
        ("2026-10-20T23:59:59-07:00", "2026-10-21T00:00:00-07:00"),
        ("2026-03-08T01:00:00-08:00", "2026-03-09T00:00:00-07:00"),  # a day of 23 hours
        ("2026-11-01T00:30:00-07:00", "2026-11-02T00:00:00-08:00"),  # a day of 25 hours
        ("2026-12-31T23:00:00-08:00", "2027-01-01T00:00:00-08:00"),
    ],
)
def test_the_cap_resets_at_pacific_midnight(at: str, resets: str) -> None:
    reset = next_cap_reset(datetime.fromisoformat(at).timestamp())
    assert reset == datetime.fromisoformat(resets).timestamp()


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["2026-03-07T20:00", "2026-10-31T20:00", "2026-07-03T20:00"]),
    st.integers(5, 40),
    st.lists(
        st.tuples(st.floats(0.0, 12_000.0), st.sampled_from(["tmobile", None, "att"]), st.integers(1, 5)),
        max_size=80,
    ),
)
@example(
    "2026-03-07T20:00", 6, [(0.0, "tmobile", each) for each in (1, 5, 5, 1)]
)  # a day begun, then a restart
def test_no_pacific_day_passes_the_cap(
    begins: str, cap: int, asked: list[tuple[float, str | None, int]]
) -> None:
    pacer = Pacer(msgspec.structs.replace(LIMITS, tmobile_daily_segments=cap))
    now = datetime.fromisoformat(begins).replace(tzinfo=PACIFIC).timestamp()
    used: dict[object, int] = defaultdict(int)
    for gap, carrier, segments in asked:
        now += gap
        slot = pacer.reserve(now, carrier, 1, segments)
        if carrier != "att":
            used[datetime.fromtimestamp(slot, PACIFIC).date()] += segments
        pacer = Pacer.from_state(pacer.limits, pacer.state()) if segments == 5 else pacer  # a restart
    assert max(used.values(), default=0) <= cap


def test_the_cap_counts_segments_and_survives_a_restart() -> None:
    limits = msgspec.structs.replace(LIMITS, tmobile_daily_segments=10)
    midnight = next_cap_reset(NOON)
    before = Pacer(limits)
    before.reserve(NOON, "tmobile", 1, 4)
    before.reserve(NOON, None, 1, 4)
    state = msgspec.json.decode(msgspec.json.encode(before.state()), type=PacerState)
    after = Pacer.from_state(limits, state)
    assert after.capped_until(NOON, "tmobile", 2) is None
    assert after.capped_until(NOON, "tmobile", 3) == midnight
    assert after.capped_until(NOON, None, 3) == midnight
    assert after.capped_until(NOON, "att", 3) is None
    assert after.earliest(NOON + 60, "tmobile", 1, 3) == midnight
    assert after.earliest(NOON + 60, "tmobile", 1, 11) == math.inf
    assert after.capped_until(midnight, "tmobile", 10) is None


def test_the_last_seconds_before_midnight_count_on_both_days() -> None:
    pacer = Pacer(msgspec.structs.replace(LIMITS, tmobile_daily_segments=10))
    midnight = next_cap_reset(NOON)
    pacer.reserve(midnight - CAP_EDGE_S / 2, "tmobile", 1, 4)
    pacer.reserve(midnight + 10, "tmobile", 1, 4)
    assert pacer.capped_until(midnight + 20, "tmobile", 3) == next_cap_reset(midnight)
    assert pacer.capped_until(midnight + 20, "tmobile", 2) is None


def test_a_message_not_sent_gives_its_share_of_the_day_back() -> None:
    pacer = Pacer(msgspec.structs.replace(LIMITS, tmobile_daily_segments=10))
    slot = pacer.reserve(NOON, "tmobile", 1, 10)
    assert pacer.capped_until(NOON + 60, "tmobile", 1) is not None
    pacer.give_back(slot, "tmobile", 1, 10)
    assert pacer.capped_until(NOON + 60, "tmobile", 10) is None


def test_the_provider_and_other_campaigns_can_exhaust_the_day() -> None:
    for cap in (100, None):
        pacer = Pacer(msgspec.structs.replace(LIMITS, tmobile_daily_segments=cap))
        pacer.daily_cap_reached(NOON)
        assert pacer.capped_until(NOON, "tmobile") == next_cap_reset(NOON)
    shared = Pacer(msgspec.structs.replace(LIMITS, tmobile_daily_segments=100))
    assert shared.cap is not None
    shared.cap.add(NOON, 99)
    assert shared.capped_until(NOON, "tmobile", 1) is None
    assert shared.capped_until(NOON, "tmobile", 2) == next_cap_reset(NOON)


def gaps_s(pacer: Pacer, at: float, carrier: str, count: int = 4) -> list[float]:
    slots = [pacer.reserve(at, carrier, 1, 1) for _ in range(count)]
    return [later - sooner for sooner, later in pairwise(slots)]


def hand_over(pacer: Pacer, since: float, lasts_s: int, refuses: Callable[[float], bool]) -> list[float]:
    """A campaign with texts without end: slots two seconds ahead, refusals known at once; what got through."""
    now, slots, through = since, deque[float](), []
    while now < since + lasts_s:
        pacer.speed_up(now)
        while pacer.earliest(now, "att", 1) < now + 2:
            slots.append(pacer.reserve(now, "att", 1, 1))
        now += 0.1
        while slots and slots[0] <= now:
            slot = slots.popleft()
            if refuses(slot):
                pacer.slow_down(now, refused_at=slot)
            else:
                through.append(slot)
    return through


FAST = Limits(total_per_s=150.0, carrier_per_s={"att": 150.0}, number_per_s=150.0)


@pytest.mark.parametrize(("one_in", "at_least"), [(1000, 148), (100, 145), (33, 138), (20, 125)])
def test_a_few_chance_refusals_cost_little(one_in: int, at_least: float) -> None:
    random = Random(7)
    through = hand_over(Pacer(FAST), NOON, 120, lambda _slot: random.random() < 1 / one_in)
    assert len(through) / 120 > at_least


@pytest.mark.parametrize(("limit_per_s", "most_refused"), [(110, 0.08), (75, 0.12), (30, 0.25)])
def test_a_hard_limit_is_found_within_seconds_and_kept(limit_per_s: int, most_refused: float) -> None:
    recent: deque[float] = deque(maxlen=limit_per_s)
    refused_at: list[float] = []

    def refuses(slot: float) -> bool:
        if len(recent) == limit_per_s and slot - recent[0] < 1:
            refused_at.append(slot)
            return True
        recent.append(slot)
        return False

    through = hand_over(Pacer(FAST), NOON, 120, refuses)
    settled = [slot for slot in through if slot > NOON + 10]
    refused = sum(slot > NOON + 10 for slot in refused_at)
    assert len(settled) / 110 > 0.95 * limit_per_s
    assert refused / (refused + len(settled)) < most_refused


def test_when_every_second_request_is_refused_the_pace_is_halved_within_seconds() -> None:
    pacer, turns = Pacer(FAST), count()
    hand_over(pacer, NOON, 6, lambda _slot: next(turns) % 2 == 0)
    assert gaps_s(pacer, NOON + 10, "att")[0] >= 2 / 150


def test_a_pace_that_is_wholly_refused_is_halved_once_and_time_heals_it() -> None:
    limits = Limits(total_per_s=10.0, carrier_per_s={"att": 10.0}, number_per_s=10.0)
    pacer = Pacer(limits)
    for slot in [pacer.reserve(NOON, "att", 1, 1) for _ in range(5)]:  # one pace, five refusals
        pacer.slow_down(NOON + 0.5, refused_at=slot)
    assert gaps_s(pacer, NOON + 1, "att") == pytest.approx([0.2] * 3)
    for moment in (1.1, 1.3, 1.5, 1.6, 1.7, 1.8, 1.9):
        pacer.slow_down(NOON + 2, refused_at=NOON + moment)  # and more of the same
    assert gaps_s(pacer, NOON + 10, "att") == pytest.approx([0.2] * 3)
    pacer.speed_up(NOON + 1.4)
    assert gaps_s(pacer, NOON + 20, "att") == pytest.approx([0.2] * 3)
    pacer.speed_up(NOON + 5.5)  # five steps of 5 %
    pacer.speed_up(NOON + 5.5)
    assert gaps_s(pacer, NOON + 30, "att") == pytest.approx([1 / 7.5] * 3)
    pacer.speed_up(NOON + 60)
    assert gaps_s(pacer, NOON + 70, "att") == pytest.approx([0.1] * 3)


def test_a_pace_lowered_by_refusal_after_refusal_ends_above_nothing() -> None:
    pacer = Pacer(FAST)
    for second in range(300):
        slot = pacer.reserve(NOON + second, "att", 1, 1)
        pacer.slow_down(slot)
    assert gaps_s(pacer, NOON + 400, "att")[0] == pytest.approx(1 / (150 * SLOWEST_FACTOR))


def test_what_was_not_handed_over_does_not_hide_refusals() -> None:
    pacer = Pacer(FAST)
    slots = [pacer.reserve(NOON, "att", 1, 1) for _ in range(100)]
    for slot in slots[10:]:
        pacer.give_back(slot, "att", 1, 1)
    for slot in slots[:5]:
        pacer.slow_down(NOON + 1, refused_at=slot)
    assert gaps_s(pacer, NOON + 2, "att")[0] == pytest.approx(2 / 150)


def test_a_missed_slot_is_free_again_unless_somebody_has_a_later_one() -> None:
    slow = Pacer(Limits(total_per_s=0.05, carrier_per_s={"att": 0.04}, number_per_s=0.05))
    missed = slow.reserve(NOON, "att", 1, 1)
    slow.give_back(missed, "att", 1, 1)
    assert slow.reserve(NOON + 1, "att", 1, 1) == NOON + 1, "nobody has used the rate: it goes at once"
    slow.reserve(NOON + 1, "verizon", 2, 1)
    slow.give_back(NOON + 1, "att", 1, 1)
    assert slow.earliest(NOON + 2, "att") == NOON + 41, (
        "the campaign's meter is another's, the carrier's is free"
    )


def test_given_back_from_the_last_to_the_first_all_slots_are_free_again() -> None:
    pacer = Pacer(Limits(total_per_s=0.5, carrier_per_s={"att": 0.5}, number_per_s=0.5))
    for slot in [pacer.reserve(NOON, "att", 1, 2) for _ in range(4)][::-1]:
        pacer.give_back(slot, "att", 1, 2)
    assert pacer.earliest(NOON, "att", 1) == NOON


def test_one_carrier_can_be_slowed_or_held_alone() -> None:
    limits = Limits(total_per_s=1000.0, carrier_per_s={"att": 10.0, "verizon": 10.0}, number_per_s=1000.0)
    pacer = Pacer(limits)
    pacer.slow_down(NOON, "att")
    assert gaps_s(pacer, NOON, "att") == pytest.approx([0.2] * 3)
    assert gaps_s(pacer, NOON, "verizon") == pytest.approx([0.1] * 3, abs=0.01)
    pacer.hold(NOON + 50, carrier="att")
    pacer.hold(NOON + 60, number=7)
    assert pacer.earliest(NOON + 10, "att") == NOON + 50
    assert pacer.earliest(NOON + 10, "verizon", 7) == NOON + 60
    assert pacer.earliest(NOON + 10, "verizon", 1) == NOON + 10
    pacer.hold(NOON + 90)
    assert pacer.earliest(NOON + 10, "verizon", 1) == NOON + 90
