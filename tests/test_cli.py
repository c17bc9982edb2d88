"""The command: finds subcommands, turns bad input into one line and status 2, hides no defect."""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint, version
from pathlib import Path

import click
import pytest

from docs.generate.command_line import leaves
from gateway import cli
from gateway.core.rules.errors import BadInput, TextbankError


class MarkedError(ValueError):
    """As a part makes its own that may not import the gateway."""

    textbank_exit_status = 2


def raising(error: BaseException):
    def callback() -> None:
        raise error

    return callback


@click.command()
@click.option("--contacts", type=int, required=True, help="how many")
def count(contacts: int) -> int:
    """Count contacts."""
    click.echo(f"{contacts} contacts")
    return 1 if contacts > 10 else 0


@click.command(no_args_is_help=True)
@click.argument("name")
def greet(name: str) -> None:
    """Greet somebody."""


TREE = {
    "count": count,
    "greet": greet,
    "bad-input": click.Command(
        "x", callback=raising(BadInput("no phone column", "a.csv", "name one 'phone'"))
    ),
    "marked": click.Command("x", callback=raising(MarkedError("two\nlines"))),
    "defect": click.Command("x", callback=raising(TextbankError("a table is missing"))),
    "interrupted": click.Command("x", callback=raising(KeyboardInterrupt())),
    "nothing": "not a command",
}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [EntryPoint(name, f"tests.test_cli:TREE[{name}]", cli.COMMANDS) for name in TREE]
    load = EntryPoint.load
    monkeypatch.setattr(
        EntryPoint, "load", lambda entry: TREE[entry.name] if entry.name in TREE else load(entry)
    )
    entries.append(EntryPoint("absent", "no_such_module:command", cli.COMMANDS))
    entries.append(EntryPoint("moved", "gateway.cli:no_such_command", cli.COMMANDS))
    monkeypatch.setattr(cli, "entry_points", lambda group: entries if group == cli.COMMANDS else [])


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["bad-input"], 2, "textbank: no phone column: a.csv; name one 'phone'"),
        (["marked"], 2, "textbank: two lines"),
        (["interrupted"], 130, "textbank: interrupted"),
        (["count"], 2, "textbank: Missing option '--contacts'. Try 'textbank count --help'."),
        (["count", "--contacts", "many"], 2, "'many' is not a valid integer"),
        (["count", "--contact"], 2, "--contact"),
        (["conut"], 2, "No such command 'conut'"),
        (["--no-such-flag"], 2, "No such option"),
        (["absent"], 2, "no_such_module"),
        (["moved"], 2, "has no attribute"),
        (["nothing"], 2, "it is not a command"),
    ],
)
def test_trouble_is_one_line_and_a_status(
    capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, said: str
) -> None:
    assert cli.run(arguments) == status
    output = capsys.readouterr()
    assert output.out == ""
    assert said in output.err
    assert output.err.count("\n") == 1


def test_a_defect_is_one_line_and_70_and_its_traceback_is_to_be_had(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(["defect"]) == cli.DEFECT == 70
    said = capsys.readouterr().err
    assert re.fullmatch(
        r"textbank: this is a defect of ours \(TextbankError: a table is missing\): \S+/tests/test_cli\.py:\d+;"
        r" run it again with --debug, and report what it shows\n",
        said,
    )
    for words in (["--debug", "defect"], ["defect", "--debug"]):
        assert cli.run(words) == 70
        assert "Traceback" in capsys.readouterr().err


def test_completion_knows_commands_and_flags(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_TEXTBANK_COMPLETE", "bash_source")
    assert cli.run([]) == 0
    assert "_textbank_completion" in capsys.readouterr().out
    monkeypatch.setenv("_TEXTBANK_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "textbank count --co")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert cli.run([]) == 0
    assert "--contacts" in capsys.readouterr().out


def test_python_m_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("textbank ")


@pytest.mark.parametrize(("name", "command"), list(leaves()), ids=str)
def test_help_is_in_whole_sentences(name: str, command: click.Command) -> None:
    assert command.help.strip().endswith("."), name
    assert command.help.strip()[0].isupper()
    for option in command.params:
        if isinstance(option, click.Option) and option.help:
            text = re.sub(r"\s+\[default: .*\]$", "", option.help)
            assert text[0].isupper() or text[0].isdigit(), (name, option.name)
            assert text.endswith((".", '…".')), (name, option.name)


ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("target", ["rehearse", "test"])
def test_an_old_python_is_one_line_of_make(tmp_path: Path, target: str) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    old = tmp_path / "python3.10"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = subprocess.run(
        ["make", target, f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "Python 3.11 or later is needed" in done.stderr
    assert "make PYTHON=python3.12" in done.stderr


def test_an_ascii_terminal_of_60_columns(capfd: pytest.CaptureFixture[str]) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": ":".join(sys.path),
        "LC_ALL": "C",
        "COLUMNS": "60",
    }
    environment |= {"PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    for words in (["--help"], ["rehearse", "--help"], ["rehearse", "--list-scenarios"], ["settings"]):
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *words], env=environment, capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, b""), words


@pytest.mark.parametrize(("contacts", "status"), [("3", 0), ("30", 1)])
def test_a_command_gives_its_own_status(
    capsys: pytest.CaptureFixture[str], contacts: str, status: int
) -> None:
    assert cli.run(["count", "--contacts", contacts]) == status
    assert capsys.readouterr().out == f"{contacts} contacts\n"


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_every_command(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert cli.run(arguments) == 0
    page = capsys.readouterr().out
    assert "Count contacts." in page
    assert "Not available" in page
    assert [name for name in [*TREE, "absent"] if name not in page] == []


def test_a_command_without_its_arguments_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["greet"]) == 2
    assert "Greet somebody." in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"textbank {version('textbank')}\n"


def test_main_leaves_with_the_status() -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["count", "--contacts", "30"])
    assert left.value.code == 1


def test_a_reader_who_left_is_no_error() -> None:
    """`textbank --help | true`: no traceback, whenever the pipe breaks."""
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; sys.stdin.read(1); from gateway.cli import main; main(['--help'])",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, complaint = process.communicate(b"x")
    assert complaint == b""
    assert process.returncode == cli.READER_LEFT


def started(line: str) -> tuple[int, str]:
    """A shell's line in which `$command` is the command: its status and what standard error got of it."""
    environment = os.environ | {"command": f"{sys.executable} -m gateway"}
    done = subprocess.run(
        ["sh", "-c", line], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_leads_nowhere(closed: str) -> None:
    assert started(f"$command settings {closed}") == (0, "")
    status, told = started(f"$command rehearse nowhere {closed}")
    assert (status, told == "") == (2, "2>&-" in closed)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&-"])
def test_a_file_that_is_opened_does_not_become_a_closed_stream(closed: str) -> None:
    told = "import sys; from gateway.streams import make_usable; make_usable(); print(open('/dev/null').fileno(), file=sys.stderr)"
    assert int(started(f'{sys.executable} -c "{told}" {closed}')[1]) > 2


@pytest.mark.parametrize("words", ["settings", "--help", "rehearse --list-scenarios"])
def test_a_full_disk_is_one_line(words: str) -> None:
    status, told = started(f"$command {words} > /dev/full")
    assert status == cli.BAD_INPUT
    assert (
        told
        == "textbank: no room is left (No space left on device): standard output; make room, or write elsewhere\n"
    )


def test_what_standard_error_can_t_take_is_lost_and_nothing_else() -> None:
    assert started("$command rehearse nowhere 2> /dev/full") == (2, "")
    assert started("$command settings 2> /dev/full > /dev/null") == (0, "")
