"""The bare twin at toy size: it has the whole's events and rows, and would not without what is on the tape."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.tape_of_rehearsal import Block, Bought, Sent, entries

ROOT = Path(__file__).parents[2]
CONTACTS = 150


def carry_out(what: str, tape: Path) -> dict[str, object]:
    command = [sys.executable, "-m", "benchmarks.bare_rehearsal", what, str(CONTACTS), str(tape)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout else {}


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tape") / "tape"
    assert carry_out("tape", path) == {}
    return path


def test_played_it_is_the_same_without_a_gateway(tape: Path):
    found = carry_out("play", tape)
    written = [entry for entry in entries(tape) if isinstance(entry, Block)]
    assert found["same_events"]
    assert found["same_rows"]
    assert found["statements"] == sum(len(block.asked) for block in written) > 100
    assert sum(isinstance(entry, Sent) for entry in entries(tape)) >= CONTACTS / 2


@pytest.mark.parametrize(
    ("left_out", "events", "rows"),
    [
        (lambda entry: isinstance(entry, Sent), False, True),
        (lambda entry: isinstance(entry, Bought), False, True),
        (lambda entry: isinstance(entry, Block) and "INSERT INTO messages" in entry.asked[0][1], True, False),
    ],
    ids=["texts", "purchases", "admissions"],
)
def test_what_is_left_out_is_noticed(
    tape: Path, tmp_path: Path, left_out: Callable[[object], bool], events: bool, rows: bool
):
    cut = tmp_path / "cut"
    with cut.open("wb") as file:
        for entry in entries(tape):
            if not left_out(entry):
                pickle.dump(entry, file)
    found = carry_out("play", cut)
    assert (found["same_events"], found["same_rows"]) == (events, rows)
