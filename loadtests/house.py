"""Gateway, carrier and their PostgreSQL on this machine, for a load test that is given no target; gone at its end."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from loadtests.at_noon import shift_s
from loadtests.door import Unanswered

HOST: Final = "127.0.0.1"
ACCOUNT, TOKEN = "AC" + "0" * 32, "twin"
TOWN: Final = Path(__file__).with_name("town.toml")
_STARTS_WITHIN_S: Final = 90.0
_STOPS_WITHIN_S: Final = 60.0
_BEHIND: Final = ("nice", "-n", "10")
"""A generator that comes late measures itself: where the processor is short, it goes first."""


class House(msgspec.Struct, frozen=True, kw_only=True):
    """Where the two are, where the gateway tells its metrics, an admin's key, and processes beside the gateway by name."""

    gateway: str
    carrier: str
    metrics: str
    key: str
    processes: dict[str, int]


@contextmanager
def opened(dsn: str = "", seed: int = 1) -> Iterator[House]:
    """A new house; with `dsn` the gateway uses that database, else a PostgreSQL of its own. Raises Unanswered."""
    # Told to stop, a load test must not leave what it has started.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    moved = (*_BEHIND, sys.executable, "-m", "loadtests.at_noon", repr(shift_s()))
    with ExitStack() as stack:
        stack.callback(signal.signal, signal.SIGTERM, before)
        folder = Path(tempfile.mkdtemp(prefix="textbank-load-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)  # root's PostgreSQL is run by another account, which must get in
        carrier_port, port, internal_port = (free_port() for _ in range(3))
        options = ("--contacts", "0", "--instant-answers", "--concurrency", "1000", "--seed", str(seed))
        carrier = (*moved, "carrier", str(TOWN), "--port", str(carrier_port), *options)
        settings = {
            **({"database.dsn": dsn} if dsn else {"database.data_dir": str(folder / "data")}),
            "provider.url": f"twilio://{ACCOUNT}:{TOKEN}@{HOST}:{carrier_port}?scheme=http",
            "http.public_url": f"http://{HOST}:{port}",
            "http.port": str(port),
            "http.internal_port": str(internal_port),
            "time.tolerance_s": "0",  # it believes in another day than its database
        }
        flags = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        processes = {"carrier": stack.enter_context(_running("carrier", carrier, folder, carrier_port))}
        stack.enter_context(_running("gateway", (*moved, "serve", *flags), folder, port))
        for file in (folder / "data").rglob("postmaster.pid"):
            processes["PostgreSQL"] = int(file.read_text().split()[0])
        key = _said((*moved, "keys", "create", "load", "--role", "admin", *flags))
        yield House(
            gateway=f"http://{HOST}:{port}",
            carrier=f"http://{HOST}:{carrier_port}",
            metrics=f"http://{HOST}:{internal_port}",
            key=key,
            processes=processes,
        )


@contextmanager
def _running(name: str, words: Sequence[str], folder: Path, port: int) -> Iterator[int]:
    """Its process's number."""
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output, env=_environment(), cwd=_root())
    try:
        _listens(name, process, port, log)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(_STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(name: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Waits until it takes connections."""
    ends_at = time.monotonic() + _STARTS_WITHIN_S
    while process.poll() is None and time.monotonic() < ends_at:
        try:
            socket.create_connection((HOST, port), 1.0).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise Unanswered(f"the {name} did not start: {log.read_text(errors='replace')[-1000:]}")


def _said(words: Sequence[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=_environment(), cwd=_root())
    if done.returncode:
        raise Unanswered(f"no key could be made: {done.stderr[-1000:]}")
    return done.stdout.strip()


def _environment() -> dict[str, str]:
    """No settings from outside: a test must not come by a campaign's own database."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TEXTBANK_")}


def _root() -> Path:
    return Path(__file__).parents[1]


def free_port() -> int:
    """One of this machine's that nobody listens at."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
