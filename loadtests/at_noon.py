"""The `textbank` command at another time of day: `python -m loadtests.at_noon SHIFT_S COMMAND …`.

The lawful hours hold for a load test too, and it should run at night. All processes of a test get the same shift.
"""

import runpy
import sys
import time
from datetime import datetime
from typing import Final

NOON: Final = datetime.fromisoformat("2026-11-03T12:00:00-05:00").timestamp()
"""Election day, a Tuesday, in New York."""


def shift_s() -> float:
    """By how much the clock is moved for it to be noon now."""
    return NOON - time.time()


if __name__ == "__main__":
    _moved_s, _time = float(sys.argv.pop(1)), time.time
    time.time = lambda: _time() + _moved_s
    runpy.run_module("gateway", run_name="__main__", alter_sys=True)
