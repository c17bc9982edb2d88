"""Reads two sets of runs, and tells what differs between them: each figure better, worse or noise."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from loadtests.reading.differences import Comparison, Difference
from loadtests.report import FORMAT, Report

_MOST_BYTES: Final = 50_000_000


class NoRuns(Exception):
    """What was given is no set of runs that can be compared; the message says why."""

    textbank_exit_status = 2


def reports(where: str) -> list[tuple[Path, Report]]:
    """The valid runs that were named; raises NoRuns."""
    paths = [path for part in where.split(",") for path in _files(Path(part.strip()))]
    return [(path, _read(path)) for path in paths]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = sorted((*path.glob("load.json"), *path.glob("*/load.json")))
    if not found:
        raise NoRuns(
            f"{path} is no report of a load test: there is no load.json in it, nor in the folders below"
        )
    return found


def _read(path: Path) -> Report:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise NoRuns(f"{path} is larger than any report")
        content = msgspec.json.decode(path.read_bytes())
        form = content.get("format") if isinstance(content, dict) else None
        if form != FORMAT:
            raise NoRuns(
                f"{path} has format {form}, and this Textbank reads {FORMAT}: run the load test again"
            )
        report = msgspec.convert(content, Report)
    except OSError as error:
        raise NoRuns(f"{path} can't be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise NoRuns(f"{path} is no report of a load test: {error}") from error
    if report.verdict == "invalid":
        raise NoRuns(f"{path} is of an invalid run, whose figures mean nothing: {'; '.join(report.invalid)}")
    return report


def same_plan(runs: Sequence[tuple[Path, Report]]) -> None:
    """Raises NoRuns where one asked for something else than the first; seeds may differ."""
    first_path, first = runs[0]
    for path, report in runs[1:]:
        for name, (wanted, asked) in _differing(first, report):
            raise NoRuns(f"{path} is of another plan than {first_path}: {name} is {asked}, not {wanted}")


def _differing(one: Report, other: Report) -> Iterator[tuple[str, tuple[Any, Any]]]:
    first, second = msgspec.structs.asdict(one.size), msgspec.structs.asdict(other.size)
    for name in first:
        if name != "seed" and first[name] != second[name]:
            yield name, (first[name], second[name])


def told(found: Comparison) -> str:
    """As a table for a terminal of 80 columns."""
    head = f"{'':<22} {'A':>9} {'B':>9} {'change':>8}  {'interval':<18}"
    luck = f"{found.by_luck:g} of {len(found.differences)}"
    return "\n".join(
        (
            head.rstrip(),
            *map(_line, found.differences),
            "",
            f"Medians of {found.runs_a} runs and {found.runs_b}, intervals of {found.confidence:.0%}. With nothing changed",
            f"about {luck} figures would be beyond theirs.",
        )
    )


def _line(each: Difference) -> str:
    a, b = (f"{value:,.4g}{each.unit and ' '}{each.unit}" for value in (each.a, each.b))
    change, low, high = (
        f"{value:+.1%}" if each.relative else f"{value:+,.4g}" for value in (each.change, each.low, each.high)
    )
    return f"{each.figure:<22} {a:>9} {b:>9} {change:>8}  {f'{low} to {high}':<18}  {each.word}"
