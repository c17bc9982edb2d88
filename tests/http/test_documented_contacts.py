"""The commands of "Bring in your contacts" do what the page says: run against a worker, in the page's order."""

import csv
import re
from pathlib import Path

import pytest

from docs.generate import DOCS
from docs.generate.command_line import leaves
from gateway.core.bank.permissions import Role
from tests.documented import ADDRESS, KEY, NEEDS_CURL, commands, compared_one_by_one
from tests.http.house import House

PAGE = DOCS / "how-to" / "bring-in-your-contacts.md"


@NEEDS_CURL
async def test_the_commands_of_the_page(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def mine(command: str) -> str:
        return command.replace(ADDRESS, house.worker.url).replace(KEY, house.keys[Role.KEY_ADMIN])

    assert await compared_one_by_one(commands(PAGE), mine) >= 10
    rows = csv.DictReader((tmp_path / "rejects.csv").read_text(encoding="utf-8-sig").splitlines())
    assert [(row["line"], row["reason"]) for row in rows] == [("3", "landline"), ("4", "opted_out")]


def test_the_commands_of_the_shell_are_there() -> None:
    named = re.findall(r"`textbank (contacts \w+) ", PAGE.read_text(encoding="utf-8"))
    assert set(named) == {"contacts import", "contacts suppress"}
    assert set(named) <= {name for name, _ in leaves()}
