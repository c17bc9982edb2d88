"""Runs the parts, prints a table, keeps the figures in benchmarks/results/http.json.

python -m benchmarks.http [--only whole-life,bare,batches,accept,stops,overload,restart,carrier,memory,volunteers] [--scale 1.0]
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from benchmarks.http.bare import Bare, exchange
from benchmarks.http.batches import batches, singles
from benchmarks.http.carrier import creates, receipts
from benchmarks.http.house import house
from benchmarks.http.memory import memory
from benchmarks.http.overload import overload
from benchmarks.http.restart import restart
from benchmarks.http.stops import stops
from benchmarks.http.volunteers import volunteers
from benchmarks.http.whole_life import Lives, live

KEPT = Path(__file__).parents[1] / "results" / "http.json"
PARTS = (
    "whole-life",
    "bare",
    "batches",
    "accept",
    "stops",
    "overload",
    "restart",
    "carrier",
    "memory",
    "volunteers",
)
_CONCURRENCY = 100  # creates under way: `dispatch.concurrency` and Twilio's usual limit
_BARE_ROUNDS = 3
_CREATE_ROUNDS = 3
_OFFERED_PER_S = (300.0, 1000.0, 2000.0, 4000.0)
_OVERLOAD_S = 10.0  # each
_VOLUNTEERS, _BUCKET, _PACE_S = 500, 100, 40.0

LEAST_LIVES_PER_S, LEAST_SHARE, AIMED_SHARE = 1500.0, 0.6, 0.75
LEAST_BATCHED_PER_S, MOST_ACCEPT_P99_MS = 8000.0, 50.0
LEAST_CREATES_PER_S, MOST_LATENESS_P99_MS = 4000.0, 50.0
MOST_STOP_P99_MS = 1000.0
MOST_ACCEPTED_P99_MS = 1000.0
MOST_RESTART_S = 5.0
MOST_GROWTH = 0.05
MOST_VOLUNTEER_P99_MS = 100.0

Row = tuple[str, str, str, bool | None]  # what, measured, target, reached


class Run:
    """The parts asked for, their figures, and the rows of the table."""

    def __init__(self, parts: Sequence[str], scale: float) -> None:
        self.parts = parts
        self.scale = scale
        self.figures: dict[str, Any] = {}
        self.rows: list[Row] = []

    def _many(self, count: int) -> int:
        return max(200, round(count * self.scale))

    async def all(self) -> None:
        """The bare exchange comes before and after the whole lives: the machine may change meanwhile."""
        work: dict[str, Callable[[], Awaitable[None]]] = {
            "bare": self._bare,
            "whole-life": self._whole_life,
            "batches": self._batches,
            "accept": self._accept,
            "stops": self._stops,
            "overload": self._overload,
            "restart": self._restart,
            "carrier": self._carrier,
            "memory": self._memory,
            "volunteers": self._volunteers,
        }
        for name in (
            "bare",
            "whole-life",
            "bare",
            "carrier",
            "batches",
            "accept",
            "stops",
            "overload",
            "restart",
            "memory",
            "volunteers",
        ):
            if name in self.parts:
                sys.stderr.write(f"{name} …\n")
                await work[name]()
        self._share()

    async def _bare(self) -> None:
        rounds: list[Bare] = self.figures.setdefault("bare", [])
        with tempfile.TemporaryDirectory(prefix="textbank-bench-") as folder:
            count = self._many(10_000) // 10 * 10
            rounds += [await exchange(count, _CONCURRENCY, Path(folder)) for _ in range(_BARE_ROUNDS)]

    async def _whole_life(self) -> None:
        count = self._many(60_000)
        warm = count // 100
        async with house() as built:
            campaign_id = await built.campaign("whole lives")
            people = await built.people(campaign_id, count + warm)
            await built.warm_up(campaign_id, people[:warm])
            lives = await live(built, campaign_id, people[warm:])
        self.figures["whole_life"] = lives
        enough = lives.per_s >= LEAST_LIVES_PER_S
        self._row(
            f"whole life of {count:,}",
            f"{lives.per_s:,.0f}/s",
            f"at least {LEAST_LIVES_PER_S:,.0f}/s",
            enough,
        )
        self._row("  CPU a message, µs", _shown(lives.cpu_us), "", None)

    def _share(self) -> None:
        rounds: list[Bare] = self.figures.get("bare", [])
        if not rounds:
            return
        bare_per_s = median(each.per_s for each in rounds)
        self._row("bare exchange, median of the rounds", f"{bare_per_s:,.0f}/s", "", None)
        self._row("  CPU a message, µs", _shown(rounds[0].cpu_us), "", None)
        lives: Lives | None = self.figures.get("whole_life")
        if lives is not None:
            share = self.figures["share_of_bare"] = round(lives.per_s / bare_per_s, 3)
            wanted = f"at least {LEAST_SHARE:g}, aim {AIMED_SHARE:g}"
            self._row("whole life, share of bare", f"{share:.2f}", wanted, share >= LEAST_SHARE)

    async def _batches(self) -> None:
        async with house() as built:
            found = self.figures["batches"] = await batches(built, self._many(60_000))
        enough = found.per_s >= LEAST_BATCHED_PER_S
        self._row(
            "batches of 1,000, durable",
            f"{found.per_s:,.0f}/s",
            f"at least {LEAST_BATCHED_PER_S:,.0f}/s",
            enough,
        )
        self._row("  CPU a message, µs", _shown(found.cpu_us), "", None)

    async def _accept(self) -> None:
        async with house() as built:
            found = self.figures["accept"] = await singles(built, 300.0, self._many(9_000))
        good = found.p99_ms <= MOST_ACCEPT_P99_MS and found.is_valid
        measured = f"p99 {found.p99_ms:g} ms, p50 {found.p50_ms:g}, most {found.most_ms:g}"
        valid = "" if found.is_valid else f" (not valid: {found.late_share:.1%} set out late)"
        self._row(
            "accepting single texts at 300/s",
            measured + valid,
            f"p99 at most {MOST_ACCEPT_P99_MS:g} ms",
            good,
        )

    async def _stops(self) -> None:
        async with house() as built:
            found = self.figures["stops"] = await stops(built, self._many(40_000), self._many(400))
        answered = found.answered
        valid = "" if answered.is_valid else f" (not valid: {answered.late_share:.1%} set out late)"
        self._row(
            f"a STOP's 2xx beside {found.final_per_s:,.0f} whole lives/s",
            f"p99 {answered.p99_ms:g} ms, p50 {answered.p50_ms:g}, most {answered.most_ms:g}{valid}",
            f"p99 at most {MOST_STOP_P99_MS:g} ms",
            answered.p99_ms <= MOST_STOP_P99_MS and answered.is_valid,
        )

    async def _overload(self) -> None:
        async with house() as built:
            steps = await overload(built, _OFFERED_PER_S, max(2.0, _OVERLOAD_S * self.scale))
        self.figures["overload"] = steps
        for step in steps:
            measured = f"{step.accepted_per_s:g}/s accepted, p99 {step.p99_ms:g} ms, p50 {step.p50_ms:g}"
            good = step.p99_ms <= MOST_ACCEPTED_P99_MS
            self._row(
                f"{step.offered_per_s:,.0f} texts/s offered",
                f"{measured}; {step.late_share:.1%} set out late",
                f"p99 at most {MOST_ACCEPTED_P99_MS:g} ms",
                good,
            )
            stops_ms = step.stops.p99_ms
            self._row(
                "  a STOP's 2xx beside",
                f"p99 {stops_ms:g} ms, p50 {step.stops.p50_ms:g}",
                f"p99 at most {MOST_STOP_P99_MS:g} ms",
                stops_ms <= MOST_STOP_P99_MS,
            )
            self._row("  share of a core", _shown(step.cpu_share), "", None)

    async def _restart(self) -> None:
        async with house() as built:
            found = self.figures["restart"] = await restart(built, self._many(250_000), self._many(500))
        self._row(
            f"restart with {found.queued:,} queued and {found.idle_campaigns} idle campaigns",
            f"first text after {found.first_text_s:g} s, listens after {found.listens_s:g} s",
            f"at most {MOST_RESTART_S:g} s",
            found.first_text_s <= MOST_RESTART_S,
        )

    async def _carrier(self) -> None:
        rounds = [await creates(self._many(20_000)) for _ in range(_CREATE_ROUNDS)]
        per_s = median(each.per_s for each in rounds)
        found = {str(rate): await receipts(rate, self._many(10 * rate)) for rate in (1000, 2000)}
        self.figures["carrier"] = {"creates": rounds, "receipts": found}
        wanted = f"at least {LEAST_CREATES_PER_S:,.0f}/s"
        self._row("carrier alone, creates", f"{per_s:,.0f}/s", wanted, per_s >= LEAST_CREATES_PER_S)
        for each in found.values():
            wanted = f"p99 at most {MOST_LATENESS_P99_MS:g} ms at 2,000/s"
            measured = f"p99 {each.p99_ms:g} ms, p50 {each.p50_ms:g}, most {each.most_ms:g}"
            what = f"carrier alone, lateness of {each.receipts_per_s:,.0f} receipts/s"
            self._row(what, measured, wanted, each.p99_ms <= MOST_LATENESS_P99_MS)

    async def _memory(self) -> None:
        async with house() as built:
            found = self.figures["memory"] = await memory(built, self._many(50_000))
        last = found.held[-1]
        for name, megabytes in (("gateway", last.gateway_mb), ("carrier", last.carrier_mb)):
            growth = found.growth[name]
            measured = f"{megabytes:g} MB, {growth:+.1%}, {found.bytes_a_message[name]:g} bytes a message"
            what = f"memory of the {name}, {found.messages:,} messages"
            self._row(what, measured, "flat (5 %) after a fifth", growth <= MOST_GROWTH)

    async def _volunteers(self) -> None:
        count = max(10, round(_VOLUNTEERS * self.scale))
        async with house() as built:
            storm, pace = await volunteers(built, count, _BUCKET, max(5.0, _PACE_S * self.scale))
        self.figures["volunteers"] = {"storm": storm, "pace": pace}
        wanted = f"p99 at most {MOST_VOLUNTEER_P99_MS:g} ms"
        named = {f"claims of {_BUCKET} at one instant": storm.claims}
        named |= {f"{name} at {pace.sends_per_s:g} sends/s": pace.took[name] for name in pace.took}
        for what, took in named.items():
            measured = (
                f"p99 {took.p99_ms:g} ms, p50 {took.p50_ms:g}, most {took.most_ms:g} of {took.requests}"
            )
            self._row(f"{count} volunteers: {what}", measured, wanted, took.p99_ms <= MOST_VOLUNTEER_P99_MS)
        self._row("  refused, to be repeated (503)", str(pace.refused), "0", pace.refused == 0)
        self._row("  CPU a claim, ms", _shown(storm.cpu_ms), "", None)
        self._row("  share of a core at their pace", _shown(pace.cpu_share), "", None)

    def _row(self, what: str, measured: str, target: str, reached: bool | None) -> None:
        self.rows.append((what, measured, target, reached))


def _shown(cpu_us: dict[str, float]) -> str:
    return ", ".join(f"{name} {used:g}" for name, used in cpu_us.items())


def _machine() -> dict[str, object]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "system": platform.platform(),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "changed_since": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    )
    return done.stdout.strip()


def table(rows: Sequence[Row]) -> str:
    words = {True: "reached", False: "MISSED", None: ""}
    lines = [(what, measured, target, words[reached]) for what, measured, target, reached in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def run(arguments: Sequence[str] | None = None) -> list[Row]:
    """The command; returns the rows it printed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.http",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, with commas: {', '.join(PARTS)}")
    parser.add_argument("--scale", type=float, default=1.0, help="fewer messages: 0.01 is a hundredth")
    parser.add_argument("--kept", type=Path, default=KEPT, help="the file in which the figures are kept")
    asked = parser.parse_args(arguments)
    parts = asked.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    import uvloop

    machine, work = _machine(), Run(parts, asked.scale)
    uvloop.run(work.all())
    _keep(asked.kept, machine, work.figures)
    sys.stdout.write(f"{table(work.rows)}\n")
    return work.rows


def _keep(path: Path, machine: dict[str, object], figures: dict[str, Any]) -> None:
    """Parts that were not run keep their last figures, each with the machine it was measured on."""
    kept: dict[str, Any] = msgspec.json.decode(path.read_bytes()) if path.exists() else {}
    for name, found in figures.items():
        kept[name] = {"machine": machine, "figures": msgspec.to_builtins(found)}
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=2) + b"\n")


if __name__ == "__main__":
    run()
