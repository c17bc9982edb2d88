"""Processor time of a rehearsal in several working trees, in turns, so that a busy machine is as busy for each.

    git worktree add ../before 3c955e1
    python -m benchmarks.in_turns --trees ../before . [--scenario election-day] [--contacts 20000] [--rounds 3]

Wall time says little on a machine that others use. `python` is the rehearsal's own process, `postgresql` all that it
started: the server with its backends and its vacuum, from its making to its end.
"""

import argparse
import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_REHEARSE = "import sys; from gateway.cli import main; sys.exit(main(sys.argv[1:]))"


class Used(NamedTuple):
    """Seconds of processor time."""

    python: float
    postgresql: float

    @property
    def together(self) -> float:
        return self.python + self.postgresql


def rehearse(tree: Path, scenario: str, contacts: int) -> Used:
    """One run of the tree's own code. RuntimeError when it gives no result."""
    before = children_s()
    words = ("rehearse", scenario, "--contacts", str(contacts), "--seed", "1", "--json")
    with tempfile.TemporaryDirectory(prefix="textbank-turns-") as folder:
        _register(tree, Path(folder))
        environment = {**os.environ, "PYTHONPATH": f"{tree}:{folder}", "PYTHONHASHSEED": "0"}
        done = subprocess.run(
            [sys.executable, "-c", _REHEARSE, *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    reap()
    if not done.stdout:
        raise RuntimeError(f"{tree} gave no result: {done.stderr[-500:]}")
    python_s: float = json.loads(done.stdout)["cpu_seconds"]
    return Used(python_s, children_s() - before - python_s)


def _register(tree: Path, folder: Path) -> None:
    """The tree's own commands, whatever is installed: they are found through the metadata of a distribution."""
    project = tomllib.loads((tree / "pyproject.toml").read_text())["project"]
    metadata = folder / "textbank-0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: textbank\nVersion: 0\n")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {what}\n" for name, what in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(groups))


def be_reaper() -> None:
    """A server that leaves its parent is a child of this process, which counts its time."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children_s() -> float:
    """Processor seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def reap() -> None:
    """Until whatever the run left behind has ended."""
    try:
        while True:
            os.wait()
    except ChildProcessError:
        return


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trees", type=Path, nargs="+", required=True)
    parser.add_argument("--scenario", default="election-day")
    parser.add_argument("--contacts", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args(arguments)
    be_reaper()
    trees = [tree.resolve() for tree in asked.trees]
    found: dict[Path, list[Used]] = {tree: [] for tree in trees}
    for nth in range(asked.rounds):
        for tree in trees if nth % 2 == 0 else reversed(trees):
            used = rehearse(tree, asked.scenario, asked.contacts)
            found[tree].append(used)
            words = f"{used.python:.1f} s Python, {used.postgresql:.1f} s PostgreSQL"
            sys.stdout.write(f"{tree.name}: {words}, load {os.getloadavg()[0]:.1f}\n")
            sys.stdout.flush()
    first = trees[0]
    for tree in trees[1:]:
        shares = [
            median(getattr(used, part) for used in found[tree])
            / median(getattr(used, part) for used in found[first])
            for part in ("python", "postgresql", "together")
        ]
        words = "Python {:.3f}, PostgreSQL {:.3f}, together {:.3f}".format(*shares)
        sys.stdout.write(f"{tree.name} against {first.name}, medians: {words}\n")


if __name__ == "__main__":
    main()
