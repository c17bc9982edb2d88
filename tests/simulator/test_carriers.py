"""Throughput, daily caps and latency: tables for the published rates, laws for the queue."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import inf
from zoneinfo import ZoneInfo

import msgspec
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.model.carriers import (
    ATT,
    CARRIERS,
    REGIONAL,
    VERIZON,
    CampaignQueue,
    CampaignRegistration,
    CarrierParameters,
    DailyCap,
    Percentiles,
    next_pacific_midnight,
    registration_of,
)

PACIFIC = ZoneInfo("America/Los_Angeles")


@pytest.mark.parametrize(
    ("kind", "score", "campaign", "total", "att", "cap"),
    [
        ("standard", 75, "", 225, 75, 200_000),
        ("standard", 74, "", 120, 40, 40_000),
        ("standard", 49, "", 12, 4, 10_000),
        ("standard", 10, "", 12, 4, 2_000),
        ("nonprofit", 80, "", 225, 75, 200_000),
        ("low_volume", 0, "", 12, 4, 2_000),
        ("standard", 80, "low_volume_mixed", 3.75, 1.25, 2_000),
        ("sole_proprietor", 0, "", 2.25, 0.25, 1_000),
        ("political_527", 0, "political", 225, 75, None),
        ("government", 0, "", 225, 75, None),
    ],
)
def test_registration_follows_the_published_table(*, kind, score, campaign, total, att, cap):
    granted = registration_of(kind, score, campaign, brand="B1")
    assert (granted.total_per_s, granted.carrier_per_s["att"], granted.tmobile_daily_segments) == (
        total,
        att,
        cap,
    )
    assert granted.brand == "B1"


def test_percentiles_are_met_and_rise():
    points = ((0.5, 2.5), (0.95, 9.0), (0.99, 45.0))
    times = Percentiles(*points)
    for share, time_s in points:
        assert times.at(share) == pytest.approx(time_s, rel=0.02)
    table = [times.at_bits(word) for word in range(4096)]
    assert table == sorted(table)
    assert sum(time_s > 60 for time_s in table) / 4096 == pytest.approx(0.007, abs=0.003)  # "0.5 % minutes"


def test_unknown_parameters_are_refused():
    with pytest.raises(msgspec.ValidationError, match="accept_medain_s"):
        msgspec.convert({"accept_medain_s": 1}, CarrierParameters)
    with pytest.raises(msgspec.ValidationError, match="unknown_error_share"):
        msgspec.convert({"unknown_error_share": 1.5}, CarrierParameters)


@pytest.mark.parametrize(
    ("local", "hours"),
    [("2026-11-03T12:00", 12), ("2026-11-01T00:00", 25), ("2026-03-08T00:00", 23), ("2026-03-08T12:00", 12)],
)
def test_pacific_midnight_on_long_and_short_days(local, hours):
    at = datetime.fromisoformat(local).replace(tzinfo=PACIFIC).timestamp()
    assert next_pacific_midnight(at) == at + hours * 3600


@settings(max_examples=60, deadline=None)
@given(
    start=st.sampled_from(["2026-10-31T09:00", "2026-11-01T00:30", "2026-03-07T20:00", "2026-11-03T09:00"]),
    cap=st.integers(1, 40),
    asks=st.lists(st.tuples(st.floats(0, 9000), st.integers(1, 6)), min_size=1, max_size=60),
)
def test_daily_cap_holds_on_every_pacific_day_and_refuses_only_when_full(start, cap, asks):
    start_at = datetime.fromisoformat(start).replace(tzinfo=PACIFIC).timestamp()
    daily, now, used = DailyCap(cap, start_at), 0.0, {}
    for step_s, segments in asks:
        now += step_s
        day = datetime.fromtimestamp(start_at + now, PACIFIC).date()
        fits = used.get(day, 0) + segments <= cap
        assert daily.take(segments, now) == fits
        if fits:
            used[day] = used.get(day, 0) + segments


@dataclass(slots=True)
class Item:
    n: int
    carrier: int
    segments: int
    deadline: float
    arrived_at: float = 0.0
    waiting: bool = False
    is_mms: bool = False


def run_queue(arrivals, registration, *, slow_factor=None, numbers=1):
    """(item, time) of departures and of expiries for (arrival, carrier, segments, validity) tuples."""
    env, departed, expired = simpy.Environment(), [], []
    queue = CampaignQueue(
        env,
        registration,
        CarrierParameters(),
        depart=lambda item: departed.append((item, env.now)),
        expire=lambda item: expired.append((item, env.now)),
        slow_factor=slow_factor,
    )
    queue.numbers = numbers
    for n, (at, carrier, segments, validity_s) in enumerate(sorted(arrivals)):
        item = Item(n, carrier, segments, at + validity_s, at)
        env.timeout(at, item).callbacks.append(lambda event: queue.push(event.value))
    env.run()
    assert queue.waiting_segments == 0
    return departed, expired


def assert_spaced(departures, rate_per_s):
    """No burst in any window: from one message to any later one, the segments between took their time."""
    for (earlier, at), (_, later_at) in pairwise(departures):
        assert later_at - at >= earlier.segments / rate_per_s - 1e-6


RATES = st.sampled_from([0.25, 1.0, 1.25, 4.0, 8.0, 75.0])
ARRIVALS = st.lists(
    st.tuples(
        st.floats(0, 30),
        st.integers(0, len(CARRIERS) - 1),
        st.integers(1, 5),
        st.floats(1, 40),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(arrivals=ARRIVALS, att=RATES, tmobile=RATES, total=RATES)
def test_queue_never_exceeds_a_rate_and_loses_nobody(arrivals, att, tmobile, total):
    registration = CampaignRegistration(total, {"att": att, "tmobile": tmobile})
    departed, expired = run_queue(arrivals, registration)
    assert_spaced(departed, total)
    for carrier, name in enumerate(CARRIERS):
        lane = [(item, at) for item, at in departed if item.carrier == carrier]
        assert_spaced(lane, registration.carrier_per_s.get(name, 1.0))
        assert [item.n for item, _ in lane] == sorted(item.n for item, _ in lane)
    assert sorted(item.n for item, _ in departed + expired) == list(range(len(arrivals)))
    assert all(at <= item.deadline + 1e-6 for item, at in departed)
    assert all(at == pytest.approx(item.deadline) for item, at in expired)


@settings(max_examples=60, deadline=None)
@given(
    arrivals=st.lists(
        st.tuples(st.floats(0, 30), st.just(ATT), st.integers(1, 5), st.just(1e6)), min_size=1, max_size=40
    )
)
def test_a_lane_never_idles_while_somebody_waits(arrivals):
    departed, _ = run_queue(arrivals, CampaignRegistration(100.0, {"att": 2.0}))
    free_at = -inf
    for item, at in departed:
        assert at == pytest.approx(max(item.arrived_at, free_at))
        free_at = at + item.segments / 2.0


def test_a_full_lane_holds_up_no_other():
    jam = [(0.0, ATT, 1, 1e6)] * 100
    departed, _ = run_queue(
        [*jam, (1.05, VERIZON, 1, 1e6)], CampaignRegistration(100.0, {"att": 1.0, "verizon": 1.0})
    )
    assert [at for item, at in departed if item.carrier == VERIZON] == [1.05]


def test_what_expires_takes_no_capacity():
    waiting = [(0.0, ATT, 1, 5.0)] * 100 + [(4.0, ATT, 1, 100.0)]
    departed, expired = run_queue(waiting, CampaignRegistration(10.0, {"att": 1.0}))
    assert [(item.n, round(at, 6)) for item, at in departed] == [*enumerate(range(5)), (100, 5)]
    assert len(expired) == 95


def test_small_carriers_have_one_per_number_and_brownouts_slow_a_lane():
    arrivals = [(0.0, REGIONAL, 1, 1e6)] * 3
    registration = CampaignRegistration(100.0, {})
    assert [at for _, at in run_queue(arrivals, registration, numbers=4)[0]] == pytest.approx([0, 0.25, 0.5])
    slow = run_queue(arrivals, registration, slow_factor=lambda carrier, now: 10.0)[0]
    assert [at for _, at in slow] == pytest.approx([0, 10, 20])
