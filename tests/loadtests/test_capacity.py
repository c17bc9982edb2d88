"""A step of the search is judged, and the tries and the ledger together give the answer and the exit status."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadtests.capacity import Capacity, concluded, judge, written
from loadtests.gauges import Sample
from loadtests.outcome import Outcome, PhaseFigures
from loadtests.plan import Size
from loadtests.recording import Recording
from loadtests.search import Judged, Search
from tests.loadtests.sample_run import OF_TEN

SIZE = Size(shape="step", contacts=2000, seconds=20.0, workers=2)
RIGHT = msgspec.structs.replace(OF_TEN, opt_outs=0)


def outcome(
    *, took_s: float = 0.01, late: int = 0, dropped: int = 0, failed: int = 0, **fields: Any
) -> Outcome:
    recording = Recording()
    for nth in range(100):
        recording.started(0.02 if nth < late else 0.0)
        recording.ended(since_intended_s=took_s, since_actual_s=took_s, blocked_s=0.0, ok=nth >= failed)
    for _ in range(dropped):
        recording.dropped()
    parts = [recording.handed(cpu=0.5, whole=True) for _ in range(2)]
    phase = PhaseFigures(name="all", from_s=0.0, to_s=20.0, open=Recording.merged(parts).figures())
    return Outcome(
        parts=parts,
        acknowledged=[],
        stopped_because="",
        lasted_s=20.0,
        routes=[],
        errors={},
        phases=[phase],
        **fields,
    )


@pytest.mark.parametrize(
    ("run", "waiting", "expected"),
    [
        (outcome(), 200, ("held", "")),
        (outcome(), 201, ("failed", "201 texts wait, more than two seconds' worth (200)")),
        (outcome(took_s=0.3), 0, ("failed", "p99 0.300 s of 0.25 s, 0 of 200 batches failed")),
        (outcome(failed=1), 0, ("failed", "p99 0.010 s of 0.25 s, 2 of 200 batches failed")),
        (
            outcome(dropped=3),
            0,
            ("failed", "6 batches were not asked, for as many as may be were under way"),
        ),
        (outcome(late=2), 0, ("invalid", "4 of 200 were asked more than 10 ms late: 1% may be")),
        (
            outcome(late=2, took_s=0.3),
            900,
            ("invalid", "4 of 200 were asked more than 10 ms late: 1% may be"),
        ),
    ],
)
def test_a_step_is_judged(run: Outcome, waiting: int, expected: tuple[Judged, str]) -> None:
    assert judge(run, SIZE, waiting) == expected


def searched(*says: Judged) -> Search:
    search = Search(100.0, repeats=1, precision=1.5)
    for judged in says:
        search.told(judged, "" if judged == "held" else "late")
    return search


FULL = outcome(samples=[Sample(at_s=5.0, full={"door": 0.2, "cpu": 0.97}, queued=0, oldest_s=0, memory_mb=1)])
FREE = outcome(samples=[Sample(at_s=5.0, full={"door": 1.0, "cpu": 0.1}, queued=0, oldest_s=0, memory_mb=1)])


@pytest.mark.parametrize(
    ("search", "runs", "wrong", "status", "why"),
    [
        (
            searched("held", "failed", "held"),
            [FREE, FULL, FREE],
            0,
            0,
            "141 texts a second hold (between 141 and 200). Beyond, cpu is full first at 97%.",
        ),
        (
            searched("held", "invalid", "invalid"),
            [FREE, FREE, FREE],
            0,
            3,
            "200 texts a second can't be judged: late; 100 hold.",
        ),
        (
            searched(*["failed"] * 8),
            [FULL] * 8,
            0,
            3,
            "Not even 0.8 texts a second hold: late.",
        ),
        (
            searched("held", "failed", "held"),
            [FREE, FULL, FREE],
            1,
            1,
            "In 1 of 3 steps a text was lost, came twice, after STOP or outside lawful hours.",
        ),
    ],
)
def test_the_answer_and_its_status(
    search: Search, runs: list[Outcome], wrong: int, status: int, why: str, tmp_path: Path
) -> None:
    verdicts = [msgspec.structs.replace(RIGHT, lost=int(nth < wrong)) for nth in range(len(runs))]
    found = concluded(search, runs, verdicts, "textbank load capacity")
    assert (found.exit_status, found.why) == (status, why)
    assert msgspec.json.decode(written(found, tmp_path).read_bytes(), type=Capacity) == found
