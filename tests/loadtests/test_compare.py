"""`textbank load compare`: what is better, worse or noise, and what can't be compared."""

from itertools import permutations
from pathlib import Path

import msgspec
import numpy as np
import pytest

from loadtests.plan import Size
from loadtests.reading.compare import NoRuns, told
from loadtests.reading.compare_command import CANT_TELL, compare
from loadtests.reading.differences import compared, interval_rank
from loadtests.report import Report
from tests.loadtests.sample_run import SECONDS, report

BASE = report()


def run(*, times_as_slow: float = 1.0, **changes: object) -> Report:
    curves = {
        name: [(percent, took * times_as_slow) for percent, took in points]
        for name, points in BASE.curves.items()
    }
    return msgspec.structs.replace(BASE, **{"curves": curves, **changes})


def runs(folder: Path, name: str, *found: Report | bytes) -> str:
    for nth, each in enumerate(found):
        (folder / name / str(nth)).mkdir(parents=True)
        content = each if isinstance(each, bytes) else msgspec.json.encode(each)
        (folder / name / str(nth) / "load.json").write_bytes(content)
    return str(folder / name)


def command(*words: str) -> int:
    with compare.make_context("compare", list(words)) as context:
        status: int = compare.invoke(context)
        return status


SLOWNESS = (1.0, 1.02, 0.98)


@pytest.mark.parametrize(
    ("factor", "word", "status"), [(2.0, "worse", 1), (0.5, "better", 0), (1.001, "noise", 0)]
)
def test_a_change_is_told_with_its_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], factor: float, word: str, status: int
) -> None:
    a = runs(tmp_path, "a", *(run(times_as_slow=each) for each in SLOWNESS))
    b = runs(tmp_path, "b", *(run(times_as_slow=each * factor) for each in SLOWNESS))
    assert command(a, b, "--json") == status
    found = {each["figure"]: each for each in msgspec.json.decode(capsys.readouterr().out)["differences"]}
    p99 = found["batch p99"]
    assert p99["word"] == word
    assert p99["change"] == pytest.approx(factor - 1, abs=0.01)
    assert p99["low"] < p99["change"] < p99["high"]
    assert found["texts a second"]["word"] == "noise"
    assert (found["finished in New York"]["unit"], found["batches that failed"]["relative"]) == ("s", False)


def test_more_texts_a_second_are_better(tmp_path: Path) -> None:
    def carrying(factor: float) -> Report:
        return run(lasted_s=SECONDS / factor)

    a, b = ([carrying(each * factor) for each in SLOWNESS] for factor in (1.0, 1.5))
    assert (
        next(each for each in compared(a, b).differences if each.figure == "texts a second").word == "better"
    )
    table = told(compared(a, b)).splitlines()
    assert max(map(len, table)) <= 80
    assert table[1].startswith("texts a second")
    assert table[1].endswith("better")


@pytest.mark.parametrize(("runs_a", "runs_b"), [(3, 3), (3, 5), (4, 4), (5, 5)])
def test_the_interval_has_the_confidence_that_it_says(runs_a: int, runs_b: int) -> None:
    """Over all orders in which so many runs of the same thing can come."""
    rank, confidence = interval_rank(runs_a, runs_b)
    orders = {tuple(sorted(each[:runs_a])) for each in permutations(range(runs_a + runs_b), runs_a)}
    inside = 0
    for a in orders:
        b = [each for each in range(runs_a + runs_b) if each not in a]
        pairs = sorted(y - x for x in a for y in b)
        inside += pairs[rank - 1] < 0 < pairs[-rank]
    assert inside / len(orders) == pytest.approx(confidence)
    assert confidence >= (0.9 if min(runs_a, runs_b) == 3 else 0.95)


def test_nothing_changed_is_noise_as_often_as_is_said() -> None:
    """A thousand comparisons of runs whose slowness is drawn from one distribution."""
    luck, beyond = np.random.default_rng(5), 0
    rank, _ = interval_rank(3, 3)
    for _ in range(1000):
        a, b = luck.lognormal(0, 0.2, 3), luck.lognormal(0, 0.2, 3)
        pairs = np.sort(np.log(b)[:, None] - np.log(a)).ravel()
        pairs.sort()
        beyond += not pairs[rank - 1] <= 0 <= pairs[-rank]
    assert 60 <= beyond <= 140


def test_less_than_three_runs_can_t_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = runs(tmp_path, "a", *(run(times_as_slow=each) for each in SLOWNESS))
    assert command(a, f"{a}/0/load.json,{a}/1") == CANT_TELL
    assert "A has 3 and B has 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (b"", "is no report of a load test"),
        (b"[]", "has format None"),
        (b'{"format": 99}', "has format 99, and this Textbank reads 1"),
        (b'{"format": 1}', "is no report of a load test"),
        (run(size=Size(contacts=7)), "another plan than .*: contacts is 7, not 20000"),
        (run(verdict="invalid", invalid=["a worker was lost"]), "an invalid run.*: a worker was lost"),
    ],
)
def test_what_can_t_be_compared_is_told_in_one_line(tmp_path: Path, other: Report | bytes, said: str) -> None:
    a, b = runs(tmp_path, "a", run(), run(), run()), runs(tmp_path, "b", run(), other, run())
    with pytest.raises(NoRuns, match=said) as raised:
        command(a, b)
    assert "\n" not in str(raised.value)
    assert raised.value.textbank_exit_status == 2


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoRuns, match=r"there is no load\.json in it"):
        command(str(tmp_path), str(tmp_path))
