"""A whole bank: wall time, CPU and memory of rehearsals, and one seed's trace under two hash seeds.

    python -m benchmarks.rehearsal [--contacts 250000 1000000]
    python -m benchmarks.rehearsal --bare [--contacts 250000]      against the bare twin (bare_rehearsal.py)
    python -m benchmarks.rehearsal --small [--contacts 250000]     small worlds against a big one, in one run

Each run is a process of its own. The figures are kept in benchmarks/results/rehearsal.json, each kind of run its own.
CPU is that of all processes, PostgreSQL's included, but for `cpu_seconds`, which is the rehearsal's own.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.in_turns import be_reaper, children_s, reap

KEPT = Path(__file__).parent / "results" / "rehearsal.json"
COMMAND = Path(sys.executable).with_name("textbank")
BROKEN_RULE = 1  # the command's status when an invariant was violated: the figures count all the same
KEYS = (
    "contacts",
    "seed",
    "wall_seconds",
    "setup_seconds",
    "cpu_seconds",
    "peak_rss_bytes",
    "trace_hash",
    "verdict",
)
SMALL_WORLDS = {
    "20,000 contacts": ("election-day", 20_000),
    "small-town": ("small-town", 5_000),
    "an idle day": ("election-day", 1),
}
ROUNDS = 3  # of each small world


class Run(NamedTuple):
    """A process from its start to its end: seconds, and the JSON object that it printed."""

    wall_s: float
    cpu_s: float
    result: dict[str, Any]


def run(words: Sequence[object], hash_seed: str = "0") -> Run:
    """Carries out a command; raises SystemExit when it fails."""
    before_s, began_at = children_s(), time.perf_counter()
    root = str(Path(__file__).parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory(prefix="textbank-bench-") as folder:  # for its report
        done = subprocess.run(
            [str(word) for word in words],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    wall_s = time.perf_counter() - began_at
    reap()
    if done.returncode not in (0, BROKEN_RULE):
        raise SystemExit(f"{words} ended with status {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    return Run(wall_s, children_s() - before_s, found)


def rehearse(contacts: int, scenario: str = "election-day", hash_seed: str = "0") -> Run:
    """One rehearsal as the command does it; its result is the command's `--json` object."""
    return run([COMMAND, "rehearse", scenario, "--contacts", contacts, "--seed", 1, "--json"], hash_seed)


def figures(made: Run) -> dict[str, Any]:
    result = made.result
    requested = result["messages"]["requested"]
    return {
        **{key: result[key] for key in KEYS},
        "messages": requested,
        "cpu_us_per_message": round(1e6 * result["cpu_seconds"] / requested, 1),
        "cpu_seconds_of_all": round(made.cpu_s, 1),
        "violations": sum(result["invariants"].values()),
    }


def whole(counts: Sequence[int]) -> dict[str, Any]:
    runs = [figures(rehearse(count)) for count in counts]
    small = [rehearse(5_000, hash_seed=seed).result["trace_hash"] for seed in ("1", "2")]
    return {"machine": machine(), "runs": runs, "same_trace_under_two_hash_seeds": small[0] == small[1]}


def against_bare(contacts: int) -> dict[str, Any]:
    """The whole, then the bare twin of the same world, with set-up, from start to end."""
    play = [sys.executable, "-m", "benchmarks.bare_rehearsal"]
    with tempfile.TemporaryDirectory(prefix="textbank-tape-") as folder:
        tape = Path(folder) / "tape"
        run([*play, "tape", contacts, tape])
        all_of_it = rehearse(contacts)
        bare = run([*play, "play", contacts, tape])
        tape_bytes = tape.stat().st_size
    return {
        "machine": machine(),
        "contacts": contacts,
        "statements": bare.result["statements"],
        "same_events": bare.result["same_events"],
        "same_rows": bare.result["same_rows"],
        "tape_bytes": tape_bytes,
        "whole": seconds(all_of_it),
        "bare": seconds(bare),
        "whole_to_bare": {
            "wall": round(all_of_it.wall_s / bare.wall_s, 2),
            "cpu": round(all_of_it.cpu_s / bare.cpu_s, 2),
        },
    }


def small_worlds(contacts: int) -> dict[str, Any]:
    """Medians of small worlds, and what share of a big one's seconds each takes; the big one runs in their middle."""
    before = {name: [rehearse(count, scenario)] for name, (scenario, count) in SMALL_WORLDS.items()}
    big = rehearse(contacts)
    found = {}
    for name, (scenario, count) in SMALL_WORLDS.items():
        runs = [*before[name], *(rehearse(count, scenario) for _ in range(ROUNDS - 1))]
        wall_s, cpu_s = (median(getattr(each, what) for each in runs) for what in ("wall_s", "cpu_s"))
        found[name] = {
            "wall_seconds": round(wall_s, 2),
            "cpu_seconds_of_all": round(cpu_s, 2),
            "one_of_wall": round(big.wall_s / wall_s, 1),
            "one_of_cpu": round(big.cpu_s / cpu_s, 1),
        }
    return {"machine": machine(), "contacts": contacts, "big": seconds(big), "small": found}


def seconds(made: Run) -> dict[str, float]:
    return {"wall_seconds": round(made.wall_s, 2), "cpu_seconds_of_all": round(made.cpu_s, 2)}


def machine() -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }


def keep(found: Mapping[str, Any]) -> None:
    """Beside what other kinds of run have kept."""
    KEPT.parent.mkdir(exist_ok=True)
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    KEPT.write_text(json.dumps({**kept, **found}, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--contacts", type=int, nargs="+", default=[250_000])
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--bare", action="store_true")
    kind.add_argument("--small", action="store_true")
    asked = parser.parse_args()
    be_reaper()
    found: dict[str, Any]
    if asked.bare:
        found = {"bare": [against_bare(count) for count in asked.contacts]}
    elif asked.small:
        found = {"small_worlds": small_worlds(asked.contacts[0])}
    else:
        found = whole(asked.contacts)
    keep(found)
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
