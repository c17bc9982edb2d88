"""What a run answers to its shape's question, and what did not happen in it."""

from typing import Any

import msgspec
import pytest

from loadtests.answers import answer, came_back_s, holds, is_well, unmet
from loadtests.gauges import Gauges, Sample, fullest
from loadtests.ledger import Verdict
from loadtests.outcome import Happened, Outcome, PhaseFigures
from loadtests.plan import Plan, Size
from loadtests.shapes import BY_NAME
from loadtests.timeline import Step, Timeline, steps
from tests.loadtests.sample_run import OF_TEN

RIGHT = OF_TEN


def plan(shape: str) -> Plan:
    return Plan(
        url="",
        key="",
        campaign_id=1,
        action_id=1,
        tag_id=1,
        code="",
        integrated_ids=[],
        size=Size(shape=shape, seconds=100.0),
        outcome="",
    )


def phase(name: str, p99_s: float, *, started: int = 100, failed: int = 0) -> PhaseFigures:
    seconds = {"since_intended": {"p99": p99_s}}
    return PhaseFigures(
        name=name,
        from_s=0.0,
        to_s=10.0,
        open={"intended": started, "started": started, "failed": failed, "seconds": seconds},
    )


def step(at_s: float, took_s: float, *, failed: int = 0, arrivals: int = 10) -> Step:
    timeline = Timeline()
    for nth in range(arrivals):
        timeline.started(at_s, 0.0)
        timeline.ended(at_s, since_intended_s=took_s, since_actual_s=took_s, blocked_s=0.0, ok=nth >= failed)
    return steps([timeline.rows], 1.0)[0]


def outcome(**fields: Any) -> Outcome:
    nothing = Outcome(parts=[], acknowledged=[], stopped_because="", lasted_s=100.0, routes=[], errors={})
    return msgspec.structs.replace(nothing, **fields)


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        (phase("a", 0.25), True),
        (phase("a", 0.26), False),
        (phase("a", 0.1, started=1000, failed=1), True),
        (phase("a", 0.1, started=1000, failed=2), False),
        (phase("a", 0.1, started=0), False),
    ],
)
def test_a_phase_holds_when_both_objectives_are_met(figures: PhaseFigures, expected: bool) -> None:
    assert holds(figures) is expected


@pytest.mark.parametrize(
    ("took_s", "failed", "expected"),
    [(0.25, 0, True), (0.251, 0, False), (70.0, 0, False), (0.01, 1, False), (0.01, 0, True)],
)
def test_a_step_is_well_by_its_buckets(took_s: float, failed: int, expected: bool) -> None:
    assert is_well(step(3.0, took_s, failed=failed)) is expected


@pytest.mark.parametrize(
    ("slow", "expected"),
    [
        ((), 0.0),
        ((10, 11, 12), 3.0),
        ((10, 14), 5.0),
        ((10, 11, 17), None),  # it had no five seconds to show that it stays
        ((5, 6), 0.0),  # before the end of what was done to it
    ],
)
def test_it_has_come_back_when_it_stays_well(slow: tuple[int, ...], expected: float | None) -> None:
    line = [step(float(at), 0.5 if at in slow else 0.01) for at in range(20)]
    assert came_back_s(line, 10.0) == expected


@pytest.mark.parametrize(
    ("shape", "run", "verdict", "said"),
    [
        ("smoke", outcome(), RIGHT, []),
        ("stop-wave", outcome(), RIGHT, []),
        (
            "stop-wave",
            outcome(),
            msgspec.structs.replace(RIGHT, opt_outs=0),
            ["nobody answered STOP: take more contacts"],
        ),
        ("recovery", outcome(), RIGHT, ["the outage did not begin"]),
        ("recovery", outcome(events=[Happened(kind="outage", at_s=1, lasts_s=1)]), RIGHT, []),
        (
            "receipt-storm",
            outcome(events=[Happened(kind="receipt_storm", at_s=1, lasts_s=1, refused="404: no")]),
            RIGHT,
            ["the carrier did not start the receipt storm: 404: no"],
        ),
        ("window-end", outcome(), msgspec.structs.replace(RIGHT, unsent=5), []),
        (
            "window-end",
            outcome(),
            RIGHT,
            ["nothing was left when the hours ended: take more contacts, or fewer --seconds"],
        ),
        ("overload", outcome(phases=[phase("before", 0.1), phase("during", 2.0)]), RIGHT, []),
        (
            "overload",
            outcome(phases=[phase("before", 0.1), phase("during", 0.1)]),
            RIGHT,
            ["it was not too much: take more contacts, or fewer --seconds"],
        ),
    ],
)
def test_what_did_not_happen_makes_a_run_invalid(
    shape: str, run: Outcome, verdict: Verdict, said: list[str]
) -> None:
    assert unmet(BY_NAME[shape], run, verdict) == said


