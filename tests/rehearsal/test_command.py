"""`textbank rehearse` from end to end, as a process: what it prints, writes and returns."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import cli
from gateway.core.sending.numbers import NumberPool
from gateway.upkeep.recovery import Recovery
from simulator.report.result import INVARIANTS

FIELDS = [
    "scenario",
    "seed",
    "contacts",
    "virtual_seconds",
    "wall_seconds",
    "peak_rss_bytes",
    "trace_hash",
    "messages",
    "segments",
    "cost_usd",
    "replies",
    "opt_outs",
    "numbers",
    "invariants",
    "verdict",
]
MESSAGES = [
    "requested",
    "blocked",
    "queued",
    "sending",
    "sent",
    "delivered",
    "undelivered",
    "failed",
    "unknown",
]
SHORT = """
base = "election-day"
duration_s = 3600
[volunteers]
count = 4
desk_until_h = 1.0
shifts = [{ from_h = 0.0, to_h = 0.8, share = 1.0 }]
"""


@pytest.fixture
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("short.toml").write_text(SHORT, encoding="utf-8")
    return tmp_path


def textbank(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from gateway.cli import main; main()", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_one_json_object_on_standard_output(short: Path) -> None:
    done = textbank("rehearse", "short.toml", "--contacts", "60", "--seed", "3", "--json", "--report", "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    result = json.loads(done.stdout)
    assert [name for name in FIELDS if name not in result] == []
    assert "list" not in result
    assert (result["scenario"], result["seed"], result["contacts"]) == ("short", 3, 60)
    assert 3600 <= result["virtual_seconds"] < 3610  # what is under way at the end is finished
    assert len(result["trace_hash"]) >= 32
    assert result["peak_rss_bytes"] > 10_000_000
    assert result["invariants"] == dict.fromkeys(INVARIANTS, 0)
    assert list(result["chances"]) == list(INVARIANTS)
    assert result["chances"]["books_balance"] > 20
    assert result["verdict"] in {"GO", "GO with limits", "NO-GO"}
    messages = result["messages"]
    assert list(messages) == MESSAGES
    assert set(result["opt_outs"]) == {"keyword", "manual"}
    assert set(result["numbers"]) == {"bought", "in_use", "retired"}
    counted = [sum(n.values()) if isinstance(n, dict) else n for n in messages.values()]
    assert counted[0] == sum(counted[1:])
    assert {path.name for path in (short / "out").iterdir()} == {"report.html", "report.json"}
    assert json.loads((short / "out" / "report.json").read_text(encoding="utf-8"))


def test_a_summary_for_people(short: Path) -> None:
    done = textbank("rehearse", "short.toml", "--contacts", "40")
    assert done.returncode == 0, done.stderr
    assert "Verdict:" in done.stdout
    assert re.search(r"\d+ of \d+ rules held\.\nNot tested: ", done.stdout), done.stdout
    assert (short / "reports" / "short-1" / "report.html").exists()


def test_a_broken_rule_is_status_1_with_its_story(
    short: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, with a planted bug: the real command, database, world and auditor."""
    choose = NumberPool.choose
    monkeypatch.setattr(
        NumberPool, "choose", lambda self, now, **k: choose(self, now, **{**k, "sticky": None})
    )
    crowd = "[people]\nreply_share = 0.6\nreply_median_s = 30\n[campaign]\nrotate_after = 5\n"
    (short / "crowd.toml").write_text(SHORT + crowd, encoding="utf-8")
    status = cli.run(["rehearse", "crowd.toml", "--contacts", "80", "--json", "--report", "out"])
    result = json.loads(capsys.readouterr().out)
    assert status == 1
    assert result["verdict"] == "NO-GO"
    assert {name for name, count in result["invariants"].items() if count} == {"one_number_a_contact"}
    story = (short / "out" / "violations.txt").read_text(encoding="utf-8")
    assert "texted from a second number while the first was in use" in story
    assert "handed over: +1" in story


