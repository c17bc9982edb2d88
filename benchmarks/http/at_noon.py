"""`textbank`, but at noon: the same command with the time of day moved to 12:00 in New York on election day.

    python -m benchmarks.http.at_noon serve --port 8800 …

The lawful hours hold for a benchmark too, and it should give the same figures at night. Processes of one house share
its noon, so that one that is started later doesn't find texts in the queue that are due in its future.
"""

import os
import time

NOON = 1_793_725_200.0  # 2026-11-03, 12:00 in New York: a Tuesday
# Environment: the time of day that counts as noon; without it, the process's start.
NOON_WAS_AT = "BENCHMARK_NOON_WAS_AT"

if __name__ == "__main__":
    _time = time.time
    _offset_s = NOON - float(os.environ.get(NOON_WAS_AT, _time()))
    time.time = lambda: _time() + _offset_s

    from gateway.cli import main

    main()
