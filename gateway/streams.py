"""The standard streams of a command: closed, full, or left by their reader, none of them makes a traceback."""

import io
import os
import sys
from typing import Any, Final, TextIO

_STREAMS: Final = ("stdin", "stdout", "stderr")


class _Output(io.FileIO):
    """A stream that can't be written any more (a full disk, a reader who left) raises that once at most.

    Python tries again when it ends, and would complain and change the exit status.
    """

    def __init__(self, number: int, *, is_lossy: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self.is_stuck = False
        self._is_lossy = is_lossy

    def write(self, data: Any, /) -> int:
        if not self.is_stuck:
            try:
                return super().write(data)
            except OSError:
                self.is_stuck = True
                if not self._is_lossy:
                    raise
        return len(data)


def make_usable() -> None:
    """Gives the process three streams, whatever it was started with.

    A closed one leads nowhere; else the next file that is opened would get its number, and be written to. What is told
    on standard error is beside the work, and where it can't be written it is lost and nothing else.
    """
    for number, name in enumerate(_STREAMS):
        if getattr(sys, name) is None:
            _open_nowhere(number, name)
    sys.stdout = _output(sys.stdout, is_lossy=False)
    sys.stderr = _output(sys.stderr, is_lossy=True)


def output_is_stuck() -> bool:
    """Whether it was standard output that could not be written."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, _Output) and raw.is_stuck


def _open_nowhere(number: int, name: str) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)
    os.set_inheritable(number, True)
    setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w", encoding="utf-8", closefd=False))


def _output(stream: TextIO, *, is_lossy: bool) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):  # somebody else's, as in a test
        return stream
    stream.flush()
    raw = _Output(stream.fileno(), is_lossy=is_lossy)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
    )
