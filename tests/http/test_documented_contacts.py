"""The commands of "Bring in your contacts" do what the page says: run against a worker, in the page's order."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from docs.generate import DOCS
from docs.generate.command_line import leaves
from gateway.core.bank.permissions import Role
from tests.http.house import House
from tests.http.test_documented_replies import ADDRESS, KEY, is_within, run

PAGE = DOCS / "how-to" / "bring-in-your-contacts.md"


def commands() -> list[tuple[str, str]]:
    """(command, what the page says it prints), in their order."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", "".join(blocks), re.MULTILINE)


@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("bash") is None, reason="no curl here")
async def test_the_commands_of_the_page(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exports: list[str] = []
    compared = 0
    for command, printed in commands():
        own = command.replace(ADDRESS, house.worker.url).replace(KEY, house.keys[Role.KEY_ADMIN])
        if own.startswith("export "):
            exports.append(own)
            continue
        answer = await run("; ".join([*exports, own]))
        if printed:
            assert is_within(json.loads(printed), json.loads(answer)), (command, answer)
            compared += 1
    assert compared >= 10
    rows = csv.DictReader((tmp_path / "rejects.csv").read_text(encoding="utf-8-sig").splitlines())
    assert [(row["line"], row["reason"]) for row in rows] == [("3", "landline"), ("4", "opted_out")]


def test_the_commands_of_the_shell_are_there() -> None:
    named = re.findall(r"`textbank (contacts \w+) ", PAGE.read_text(encoding="utf-8"))
    assert set(named) == {"contacts import", "contacts suppress"}
    assert set(named) <= {name for name, _ in leaves()}
