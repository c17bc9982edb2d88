"""The commands of "Read and answer replies" do what the page says: run against a worker, in the page's order."""

import asyncio
import json
import re
import shlex
import shutil
from typing import Any

import pytest

from docs.generate import DOCS
from gateway.core.bank.permissions import Role
from tests.http.house import House, phone

PAGE = DOCS / "how-to" / "read-and-answer-replies.md"
ADDRESS, CARRIER, KEY = "http://127.0.0.1:8800", "http://127.0.0.1:8900", "tb_e768b93ace57_5d7b…"
PATIENCE_S = 20.0


def commands() -> list[tuple[str, str]]:
    """(command, what the page says it prints), in their order."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", "".join(blocks), re.MULTILINE)


async def run(command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, errors = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.returncode == 0, (command, errors)
    return printed.decode()


def is_within(told: Any, whole: Any) -> bool:
    """Whether all that the page tells is there; of a list each, in order, among others."""
    if isinstance(told, dict):
        return isinstance(whole, dict) and all(
            name in whole and is_within(each, whole[name]) for name, each in told.items()
        )
    if isinstance(told, list):
        rest = iter(whole)
        return all(any(is_within(each, other) for other in rest) for each in told)
    return bool(told == whole)


async def written_by_somebody(house: House, command: str) -> None:
    """The carrier is none here: what a person would have written through it comes in by the provider's webhook."""
    said = json.loads(shlex.split(command)[-1])
    assert said["from"] == phone(1)
    assert (await house.writes(1, said["body"])).status < 300


@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("bash") is None, reason="no curl here")
async def test_the_commands_of_the_page(house: House) -> None:
    await house.store.execute("UPDATE contacts SET first_name = 'Maria' WHERE contact_id = 1")
    assert (await house.send(1, sender_id=7)).status == 202
    assert (await house.says(await house.provider.next_text(), "delivered")).status < 300
    exports: list[str] = []
    compared = 0
    for command, printed in commands():
        own = command.replace(ADDRESS, house.worker.url).replace(KEY, house.keys[Role.KEY_SENDER])
        if own.startswith("export "):
            exports.append(own)
        elif CARRIER in own:
            await written_by_somebody(house, own)
        else:
            answer = json.loads(await run("; ".join([*exports, own])))
            told = json.loads(printed)
            assert is_within(told, answer), (command, answer)
            compared += 1
    assert compared >= 11


def test_what_is_not_there_is_missed() -> None:
    whole = {"a": [{"b": 1, "c": 2}, {"b": 3}], "d": None}
    assert is_within({"a": [{"b": 3}], "d": None}, whole)
    assert not is_within({"a": [{"b": 3}, {"b": 1}]}, whole)
    assert not is_within({"d": 0}, whole)
    assert not is_within({"e": None}, whole)
