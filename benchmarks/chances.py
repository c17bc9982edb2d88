"""How often each rule could have been broken, in the default run of every shipped scenario.

    python -m benchmarks.chances [SCENARIO ...]

Each run is a process of its own; what is not run keeps its figures. They are kept in benchmarks/results/chances.json,
and the documentation's table is made from them.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.rehearsal import BROKEN_RULE, COMMAND
from simulator.audit.rules import RULES
from simulator.model.scenario import shipped

KEPT = Path(__file__).parent / "results" / "chances.json"


class Run(msgspec.Struct, frozen=True):
    """One scenario's default run: by rule how often it could have been broken, and how often it was."""

    contacts: int
    seed: int
    chances: dict[str, int]
    broken: dict[str, int]


def kept() -> dict[str, Run]:
    """The figures of the last runs by scenario, in the scenarios' order."""
    if not KEPT.exists():
        return {}
    runs = msgspec.json.decode(KEPT.read_bytes(), type=dict[str, Run])
    return {name: runs[name] for name in shipped() if name in runs}


def rehearse(scenario: str) -> Run:
    """One run as the command does it."""
    done = subprocess.run(
        [COMMAND, "rehearse", scenario, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode not in (0, BROKEN_RULE):
        raise SystemExit(f"textbank rehearse {scenario} ended with status {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout)
    chances = {rule.name: result["chances"][rule.name] for rule in RULES}
    broken = {name: count for name, count in result["invariants"].items() if count}
    return Run(result["contacts"], result["seed"], chances, broken)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenarios", nargs="*", default=shipped())
    runs = kept()
    for name in parser.parse_args().scenarios:
        runs[name] = rehearse(name)
        in_order = {each: runs[each] for each in shipped() if each in runs}
        KEPT.write_bytes(msgspec.json.format(msgspec.json.encode(in_order), indent=1) + b"\n")
        sys.stdout.write(f"{name}: {msgspec.json.encode(runs[name]).decode()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
