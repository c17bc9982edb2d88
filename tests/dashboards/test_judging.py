"""Alerts judged by the twin, in small: a quiet bank wakes nobody, and a provider that is away is told within minutes."""

from pathlib import Path
from random import Random

import msgspec
import pytest
from msgspec.structs import replace

from benchmarks.alert_days import Day, keep, kept, rules_hash
from benchmarks.alert_figures import JUDGED, by_fault, false_pages, interval, of_healthy
from benchmarks.alert_worlds import FAULTS, HEALTHY, MOST_LEAVE, world
from benchmarks.recorded_days import wanted
from dashboards.judging import NOT_JUDGED, Judged, Recorded, judge, series_of
from simulator.model.faults import FaultParameters, Window
from simulator.model.scenario import Scenario
from simulator.model.volunteers import Shift
from simulator.rehearsal.run import rehearse_on
from simulator.report.result import Plan
from tests.dashboards.expressions import EVERY_ALERT
from tests.store.cluster import Cluster, shared

PEOPLE, HOURS = 200, 0.4
OUTAGE = Window(from_s=600.0, for_s=600.0)


@pytest.fixture(scope="module")
def cluster(pytestconfig: pytest.Config) -> Cluster:
    return shared(pytestconfig)


def small(faults: FaultParameters) -> Scenario:
    day = world(HEALTHY, 1).scenario
    staff = replace(day.volunteers, count=2, desk_until_h=HOURS, shifts=(Shift(0.0, HOURS, 1.0),))
    return replace(day, duration_s=HOURS * 3600, volunteers=staff, faults=faults)


