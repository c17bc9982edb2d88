"""When the committed alerts would have come on a recorded day: promtool evaluates the rules over what was recorded.

The day is a file of OpenMetrics with time stamps, as `textbank rehearse --metrics` writes it.
"""

import re
import subprocess
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import yaml

from dashboards.generate import GENERATED
from dashboards.programs import find

EVERY_S: Final = 60
NOT_JUDGED: Final = re.compile(
    r"Watchdog|RulesFail|StopIsSlow|StopEffective\w*|ReplyHandOver\w*|DatabaseSlow|WritesLag|EventLoopLag|"
    r"Accept\w*|InboundVisible\w*|WebhookAnswered\w*|Webhooks\w*|Resource\w*|ClockIsWrong|NoGateway|WorkersDiffer"
)
"""A rehearsal has no door, no process of its own, one clock and one connection, and each statement takes it two seconds:
what is about those says nothing there."""
_GOT: Final = re.compile(r"\{(?P<labels>[^}]*)\} (?P<at>[0-9.E+]+)")
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')
_PATIENCE_S: Final = 600


def series_of(path: Path) -> dict[str, list[str]]:
    """Each series' values, one a minute since the first; "_" where it was not told."""
    told: dict[str, dict[int, str]] = defaultdict(dict)
    began_at: float | None = None
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.startswith("#"):
                continue
            series, value, at = line.rsplit(" ", 2)
            began_at = float(at) if began_at is None else began_at
            told[series][round((float(at) - began_at) / EVERY_S)] = value
    minutes = 1 + max((max(values) for values in told.values()), default=0)
    return {series: [values.get(nth, "_") for nth in range(minutes)] for series, values in told.items()}


def alerts_of(path: Path) -> dict[str, float]:
    """Every alert that came on a recorded day, and when first: seconds since the first record. Raises NotHere."""
    series = series_of(path)
    minutes = max(map(len, series.values()))
    with TemporaryDirectory() as folder:
        done = subprocess.run(
            [find("promtool"), "test", "rules", str(_test(Path(folder), series, minutes))],
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_S,
        )
    told = done.stdout + done.stderr
    if "got:" not in told:
        raise RuntimeError(told)
    return _firsts(told.partition("got:")[2])


def _test(folder: Path, series: dict[str, list[str]], minutes: int) -> Path:
    """A test of promtool's that expects nothing: what came is what it complains of."""
    rules = [
        yaml.safe_load(path.read_text("utf-8")) for path in sorted((GENERATED / "prometheus/rules").glob("*"))
    ]
    groups = [group for file in rules for group in file["groups"]]
    groups.sort(key=lambda group: any("alert" in rule for rule in group["rules"]))
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
    asked = f'min_over_time(timestamp(ALERTS{{alertstate="firing"}})[{minutes}m:1m])'
    content = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "group_eval_order": [group["name"] for group in groups],
        "tests": [
            {
                "interval": f"{EVERY_S}s",
                "input_series": [
                    {"series": name, "values": " ".join(values)} for name, values in series.items()
                ],
                "promql_expr_test": [{"expr": asked, "eval_time": f"{minutes - 1}m", "exp_samples": []}],
            }
        ],
    }
    file = folder / "day.yaml"
    file.write_text(yaml.safe_dump(content, width=10**9), encoding="utf-8")
    return file


def _firsts(told: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for each in _GOT.finditer(told):
        name = dict(_LABEL.findall(each["labels"]))["alertname"]
        at_s = float(each["at"])
        if not NOT_JUDGED.fullmatch(name):
            found[name] = min(at_s, found.get(name, at_s))
    return found
