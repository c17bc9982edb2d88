"""The folder of a run's report: each run has one of its own, and what is in it is never written over."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

FILES = ("report.html", "report.json", "violations.txt", "rejects.csv")


class AlreadyTaken(ValueError):
    """The folder that was named has another run's report."""

    textbank_exit_status = 2

    def __init__(self, folder: Path, found: str) -> None:
        super().__init__(f"there is a report already: {folder / found}; name another folder")


@contextmanager
def own_folder(named: Path | None, scenario: str, seed: int) -> Iterator[Path]:
    """The folder that was named, else the first free one of reports/SCENARIO-SEED, .2, .3 and so on.

    A run that ends in an error leaves no empty folder. Raises AlreadyTaken, OSError.
    """
    folder = _first_free(scenario, seed) if named is None else _as_named(named)
    try:
        yield folder
    except BaseException:
        with suppress(OSError):  # something is in it, or it is somewhere else's
            folder.rmdir()
        raise


def _as_named(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    found = next((name for name in FILES if (folder / name).exists()), None)
    if found is not None:
        raise AlreadyTaken(folder, found)
    return folder


def _first_free(scenario: str, seed: int) -> Path:
    """Made in the same step, so that two runs at once have two."""
    for nth in count(1):
        folder = Path("reports") / (f"{scenario}-{seed}" if nth == 1 else f"{scenario}-{seed}.{nth}")
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise AssertionError  # count never ends
