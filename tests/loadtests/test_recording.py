"""Workers' records become one, and a run that broke a rule is told so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.metrics import LoadMetrics
from loadtests.recording import DURATIONS, Handed, Recording, invalid_because

ARRIVALS = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100), st.booleans()), max_size=30)


def recorded(arrivals: list[tuple[float, float, bool]]) -> Recording:
    """Of (late, took, was answered well)."""
    recording = Recording()
    for late_s, took_s, ok in arrivals:
        recording.started(late_s)
        recording.ended(since_intended_s=late_s + took_s, since_actual_s=took_s, blocked_s=0.0, ok=ok)
    return recording


@given(st.lists(ARRIVALS, min_size=1, max_size=3))
def test_merged_is_as_if_one_had_recorded_all(parts: list[list[tuple[float, float, bool]]]) -> None:
    merged = Recording.merged(recorded(part).handed(cpu=0.1, whole=True) for part in parts)
    whole = recorded([each for part in parts for each in part])
    assert merged.figures() == whole.figures()
    for name in DURATIONS:
        (ours, ours_s), (theirs, theirs_s) = merged.buckets(name), whole.buckets(name)
        assert (ours, ours_s) == (theirs, pytest.approx(theirs_s))


@given(st.floats(0, 1e6))
def test_a_duration_comes_back_to_three_digits(took_s: float) -> None:
    recording = recorded([(0.0, took_s, True)])
    kept_s = min(max(took_s, 1e-6), 3600.0)
    assert recording.percentile_s("since_actual", 100) == pytest.approx(kept_s, rel=2e-3, abs=2e-6)
    assert [recording.total(name) for name in DURATIONS] == [1, 1, 1]


def test_a_scrape_finds_what_was_recorded_by_now() -> None:
    one, other = (recorded(part) for part in ([(0.0, 0.004, True)], [(0.02, 0.3, True), (0.0, 90.0, False)]))
    other.dropped()
    parts = [each.handed(cpu=0.1, whole=False) for each in (one, other)]
    told = LoadMetrics(lambda: {"integrators": Recording.counted(parts)}).registry.get_sample_value
    here = {"scenario": "integrators"}
    counts = [told(f"p2pload_{name}_total", here) for name in ("intended", "started", "late")]
    assert counts == [4, 3, 1]
    for basis, longest_s in (("actual", 0.3), ("intended", 0.32)):
        labels = {**here, "basis": basis}
        for bound, count in (("0.005", 1), ("0.25", 1), ("0.5", 2), ("60.0", 2), ("+Inf", 3)):
            assert told("p2pload_duration_seconds_bucket", {**labels, "le": bound}) == count
        assert told("p2pload_duration_seconds_count", labels) == 3
        assert told("p2pload_duration_seconds_sum", labels) == pytest.approx(90.004 + longest_s, rel=2e-3)


def test_a_scenario_has_its_series_before_its_first_event() -> None:
    told = LoadMetrics(lambda: {"integrators": Recording()}).registry.get_sample_value
    assert told("p2pload_late_total", {"scenario": "integrators"}) == 0
    assert told("p2pload_duration_seconds_count", {"scenario": "integrators", "basis": "actual"}) == 0


def handed(
    *, started: int = 1000, late: int = 0, dropped: int = 0, cpu: float = 0.5, whole: bool = True
) -> Handed:
    recording = Recording()
    for nth in range(started):
        recording.started(0.011 if nth < late else 0.01)
    for _ in range(dropped):
        recording.dropped()
    return recording.handed(cpu=cpu, whole=whole)


@pytest.mark.parametrize(
    ("parts", "reasons"),
    [
        ([handed(), handed()], []),
        ([handed(late=20), handed()], []),  # exactly 1 %
        ([handed(late=21), handed()], ["21 of 2000 were asked more than 10 ms late: 1% may be"]),
        ([handed(started=995, dropped=5), handed(started=995, dropped=5)], []),  # exactly 99.5 %
        (
            [handed(started=989, dropped=11), handed()],
            ["1989 of 2000 arrivals were asked: at least 99.5% must be"],
        ),
        (
            [handed(cpu=0.9), handed()],
            ["a worker used 90% of its core: below 90% is wanted; take more workers"],
        ),
        ([handed()], ["only 1 of 2 workers came to the end of their schedule"]),
        ([handed(), handed(whole=False)], ["only 1 of 2 workers came to the end of their schedule"]),
        ([handed(started=0), handed(started=0)], ["nothing was meant to be asked"]),
        ([], ["only 0 of 2 workers came to the end of their schedule", "nothing was meant to be asked"]),
    ],
)
def test_a_run_that_broke_a_rule_is_invalid(parts: list[Handed], reasons: list[str]) -> None:
    assert invalid_because(parts, workers=2) == reasons
