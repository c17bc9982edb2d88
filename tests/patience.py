"""What would never end is an error."""

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def no_longer_than(real_s: float, why: str) -> Iterator[None]:
    """Raises TimeoutError in whatever runs then, a pattern that is being matched included."""

    def give_up(_number: int, _frame: object) -> None:
        raise TimeoutError(why)

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, real_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
