"""The tutorial "Your first text bank", from its empty folder to its last line: carrier and gateway as processes."""

import asyncio
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Final

from docs.generate import DOCS
from tests.documented import NEEDS_CURL, commands, is_within
from tests.end_to_end.processes import PATIENCE_S, free_port
from tests.end_to_end.town import SHIFT_S

PAGE: Final = DOCS / "tutorial" / "your-first-text-bank.md"
GATEWAY, CARRIER = "127.0.0.1:8800", "127.0.0.1:8900"
LOOKS_S: Final = 60.0
_SERVERS: Final = {"carrier": CARRIER, "serve": GATEWAY}


class Reader:
    """Somebody who types what the page says, in a folder of their own and at ports of their own."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self._folder = folder
        self._ports = {each: f"127.0.0.1:{free_port()}" for each in (GATEWAY, CARRIER)}
        self._servers: list[asyncio.subprocess.Process] = []
        programs = folder / "bin"
        programs.mkdir()
        shim = programs / "textbank"
        moved = [sys.executable, "-m", "tests.end_to_end.moved_clock", str(SHIFT_S)]
        shim.write_text(f'#!/bin/sh\nexec {shlex.join(moved)} "$@"\n', encoding="utf-8")
        shim.chmod(0o755)
        self._environment = {
            **{name: each for name, each in os.environ.items() if not name.startswith("TEXTBANK_")},
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(DOCS.parent),
            "TEXTBANK_DATABASE_DSN": dsn,
            "TEXTBANK_HTTP_PORT": self._ports[GATEWAY].rpartition(":")[2],
        }

    def own(self, text: str) -> str:
        for printed, port in self._ports.items():
            text = text.replace(printed, port)
        return text

    async def types(self, command: str, printed: str) -> str:
        """What it prints; what the page shows of a file is written into it."""
        words = shlex.split(command)
        if words[0] == "cat":
            (self._folder / words[1]).write_text(self.own(printed), encoding="utf-8")
        elif words[:2] in (["textbank", "carrier"], ["textbank", "serve"]):
            await self._serve(self.own(command), words[1])
        elif words[0] == "mkdir":
            self._folder /= words[1]
            self._folder.mkdir()
        elif words[0] == "export":
            told = await self._run(f"{self.own(command)}; env -0")
            variables = dict(each.split("=", 1) for each in told.split("\0") if "=" in each)
            self._environment.update(variables)
        elif words[0] != "sleep":  # whoever looks here looks until it is there
            return await self._run(self.own(command))
        return ""

    async def _run(self, command: str) -> str:
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            command,
            cwd=self._folder,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        assert process.returncode == 0, (command, errors)
        return out.decode()

    async def _serve(self, command: str, server: str) -> None:
        port = self._ports[_SERVERS[server]].rpartition(":")[2]
        if server == "carrier":
            command += f" --port {port}"
        with (self._folder / f"{server}.log").open("wb") as log:
            self._servers.append(
                await asyncio.create_subprocess_exec(
                    *shlex.split(command), cwd=self._folder, env=self._environment, stdout=log, stderr=log
                )
            )
        async with asyncio.timeout(PATIENCE_S):
            while not await self._answers(int(port)):
                assert self._servers[-1].returncode is None, (self._folder / f"{server}.log").read_text()
                await asyncio.sleep(0.2)

    @staticmethod
    async def _answers(port: int) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    async def closes_the_terminals(self) -> None:
        for server in reversed(self._servers):
            if server.returncode is None:
                server.terminate()
                await asyncio.wait_for(server.wait(), PATIENCE_S)


def is_told(expected: str, printed: str) -> bool:
    """Whether the answer has all that the page shows of it."""
    if not expected.startswith("{"):
        return expected.strip() == printed.strip()
    try:
        return is_within(json.loads(expected), json.loads(printed))
    except ValueError:
        return False


@NEEDS_CURL
async def test_the_commands_of_the_page(tmp_path: Path, dsn: str) -> None:
    reader, compared = Reader(tmp_path, dsn), 0
    loop_time = asyncio.get_running_loop().time
    try:
        for command, expected in commands(PAGE):
            printed = await reader.types(command, expected)
            if not expected or shlex.split(command)[:1] == ["cat"] or command.startswith("textbank carrier"):
                continue
            only_looks = " -d " not in command
            looks_until = loop_time() + LOOKS_S
            while not is_told(expected, printed) and only_looks and loop_time() < looks_until:
                await asyncio.sleep(0.5)
                printed = await reader.types(command, expected)
            assert is_told(expected, printed), (command, expected, printed)
            compared += 1
    finally:
        await reader.closes_the_terminals()
    assert compared >= 14
