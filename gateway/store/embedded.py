"""A PostgreSQL of our own when no DSN is given: its folder, its start, and its end with its last user."""

import atexit
import contextlib
import fcntl
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

from gateway.core.rules.errors import BadInput
from gateway.store.cluster_template import ClusterTemplate
from gateway.store.postgres_programs import (
    Account,
    account_for,
    as_account,
    can_enter,
    cannot_start,
    initialise,
    programs,
)
from gateway.store.temporary import TemporaryFolder

# A throwaway cluster has nothing to survive, so it may skip everything that guards against a crash.
_THROWAWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "'4GB'",
    "checkpoint_timeout": "'1h'",
    "track_activities": "off",
    "vacuum_truncate": "off",  # giving room back takes a lock for which statements wait
}
_ALWAYS = {
    "jit": "off",
    "shared_buffers": "'512MB'",
    "random_page_cost": "1.1",
    "autovacuum_vacuum_cost_delay": "0",
    "default_statistics_target": "10",  # hot statements go by key: statistics need to know sizes, not values
    # Each look at a busy table makes every connection plan its statements anew: at 1 s that was a third of the server's
    # processor. What grows quickly is told by the gateway itself (statistics.py).
    "autovacuum_naptime": "'10s'",
}
PREFIX: Final = "textbank-pg-"
SOCKETS: Final = "textbank-socket-"
SOCKET_LINK: Final = "sockets"
PORT: Final = 5432
LEAST_FREE_BYTES: Final = 200_000_000
"""An empty cluster takes 40 MB, a small bank beside it some more."""
_LONGEST_SOCKET_FOLDER: Final = 90  # characters: a socket's whole path has at most 107 bytes (unix(7))
_SIMPLE_PATH: Final = re.compile(
    r"[\w./+-]+", re.ASCII
)  # else the setting and the DSN would have to quote it
_START_S: Final = 120.0
_STOP_S: Final = 60.0
_OTHERS_S: Final = 180.0  # how long another process may take to start or stop the same cluster
_LOOK_S: Final = 0.02

_left_to_others: Final[list["subprocess.Popen[bytes]"]] = []
"""Servers that this process started and others still use: `subprocess` complains of a child that nobody holds."""

_throwaways: Final[dict[int, "EmbeddedServer"]] = {}


def end_throwaways() -> None:
    """Ends this process's throwaway servers at once, for who is about to leave without unwinding."""
    for server in list(_throwaways.values()):
        server.stop()


