"""How a signal ends a rehearsal: its PostgreSQL and its folder go with it, whatever it was in the middle of.

Not through SIGINT, which a shell without job control ignores for its background jobs: there SIGTERM would do nothing.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Final

from gateway.store.embedded import end_throwaways
from simulator.rehearsal import loop

_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)
_ENDS_WITHIN_S: Final = 10


class Ended(BaseException):
    """Raised where the run stands outside its world: while PostgreSQL starts, or the report is written."""


class _Ending:
    """The first signal ends the run as it should end; a second one, or ten seconds, ends it where it stands."""

    def __init__(self) -> None:
        self.number: signal.Signals | None = None

    def taken(self, number: int, _: FrameType | None) -> None:
        if self.number is not None:
            end_throwaways()
            os._exit(self.status)
        self.number = signal.Signals(number)
        signal.signal(signal.SIGALRM, self.taken)
        signal.alarm(_ENDS_WITHIN_S)
        if not loop.interrupt():
            raise Ended

    @property
    def status(self) -> int:
        """As the shell has it: 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + (self.number or 0)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP leave by SystemExit with the shell's status; one that is ignored (nohup) stays so."""
    if threading.current_thread() is not threading.main_thread():  # only there a handler may be set
        yield
        return
    ending = _Ending()
    with ExitStack() as before:
        for number in (*_ENDING, signal.SIGALRM):
            was = signal.getsignal(number)
            if was is not signal.SIG_IGN:
                before.callback(signal.signal, number, was)
                if number in _ENDING:
                    signal.signal(number, ending.taken)
        try:
            yield
        except (asyncio.CancelledError, Ended):
            if ending.number is None:
                raise
            raise SystemExit(ending.status) from None
        finally:
            signal.alarm(0)
