"""The report: one page that needs nothing else, says what the ledger says, and escapes what people typed."""

import csv
import json
import re
import resource
from contextlib import contextmanager
from html import escape
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import msgspec
import numpy as np
import pytest

from simulator.audit.ends import ends
from simulator.audit.records import Violation
from simulator.model.draws import Draws
from simulator.model.ledger import Ledger
from simulator.model.population import Population
from simulator.model.scenario import load, shipped
from simulator.report import page as report
from simulator.report.assumptions import parameters
from simulator.report.folder import FILES, AlreadyTaken, own_folder
from simulator.report.plots import figures
from simulator.report.result import INVARIANT_RULES, INVARIANTS
from simulator.report.summary import carrier_rows, code_rows, span, write_summary
from tests.simulator.sample_rehearsal import rehearsed, result, snapshot

MOST_BYTES = 6_000_000
BROKEN = Violation("accepted_once", "Message 7 went out <twice>.", 7, ("09:00:01 queued", "09:00:02 sent"))


@pytest.fixture(scope="module")
def sample():
    return rehearsed()


@pytest.fixture(scope="module")
def history():
    return [snapshot(virtual_s=at, waiting=int(at) % 50) for at in np.linspace(0, 45_000, 40).tolist()]


@pytest.fixture(scope="module")
def page(sample, history) -> str:
    return report.html(sample, history=history, command="textbank rehearse election-day --seed 1")


def without_plotly(page: str) -> str:
    return re.sub(r"<script>.*?</script>", "", page, count=1, flags=re.DOTALL)


# ------------------------------------------------------------ the page