class EmbeddedServer:
    """One cluster in one folder; as a context manager it is stopped at the end.

    With `folder` None the cluster is a throwaway: made in a temporary folder, without durability, and deleted at the
    end. With a folder it is kept there, durable; several processes may use it, and the last one to end stops it.
    As root it is run by another account, and no folder's rights are changed but of those made here.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._durable = None if folder is None else folder.expanduser().absolute()
        self._temporary: TemporaryFolder | None = None
        self._use = -1  # the lock of those who use a durable cluster
        self._socket_folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:  # a signal in the middle of it: nothing may be left behind
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def root(self) -> Path:
        """The folder of everything that is this server's."""
        if self._durable is not None:
            return self._durable
        if self._temporary is None:
            raise RuntimeError("the embedded server is not running")
        return self._temporary.path

    def start(self) -> None:
        """Starts the server (about 1 s the first time); raises BadInput when the folder can't be used."""
        try:
            if self._durable is None:
                self._start_throwaway()
            else:
                self._start_durable(self._durable)
        except (OSError, subprocess.SubprocessError) as error:
            place = self._durable or Path(os.environ.get("TMPDIR", "/tmp"))
            raise BadInput(
                f"cannot start a PostgreSQL here ({getattr(error, 'strerror', None) or error})",
                str(getattr(error, "filename", None) or place),
                "give a writable folder, or a DSN of a running server",
            ) from error

    def _start_throwaway(self) -> None:
        if self._temporary is None:
            account = account_for(None)
            self._temporary = TemporaryFolder(PREFIX, _place(account), before_sweeping=_end_throwaway)
            _throwaways[id(self)] = self
            if account is not None:
                os.chown(self.root, account.uid, account.gid)
        self._run(account_for(self.root / "cluster"))

    def _start_durable(self, folder: Path) -> None:
        account = account_for(folder / "cluster")
        _make_folder(folder, account)
        if not can_enter(folder, account):
            who = "you" if account is None else f"the user '{account.name}', who runs it as root may not,"
            raise BadInput(
                f"cannot start a PostgreSQL here: {who} can't enter the folder",
                str(folder),
                "choose another database.data_dir, run this as another user, or give database.dsn",
            )
        with _alone(folder):
            if self._use < 0:
                self._use = os.open(folder / ".in-use", os.O_RDWR | os.O_CREAT, 0o600)
                fcntl.flock(self._use, fcntl.LOCK_SH)
                atexit.register(self.stop)
            running = _running(folder / "cluster")
            if running is not None:
                self._socket_folder = running.socket_folder
            else:
                self._run(account)

    def _run(self, account: Account | None) -> None:
        """Makes the cluster if there is none, and starts it; returns when it takes connections."""
        if self._process is not None:
            self._process.poll()  # one that was killed is a child whose status nobody has asked for
        data = self.root / "cluster"
        binaries = programs(account, self.root / "programs")
        if (data / "PG_VERSION").exists():
            self._begin(binaries, data, account)
        elif self._durable is not None:
            self._make_cluster(binaries, data, account)
            self._begin(binaries, data, account)
        else:
            self._run_new_throwaway(binaries, data, account)

    def _run_new_throwaway(self, binaries: Path, data: Path, account: Account | None) -> None:
        """From the template if there is a good one."""
        template = ClusterTemplate(binaries, self._initdb_options())
        if template.unpack(data, account):
            try:
                self._begin(binaries, data, account)
            except BadInput:
                template.drop()
                _end(data, self._process)
                shutil.rmtree(data)
            else:
                return
        self._make_cluster(binaries, data, account)
        template.keep(data)
        self._begin(binaries, data, account)

    def _begin(self, binaries: Path, data: Path, account: Account | None) -> None:
        """Starts the server on a cluster that is there; returns when it takes connections."""
        self._configure(data)
        sockets = self._choose_socket_folder(account)
        command = [str(binaries / "postgres"), "-D", str(data), "-p", str(PORT), "-k", str(sockets)]
        with (self.root / "log").open("ab") as log:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                [*command, "-c", "listen_addresses="],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **as_account(account),
            )
        self._process = process
        if self._durable is None:
            _let_the_caller_go_on(process)
        self._until_ready(process, data)
        self._socket_folder = sockets

    def _make_cluster(self, binaries: Path, data: Path, account: Account | None) -> None:
        if account is not None:
            data.mkdir(mode=0o700, exist_ok=True)
            os.chown(data, account.uid, account.gid)
        initialise([str(binaries / "initdb"), "-D", str(data), *self._initdb_options()], account, data)

    def _initdb_options(self) -> list[str]:
        options = ["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions"]
        options += [
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
        ]  # the same order on every machine
        return [*options, "--no-sync"] if self._durable is None else options

    def _configure(self, data: Path) -> None:
        settings = {**_ALWAYS, **(_THROWAWAY if self._durable is None else {})}
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        mine = data / "textbank.conf"
        mine.write_text(lines, encoding="utf-8")
        mine.chmod(0o644)  # the cluster's own folder is for its account alone
        main = data / "postgresql.conf"
        if "textbank.conf" not in main.read_text(encoding="utf-8"):
            with main.open("a", encoding="utf-8") as file:
                file.write("\ninclude = 'textbank.conf'\n")

    def _choose_socket_folder(self, account: Account | None) -> Path:
        """The cluster's own, or where that is too long or strangely named a short one, to which a link leads."""
        _remove_socket_folder(self.root)
        own = self.root / "cluster"
        if len(str(own)) <= _LONGEST_SOCKET_FOLDER and _SIMPLE_PATH.fullmatch(str(own)):
            return own
        short = Path(tempfile.mkdtemp(prefix=SOCKETS, dir="/tmp"))
        (self.root / SOCKET_LINK).symlink_to(short)
        if account is not None:
            os.chown(short, account.uid, account.gid)
        return short

    def _until_ready(self, process: subprocess.Popen[bytes], data: Path) -> None:
        for _ in range(int(_START_S / _LOOK_S)):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_S)
                raise cannot_start(_last_words(self.root / "log"), data)
            found = _postmaster(data)
            if found is not None and found.is_ready:
                return
        raise BadInput("a PostgreSQL does not start", str(data), f"see {self.root / 'log'}")

    def stop(self) -> None:
        """Ends the server unless other processes use it; done twice, it does nothing."""
        if self._durable is not None:
            self._leave(self._durable)
        elif self._temporary is not None:
            _end_throwaway(self.root, self._process)
            self._temporary.close()
            self._temporary = None
            _throwaways.pop(id(self), None)
        self._socket_folder = self._process = None

    def _leave(self, folder: Path) -> None:
        if self._use < 0:
            return
        atexit.unregister(self.stop)
        with contextlib.suppress(BadInput, OSError), _alone(folder):
            fcntl.flock(self._use, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: somebody else uses it
            _end(folder / "cluster", self._process, signal.SIGINT)
            _remove_socket_folder(folder)
        if self._process is not None and self._process.poll() is None:
            _left_to_others.append(self._process)
        os.close(self._use)
        self._use = -1

    def dsn(self, database: str = "postgres") -> str:
        """The DSN of one of the cluster's databases, over its Unix socket."""
        if self._socket_folder is None:
            raise RuntimeError("the embedded server is not running")
        return f"postgresql://postgres:@/{database}?host={quote(str(self._socket_folder))}&port={PORT}"


# ---------------------------------------------------------------- folders


def _place(account: Account | None) -> Path:
    """The temporary folder, or another that the account can enter and that has room; raises BadInput."""
    wanted = Path(tempfile.gettempdir()).absolute()
    short_of_room: Path | None = None
    for place in dict.fromkeys((wanted, Path("/tmp"), Path("/var/tmp"))):
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK) or not can_enter(place, account):
            continue
        if shutil.disk_usage(place).free >= LEAST_FREE_BYTES:
            return place
        short_of_room = short_of_room or place
    if short_of_room is None:
        raise BadInput("no temporary folder can be used", str(wanted), "name another in TMPDIR")
    free = shutil.disk_usage(short_of_room).free // 1_000_000
    raise BadInput(
        f"too little room for a PostgreSQL: {free} MB are free, it takes {LEAST_FREE_BYTES // 1_000_000} MB",
        str(short_of_room),
        "make room, or name another folder in TMPDIR",
    )


