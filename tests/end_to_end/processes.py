"""`textbank` as processes of their own, and what they said."""

import asyncio
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable

PATIENCE_S = 120.0


class Running:
    """One process and every line it has written to standard error."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(line.decode())
            async with self._news:
                self._news.notify_all()
        async with self._news:
            self._news.notify_all()

    async def says(self, is_it: Callable[[str], bool]) -> str:
        """The first line that is it, now or soon; AssertionError when the process ends without it."""

        def found() -> str | None:
            return next(filter(is_it, self.lines), None)

        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: found() is not None or self._reader.done())
        line = found()
        assert line is not None, "".join(self.lines)
        return line

    async def kill(self) -> None:
        """SIGKILL: no farewell of any kind."""
        self.process.kill()
        await self._ended()

    async def stop(self) -> int:
        """SIGTERM; the exit status."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await self._ended()

    def freeze(self) -> None:
        """It stands still as a machine out of memory does: its connections stay open and nobody answers."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    async def _ended(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            status = await self.process.wait()
            await self._reader
        return status


async def start(*words: object, shift_s: float = 0.0) -> Running:
    """`textbank WORDS …` with the clock moved by `shift_s` seconds and no settings from outside."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TEXTBANK_")}
    arguments = ("-m", "tests.end_to_end.moved_clock", str(shift_s), *map(str, words))
    return Running(
        await asyncio.create_subprocess_exec(sys.executable, *arguments, stderr=PIPE, env=environment)
    )


async def run(*words: object, shift_s: float = 0.0) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command that ends by itself."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TEXTBANK_")}
    arguments = ("-m", "tests.end_to_end.moved_clock", str(shift_s), *map(str, words))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=PIPE, stderr=PIPE, env=environment
    )
    async with asyncio.timeout(PATIENCE_S):
        out, error = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


def free_port() -> int:
    """A port nobody listens at now: a gateway that is started again must be found where it was."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def address_in(line: str) -> str:
    """The loopback address that a line names."""
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert found is not None, line
    return found[0]