class Links(HTMLParser):
    """Whatever a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [
            value for name, value in attrs if name in {"src", "href", "srcset", "data"} and value
        ]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_needs_nothing_else_and_stays_small(page: str) -> None:
    assert len(page.encode()) < MOST_BYTES
    links = Links()
    links.feed(page)
    assert links.fetched == []
    assert "@import" not in without_plotly(page)
    assert page.count("<script>") == 2  # Plotly once, and the plots


def test_the_verdict_comes_first_and_everything_is_there(page: str, sample) -> None:
    text = without_plotly(page)
    assert text.index("verdict stop" if sample.result.verdict == "NO-GO" else "<strong>") < text.index(
        "plot-flow"
    )
    for rule in INVARIANT_RULES.values():
        assert rule.replace("'", "&#39;") in text
    for wanted in (
        sample.result.trace_hash,
        "textbank rehearse election-day --seed 1",
        "AT&amp;T",
        "Number not in service",
        "Filtered by the carrier",
        "assumption",
        "processors",
        *(f"plot-{figure.key}" for figure in figures(sample)),
    ):
        assert wanted in text, wanted


def test_title_and_heading_count_the_people_of_this_run(page: str, sample) -> None:
    heading = "Election day in seven states: 400 invented people"
    assert f"<title>{sample.result.verdict}: {heading}</title>" in page
    assert f"<h1>{heading}</h1>" in page
    assert "of a simulated day, seed 1, times in" in page


def test_the_answer_comes_before_the_verdict(page: str, sample) -> None:
    text = without_plotly(page)
    assert text.index(escape(sample.result.answer)) < text.index(f"<strong>{sample.result.verdict}</strong>")


@pytest.mark.parametrize("name", shipped())
def test_no_scenario_speaks_of_a_number_of_people_that_a_run_need_not_have(name: str) -> None:
    scenario = load(name)
    for words in (scenario.title, scenario.description, scenario.question):
        assert f"{scenario.contacts:,}" not in words


def test_what_people_typed_is_escaped(tmp_path: Path) -> None:
    bad = "</script><script>alert(1)</script>"
    rejects = tmp_path / "rejects.csv"
    with rejects.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [["line", "column", "reason", "text", "name"], ["3", "phone", "bad", bad, "x"]]
        )
    done = rehearsed(60, violations=(BROKEN,), rejects=rejects, script=f"Hi {bad}")
    scenario = msgspec.structs.replace(done.plan.scenario, title=bad, question=bad)
    done.plan = msgspec.structs.replace(done.plan, scenario=scenario)
    page = report.html(done, command=f"textbank --script {bad!r}")
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert "went out &lt;twice&gt;" in page
    assert "invalid phone" in page
    assert "<td>Cell Phone</td><td>phone</td>" in page
    assert '<td>VAN &lt;ID&gt;</td><td class="soft">ignored</td>' in page
    assert '<p class="warning">2 states are not US states</p>' in page


def test_the_plots_json_on_the_page_is_whole(page: str, sample, history) -> None:
    found = re.search(r"^const specs = (.*);$", page, re.MULTILINE)
    assert found
    assert not re.search(r"\b(NaN|Infinity)\b", found[1])
    assert json.loads(found[1]) == {figure.key: figure.spec for figure in figures(sample, history)}


def test_the_files(tmp_path: Path, sample) -> None:
    broken = rehearsed(60, violations=(BROKEN,))
    names = [path.name for path in report.write(broken, tmp_path / "new" / "folder")]
    assert names == ["report.html", "report.json", "violations.txt"]
    folder = tmp_path / "new" / "folder"
    story = (folder / "violations.txt").read_text(encoding="utf-8")
    assert story.startswith("accepted_once (message 7): Message 7 went out <twice>.\n    09:00:01 queued\n")
    assert json.loads((folder / "report.json").read_text(encoding="utf-8")) == json.loads(
        broken.result.to_json()
    )
    assert [path.name for path in report.write(sample, tmp_path / "other")] == ["report.html", "report.json"]


@contextmanager
def in_folder(path: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.chdir(path)
        yield


def test_each_run_has_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with in_folder(tmp_path, monkeypatch):
        for wanted in ("reports/small-town-7", "reports/small-town-7.2", "reports/small-town-7.3"):
            with own_folder(None, "small-town", 7) as folder:
                assert str(folder) == wanted


def test_a_folder_that_was_named_is_never_written_over(tmp_path: Path) -> None:
    for name in FILES:
        with own_folder(tmp_path / name, "small-town", 1) as folder:
            (folder / "notes.txt").touch()
            (folder / name).touch()
        with pytest.raises(AlreadyTaken, match=f"there is a report already.*{name}; name another"):
            own_folder(tmp_path / name, "small-town", 1).__enter__()


def test_a_run_that_fails_leaves_no_empty_folder_and_keeps_what_it_wrote(tmp_path: Path) -> None:
    def run(what: str) -> None:
        with own_folder(tmp_path / what, "small-town", 1) as folder:
            if what == "half":
                (folder / "rejects.csv").touch()
            raise KeyboardInterrupt

    for what in ("none", "half"):
        with pytest.raises(KeyboardInterrupt):
            run(what)
    assert [path.name for path in tmp_path.iterdir()] == ["half"]


def test_a_run_that_fails_takes_no_folder_along_that_was_there(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir(mode=0o700)
    for named in (mine, mine / "deep" / "deeper"):
        with pytest.raises(KeyboardInterrupt), own_folder(named, "small-town", 1):
            raise KeyboardInterrupt
    assert (mine.stat().st_mode & 0o777, list(mine.iterdir())) == (0o700, [])


def test_a_run_that_fails_leaves_no_reports_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt), own_folder(None, "small-town", 1):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_leaves_no_half_report(sample, tmp_path: Path) -> None:
    """A limit of the shell's on a file's size, as a full disk would."""
    was = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, was[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            report.write(sample, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, was)
    assert list(tmp_path.iterdir()) == []


def test_a_rehearsal_in_which_nothing_happened_still_has_a_report() -> None:
    done = rehearsed(60)
    done.ledger = Ledger()
    done.population = Population.from_phones(np.zeros(0, np.int64), Draws(1), done.plan.scenario.population)
    assert "No text was handed to the carriers." in report.html(done)


# ------------------------------------------------------------ the tables


def test_carriers_rows_add_up(sample) -> None:
    rows = carrier_rows(sample.ledger, ends(sample.ledger))
    assert sum(row.count for row in rows) == 400
    for name in {row.carrier for row in rows}:
        assert sum(row.share for row in rows if row.carrier == name) == pytest.approx(1)
    assert all(row.title for row in rows if row.code)


def test_codes_come_with_the_catalogues_words() -> None:
    rows = code_rows(result())
    assert [(row.ended, row.code, row.count) for row in rows] == [
        ("blocked by a safeguard", "1302", 5),
        ("undelivered", "30007", 11),
        ("undelivered", "30005", 8),
    ]
    assert rows[0].title == "Unsubscribed"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (60, "1 min 00 s"), (200.4, "3 min 20 s"), (45_000, "12 h 30 min")],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_the_summary_says_it_all_and_cuts_nothing(tmp_path: Path) -> None:
    done = rehearsed(60, violations=(BROKEN,), rejects=tmp_path / "none.csv")
    stream = StringIO()
    write_summary(done, stream)
    text = " ".join(stream.getvalue().split())
    assert "Verdict: NO-GO" in text
    for reason in done.result.verdict_reasons:
        assert reason in text
    assert f"1 of {len(INVARIANTS)} rules were broken" in text
    assert "09:00:02 sent" in text
    assert "60 of 62 rows used; rejected: 2 invalid phone" in text
    assert "Warning: 2 states are not US states List: 60 of 62" in text
    assert "Columns: Cell Phone as phone, First as first name Ignored: VAN <ID>" in text
    assert max(map(len, stream.getvalue().splitlines())) <= 110


# ------------------------------------------------------------ the parameters


@pytest.mark.parametrize("name", shipped())
def test_every_parameter_is_listed_once(name: str) -> None:
    rows = parameters(load(name))
    paths = [row.path for row in rows]
    assert len(paths) == len(set(paths)) > 150
    assert sum(row.assumed for row in rows) > 50


@pytest.mark.parametrize(
    ("path", "value", "assumed", "note"),
    [
        ("population.landline_share", "0.03", True, "share of contacts, cleaned list"),
        ("people.reply_share", "0.15", True, "neighbours answer more"),  # the file over its base
        ("carriers.accept_median_s", "0.6", True, "seconds, provider to carrier"),  # a default of the code
        ("campaign.rotate_after", "300", False, "new conversations per number (C7)"),
        ("population.carriers.att", "0.28", True, "share of mobile contacts"),  # the table's
        ("verdict.warn_opt_out_share", "0.065", True, ""),
    ],
)
def test_a_parameter_says_what_it_means(path: str, value: str, assumed: bool, note: str) -> None:
    row = next(row for row in parameters(load("small-town")) if row.path == path)
    assert row.value == value
    assert note in row.note
    assert row.assumed is assumed
