"""`textbank`, but at noon: the same command with the time of day moved to 12:00 in New York on election day.

    python -m benchmarks.http.at_noon serve --port 8800 …

The lawful hours hold for a benchmark too, and it should give the same figures at night.
"""

import time

NOON = 1_793_725_200.0  # 2026-11-03, 12:00 in New York: a Tuesday

_time = time.time
_offset_s = NOON - _time()
time.time = lambda: _time() + _offset_s

if __name__ == "__main__":
    from gateway.cli import main

    main()
