"""The report of a rehearsal: one HTML page that needs nothing else, the same as JSON, and what went wrong."""

import csv
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, StrictUndefined

from gateway.core.rules.errors import consequence
from simulator.audit.ends import ends
from simulator.report.assumptions import parameters
from simulator.report.plots import figures
from simulator.report.result import INVARIANT_RULES, Rehearsed, Snapshot
from simulator.report.summary import carrier_rows, code_rows, headlines, run_facts, story, truths
from simulator.report.words import span, words

_VIOLATIONS_SHOWN = 50
_REJECTS_SHOWN = 25
_VERDICT_CLASS = {"GO": "go", "GO with limits": "limits", "NO-GO": "stop"}


def write(
    rehearsed: Rehearsed, folder: Path, *, history: Sequence[Snapshot] = (), command: str = ""
) -> list[Path]:
    """Write report.html, report.json and, if a rule was broken, violations.txt; returns what there is of the run.

    `history` are snapshots taken during the run, `command` what repeats it. Raises OSError, and leaves none of the three
    then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        folder / "report.html": html(rehearsed, history=history, command=command),
        folder / "report.json": f"{msgspec.json.format(rehearsed.result.to_json(), indent=2)}\n",
    }
    if rehearsed.violations:
        stories = "\n\n".join(map(story, rehearsed.violations))
        contents[folder / "violations.txt"] = f"{stories}\n"
    try:
        for path, text in contents.items():
            path.write_text(text, encoding="utf-8")
    except OSError:
        for path in contents:
            path.unlink(missing_ok=True)
        raise
    rejects = rehearsed.plan.rejects
    return [*contents, rejects] if rejects is not None and rejects.exists() else [*contents]


def html(rehearsed: Rehearsed, *, history: Sequence[Snapshot] = (), command: str = "") -> str:
    """The page: about 5 MB, nearly all of it Plotly's own script, so that it opens without a network."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["words"] = words
    source = (files("simulator.report") / "page.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(source).render(_content(rehearsed, history, command))


def _content(rehearsed: Rehearsed, history: Sequence[Snapshot], command: str) -> dict[str, Any]:
    from plotly.offline import get_plotlyjs

    result, scenario = rehearsed.result, rehearsed.plan.scenario
    plots = figures(rehearsed, history)
    return {
        "scenario": scenario,
        "heading": rehearsed.plan.heading(result.contacts),
        "result": result,
        "verdict_class": _VERDICT_CLASS[result.verdict],
        "script": rehearsed.plan.script,
        "duration": span(result.virtual_seconds),
        "headlines": headlines(result),
        "truths": truths(result),
        "figures": plots,
        "specs": {figure.key: figure.spec for figure in plots},
        "carrier_rows": carrier_rows(rehearsed.ledger, ends(rehearsed.ledger)),
        "refusals": _refusals(rehearsed),
        "code_rows": code_rows(result),
        "rules": [
            (rule, result.chances.get(name, 0), result.invariants.get(name, 0))
            for name, rule in INVARIANT_RULES.items()
        ],
        "violations": [story(violation) for violation in rehearsed.violations[:_VIOLATIONS_SHOWN]],
        "violations_in_all": len(rehearsed.violations),
        "rejects": _rejects(rehearsed.plan.rejects),
        "parameters": parameters(scenario),
        "run_facts": [*run_facts(result), *_host_facts()],
        "command": command,
        "plotly": get_plotlyjs(),
    }


def _refusals(rehearsed: Rehearsed) -> list[tuple[int, str, int]]:
    """(code, title, how often): what the provider turned away at its door."""
    refused = rehearsed.ledger.counts().refused
    return [(code, consequence(code).title, count) for code, count in refused.items()]


def _rejects(path: Path | None) -> list[list[str]]:
    """The first rows that could not be used: line, column, reason, text."""
    if path is None or not path.exists():
        return []
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return [row[:4] for row in islice(csv.reader(file), 1, 1 + _REJECTS_SHOWN)]


def _host_facts() -> list[tuple[str, str]]:
    return [
        ("Textbank", _version()),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        (
            "host",
            f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} processors",
        ),
    ]


def _version() -> str:
    try:
        return version("textbank")
    except PackageNotFoundError:
        return "not installed"
