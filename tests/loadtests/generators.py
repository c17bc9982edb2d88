"""An open and a closed generator as a process of its own, where gevent may be: `python -m … open|closed URL RATE FOR_S`.

It prints one JSON object: what was recorded, and why it is invalid. The closed one is what load generators do without
further thought: a few users, each of which asks, waits for the answer, and asks again at its own pace.
"""

import sys
import time
from collections import Counter

import gevent
import msgspec

from loadtests.asking import Asker
from loadtests.pacer import Pacer
from loadtests.recording import Recording, invalid_because
from loadtests.schedule import poisson
from loadtests.targets import target

CLOSED_USERS = 10


def open_model(asker: Asker, rate_per_s: float, for_s: float) -> dict[str, object]:
    pacer = Pacer(poisson(rate_per_s, for_s, seed=1), lambda: asker.good("GET", "/"))
    pacer.run(time.perf_counter() + 0.1)
    part = pacer.handed()
    return {**pacer.recording.figures(), "invalid": invalid_because([part], 1), "part": part}


def closed_model(asker: Asker, rate_per_s: float, for_s: float) -> dict[str, object]:
    recording, ends_at = Recording(), time.perf_counter() + for_s
    milliseconds: Counter[int] = Counter()

    def user() -> None:
        while (began := time.perf_counter()) < ends_at:
            recording.started(0.0)
            asker.good("GET", "/")
            took_s = time.perf_counter() - began
            recording.ended(since_intended_s=took_s, since_actual_s=took_s, blocked_s=0.0, ok=True)
            milliseconds[round(took_s * 1000)] += 1
            gevent.sleep(max(0.0, CLOSED_USERS / rate_per_s - took_s))

    gevent.joinall([gevent.spawn(user) for _ in range(CLOSED_USERS)], raise_error=True)
    return {**recording.figures(), "milliseconds": {str(ms): milliseconds[ms] for ms in sorted(milliseconds)}}


if __name__ == "__main__":
    _, model, url, rate, lasts = sys.argv
    run = open_model if model == "open" else closed_model
    print(msgspec.json.encode(run(Asker(target(url)), float(rate), float(lasts))).decode())  # noqa: T201
