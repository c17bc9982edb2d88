"""Contacts brought in from a shell: counted first, imported once, rejects in a file, a suppression list."""

import asyncio
import csv
from pathlib import Path

import click
import pytest

from gateway import cli
from gateway.contact_commands import contacts
from gateway.store.database import Database
from tests.http.house import CAMPAIGN, furnish, phone

pytestmark = pytest.mark.usefixtures("bare")

LIST = f"Mobile,First,Precinct\n{phone(1)},Bea,7\n2155550190,Cy,9\n12,Di,9\n"


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """As its entry point names it, whatever is installed here."""
    command: click.Command = contacts
    monkeypatch.setattr(cli.Commands, "get_command", lambda *_: command)


@pytest.fixture
def config(tmp_path: Path, dsn: str) -> Path:
    async def work() -> None:
        database = Database(dsn, connections=1)
        await furnish(database)
        await database.close()

    asyncio.run(work())
    path = tmp_path / "textbank.toml"
    path.write_text(f'[database]\ndsn = "{dsn}"\n')
    return path


def count(dsn: str, table: str) -> int:
    async def work() -> int:
        database = Database(dsn, connections=1)
        found: int = await database.fetch_value(f"SELECT count(*) FROM {table}")
        await database.close()
        return found

    return asyncio.run(work())


def run(config: Path, *words: object) -> int:
    return cli.run(["contacts", *(str(word) for word in words), "--config", str(config)])


def test_a_list_is_counted_then_imported_once(
    config: Path, dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, rejects = tmp_path / "list.csv", tmp_path / "rejects.csv"
    file.write_text(LIST)
    words = ("import", CAMPAIGN, file, "--list", "North", "--map", "Precinct=custom_field_precinct")
    assert run(config, *words, "--dry-run", "--rejects", rejects) == 0
    foreseen = capsys.readouterr().out
    assert foreseen.startswith(
        "3 rows: 1 new, 1 known, of which 1 learnt something; not used: 1 (too_short 1)\n"
    )
    assert "columns: Mobile is phone, First is first_name, Precinct is custom_field_precinct\n" in foreseen
    assert foreseen.endswith("nothing was saved: a dry run\n")
    assert (count(dsn, "contacts"), count(dsn, "contact_lists")) == (10, 0)
    first_rejects = rejects.read_bytes()
    assert run(config, *words, "--rejects", rejects) == 0
    assert capsys.readouterr().out == foreseen.replace("nothing was saved: a dry run\n", "")
    assert (count(dsn, "contacts"), count(dsn, "list_members")) == (11, 2)
    assert rejects.read_bytes() == first_rejects
    [row] = csv.DictReader(rejects.read_text(encoding="utf-8-sig").splitlines())
    assert (row["line"], row["reason"], row["First"]) == ("4", "too_short", "Di")
    assert run(config, *words) == 0
    assert "was imported before and nothing was done now" in capsys.readouterr().out
    assert run(config, *words, "--again") == 0
    assert capsys.readouterr().out.startswith("3 rows: 0 new, 2 known")
    assert count(dsn, "contacts") == 11


def test_a_suppression_list_opts_its_phones_out(
    config: Path, dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "stop.csv"
    file.write_text(f"Phone\n{phone(1)}\n{phone(1)}\n12\n")
    assert run(config, "suppress", CAMPAIGN, file, "--dry-run") == 0
    assert count(dsn, "opt_outs") == 0
    assert run(config, "suppress", CAMPAIGN, file) == 0
    out = capsys.readouterr().out
    assert "3 rows: 1 opted out now, 1 before; not used: 1 (too_short 1)\n" in out
    assert count(dsn, "opt_outs") == 1


def test_bad_input_is_one_line(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "list.csv"
    file.write_text(LIST)
    for words in (
        ("import", 99, file),
        ("import", CAMPAIGN, file, "--map", "Shoe=phone"),
        ("import", CAMPAIGN, file, "--map", "Mobile=shoe"),
        ("import", CAMPAIGN, file, "--rejects", file),
        ("import", CAMPAIGN, file, "--list", " "),
        ("suppress", CAMPAIGN, tmp_path / "absent.csv"),
    ):
        assert run(config, *words) == 2
        assert "Traceback" not in capsys.readouterr().err
    assert file.read_text() == LIST
