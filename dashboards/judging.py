"""When the committed alerts would have come on recorded days: promtool evaluates the rules over what was recorded.

A day is a file of OpenMetrics with time stamps, as `textbank rehearse --metrics` writes it, gzipped or not. Several are
judged at once, each as an environment of its own: every rule keeps environments apart.
"""

import gzip
import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import yaml

from dashboards.alerts import ALERTS
from dashboards.generate import GENERATED
from dashboards.programs import find
from dashboards.rules import slo_alerts

LOOKED_EVERY_S: Final = 15
EVALUATED_EVERY_S: Final = 30
NOT_JUDGED: Final = re.compile(
    r"PromiseBroken|Watchdog|RulesFail|StopIsSlow|StopEffective\w*|ReplyHandOver\w*|DatabaseSlow|WritesLag|EventLoopLag|"
    r"Accept\w*|InboundVisible\w*|WebhookAnswered\w*|Webhooks\w*|Resource\w*|ClockIsWrong|NoGateway|WorkersDiffer"
)
"""A rehearsal has no door, no process of its own, one clock and one connection, and each statement takes it two seconds:
what is about those says nothing there. Its promises the auditor judges."""
_HIGHEST: Final = "judging:value:highest"
_GOT: Final = re.compile(r"\{(?P<labels>[^}]*)\} (?P<value>[-+0-9.eE]+)")
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')
_NAME: Final = re.compile(r"[a-zA-Z_:][\w:]*")
_PATIENCE_S: Final = 600
Group = dict[str, Any]


class Recorded(NamedTuple):
    """A day's file, and from when on it is judged, in seconds since its first record."""

    path: Path
    since_s: float = 0.0


@dataclass
class Judged:
    """Of a day: when each alert was on first, in seconds since the first record, and the highest value it looked at."""

    alerts: dict[str, float] = field(default_factory=dict)
    highest: dict[str, float] = field(default_factory=dict)


def judge(days: Mapping[str, Recorded]) -> dict[str, Judged]:
    """What was told on each day, by the day's name. Raises NotHere."""
    groups = judged_groups()
    names = {name for group in groups for rule in group["rules"] for name in _NAME.findall(rule["expr"])}
    series, looks = [], 0
    for day, recorded in days.items():
        told = series_of(recorded.path, names)
        looks = max(looks, *map(len, told.values()))
        series += [{"series": _of_day(name, day), "values": _runs(values)} for name, values in told.items()]
    with TemporaryDirectory() as folder:
        done = subprocess.run(
            [find("promtool"), "test", "rules", str(_test(Path(folder), groups, series, looks, days))],
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_S,
        )
    said = done.stdout + done.stderr
    if "got:" not in said:
        raise RuntimeError(said)
    return _read(said, days)


def series_of(path: Path, names: set[str] | None = None) -> dict[str, list[str]]:
    """Each series' values, one a look since the first; "_" where it was not told."""
    told: dict[str, list[str]] = {}
    began_at: float | None = None
    with (
        gzip.open(path, "rt", encoding="utf-8")
        if path.suffix == ".gz"
        else path.open(encoding="utf-8") as file
    ):
        for line in file:
            if line.startswith("#"):
                continue
            series, value, at = line.rsplit(" ", 2)
            began_at = float(at) if began_at is None else began_at
            if names is not None and series.partition("{")[0] not in names:
                continue
            values = told.setdefault(series, [])
            nth = round((float(at) - began_at) / LOOKED_EVERY_S)
            values += ["_"] * (nth - len(values))
            values.append(value)
    return told


def _of_day(series: str, day: str) -> str:
    return series.replace('environment="rehearsal"', f'environment="{day}"')


def _runs(values: list[str]) -> str:
    """In promtool's notation, what stays as it is once."""
    runs: list[tuple[str, int]] = []
    for value in values:
        if runs and runs[-1][0] == value:
            runs[-1] = value, runs[-1][1] + 1
        else:
            runs.append((value, 1))
    return " ".join(_run(value, count) for value, count in runs)


def _run(value: str, count: int) -> str:
    if value == "_":
        return f"_x{count}"
    return value if count == 1 else f"{value}+0x{count - 1}"


def judged_groups() -> list[Group]:
    """The committed rules that a rehearsal says something about, and what they need; alerts last."""
    rules = [
        yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
        for path in sorted((GENERATED / "prometheus/rules").glob("*"))
    ]
    groups = [group for file in rules for group in file["groups"]]
    groups.sort(key=lambda group: any("alert" in rule for rule in group["rules"]))
    groups.append({"name": "judging", "rules": list(_values())})
    needed: set[str] = set()
    for group in reversed(groups):
        kept = []
        for rule in reversed(group["rules"]):
            name = rule.get("alert") or rule["record"]
            is_judged = "alert" in rule and not NOT_JUDGED.fullmatch(name)
            if is_judged or name in needed or name == _HIGHEST:
                kept.append(rule)
                needed.update(_NAME.findall(rule["expr"]))
        group["rules"] = kept[::-1]
    return [{"name": group["name"], "rules": group["rules"]} for group in groups if group["rules"]]


def _values() -> Iterator[dict[str, Any]]:
    """What each alert compares with its limit, while its other conditions hold."""
    for alert in (*slo_alerts(), *ALERTS):
        first, *others = alert.conditions
        if NOT_JUDGED.fullmatch(alert.name) or first.passes == "<":
            continue
        value = " ".join(
            (f"({first.value})", *(f"and on ({alert.on}) {each.expression()}" for each in others))
        )
        expression = f"max by (environment) ({value})"
        yield {"record": _HIGHEST, "expr": expression, "labels": {"alertname": alert.name}}


def _test(
    folder: Path,
    groups: list[Group],
    series: list[dict[str, str]],
    looks: int,
    days: Mapping[str, Recorded],
) -> Path:
    """A test of promtool's that expects nothing: what came is what it complains of."""
    (folder / "rules.yaml").write_text(json.dumps({"groups": groups}), encoding="utf-8")
    ends_s = (looks - 1) * LOOKED_EVERY_S
    asked = []  # each day by itself: promtool takes 10,000 samples a question
    for day, recorded in days.items():
        window = f"[{max(EVALUATED_EVERY_S, int(ends_s - recorded.since_s))}s:{EVALUATED_EVERY_S}s]"
        asked += [
            f'min_over_time(timestamp(ALERTS{{alertstate="firing",environment="{day}"}}){window})',
            f'max_over_time({_HIGHEST}{{environment="{day}"}}{window})',
        ]
    content = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": f"{EVALUATED_EVERY_S}s",
        "group_eval_order": [group["name"] for group in groups],
        "tests": [
            {
                "interval": f"{LOOKED_EVERY_S}s",
                "input_series": series,
                "promql_expr_test": [
                    {"expr": each, "eval_time": f"{ends_s}s", "exp_samples": []} for each in asked
                ],
            }
        ],
    }
    file = folder / "days.yaml"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def _read(told: str, days: Iterable[str]) -> dict[str, Judged]:
    found = {day: Judged() for day in days}
    for each in _GOT.finditer(told):
        labels = dict(_LABEL.findall(each["labels"]))
        name, value = labels.get("alertname", ""), float(each["value"])
        if NOT_JUDGED.fullmatch(name) or labels.get("environment") not in found:
            continue
        day = found[labels["environment"]]
        if labels.get("alertstate") == "firing":
            day.alerts[name] = min(value, day.alerts.get(name, value))
        elif "alertstate" not in labels:
            day.highest[name] = value
    return found
