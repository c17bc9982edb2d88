"""The live display: what it says, how often, and what it keeps for the report."""

from io import StringIO
from itertools import pairwise

import pytest

from simulator.rehearsal.progress import Progress
from tests.simulator.sample_rehearsal import snapshot

ZONE = "America/New_York"


def lines(snapshots, *, terminal: bool = False) -> list[str]:
    stream = StringIO()
    with Progress("Election day", ZONE, stream, terminal=terminal) as progress:
        for each in snapshots:
            progress(each)
    return stream.getvalue().splitlines()


def test_a_line_names_everything() -> None:
    line = lines([snapshot(virtual_s=11_250.0, wall_s=10.0)])[-1]
    assert line.startswith("Tue 12:07:30   25%  ")
    for part in (
        "sent 100", "delivered 90", "filtered 2", "blocked 5", "waiting 15", "replies 7", "asked to leave 3",
        "10 messages/s", "ETA 30 s",
    ):  # fmt: skip
        assert part in line


def test_a_pipe_gets_one_line_every_five_seconds_and_the_last() -> None:
    snapshots = [snapshot(virtual_s=n * 100.0, wall_s=n / 10) for n in range(201)]  # 20 seconds
    assert len(lines(snapshots)) == 1 + 5 + 1


def test_a_terminal_is_redrawn_at_most_four_times_a_second() -> None:
    snapshots = [snapshot(virtual_s=n * 100.0, wall_s=n / 100) for n in range(201)]  # 2 seconds
    drawn = sum("virtual clock" in line for line in lines(snapshots, terminal=True))
    assert 8 <= drawn <= 10


def test_a_panel_shows_the_clock_and_the_counts() -> None:
    text = "\n".join(lines([snapshot(virtual_s=11_250.0, wall_s=10.0)], terminal=True))
    assert "12:07:30" in text
    assert "messages per second" in text
    assert "Election day" in text


@pytest.mark.parametrize(
    ("virtual_s", "wall_s", "text"),
    [
        (1.0, 1.0, "ETA unknown yet"),
        (450.0, 2.0, "ETA 3 min 18 s"),
        (45_000.0, 61.0, "done in 1 min 01 s"),
        (45_100.0, 61.0, "100%"),
    ],
)
def test_the_end_is_estimated_from_the_past(virtual_s: float, wall_s: float, text: str) -> None:
    assert text in lines([snapshot(virtual_s=virtual_s, wall_s=wall_s)])[-1]


def test_the_pace_is_that_of_the_last_seconds() -> None:
    snapshots = [snapshot(virtual_s=n * 10.0, wall_s=float(n), sent=max(0, n - 20) * 50) for n in range(41)]
    shown = lines(snapshots)
    assert "50 messages/s" in shown[-2]
    assert "25 messages/s" in shown[-1]  # the last line has the whole run's


def test_history_is_thinned_but_spans_the_run() -> None:
    with Progress("Election day", ZONE, StringIO()) as progress:
        for n in range(1200):
            progress(snapshot(virtual_s=float(n), wall_s=n / 1000))
    times = [each.virtual_s for each in progress.history]
    assert 150 <= len(times) <= 400
    assert times[0] == 0.0
    assert times[-1] > 1100
    assert len({b - a for a, b in pairwise(times)}) == 1


def test_an_error_leaves_no_last_line() -> None:
    stream = StringIO()
    progress = Progress("Election day", ZONE, stream)

    def broken_run() -> None:
        with progress:
            progress(snapshot(wall_s=1.0))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken_run()
    assert len(stream.getvalue().splitlines()) == 2