@pytest.fixture(scope="module")
def days(promtool: Path, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> tuple[Judged, Judged]:
    """A healthy one, and one with an outage: judged together."""
    folder = tmp_path_factory.mktemp("days")
    for name, faults in (("quiet", FaultParameters()), ("away", FaultParameters(outages=(OUTAGE,)))):
        plan = Plan(small(faults), contacts=PEOPLE, seed=1, metrics=folder / f"{name}.om")
        rehearse_on(cluster.empty(), plan)
    found = judge(
        {
            "quiet": Recorded(folder / "quiet.om"),
            "away": Recorded(folder / "away.om", since_s=OUTAGE.from_s),
        }
    )
    return found["quiet"], found["away"]


def test_a_healthy_bank_wakes_nobody(days) -> None:
    quiet, _ = days
    assert quiet.alerts == {}
    limits = {name: JUDGED[name].conditions[0].limit for name in quiet.highest}
    assert {"CarriersDoNotKnowUs", "WorkerRestarted"} <= set(limits)  # the others had nothing to compare
    assert [name for name, value in quiet.highest.items() if value > limits[name]] == []


def test_a_provider_that_is_away_is_told_within_minutes(days) -> None:
    quiet, away = days
    told = min(at_s for name, at_s in away.alerts.items() if name in FAULTS["outage"].alerts)
    assert 0 < told - OUTAGE.from_s <= 150
    assert away.highest["RepliesMayBeLost"] > 60
    assert quiet.highest.get("RepliesMayBeLost", 0.0) == 0


def test_a_days_record_has_a_value_a_look(promtool: Path, tmp_path: Path) -> None:
    """What was not told stays empty; an alert that the record shows comes at its minute; days don't mix."""
    labels = 'environment="rehearsal",job="textbank",instance="rehearsal"'
    for name, begins in (("one", 16), ("other", 24)):
        samples = [
            f"p2p_campaigns_waiting{{{labels}}} {int(nth >= begins)} {nth * 15:.3f}" for nth in range(120)
        ]
        gap = [line for nth, line in enumerate(samples) if nth != 2]
        text = "\n".join(["# TYPE p2p_campaigns_waiting gauge", *gap, "# EOF"])
        (tmp_path / f"{name}.om").write_text(text, encoding="utf-8")
    (values,) = series_of(tmp_path / "one.om").values()
    assert values[:4] == ["0", "0", "_", "0"]
    assert values[14:18] == ["0", "0", "1", "1"]
    found = judge({name: Recorded(tmp_path / f"{name}.om") for name in ("one", "other")})
    assert found["one"].alerts == {"CampaignWithoutWorker": 540.0}  # for five minutes, from the fourth on
    assert found["other"].alerts == {"CampaignWithoutWorker": 660.0}
    assert found["one"].highest == {"CampaignWithoutWorker": 1.0}


# ---------------------------------------------------------------- the worlds


def test_every_fault_of_the_model_is_judged_and_no_other() -> None:
    """`chaos` strews the others."""
    window, luck = Window(0.0, 60.0), Random(1)
    given = {name for fault in FAULTS.values() for name in fault.parameters(window, luck)}
    assert given == set(FaultParameters.__struct_fields__) - {"chaos"}


def test_days_differ_and_are_the_same_again() -> None:
    assert world(HEALTHY, 1) == world(HEALTHY, 1)
    assert world(HEALTHY, 1) != world(HEALTHY, 2)
    for fault, known in FAULTS.items():
        day = world(fault, 3)
        assert 0 <= day.began_s < day.scenario.duration_s - 600
        given = known.parameters(Window(day.began_s, known.lasts_s), Random(0))
        calm = world(HEALTHY, 3).scenario.faults
        assert all(getattr(day.scenario.faults, name) != getattr(FaultParameters(), name) for name in given)
        assert calm.outages == ()


def test_a_healthy_lists_people_leave_less_than_carriers_warn_of() -> None:
    for seed in range(1, 40):
        day = world(HEALTHY, seed).scenario
        strangers = day.population.reassigned_share * day.people.wrong_number_reply_share
        assert day.people.opt_out_share + day.people.hostile_share + strangers <= MOST_LEAVE


def test_a_run_that_is_cut_has_some_of_each() -> None:
    every = list(wanted(20, 4))
    assert len(every) == len(set(every)) == 20 + 4 * len(FAULTS)
    assert {fault for fault, _ in every[: len(FAULTS) + 5]} == {*FAULTS, HEALTHY}


# ---------------------------------------------------------------- figures


def test_the_table_names_alerts_that_there_are() -> None:
    names = {alert.name for alert in EVERY_ALERT}
    assert {each for fault in FAULTS.values() for each in fault.alerts} <= names
    assert not any(NOT_JUDGED.fullmatch(each) for fault in FAULTS.values() for each in fault.alerts)
    _, days = kept()
    assert {day.fault for day in days} <= {HEALTHY, *FAULTS}
    assert {alert for day in days for alert in day.alerts} <= names


def test_the_committed_days_were_judged_by_the_committed_rules() -> None:
    """Otherwise docs/reference/alerts.md speaks of other limits: `make judge-alerts ARGS=--only-judge`."""
    rules, days = kept()
    assert days
    assert rules.rules == rules_hash()


def test_days_are_kept_a_line_each(tmp_path: Path) -> None:
    days = [Day("outage", 2, 900.0, {"ProviderDegraded": 960.0}), Day(HEALTHY, 1, 0.0, {}, {"NoNumber": 0.0})]
    path = tmp_path / "days.jsonl"
    keep(days, path)
    assert len(path.read_bytes().splitlines()) == 3
    rules, again = kept(path)
    assert rules.rules == rules_hash()
    assert again == days[::-1]
    head, *lines = path.read_bytes().splitlines()
    line = msgspec.json.encode(Day("outage", 3, 900.0, {"Watchdog": 1.0}))
    path.write_bytes(b"\n".join([head, *lines, line]))
    assert kept(path)[1][-1].alerts == {}


def test_the_figures_count_days_delays_and_what_else_came() -> None:
    days = [
        Day("outage", 1, 900.0, {"RepliesMayBeLost": 1020.0, "ChoreFails": 1300.0}),
        Day("outage", 2, 900.0, {}, {"RepliesMayBeLost": 40.0}),
        Day(HEALTHY, 1, 0.0, {"CarrierFilters": 60.0}, {"RepliesMayBeLost": 3.0}),
        Day(HEALTHY, 2, 0.0, {"RepliesMayBeLost": 60.0}, {"RepliesMayBeLost": 61.0}),
    ]
    told = {each.fault: each for each in by_fault(days)}
    outage = told["outage"]
    assert (outage.days, outage.delays_s, outage.paged, outage.others) == (2, (120.0,), 1, {"ChoreFails": 1})
    assert outage.median_s == outage.slowest_s == 120.0
    assert told["stop_wave"].median_s is None
    quiet = {each.alert: each for each in of_healthy(days)}["RepliesMayBeLost"]
    assert (quiet.days, quiet.came, quiet.highest, quiet.told) == (2, 1, (3.0, 61.0), (40.0,))
    assert quiet.per_thousand[0] == 500
    assert false_pages(days) == (1, 2)


def test_few_days_say_little() -> None:
    assert interval(0, 200) == pytest.approx((0.0, 0.0188), abs=1e-4)
    assert interval(200, 200) == pytest.approx((0.9812, 1.0), abs=1e-4)
    assert interval(0, 0) == (0.0, 1.0)
