"""The commands of "Publish an action" do what the page says: one shell runs them all against a worker, in the page's order."""

import asyncio
import json
import re
import shlex
import shutil
import sys

import pytest

from docs.generate import DOCS
from tests.http.house import House
from tests.http.test_documented_replies import ADDRESS, is_within

PAGE = DOCS / "how-to" / "publish-an-action.md"
PATIENCE_S = 60.0
MARK = "-- the next --"


def commands() -> list[tuple[str, str]]:
    """(command, what the page says it prints), in their order."""
    blocks = re.findall(
        r"^```console\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    return re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", "".join(blocks), re.MULTILINE)


@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("bash") is None, reason="no curl here")
async def test_the_commands_of_the_page(house: House, dsn: str) -> None:
    """F075."""
    told = commands()
    script = "".join(f"{command}\necho; echo '{MARK}'\n" for command, _ in told)
    own = f"{shlex.quote(sys.executable)} -m gateway"
    script = script.replace(ADDRESS, house.worker.url).replace(".venv/bin/textbank", own)
    script = script.replace("--config textbank.toml", f"--set database.dsn={shlex.quote(dsn)}")
    process = await asyncio.create_subprocess_exec(
        "bash", "-ec", script, cwd=DOCS.parent, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, errors = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.returncode == 0, errors
    answers = printed.decode().split(MARK)
    compared = 0
    for (command, expected), answer in zip(told, answers, strict=False):
        if expected:
            assert is_within(json.loads(expected), json.loads(answer)), (command, answer)
            compared += 1
    assert compared == 8
    states = [row[0] for row in await house.store.fetch("SELECT state FROM actions ORDER BY action_id")]
    assert states == ["public", "public"]
