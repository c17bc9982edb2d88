"""The generated files are what the tables say, their links lead somewhere, and the boards keep to the house's rules."""

import json
import re
from pathlib import Path

import pytest
import yaml

from dashboards.__main__ import main
from dashboards.addresses import Addresses, uid
from dashboards.boards import BOARDS
from dashboards.generate import GENERATED, files, write
from dashboards.grafana import COLOURS
from dashboards.resources import RESOURCES
from dashboards.scraping import alertmanager
from dashboards.slos import BANK_BURNS, BURNS, SLOS, WINDOWS
from gateway.metric_families import CARRIERS, FAMILIES, RESOURCE
from gateway.routes import ROUTES
from tests.dashboards.expressions import EVERY_ALERT, PANEL_IDS, RULES

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs/runbooks"
WANTED = files()
HEADINGS = (
    "What people see",
    "First three checks",
    "Safe actions",
    "When to stop the bank",
    "Back again",
    "Who decides",
    "Last drill",
)


def boards() -> dict[str, dict]:
    return {name: json.loads(text) for name, text in WANTED.items() if name.startswith("grafana/dashboards/")}


# ---------------------------------------------------------------- drift


def test_the_folder_is_what_the_tables_say() -> None:
    there = {
        path.relative_to(GENERATED).as_posix(): path.read_text(encoding="utf-8")
        for path in GENERATED.rglob("*")
        if path.is_file()
    }
    assert sorted(there) == sorted(WANTED)
    changed = [name for name, text in WANTED.items() if there[name] != text]
    assert changed == [], "run `.venv/bin/python -m dashboards`"


def test_an_operators_own_addresses_are_in_a_copy_of_ones_own(tmp_path: Path) -> None:
    keep = tmp_path / "mine.txt"
    keep.write_text("not generated", encoding="utf-8")
    words = [
        "--grafana",
        "https://g.example/",
        "--gateway",
        "https://t.example/",
        "--runbooks",
        "https://r.example",
    ]
    main([*words, "--out", str(tmp_path)])
    rules = (tmp_path / "prometheus/rules/alerts.yaml").read_text(encoding="utf-8")
    assert "https://g.example/d/textbank-" in rules
    assert "https://r.example/" in rules
    assert "grafana.example" not in rules
    source = yaml.safe_load(
        (tmp_path / "grafana/provisioning/datasources/prometheus.yaml").read_text("utf-8")
    )
    (story,) = source["datasources"][0]["jsonData"]["exemplarTraceIdDestinations"]
    assert story["url"].startswith("https://t.example/v1/messages/${__data.fields.campaign_id}/")
    route = (
        story["url"]
        .removeprefix("https://t.example")
        .replace("${__data.fields.campaign_id}", "{campaign_id}")
    )
    assert route.replace("${__value.raw}", "{message_id}") in ROUTES
    assert keep.exists()
    own = Addresses(grafana="https://g.example", gateway="https://t.example", runbooks="https://r.example")
    assert write(tmp_path, own) == []


# ---------------------------------------------------------------- links


