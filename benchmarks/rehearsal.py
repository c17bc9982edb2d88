"""A whole bank: wall time, CPU and memory of rehearsals, and one seed's trace under two hash seeds.

    python -m benchmarks.rehearsal [--contacts 250000 1000000]

Each run is a process of its own. The figures are kept in benchmarks/results/rehearsal.json.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def rehearse(contacts: int, hash_seed: str = "0") -> dict[str, Any]:
    """One run of the default scenario as the command does it; its `--json` object."""
    done = subprocess.run(
        [COMMAND, "rehearse", "--contacts", str(contacts), "--json"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode not in (0, BROKEN_RULE):
        raise SystemExit(f"textbank rehearse ended with status {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def figures(result: dict[str, Any]) -> dict[str, Any]:
    requested = result["messages"]["requested"]
    kept = {key: result[key] for key in KEYS}
    violations = sum(result["invariants"].values())
    cpu_us = round(1e6 * result["cpu_seconds"] / requested, 1)
    return {**kept, "messages": requested, "cpu_us_per_message": cpu_us, "violations": violations}


def machine() -> dict[str, object]:
    return {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--contacts", type=int, nargs="+", default=[250_000])
    asked = parser.parse_args()
    runs = [figures(rehearse(count)) for count in asked.contacts]
    small = [rehearse(5_000, hash_seed)["trace_hash"] for hash_seed in ("1", "2")]
    report = {"machine": machine(), "runs": runs, "same_trace_under_two_hash_seeds": small[0] == small[1]}
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps(report, indent=2) + "\n")
    sys.stdout.write(KEPT.read_text())


if __name__ == "__main__":
    main()