def _make_folder(folder: Path, account: Account | None) -> None:
    """Makes what is missing; what was there keeps its owner and its rights."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o755)
        each.chmod(0o700 if each == folder and account is None else 0o755)
        if each == folder and account is not None:
            each.chmod(0o700)
            os.chown(each, account.uid, account.gid)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time starts or stops the cluster of a folder; raises BadInput when another takes too long."""
    lock = os.open(folder / ".starting", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        pause = threading.Event()
        for _ in range(int(_OTHERS_S / _LOOK_S)):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            pause.wait(_LOOK_S)
        else:
            raise BadInput("another process is starting the PostgreSQL here", str(folder), "try again")
        yield
    finally:
        os.close(lock)


def _remove_socket_folder(root: Path) -> None:
    """The short folder of a server that is gone."""
    link = root / SOCKET_LINK
    if link.is_symlink():
        if link.readlink().name.startswith(SOCKETS):
            shutil.rmtree(link.readlink(), ignore_errors=True)
        link.unlink()


# ---------------------------------------------------------------- the server's process


def _let_the_caller_go_on(process: "subprocess.Popen[bytes]") -> None:
    """A backend that has got its question takes another processor, instead of the one of who asked (sched(7)).

    Who asks and goes on, as a rehearsal does, else stands still until the answer is there. Backends inherit it.
    """
    with contextlib.suppress(OSError):  # it has ended already
        os.sched_setscheduler(process.pid, os.SCHED_BATCH, os.sched_param(0))


class _Postmaster:
    """What `postmaster.pid` says: the process, its socket's folder, whether it takes connections."""

    def __init__(self, lines: list[str]) -> None:
        self.pid = abs(int(lines[0]))
        self.socket_folder = Path(lines[4].strip()) if len(lines) > 4 else None
        self.is_ready = len(lines) > 7 and lines[7].strip() == "ready"


def _postmaster(data: Path) -> _Postmaster | None:
    """The server that runs on the data, by its own word and the system's; None when there is none."""
    try:
        found = _Postmaster(
            (data / "postmaster.pid").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        )
        command = Path(f"/proc/{found.pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError, IndexError):
        return None
    return found if os.fsencode(data) in command else None


def _running(data: Path) -> _Postmaster | None:
    """A server that takes connections already; one that is still coming up is waited for."""
    pause = threading.Event()
    for _ in range(int(_START_S / _LOOK_S)):
        found = _postmaster(data)
        if found is None or (found.is_ready and found.socket_folder is not None):
            return found
        pause.wait(_LOOK_S)
    raise BadInput("the PostgreSQL here does not take connections", str(data), "end it, and try again")


def _end(
    data: Path, process: "subprocess.Popen[bytes] | None" = None, how: signal.Signals = signal.SIGQUIT
) -> None:
    """Ends the server on the data and waits. SIGQUIT at once, for what has nothing to save; SIGINT with its books."""
    found = _postmaster(data)
    pid = (
        found.pid
        if found is not None
        else process.pid
        if process is not None and process.poll() is None
        else 0
    )
    if not pid:
        return
    for each in (how, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, each)
        if _is_gone(pid, process):
            return


def _end_throwaway(root: Path, process: "subprocess.Popen[bytes] | None" = None) -> None:
    _end(root / "cluster", process)
    _remove_socket_folder(root)


def _is_gone(pid: int, process: "subprocess.Popen[bytes] | None") -> bool:
    if process is not None and process.pid == pid:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
            return True
        return False
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], _STOP_S)[0])
    finally:
        os.close(handle)


def _last_words(log: Path) -> str:
    with contextlib.suppress(OSError):
        return log.read_text(encoding="utf-8", errors="replace")[-4_000:]
    return ""