@pytest.mark.parametrize("alert", EVERY_ALERT, ids=lambda alert: alert.name)
def test_an_alert_leads_to_a_panel_that_leads_to_its_runbook(alert) -> None:
    panel_id = PANEL_IDS[alert.board, alert.panel]
    board = boards()[f"grafana/dashboards/{alert.board}.json"]
    (panel,) = [each for each in board["panels"] if each["id"] == panel_id]
    assert panel["title"] == alert.panel
    assert board["uid"] == uid(alert.board)
    (link,) = [each for each in panel["links"] if each["url"] == Addresses().runbook(alert.runbook)]
    assert alert.name in link["title"]
    runbook = RUNBOOKS / f"{alert.runbook}.md"
    assert runbook.exists()
    assert f"`{alert.name}`" in runbook.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_a_runbook_has_its_shape_and_an_alert(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.stem == "README":
        return
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == list(HEADINGS)
    checks = text.partition("## First three checks")[2].partition("\n## ")[0]
    assert re.findall(r"^(\d)\.", checks, re.MULTILINE) == ["1", "2", "3"]
    assert "```console" in text.partition("## Safe actions")[2].partition("\n## ")[0]
    assert path.stem in {alert.runbook for alert in EVERY_ALERT}
    named = set(re.findall(r"`([A-Z]\w+)`", text.partition("\n## ")[0]))
    assert named == {alert.name for alert in EVERY_ALERT if alert.runbook == path.stem}


def test_a_metric_that_a_runbook_names_exists() -> None:
    names = {family.name for family in FAMILIES}
    named = {
        name
        for path in RUNBOOKS.glob("*.md")
        for name in re.findall(r"`(p2p_\w+?)(?:[{`])", path.read_text(encoding="utf-8"))
    }
    assert named - names == set()


def test_a_panel_that_a_runbook_names_exists() -> None:
    questions = {(board.title, panel.question) for board in BOARDS for panel in board.panels}
    named = {
        (title, question)
        for path in RUNBOOKS.glob("*.md")
        for title, question in re.findall(
            r"\*\*([^*:]+(?:: [^*?]+)?): ([^*]+\?)\*\*", path.read_text("utf-8")
        )
    }
    assert named
    assert named - questions == set()


# ---------------------------------------------------------------- boards


def test_titles_are_questions_units_are_set_and_nothing_overlaps() -> None:
    for board in BOARDS:
        questions = [panel.question for panel in board.panels]
        assert len(questions) == len(set(questions))
        assert all(question.endswith("?") for question in questions)
    for board in boards().values():
        cells: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            own = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not own & cells, panel["title"]
            assert place["x"] + place["w"] <= 24
            cells |= own
            if panel["type"] != "text":
                assert panel["fieldConfig"]["defaults"]["unit"]
                assert panel["description"]


def test_only_the_environment_and_the_carrier_are_chosen() -> None:
    for name, board in boards().items():
        variables = {each["name"]: each for each in board["templating"]["list"]}
        assert set(variables) - {"source"} <= {"environment", "carrier"}, name
        used = json.dumps(board["panels"])
        assert ("$carrier" in used) == ("carrier" in variables), name


def test_a_carrier_has_one_colour_everywhere() -> None:
    assert set(COLOURS) == set(CARRIERS)
    assert len(set(COLOURS.values())) == len(COLOURS)
    for board in boards().values():
        for panel in board["panels"]:
            painted = {
                each["matcher"]["options"]: each["properties"][0]["value"]["fixedColor"]
                for each in panel.get("fieldConfig", {}).get("overrides", [])
            }
            if painted:
                assert painted == {f"^{carrier}($|,)": colour for carrier, colour in COLOURS.items()}


# ---------------------------------------------------------------- tables


def test_every_resource_that_the_gateway_tells_is_in_the_table() -> None:
    told = {each.name for each in RESOURCES if each.expression is None}
    assert told == set(RESOURCE.values)


def test_an_objectives_edge_is_the_end_of_a_bucket() -> None:
    bounds = {family.name: {str(each) for each in family.buckets} for family in FAMILIES}
    for slo in SLOS:
        if found := re.search(r'(\w+)_bucket\{.*le="([^"]+)"', slo.good):
            assert found[2] in bounds[found[1]], slo.name


def test_each_objective_has_its_windows_alerts_and_panel() -> None:
    panels = {question for board, question in PANEL_IDS if board == "slo"}
    for slo in SLOS:
        own = [rule for rule in RULES if rule.get("labels", {}).get("slo") == slo.name]
        recorded = {rule["record"] for rule in own if "record" in rule}
        assert {f"slo:errors:ratio_rate{window}" for window in WINDOWS} <= recorded
        alerts = [rule["alert"] for rule in own if "alert" in rule]
        assert alerts == [slo.alert + burn.suffix for burn in (*BURNS, *BANK_BURNS)]
        assert slo.question in panels


def test_every_severity_has_somebody() -> None:
    """Pages and tickets have a way each, and no receiver is named that is not there."""
    routes = [alertmanager()["route"], *alertmanager()["route"]["routes"]]
    receivers = {each["name"] for each in alertmanager()["receivers"]}
    assert {route["receiver"] for route in routes} == receivers
    names = {alert.name for alert in EVERY_ALERT}
    for rule in alertmanager()["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            pattern = re.compile(re.fullmatch(r'alertname=~?"(.+)"', matcher)[1])
            for part in pattern.pattern.split("|"):
                assert any(re.fullmatch(part, name) for name in names), part


def test_the_files_for_containers_name_what_there_is() -> None:
    compose = yaml.safe_load((ROOT / "dashboards/compose.yaml").read_text(encoding="utf-8"))
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert not source.startswith("./") or (ROOT / "dashboards" / source).exists(), source
