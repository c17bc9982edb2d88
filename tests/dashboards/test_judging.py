"""Alerts judged by the twin, in small: a quiet bank wakes nobody, and a provider that is away is told within minutes."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from benchmarks.alert_days import (
    BEGINS_S,
    FAULTS,
    HEALTHY,
    Day,
    by_fault,
    false_alarms,
    judged,
    kept,
    rules_hash,
    world,
)
from dashboards.judging import NOT_JUDGED, alerts_of, series_of
from simulator.model.faults import FaultParameters, Window
from tests.dashboards.expressions import EVERY_ALERT
from tests.store.cluster import Cluster, shared

PEOPLE, HOURS = 150, 0.6


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Cluster:
    return shared(pytestconfig)


def test_a_healthy_bank_wakes_nobody(promtool: Path, cluster: Cluster) -> None:
    quiet = world(HEALTHY, hours=HOURS, volunteers=2)
    assert judged(quiet, PEOPLE, 1, cluster.empty()) == {}


def test_a_provider_that_is_away_is_told_within_minutes(promtool: Path, cluster: Cluster) -> None:
    outage = FaultParameters(outages=(Window(from_s=600.0, for_s=1200.0),))
    away = replace(world(HEALTHY, hours=HOURS, volunteers=2), faults=outage)
    alerts = judged(away, PEOPLE, 1, cluster.empty())
    told = min(at_s for name, at_s in alerts.items() if name in FAULTS["outage"].alerts)
    assert 600 < told <= 600 + 360


def test_a_days_record_has_a_value_a_minute(promtool: Path, tmp_path: Path) -> None:
    """What was not told stays empty; an alert that the record shows comes at its minute."""
    day = tmp_path / "day.om"
    labels = 'environment="rehearsal",job="textbank",instance="rehearsal"'
    samples = [
        f"p2p_campaigns_waiting{{{labels}}} {int(minute >= 4)} {minute * 60:.3f}" for minute in range(30)
    ]
    gap = [line for minute, line in enumerate(samples) if minute != 2]
    day.write_text("\n".join(["# TYPE p2p_campaigns_waiting gauge", *gap, "# EOF"]), encoding="utf-8")
    (values,) = series_of(day).values()
    assert values[:6] == ["0", "0", "_", "0", "1", "1"]
    assert alerts_of(day) == {"CampaignWithoutWorker": 540.0}  # for five minutes, from the fourth on


def test_the_table_names_alerts_that_there_are() -> None:
    names = {alert.name for alert in EVERY_ALERT}
    assert {each for fault in FAULTS.values() for each in fault.alerts} <= names
    assert not any(NOT_JUDGED.fullmatch(each) for fault in FAULTS.values() for each in fault.alerts)
    days = kept().days
    assert {day.fault for day in days} <= {HEALTHY, *FAULTS}
    assert {alert for day in days for alert in day.alerts} <= names


def test_the_figures_count_days_delays_and_what_else_came() -> None:
    days = [
        Day("outage", 1, {"RepliesMayBeLost": BEGINS_S + 120, "ChoreFails": BEGINS_S}),
        Day("outage", 2, {}),
        Day(HEALTHY, 1, {"ManyLeave": 60.0}),
        Day(HEALTHY, 2, {}),
    ]
    rows = {fault: row for fault, *row in by_fault(days)}
    assert rows["outage"] == [2, 1, 120.0, {"ChoreFails": 1}]
    assert rows["stop_wave"] == [0, 0, None, {}]
    assert false_alarms(days) == (2, {"ManyLeave": 1})
    assert len(rules_hash()) == 12
