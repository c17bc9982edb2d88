"""Processes of a benchmark: started, watched through /proc, and stopped."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

HOST = "127.0.0.1"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_STARTS_WITHIN_S = 30.0
_STOPS_WITHIN_S = 60.0


class NotLoopback(ValueError):
    """A load is for this machine alone."""


def on_loopback(url: str) -> str:
    """The URL again; raises NotLoopback for any other host than this machine's own address."""
    host = urlsplit(url).hostname or ""
    try:
        if ip_address(host).is_loopback:
            return url
    except ValueError:
        pass
    raise NotLoopback(f"{host or url!r} is not a loopback address; benchmarks load nothing else")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class Child:
    """A process of ours, its output in a file; ended at the end of the block."""

    def __init__(
        self, name: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                stdout=output,
                stderr=output,
                env={**os.environ, **environment},
                cwd=Path(__file__).parents[2],
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def listens(self, port: int) -> None:
        """Waits until it takes connections; raises RuntimeError with its last words when it ends before."""
        async with asyncio.timeout(_STARTS_WITHIN_S):
            while True:
                try:
                    _, writer = await asyncio.open_connection(HOST, port)
                except OSError:
                    self.must_live()
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    return

    def must_live(self) -> None:
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.name} ended: {self.log.read_text()[-2000:]}")

    def kill(self) -> None:
        """SIGKILL: no farewell of any kind."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOPS_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def cpu_s(self) -> float:
        return cpu_s(self.pid)

    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE_BYTES


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def family_cpu_s(pid: int) -> float:
    """CPU seconds of a process and of its children, those included that have ended (a PostgreSQL cluster)."""
    total = 0.0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = _stat(int(folder.name))
            except OSError:
                continue
            if int(folder.name) == pid:
                total += sum(map(int, fields[11:15])) / _TICKS_PER_S
            elif int(fields[1]) == pid:
                total += (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    return total


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
