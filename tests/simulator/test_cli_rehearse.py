"""`textbank rehearse`: flags, exit status, what goes to which stream. The run itself is replaced here."""

import json
import re
from importlib.metadata import EntryPoint
from pathlib import Path

import msgspec
import pytest

import simulator.rehearsal.cli
from gateway import cli
from gateway.core.rules.errors import BadInput
from simulator.audit.records import Violation
from simulator.model.scenario import shipped
from simulator.report.result import INVARIANTS
from tests.simulator.sample_rehearsal import rehearsed, snapshot

CONTACTS = "phone,first_name\n+12155550123,Ann\n"


class Runs:
    """Stands for simulator.rehearsal.run: notes the plans, and gives a finished run."""

    def __init__(self) -> None:
        self.plans = []
        self.violations = ()
        self.error = None
        self.verdict = None
        self.not_tested = ()

    def rehearse(self, plan, on_progress=None, dsn=None):
        self.plans.append(plan)
        if self.error is not None:
            raise self.error
        on_progress(snapshot(virtual_s=45_000.0, wall_s=2.0))
        if plan.rejects is not None:
            plan.rejects.write_text("line,column,reason,text\n", encoding="utf-8")
        done = rehearsed(60, violations=self.violations)
        done.plan = plan
        chances = {name: int(name not in self.not_tested) for name in INVARIANTS}
        done.result = msgspec.structs.replace(done.result, chances=chances)
        if self.verdict is not None:
            done.result = msgspec.structs.replace(done.result, verdict=self.verdict)
        return done


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runs:
    import simulator.rehearsal.run

    made = Runs()
    entry = EntryPoint("rehearse", "simulator.rehearsal.cli:rehearse", cli.COMMANDS)
    monkeypatch.setattr(cli, "entry_points", lambda group: [entry])
    monkeypatch.setattr(simulator.rehearsal.run, "rehearse", made.rehearse)
    monkeypatch.chdir(tmp_path)
    Path("contacts.csv").write_text(CONTACTS, encoding="utf-8")
    return made


def test_without_flags_it_is_election_day(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["rehearse"]) == 0
    [plan] = runs.plans
    assert (plan.scenario.name, plan.contacts, plan.list_path, plan.script) == (
        "election-day",
        None,
        None,
        None,
    )
    assert (plan.seed, plan.rejects) == (1, None)
    output = capsys.readouterr()
    assert "Verdict:" in output.out
    assert "sent 100" in output.err
    assert "wrote reports/election-day-1/report.html" in output.err
    assert {path.name for path in Path("reports/election-day-1").iterdir()} == {"report.html", "report.json"}


def test_a_list_a_script_and_a_place(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "rehearse",
        "small-town",
        "--list",
        "contacts.csv",
        "--script",
        "Hi {{first_name}}",
        "--seed",
        "7",
    ]
    assert cli.run([*words, "--report", "out"]) == 0
    [plan] = runs.plans
    assert (plan.list_path, plan.script, plan.seed) == (Path("contacts.csv"), "Hi {{first_name}}", 7)
    assert plan.rejects == Path("out/rejects.csv")
    assert "wrote out/rejects.csv" in capsys.readouterr().err
    page = Path("out/report.html").read_text(encoding="utf-8")
    assert "small-town --list contacts.csv --script &#39;Hi {{first_name}}&#39; --seed 7</pre>" in page
    assert cli.run([*words, "--report", "out"]) == 2  # never written over
    assert "there is a report already: out/report.html; name another folder" in capsys.readouterr().err
    assert cli.run([*words, "--report", "new", "--rejects", "mine.csv"]) == 0
    assert runs.plans[1].rejects == Path("mine.csv")


def test_json_is_alone_on_standard_output(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["rehearse", "--contacts", "60", "--json"]) == 0
    output = capsys.readouterr()
    assert output.out.count("\n") == 1
    assert json.loads(output.out)["scenario"] == "election-day"
    assert runs.plans[0].contacts == 60


