"""What PostgreSQL's processor does in a rehearsal, statement by statement: what each promise costs.

    python -m benchmarks.statements [--scenario election-day] [--contacts 60000] [--most 25]

PostgreSQL itself tells the processor time of every step of a statement (log_statement_stats). Other work on the machine
doesn't change that; telling it costs some, so the shares say more than the seconds.
"""

import argparse
import asyncio
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import asyncpg

from gateway.store.embedded import EmbeddedServer

_STEP = re.compile(r"LOG:\s+(?P<step>[A-Z]+)(?: MESSAGE)? STATISTICS$")
_USED = re.compile(r"^!\s+(?P<user>[\d.]+) s user, (?P<system>[\d.]+) s system")
_STATEMENT = "STATEMENT:"
_ENDS_ONE = ("EXECUTE", "QUERY")  # of parse, bind and execute, and of simple queries
_SHOWN = 120


class Cost(NamedTuple):
    """Of one statement: how often it ran, and processor seconds."""

    sql: str
    runs: int
    seconds: float


def costs(log: Iterable[str]) -> list[Cost]:
    """The dearest first. A statement of several lines goes on in lines that begin with a tab."""
    runs: defaultdict[str, int] = defaultdict(int)
    seconds: defaultdict[str, float] = defaultdict(float)
    step, used = "", 0.0
    words: list[str] = []

    def end() -> None:
        if words:
            sql = re.sub(r"\s+", " ", " ".join(words)).strip()
            seconds[sql] += used
            runs[sql] += step in _ENDS_ONE
            words.clear()

    for line in log:
        if words and line.startswith("\t"):
            words.append(line)
            continue
        end()
        if begins := _STEP.search(line.rstrip()):
            step = begins["step"]
        elif told := _USED.match(line.strip()):
            used = float(told["user"]) + float(told["system"])
        elif _STATEMENT in line:
            words.append(line.partition(_STATEMENT)[2])
    end()
    return sorted((Cost(sql, runs[sql], seconds[sql]) for sql in seconds), key=lambda each: -each.seconds)


async def tell_costs(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("ALTER SYSTEM SET log_statement_stats = on")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


def rehearse(scenario: str, contacts: int) -> list[Cost]:
    """One run in a server of its own, whose log tells."""
    words = ("rehearse", scenario, "--contacts", str(contacts), "--seed", "1", "--json")
    with EmbeddedServer() as server, TemporaryDirectory(prefix="textbank-statements-") as folder:
        asyncio.run(tell_costs(server.dsn()))
        subprocess.run(
            [sys.executable, "-m", "gateway", *words, "--dsn", server.dsn(), "--report", f"{folder}/report"],
            stdout=subprocess.DEVNULL,
            check=True,
        )
        with Path(server.root / "log").open(encoding="utf-8", errors="replace") as log:
            return costs(log)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenario", default="election-day")
    parser.add_argument("--contacts", type=int, default=60_000)
    parser.add_argument("--most", type=int, default=25, help="how many statements to show")
    asked = parser.parse_args(arguments)
    found = rehearse(asked.scenario, asked.contacts)
    total = sum(each.seconds for each in found)
    sys.stdout.write(f"{total:.1f} s in {sum(each.runs for each in found):,} statements\n")
    for each in found[: asked.most]:
        share = 100 * each.seconds / total
        sys.stdout.write(f"{each.seconds:7.2f} s {share:5.1f} % {each.runs:7,} x  {each.sql[:_SHOWN]}\n")


if __name__ == "__main__":
    main()
