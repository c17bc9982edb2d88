"""The `textbank` command at another time of day: `python -m tests.end_to_end.moved_clock SHIFT_S COMMAND …`.

The law closes its windows at night, and tests run at any hour: every process of a town gets the same shift.
"""

import sys
import time


def main() -> None:
    shift_s = float(sys.argv.pop(1))
    real_time = time.time
    time.time = lambda: real_time() + shift_s
    from gateway.cli import main as textbank

    textbank()


if __name__ == "__main__":
    main()