def test_a_second_run_has_a_folder_of_its_own(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    for wanted in ("election-day-1", "election-day-1.2", "election-day-1.3"):
        assert cli.run(["rehearse", "--list", "contacts.csv"]) == 0
        assert f"wrote reports/{wanted}/report.html" in capsys.readouterr().err
        assert runs.plans[-1].rejects == Path("reports") / wanted / "rejects.csv"


@pytest.mark.parametrize(("verdict", "status"), [("NO-GO", 3), ("GO with limits", 0), ("GO", 0)])
def test_strict_is_status_3_on_a_no_go_alone(runs: Runs, verdict: str, status: int) -> None:
    runs.verdict = verdict
    assert cli.run(["rehearse", "--contacts", "60"]) == 0
    assert cli.run(["rehearse", "--contacts", "60", "--strict"]) == status


def test_strict_is_status_4_when_a_rule_was_not_tested(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.verdict, runs.not_tested = "GO with limits", ("lawful_hours", "legal_moves")
    assert cli.run(["rehearse", "--contacts", "60"]) == 0
    assert cli.run(["rehearse", "--contacts", "60", "--strict"]) == 4
    assert "not tested: lawful_hours, legal_moves\n" in capsys.readouterr().err
    runs.verdict = "NO-GO"
    assert cli.run(["rehearse", "--contacts", "60", "--strict"]) == 3


def test_a_broken_rule_is_status_1_strict_or_not(runs: Runs) -> None:
    runs.violations = (Violation("lawful_hours", "Message 3 went out at 21:01."),)
    assert cli.run(["rehearse", "--strict"]) == 1


def test_a_broken_rule_is_status_1(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    runs.violations = (Violation("lawful_hours", "Message 3 went out at 21:01."),)
    assert cli.run(["rehearse"]) == 1
    output = capsys.readouterr()
    assert "NO-GO" in output.out
    assert "violations.txt" in output.err
    story = Path("reports/election-day-1/violations.txt").read_text(encoding="utf-8")
    assert "21:01" in story


BAD_TOML = "title = [\n"
BAD = [
    (["no-such-place"], "unknown scenario: no-such-place"),
    (["smal-town"], "did you mean small-town?"),
    (["missing.toml"], "no such scenario file: missing.toml"),
    (["bad.toml"], "not valid TOML: bad.toml"),
    (["odd.toml"], "did you mean contacts?"),
    (["--contacts", "0"], "--contacts"),
    (["--contacts", "5000001"], "--contacts"),
    (["--contacts", "many"], "'many' is not a valid integer"),
    (["--contacts", "5", "--list", "contacts.csv"], "--contacts and --list exclude each other"),
    (["--list", "absent.csv"], "absent.csv"),
    (["--list", "."], "is a directory"),
    (["--rejects", "x.csv"], "--rejects needs --list"),
    (["--script", " "], "--script is empty"),
    (["--seed", "-1"], "--seed"),
    (["--seed", "x"], "--seed"),
    (["--report", "contacts.csv"], "contacts.csv"),
    (["--report", "contacts.csv/in"], "can't be written: contacts.csv/in: not a directory"),
    (["--list", "contacts.csv", "--rejects", "contacts.csv/x"], "contacts.csv"),
    (["--reprot", "x"], "--report"),
    (["small-town", "again"], "again"),
]


@pytest.mark.parametrize(("words", "said"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_bad_input_is_one_line_and_status_2(
    runs: Runs, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    Path("bad.toml").write_text(BAD_TOML, encoding="utf-8")
    Path("odd.toml").write_text('base = "small-town"\ncontact = 5\n', encoding="utf-8")
    assert cli.run(["rehearse", *words]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert said in output.err
    assert runs.plans == []


def test_what_the_run_finds_wrong_is_status_2_too(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    runs.error = BadInput("no phone column", "contacts.csv", "name one 'phone'")
    assert cli.run(["rehearse", "--list", "contacts.csv"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "textbank: no phone column: contacts.csv; name one 'phone'"
    )


def test_a_script_that_cannot_be_read_is_status_2(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["rehearse", "--script", "Hi {{first_name"]) == 2
    assert capsys.readouterr().err == (
        "textbank: a script can't be read: --script: expected '}}', found end of file (line 1, column 4); correct it\n"
    )
    assert runs.plans == []


def test_the_scenarios_are_listed(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["rehearse", "--list-scenarios"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(shipped())
    assert all(re.match(r"\S+ +\S", line) for line in lines)


def test_help_names_every_flag(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["rehearse", "--help"]) == 0
    text = capsys.readouterr().out
    flags = (
        "--contacts",
        "--list",
        "--script",
        "--seed",
        "--report",
        "--json",
        "--strict",
        "--rejects",
        "--list-scenarios",
    )
    assert [flag for flag in flags if flag not in text] == []


def test_the_command_loads_nothing_heavy() -> None:
    """`textbank --help` imports every command: click alone is allowed at the top."""
    names = {name for name in vars(simulator.rehearsal.cli) if not name.startswith("_")}
    assert names & {"rehearsal", "report", "plots", "plotly", "simpy", "numpy"} == set()
