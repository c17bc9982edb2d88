"""The commands that a page of the documentation prints, run as a reader would, and what it says they answer."""

import asyncio
import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

ADDRESS, CARRIER, KEY = "http://127.0.0.1:8800", "http://127.0.0.1:8900", "tb_e768b93ace57_5d7b…"
NEEDS_CURL = pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("bash") is None, reason="no curl here"
)
_PATIENCE_S = 60.0
_MARK = "-- the next --"

Told = Sequence[tuple[str, str]]
"""(command, what the page says it prints)."""


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[tuple[str, str]]:
    """(command, what the page says it prints), in their order."""
    return re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", "".join(blocks(page, "console")), re.MULTILINE)


async def run(command: str, *, cwd: Path | None = None) -> str:
    """What it prints; AssertionError when it fails."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-ec", command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, errors = await asyncio.wait_for(process.communicate(), _PATIENCE_S)
    assert process.returncode == 0, (command, errors)
    return printed.decode()


async def compared_in_one_shell(told: Told, own: Callable[[str], str], *, cwd: Path | None = None) -> int:
    """Runs them all in one shell, with `own` addresses and keys; how many answers have what the page tells of them."""
    script = "".join(f"{command}\necho; echo '{_MARK}'\n" for command, _ in told)
    answers = (await run(own(script), cwd=cwd)).split(_MARK)
    compared = 0
    for (command, expected), answer in zip(told, answers, strict=False):
        if expected:
            assert is_within(json.loads(expected), json.loads(answer)), (command, answer)
            compared += 1
    return compared


async def compared_one_by_one(told: Told, own: Callable[[str], str]) -> int:
    """The same with a shell for each of them, that knows what was exported before."""
    exports: list[str] = []
    compared = 0
    for command, expected in told:
        if command.startswith("export "):
            exports.append(own(command))
            continue
        answer = await run("; ".join([*exports, own(command)]))
        if expected:
            assert is_within(json.loads(expected), json.loads(answer)), (command, answer)
            compared += 1
    return compared


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
