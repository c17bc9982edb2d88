"""What metrics cost: a message's counting, on against off, and a scrape of a worker that has counted a whole bank.

    python -m benchmarks.metrics [--contacts 20000] [--rounds 5]

Each run is a rehearsal in a process of its own, by its own processor time: no HTTP and no provider stand around the
counting, so its share is larger than in production. "off": nobody counts, the calls of `gateway.metrics` do nothing. The
two take turns; the median of the rounds' ratios is told. Then that bank's registry is scraped as /metrics does it, in a
thread, while an event loop is busy: how long a scrape takes, and how late the loop's steps are with and without scrapes.
Kept in benchmarks/results/metrics.json.
"""

import asyncio
import json
import subprocess
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import gateway.app
from benchmarks.kept import keep
from gateway.metrics import Metrics
from simulator import rehearse

KEPT = Path(__file__).parent / "results" / "metrics.json"
_SCRAPES = 50
_EVERY_S = 0.1
_STEP_S = 0.001
_made: list[Metrics] = []


class _Kept(Metrics):
    """Metrics of which this benchmark knows afterwards."""

    def __init__(self) -> None:
        super().__init__()
        _made.append(self)


def switch_off() -> None:
    """Of everything that counts nothing is left but the call."""
    for name, what in vars(Metrics).items():
        if callable(what) and not name.startswith("_") and name != "exposition":
            setattr(Metrics, name, _nothing)


def _nothing(*_args: object, **_named: object) -> None:
    pass


def one_run(how: str, contacts: int) -> dict[str, Any]:
    """In this process: processor seconds of a rehearsal, and with `how` "on" what a scrape takes afterwards."""
    gateway.app.Metrics = _Kept  # type: ignore[misc]
    if how == "off":
        switch_off()
    began_s = time.process_time()
    rehearse(contacts=contacts)
    told: dict[str, Any] = {"cpu_s": time.process_time() - began_s}
    return told | asyncio.run(scraped(_made[-1])) if how == "on" else told


async def scraped(metrics: Metrics) -> dict[str, float]:
    """Milliseconds of a scrape, and of the busy loop's lateness at the 99th percentile, with and without scrapes."""
    quiet_ms = await _lateness_ms(_SCRAPES * _EVERY_S)
    took: list[float] = []
    scraping = asyncio.create_task(_scrape(metrics, took))
    busy_ms = await _lateness_ms(_SCRAPES * _EVERY_S)
    await scraping
    lines = metrics.exposition().decode().splitlines()
    return {
        "series": sum(not line.startswith("#") for line in lines),
        "scrape_ms": median(took),
        "scrape_longest_ms": max(took),
        "loop_p99_ms": quiet_ms,
        "loop_p99_ms_scraped": busy_ms,
    }


async def _scrape(metrics: Metrics, took: list[float]) -> None:
    for _ in range(_SCRAPES):
        began_s = time.perf_counter()
        await asyncio.to_thread(metrics.exposition)
        took.append((time.perf_counter() - began_s) * 1000)
        await asyncio.sleep(_EVERY_S)


async def _lateness_ms(for_s: float) -> float:
    """Of steps of a millisecond, of which each works for a third of it."""
    late: list[float] = []
    ends_at = time.perf_counter() + for_s
    while (began := time.perf_counter()) < ends_at:
        await asyncio.sleep(_STEP_S)
        late.append((time.perf_counter() - began - _STEP_S) * 1000)
        while time.perf_counter() < began + _STEP_S * 4 / 3:
            pass
    return quantiles(late, n=100)[98]


def told_by(how: str, contacts: int) -> dict[str, Any]:
    words = (sys.executable, "-m", "benchmarks.metrics", "--contacts", str(contacts), "--only", how)
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("on", "off"), help="one run, told as JSON")
    given = parser.parse_args()
    if given.only:
        print(json.dumps(one_run(given.only, given.contacts)))  # noqa: T201
        return
    ratios, last = [], {}
    for nth in range(given.rounds):
        order = ("on", "off") if nth % 2 else ("off", "on")
        round_ = {how: told_by(how, given.contacts) for how in order}
        last = round_["on"]
        ratios.append(last["cpu_s"] / round_["off"]["cpu_s"])
        print(f"on {last['cpu_s']:.2f} s, off {round_['off']['cpu_s']:.2f} s: {ratios[-1]:.3f}")  # noqa: T201
    print(f"median ratio {median(ratios):.3f}; {last}")  # noqa: T201
    keep(KEPT, contacts=given.contacts, ratios=ratios, median_ratio=median(ratios), last=last)


if __name__ == "__main__":
    main()
