"""Temporary folders that outlive no process for long: what a kill -9 left is swept by whoever makes the next one.

A folder belongs to a process for as long as that holds the lock in it; the kernel lets go of the lock whatever the
process dies of, so nobody has to guess from process ids.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

LOCK: Final = ".in-use"


class TemporaryFolder:
    """A folder of our own in `place` (the system's temporary folder by default), gone at the end.

    A context manager; `close` can also be called by itself. Raises OSError when it can't be made. `before_sweeping` is
    told of each folder that a dead process left.
    """

    def __init__(
        self, prefix: str, place: Path | None = None, before_sweeping: Callable[[Path], None] | None = None
    ) -> None:
        place = place or Path(tempfile.gettempdir())
        sweep(place, prefix, before_sweeping)
        self._lock = -1
        # Its name is known before it is there: a signal may come at any step. No decision rests on it.
        self.path = place / f"{prefix}{os.urandom(8).hex()}"  # noqa: TID251
        try:
            self.path.mkdir(mode=0o700)
            self._lock = _locked_from_the_start(self.path)
        except FileExistsError:
            raise
        except BaseException:
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        """A signal may have come before anybody held it."""
        self.close()

    def close(self) -> None:
        """Removes the folder; done twice, it does nothing."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def sweep(place: Path, prefix: str, before: Callable[[Path], None] | None = None) -> None:
    """Removes the folders that dead processes left in `place`; `before` is told each first. Never raises."""
    for folder in place.glob(f"{prefix}*"):
        with _if_left(folder) as left:
            if left:
                if before is not None:
                    before(folder)
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _if_left(folder: Path) -> Iterator[bool]:
    """Whether nobody holds the folder's lock, which is then held until the end. Not ours: False."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        if os.fstat(lock).st_uid != os.geteuid():
            yield False
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
    finally:
        os.close(lock)


def _locked_from_the_start(folder: Path) -> int:
    """The lock gets its name when it is held, so that no sweeper finds it free."""
    unnamed = folder / f"{LOCK}.new"
    lock = os.open(unnamed, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    unnamed.rename(folder / LOCK)
    return lock
