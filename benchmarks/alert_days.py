"""Which alerts come on rehearsed days: healthy ones, and ones on which a fault of the model begins.

    python -m benchmarks.alert_days --healthy 200 --each-fault 20

A day is a bank of some 40 minutes, its people, carriers and luck drawn anew (benchmarks/alert_worlds.py). It is rehearsed
once, and its metrics are kept beside the results; promtool judges the committed rules over them, all days anew whenever a
rule has changed. A run that is broken off goes on where it was. Results are JSON, a day a line, in
benchmarks/results/alert_days.jsonl, from which docs/reference/alerts.md is made.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import yaml

from benchmarks.alert_worlds import HEALTHY, world
from benchmarks.recorded_days import FOLDER, path_of, record_some, wanted
from dashboards.generate import GENERATED
from dashboards.judging import NOT_JUDGED, Recorded, judge

KEPT: Final = Path(__file__).parent / "results" / "alert_days.jsonl"
_AT_ONCE: Final = 10
"""Days that promtool judges together."""


class Day(msgspec.Struct, frozen=True):
    """A judged day: when its fault began, and when each alert came first, in seconds since the bank began."""

    fault: str
    seed: int
    began_s: float
    alerts: dict[str, float]
    highest: dict[str, float] = {}  # what each alert compares with its limit


class Rules(msgspec.Struct, frozen=True):
    """By which rules the days were judged, and when."""

    rules: str
    judged: str


def rules_hash(folder: Path = GENERATED / "prometheus" / "rules") -> str:
    """Of all that decides when a judged alert comes: neither words nor links, nor alerts that no rehearsal judges."""
    rules = [
        {name: rule.get(name) for name in ("record", "alert", "expr", "for", "labels")}
        for path in sorted(folder.glob("*.yaml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if not NOT_JUDGED.fullmatch(rule.get("alert", ""))
    ]
    return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:12]


def kept(path: Path = KEPT) -> tuple[Rules, list[Day]]:
    """The days of the last runs, and which rules judged them."""
    if not path.exists():
        return Rules(rules_hash(), ""), []
    head, *lines = path.read_bytes().splitlines()
    days = [msgspec.json.decode(line, type=Day) for line in lines]
    return msgspec.json.decode(head, type=Rules), [_judged_only(day) for day in days]


def keep(days: Iterable[Day], path: Path = KEPT) -> None:
    """Writes them anew, in their order."""
    rules = Rules(rules_hash(), datetime.now(UTC).date().isoformat())
    ordered = sorted(days, key=lambda day: (day.fault != HEALTHY, day.fault, day.seed))
    half = path.with_suffix(".half")
    half.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in (rules, *ordered)))
    half.rename(path)


def _judged_only(day: Day) -> Day:
    """What a rehearsal says nothing about counts no more, whenever it was found out."""
    alerts = {name: at_s for name, at_s in day.alerts.items() if not NOT_JUDGED.fullmatch(name)}
    return msgspec.structs.replace(day, alerts=alerts)


def judged(some: Sequence[tuple[str, int]], folder: Path = FOLDER) -> Iterator[Day]:
    """Those days, which are recorded. Raises NotHere without promtool."""
    began_s = {each: world(*each).began_s for each in some}
    records = {
        f"{fault}-{seed}": Recorded(path_of(fault, seed, folder), began_s[fault, seed])
        for fault, seed in some
    }
    found = judge(records)
    for fault, seed in some:
        told = found[f"{fault}-{seed}"]
        highest = {name: round(value, 4) for name, value in sorted(told.highest.items())}
        yield Day(fault, seed, round(began_s[fault, seed], 1), dict(sorted(told.alerts.items())), highest)


def _record(todo: list[tuple[str, int]], jobs: int, ends_at: float) -> None:
    """In so many processes, each with a PostgreSQL of its own."""
    with ProcessPoolExecutor(jobs) as pool:
        parts = [pool.submit(record_some, todo[nth::jobs], ends_at) for nth in range(jobs)]
        for part in as_completed(parts):
            sys.stdout.write(f"recorded {part.result()} days\n")
            sys.stdout.flush()


def _judge(todo: list[tuple[str, int]], done: dict[tuple[str, int], Day], ends_at: float) -> None:
    """Batch after batch, each kept as it is done."""
    for nth in range(0, len(todo), _AT_ONCE):
        if time.monotonic() > ends_at:
            return
        for day in judged(todo[nth : nth + _AT_ONCE]):
            done[day.fault, day.seed] = day
            sys.stdout.write(f"{day.fault} {day.seed}: {day.alerts or 'nothing'}\n")
        keep(done.values())
        sys.stdout.flush()


def main() -> None:
    """Records what is not recorded yet, and judges what is not judged by these rules."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--healthy", type=int, default=200)
    parser.add_argument("--each-fault", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1, help="processes that rehearse days")
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no further day after these")
    parser.add_argument("--only-judge", action="store_true", help="the days that are recorded, and no more")
    given = parser.parse_args()
    ends_at = time.monotonic() + 60 * given.minutes
    every = list(wanted(given.healthy, given.each_fault))
    if not given.only_judge:
        _record([each for each in every if not path_of(*each).exists()], given.jobs, ends_at)
    rules, days = kept()
    done = {(day.fault, day.seed): day for day in days} if rules.rules == rules_hash() else {}
    there = [each for each in every if path_of(*each).exists() and each not in done]
    _judge(there, done, ends_at)


if __name__ == "__main__":
    main()