@pytest.fixture
def places() -> Iterator[Path]:
    """A temporary folder that the account can enter that runs PostgreSQL for root."""
    folder = Path(tempfile.mkdtemp(prefix="textbank-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


REHEARSE = [sys.executable, "-c", "from gateway.cli import main; main()", "rehearse", "election-day"]


@pytest.mark.parametrize(
    ("numbers", "status", "background"),
    [
        ((signal.SIGTERM,), 143, False),
        ((signal.SIGTERM,), 143, True),
        ((signal.SIGHUP,), 129, True),
        ((signal.SIGTERM, signal.SIGTERM), 143, False),
        ((signal.SIGINT,), 130, False),
    ],
)
def test_a_signal_takes_the_database_along(
    short: Path, places: Path, numbers: tuple[signal.Signals, ...], status: int, background: bool
) -> None:
    """The signal comes after the first line says that the run has begun. A background job's shell ignores SIGINT."""

    def as_a_shell_starts_it() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN if background else signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may have said nohup

    environment = {**os.environ, "TMPDIR": str(places)}
    with subprocess.Popen(
        REHEARSE,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=environment,
        cwd=short,
        preexec_fn=as_a_shell_starts_it,  # noqa: PLW1509 - no threads here
    ) as run:
        assert run.stderr is not None
        assert b"setting up" in run.stderr.readline()
        [server] = places.glob("textbank-pg-*")
        pid = int((server / "cluster" / "postmaster.pid").read_text().split()[0])
        for number in numbers:
            run.send_signal(number)
        rest = run.stderr.read()
    assert run.returncode == status, rest
    assert b"Traceback" not in rest
    assert b"Task was destroyed" not in rest
    assert list(places.glob("textbank-pg-*")) == []
    assert not is_at_work(pid)


def test_a_signal_while_postgresql_starts_leaves_nothing(short: Path, places: Path) -> None:
    """As early as the folder is there, which may be in the middle of initdb."""
    environment = {**os.environ, "TMPDIR": str(places)}
    with subprocess.Popen(
        REHEARSE, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment, cwd=short
    ) as run:
        assert run.stderr is not None
        while run.poll() is None and not list(places.glob("textbank-pg-*")):
            os.sched_yield()
        run.send_signal(signal.SIGTERM)
        rest = run.stderr.read()
    assert run.returncode == 143, rest
    assert b"Traceback" not in rest
    assert list(places.glob("textbank-pg-*")) == []


def test_an_ascii_terminal_of_60_columns(short: Path) -> None:
    """The report is UTF-8 all the same; the summary's own lines fit."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": ":".join(sys.path),
        "LC_ALL": "C",
        "COLUMNS": "60",
    }
    environment |= {"PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    words = [sys.executable, "-m", "gateway", "rehearse", "short.toml", "--contacts", "20"]
    done = subprocess.run(words, env=environment, cwd=short, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert done.stderr.isascii()
    assert max(len(line.rstrip()) for line in done.stdout.decode().splitlines()) <= 60
    assert b"Traceback" not in done.stderr
    assert b"defect" not in done.stderr
    [report] = short.glob("reports/*/report.html")
    assert "<html" in report.read_text(encoding="utf-8")


def is_at_work(pid: int) -> bool:
    """A process that has ended may stand in the table until somebody asks for its status."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in {"Z", "X"}


ONE_AND_MANY = re.compile(
    r"(?<![\d.,])1 (?:texts|messages|people|invented people|rows|segments|times|replies|purchases|reports)\b"
)


def test_one_person_is_no_people(short: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (short / "one.csv").write_text("phone,first_name\n+12155550123,Ann\n", encoding="utf-8")
    for words in (["--contacts", "1"], ["--list", "one.csv"]):
        assert cli.run(["rehearse", "short.toml", *words]) == 0
        told = capsys.readouterr()
        assert ONE_AND_MANY.findall(told.out) == []
        assert "1 person of one.csv" in told.out or "1 invented person" in told.out


def test_the_log_of_a_rehearsal_shows_no_phone(
    short: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A defect's traceback neither: structlog's own shows every local value."""

    async def broken(_: Recovery) -> None:
        person = "+12155550123"
        raise RuntimeError(f"no way to {person}")

    monkeypatch.setattr(Recovery, "run_once", broken)
    assert cli.run(["rehearse", "short.toml", "--contacts", "5"]) == 0
    told = capsys.readouterr().err
    assert "periodic work met a defect" in told
    assert "Traceback" in told
    assert "2155550123" not in told
