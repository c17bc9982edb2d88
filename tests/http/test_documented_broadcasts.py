"""The commands of "Send a broadcast" do what the page says, in one shell, in the page's order."""

import shlex
import sys

from docs.generate import DOCS
from tests.documented import ADDRESS, NEEDS_CURL, commands, compared_in_one_shell
from tests.http.house import House

PAGE = DOCS / "how-to" / "send-a-broadcast.md"


@NEEDS_CURL
async def test_the_commands_of_the_page(house: House, dsn: str) -> None:
    own = f"{shlex.quote(sys.executable)} -m gateway"
    database = f"--set database.dsn={shlex.quote(dsn)}"

    def mine(script: str) -> str:
        script = script.replace(ADDRESS, house.worker.url).replace(".venv/bin/textbank", own)
        return script.replace("--config textbank.toml", database)

    assert await compared_in_one_shell(commands(PAGE), mine, cwd=DOCS.parent) == 6
