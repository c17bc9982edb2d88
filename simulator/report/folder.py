"""The folder of a run's report: each run has one of its own, and what is in it is never written over."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from errno import ENOTDIR
from itertools import count
from os import strerror
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

    A run that ends in an error leaves no folder that it made and wrote nothing into. Raises AlreadyTaken, OSError.
    """
    with ExitStack() as made:
        if named is None:
            made.enter_context(made_folder(Path("reports")))
            folder = _first_free(scenario, seed)
            made.enter_context(_unless_it_fails(folder))
        else:
            folder = made.enter_context(made_folder(named))
            _refuse_taken(folder)
        yield folder


@contextmanager
def made_folder(folder: Path) -> Iterator[Path]:
    """The folder and those above it; after an error those that were made here and are empty are gone again."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    with ExitStack() as made:
        for each in reversed(missing):
            each.mkdir(exist_ok=True)
            made.enter_context(_unless_it_fails(each))
        if not folder.is_dir():
            raise NotADirectoryError(ENOTDIR, strerror(ENOTDIR), str(folder))
        yield folder


@contextmanager
def _unless_it_fails(folder: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):  # something is in it
            folder.rmdir()
        raise


def _refuse_taken(folder: Path) -> None:
    found = next((name for name in FILES if (folder / name).exists()), None)
    if found is not None:
        raise AlreadyTaken(folder, found)


def _first_free(scenario: str, seed: int) -> Path:
    """Made in the same step, so that two runs at once have two."""
    for nth in count(1):
        folder = Path("reports") / (f"{scenario}-{seed}" if nth == 1 else f"{scenario}-{seed}.{nth}")
        with suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise AssertionError  # count never ends
