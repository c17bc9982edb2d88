"""Real time and memory of this process: the one place of the simulator that looks at the wall."""

import resource
import time


class Stopwatch:
    """Wall and CPU seconds since it was made."""

    def __init__(self) -> None:
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    def wall_s(self) -> float:
        return time.perf_counter() - self._wall

    def cpu_s(self) -> float:
        """CPU seconds of this process, all its threads, without its children."""
        return time.process_time() - self._cpu


def peak_rss_bytes() -> int:
    """The most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
