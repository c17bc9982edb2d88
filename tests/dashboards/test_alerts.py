"""Every alert fires where it should and is quiet where it should be, as promtool judges the committed rules."""

import subprocess
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.alerts import ALERTS
from dashboards.generate import GENERATED
from dashboards.observe import laid_out
from dashboards.slos import BANK_BURNS, BURNS, SLOS
from tests.dashboards.alarms import ALARMS, ALWAYS_ON, Alarm, events
from tests.dashboards.expressions import RULES

ALERT_RULES = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RULES_FOLDER = GENERATED / "prometheus/rules"
HOUR = 60
PATIENCE_S = 120


def test_every_alert_has_its_alarm() -> None:
    assert {alarm.name for alarm in ALARMS} | {ALWAYS_ON} == {alert.name for alert in ALERTS}


def judged(
    promtool: Path, folder: Path, groups: Container[str], tests: list[dict[str, Any]], every: str = "1m"
) -> None:
    """Runs promtool over those groups of the committed rules; what it says is the failure's message."""
    committed = [yaml.safe_load(path.read_text("utf-8")) for path in sorted(RULES_FOLDER.glob("*.yaml"))]
    wanted = [group for file in committed for group in file["groups"] if group["name"] in groups]
    wanted.sort(key=lambda group: any("alert" in rule for rule in group["rules"]))
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": wanted}), encoding="utf-8")
    content = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": every,
        "group_eval_order": [group["name"] for group in wanted],
        "tests": tests,
    }
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump(content, width=10_000), encoding="utf-8")
    done = subprocess.run(
        [promtool, "test", "rules", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def case(
    series: dict[str, str], minutes: int, expected: dict[str, list[dict[str, str]]], interval: str = "1m"
) -> dict[str, Any]:
    """One test of promtool's: at the end the alerts named have exactly these instances."""
    return {
        "interval": interval,
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {
                "eval_time": f"{minutes}m",
                "alertname": name,
                "exp_alerts": [
                    {
                        "exp_labels": {**ALERT_RULES[name]["labels"], **labels},
                        "exp_annotations": ALERT_RULES[name]["annotations"],
                    }
                    for labels in instances
                ],
            }
            for name, instances in expected.items()
        ],
    }


def together(alarms: Iterable[Alarm]) -> list[list[Alarm]]:
    """In as few cases as can be: alarms of one case have no metric in common, and one end."""
    cases: list[list[Alarm]] = []
    for alarm in alarms:
        for some in cases:
            if all(alarm.minutes == other.minutes and not alarm.metrics & other.metrics for other in some):
                some.append(alarm)
                break
        else:
            cases.append([alarm])
    return cases


def test_each_alert_fires_and_is_quiet(promtool: Path, tmp_path: Path) -> None:
    tests = []
    for some in together(ALARMS):
        fires = {each.name: [each.instance] for each in some}
        quiet: dict[str, list[dict[str, str]]] = {each.name: [] for each in some}
        minutes = some[0].minutes
        tests.append(case(merged(each.fires for each in some), minutes, {**fires, ALWAYS_ON: [{}]}))
        tests.append(case(merged(each.quiet for each in some), minutes, quiet))
    judged(promtool, tmp_path, {"plan", "resources", "shares", "symptoms"}, tests)


def merged(some: Iterable[dict[str, str]]) -> dict[str, str]:
    return {name: values for each in some for name, values in each.items()}


# ---------------------------------------------------------------- objectives

OBJECTIVES = {"recording-objectives", "errors", "errors-over-hours-and-days", "objectives"}
EVERY_BURN = (*BURNS, *BANK_BURNS)
STEPS = 4 * HOUR  # of two minutes


@pytest.mark.parametrize("are_good", [True, False], ids=["all good", "all bad"])
def test_a_budget_that_goes_is_told_at_every_speed(promtool: Path, tmp_path: Path, are_good: bool) -> None:
    """All bad for eight hours passes every limit; all good for as long passes none."""
    series = {name: values.format(n=STEPS) for name, values in events(are_good=are_good).items()}
    expected = {
        slo.alert + burn.suffix: [] if are_good else [{"environment": "production", "slo": slo.name}]
        for slo in SLOS
        for burn in EVERY_BURN
    }
    judged(promtool, tmp_path, OBJECTIVES, [case(series, 8 * HOUR, expected, "2m")], every="5m")


def test_thin_traffic_pages_nobody(promtool: Path, tmp_path: Path) -> None:
    """Three bad requests in an hour are no reason, though the share is all of them."""
    base = 'p2p_http_requests_total{environment="production",route="/v1/messages",method="POST"'
    series = {f'{base},status="5xx"}}': f"0+0.1x{STEPS}", f'{base},status="2xx"}}': f"0x{STEPS}"}
    expected: dict[str, list[dict[str, str]]] = {SLOS[0].alert + burn.suffix: [] for burn in EVERY_BURN}
    judged(promtool, tmp_path, OBJECTIVES, [case(series, 8 * HOUR, expected, "2m")], every="5m")


def test_the_files_are_as_promtool_wants_them(promtool: Path, tmp_path: Path) -> None:
    """Those for production, and those of `make observe` however often it looks."""
    laid_out(tmp_path, {"textbank": ["127.0.0.1:1"]}, port=9090, every="5s", environment="local")
    rules = sorted(str(path) for path in RULES_FOLDER.glob("*.yaml"))
    for words in (
        ["check", "rules", "--lint=all", "--lint-fatal", *rules],
        ["check", "config", str(GENERATED / "prometheus/prometheus.yaml")],
        ["check", "config", str(tmp_path / "prometheus.yaml")],
    ):
        done = subprocess.run(
            [promtool, *words], capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
        assert done.returncode == 0, done.stdout + done.stderr
