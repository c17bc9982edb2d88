"""The commands of "Report, reassign, undo" do what the page says: one shell runs them all, in the page's order."""

import asyncio
import json
import re
import shutil

import pytest

from docs.generate import DOCS
from gateway.core.bank.permissions import Role
from tests.http.house import House
from tests.http.persons import somebody
from tests.http.test_documented_replies import ADDRESS, KEY, is_within
from tests.http.test_inbox import texted, wrote

PAGE = DOCS / "how-to" / "report-reassign-undo.md"
PATIENCE_S = 60.0
MARK = "-- the next --"


def commands() -> list[tuple[str, str]]:
    """(command, what the page says it prints), in their order."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", "".join(blocks), re.MULTILINE)


@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("bash") is None, reason="no curl here")
async def test_the_commands_of_the_page(house: House) -> None:
    _, ann = await somebody(house, email="ann@example.org")
    _, ben = await somebody(house, email="ben@example.org")
    await texted(house, 1, 2, volunteer_id=ann)
    for contact_id in (1, 2):
        await wrote(house, contact_id)
    told = commands()
    script = "".join(f"{command}\necho; echo '{MARK}'\n" for command, _ in told)
    script = script.replace(ADDRESS, house.worker.url).replace(KEY, house.keys[Role.KEY_ADMIN])
    script = script.replace("ANN=7 BEN=8", f"ANN={ann} BEN={ben}")
    process = await asyncio.create_subprocess_exec(
        "bash", "-ec", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, errors = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.returncode == 0, errors
    compared = 0
    for (command, expected), answer in zip(told, printed.decode().split(MARK), strict=False):
        if expected:
            assert is_within(json.loads(expected), json.loads(answer)), (command, answer)
            compared += 1
    assert compared == 9
