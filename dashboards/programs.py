"""prometheus and promtool: those of the environment, where `make` unpacked Debian's package, else those on the PATH.

`python -m dashboards.programs --get` unpacks the package, which needs no root and starts nothing; `--tell` says in one
line what does not run without them.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

VERSION: Final = (2, 42)
"""What rules and boards are tested with; a later one will do."""
NAMES: Final = ("prometheus", "promtool")
FOLDER: Final = Path(sys.prefix) / "prometheus"
_WHY: Final = FOLDER / "why-not.txt"
_PATIENCE_S: Final = 300
NEEDED_BY: Final = "the tests of alerts, panels and rules that ask a real Prometheus"


class NotHere(Exception):
    """A program that is not to be had; says why."""


def find(name: str) -> Path:
    """Where the program is. Raises NotHere."""
    own = FOLDER / "usr" / "bin" / name
    found = own if own.exists() else shutil.which(name)
    if found is None:
        told = _WHY.read_text(encoding="utf-8").strip() if _WHY.exists() else "`make prometheus` was not run"
        raise NotHere(f"no {name} here: {told}")
    version = _version(Path(found))
    if version < VERSION:
        raise NotHere(f"{found} is {version[0]}.{version[1]}, older than {VERSION[0]}.{VERSION[1]}")
    return Path(found)


def _version(program: Path) -> tuple[int, int]:
    told = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=False, timeout=_PATIENCE_S
    )
    found = re.search(r"version (\d+)\.(\d+)", told.stdout + told.stderr)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def get() -> str:
    """Unpacks Debian's package into the environment unless the programs are there; says why when it can't."""
    try:
        for name in NAMES:
            find(name)
    except NotHere:
        why = _unpack()
        FOLDER.mkdir(parents=True, exist_ok=True)
        _WHY.write_text(why, encoding="utf-8")
        return why
    return ""


def _unpack() -> str:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return "this is no Debian, and no Prometheus is on the PATH"
    with TemporaryDirectory() as folder:
        failed = _run(["apt-get", "download", "prometheus"], folder)
        if failed and os.geteuid() == 0 and not _run(["apt-get", "update"], folder):
            failed = _run(["apt-get", "download", "prometheus"], folder)
        packages = list(Path(folder).glob("prometheus_*.deb"))
        if failed or not packages:
            return f"apt-get can't download it ({failed or 'nothing came'})"
        return _run(["dpkg-deb", "-x", str(packages[0]), str(FOLDER)], folder)


def _run(words: list[str], folder: str) -> str:
    """The last line of what it complained of; blank when all went well."""
    try:
        done = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, check=False, timeout=_PATIENCE_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = (done.stderr or done.stdout).strip().splitlines() or [f"status {done.returncode}"]
    return lines[-1] if done.returncode else ""


def told() -> str:
    """One line for the end of a test run."""
    try:
        for name in NAMES:
            find(name)
    except NotHere as why:
        return f"did not run: {NEEDED_BY}; {why}"
    return "every test that needs Prometheus ran"


def main() -> None:
    """Never fails: tests that need the programs say so themselves."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.programs", description=__doc__)
    parser.add_argument("--get", action="store_true", help="unpack Debian's package into the environment")
    parser.add_argument("--tell", action="store_true", help="say what does not run without it")
    given = parser.parse_args()
    if given.get and (why := get()):
        sys.stderr.write(f"no Prometheus: {why}\n")
    if given.tell:
        sys.stdout.write(told() + "\n")


if __name__ == "__main__":
    main()