def sample(at_s: float, *, queued: float = 0.0, memory_mb: float = 100.0, **full: float) -> Sample:
    return Sample(at_s=at_s, full=full, queued=queued, oldest_s=0.0, memory_mb=memory_mb)


@pytest.mark.parametrize(
    ("shape", "run", "said"),
    [
        ("election-day", outcome(), "Everybody was texted in 100 s: 0 texts a second."),
        (
            "steps",
            outcome(phases=[phase("step 1", 0.1), phase("step 2", 0.2), phase("step 3", 0.4)]),
            "100 texts a second hold (step 2 of 3): 99 in 100 batches were accepted within 0.200 s.",
        ),
        (
            "steps",
            outcome(phases=[phase("step 1", 0.4), phase("step 2", 0.1)]),
            "Not even the first step holds.",
        ),
        (
            "ramp",
            outcome(steps=[step(float(at), 0.5 if at in (3, 7, 8, 9) else 0.01) for at in range(12)]),
            "The knee is 7 s in, at 100 texts a second.",
        ),
        ("ramp", outcome(steps=[step(1.0, 0.01)]), "There was no knee: every rate of the ramp holds."),
        (
            "recovery",
            outcome(
                steps=[step(float(at), 0.5 if 30 <= at < 53 else 0.01) for at in range(100)],
                events=[Happened(kind="outage", at_s=30.0, lasts_s=20.0)],
                samples=[sample(float(at), queued=900.0 if 31 <= at < 61 else 5.0) for at in range(100)],
            ),
            "After the outage batches were accepted as before: 3 s after it. The queue was as short as before 11 s after it.",
        ),
        (
            "overload",
            outcome(phases=[phase("before", 0.1), phase("during", 2.0)]),
            "After the overload batches were accepted as before: never. The queue is not known.",
        ),
        (
            "soak",
            outcome(
                phases=[phase("first half", 0.1), phase("second half", 0.2)],
                samples=[sample(float(at), memory_mb=100.0 if at < 50 else 120.0) for at in range(100)],
            ),
            (
                "99 in 100 batches were accepted within 0.100 and 0.200 s in the first half and the second;"
                " the gateway's memory: 100 to 120 MB."
            ),
        ),
    ],
)
def test_a_run_answers_its_question(shape: str, run: Outcome, said: str) -> None:
    assert answer(plan(shape), run, msgspec.structs.replace(RIGHT, handed_over=0)) == said


def test_what_is_full_is_read_from_the_gateways_metrics() -> None:
    gauges = Gauges(None)
    for nth in range(3):
        gauges.look(
            'p2p_saturation_ratio{resource="door"} 0.95\n'
            'p2p_saturation_ratio{resource="campaign_rate"} 1.0\n'
            'p2p_queue_messages{lane="initial",carrier="att"} 7\n'
            'p2p_queue_messages{lane="reply",carrier="att"} 2\n'
            'p2p_build_info{version="1",commit="abc"} 1\n'
            f"process_cpu_seconds_total {nth * 0.4}\n"
            "process_open_fds 10\nprocess_max_fds 100\nprocess_resident_memory_bytes 5e7\nsomething_else 1\n",
            float(nth),
        )
    assert gauges.build == {"version": "1", "commit": "abc"}
    assert (gauges.samples[-1].queued, gauges.samples[-1].memory_mb) == (9.0, 50.0)
    assert fullest(gauges.samples, 1.0) == [("door", 0.95), ("cpu", 0.4), ("open_files", 0.1)]
