"""What is read of a load test: its page, its JSON, and JUnit's XML."""

import gzip
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs_version

from dashboards.resources import RESOURCES
from dashboards.slos import SLOS
from loadtests.gauges import PLANNED
from loadtests.objectives import OBJECTIVES, share_between
from loadtests.reading.junit import junit
from loadtests.reading.page import MOST_BYTES, PLOTLY, page, written
from loadtests.reading.plots import figures
from loadtests.report import Report, capacity, findings, limited_by
from tests.loadtests.sample_run import RIGHT, outcome, report, watched


@pytest.fixture(scope="module")
def sample() -> Report:
    return report()


def test_the_folder_has_a_page_json_and_junit(sample: Report, tmp_path: Path) -> None:
    written(sample, tmp_path / "new")
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == ["load.html", "load.json", "load.junit.xml"]
    assert (tmp_path / "new" / "load.html").stat().st_size <= MOST_BYTES
    again = msgspec.json.decode((tmp_path / "new" / "load.json").read_bytes(), type=Report)
    assert msgspec.to_builtins(again) == msgspec.to_builtins(sample)


def test_the_page_needs_nothing_from_outside(sample: Report) -> None:
    text = re.sub(r'<script type="application/gzip".*?</script>', "", page(sample), flags=re.DOTALL)
    assert re.findall(r"""(?:src|href)=|url\(|@import|https?:""", text) == []


def test_the_plots_script_is_of_the_version_that_rehearsals_reports_have() -> None:
    assert (
        f"plotly.js (cartesian - minified) v{get_plotlyjs_version()}"
        in gzip.decompress(PLOTLY.read_bytes()).decode()
    )


def test_every_plot_is_valid_and_small(sample: Report) -> None:
    plots = figures(sample)
    assert [plot.key for plot in plots] == [
        "texted",
        "rate",
        "percentiles",
        "heat",
        "knee",
        "waiting",
        "saturation",
    ]
    for plot in plots:
        assert plot.question.endswith("?")
        assert plot.answer.endswith(".")
        assert len(go.Figure(plot.spec).data) == len(plot.spec["data"]) > 0
        assert all(len(trace["x"]) <= 650 for trace in plot.spec["data"])


def test_the_heat_map_counts_every_answer_once(sample: Report) -> None:
    heat = next(plot for plot in figures(sample) if plot.key == "heat")
    assert sum(count or 0 for row in heat.spec["data"][0]["z"] for count in row) == 6000


def test_both_bases_and_the_wait_for_a_connection_are_told(sample: Report) -> None:
    curves = {name: dict(points) for name, points in sample.curves.items()}
    assert set(curves) == {"since_intended", "since_actual", "blocked"}
    assert curves["since_intended"][99.0] > curves["since_actual"][99.0] > curves["blocked"][99.0] > 0
    assert curves["since_actual"][99.0] == pytest.approx(0.02 * 2.718 ** (0.8 * 2.326), rel=0.15)


@pytest.mark.parametrize(
    ("changes", "decision", "status", "failures", "errors"),
    [
        ({}, "GO", 0, 0, 0),
        ({"gateway": watched(good=0.9)}, "GO with limits", 0, 7, 0),
        ({"verdict": msgspec.structs.replace(RIGHT, lost=2)}, "NO-GO", 1, 1, 0),
        ({"outcome": outcome(stopped_because="a worker was lost")}, "NO VERDICT", 3, 1, 7),
        ({"gateway": None}, "GO", 0, 0, 0),
    ],
)
def test_page_and_junit_say_what_was_decided(
    changes: dict[str, object], decision: str, status: int, failures: int, errors: int
) -> None:
    judged = report(**changes)
    assert (judged.decision, judged.exit_status) == (decision, status)
    assert f"<strong>{decision}</strong>" in page(judged)
    suite = ET.fromstring(junit(judged))[0]
    assert (suite.get("failures"), suite.get("errors")) == (str(failures), str(errors))
    assert int(suite.get("tests") or 0) == len(suite) == 4 + len(judged.rules) + len(judged.promises)


def test_a_promise_is_broken_only_beyond_chance() -> None:
    """9 of 10 is no proof that less than 99 % hold; 900 of 1,000 is."""
    assert share_between(9, 10)[1] > 0.98
    assert share_between(900, 1000)[1] < 0.92
    assert share_between(0, 0) == (0.0, 1.0)


def test_what_was_full_first_is_named() -> None:
    gateway = watched()
    full = msgspec.structs.replace(gateway, used={**gateway.used, "gateway": 900.0})
    assert limited_by(report(gateway=gateway)) == "the people's own pace: nothing was full"
    assert limited_by(report(gateway=full)) == "this machine's 2 cores (2.6 of them busy on average)"
    assert "33.3 people a second with 20% to spare" in capacity(report(gateway=gateway))


def test_findings_begin_with_the_gravest() -> None:
    lost = report(verdict=msgspec.structs.replace(RIGHT, lost=2), gateway=watched(good=0.9))
    assert findings(lost)[0].startswith("2 texts lost")
    assert "promised are 99.95%" in findings(lost)[1]
    assert findings(report()) == []


def test_every_field_of_the_json_is_documented() -> None:
    text = Path("docs/reference/load-report.md").read_text(encoding="utf-8")
    assert [name for name in Report.__struct_fields__ if f"`{name}`" not in text] == []


def test_objectives_are_those_that_make_the_alerts() -> None:
    """They are written down twice; the resources that a bank fills on purpose too."""
    theirs = {slo.name: (slo.title, slo.bank_objective or slo.objective, slo.good, slo.total) for slo in SLOS}
    assert set(theirs) == {each.name for each in OBJECTIVES}
    for each in OBJECTIVES:
        title, share, good, total = theirs[each.name]
        assert (each.title, each.share) == (title, share)
        assert good.startswith(each.good)
        assert total.startswith(each.total)
        assert all(pattern in good for pattern in each.where.values())
        assert each.within_s is None or f'le="{each.within_s}"' in good
        assert {each.name for each in RESOURCES if each.full_is_planned} == PLANNED
