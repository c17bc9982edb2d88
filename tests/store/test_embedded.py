"""A PostgreSQL of our own on any machine, as any user: what it may touch, where it fits, what it leaves."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from gateway.core.rules.errors import BadInput
from gateway.store import embedded, postgres_programs
from gateway.store.embedded import PREFIX, EmbeddedServer
from gateway.store.postgres_programs import cannot_start
from gateway.store.temporary import TemporaryFolder

pytestmark = pytest.mark.xdist_group("embedded")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="what root must not do")
LONG = "long " + "x" * 120  # with a blank; a socket's path has at most 107 bytes
HOLD = """
import sys
from gateway.store.embedded import EmbeddedServer
server = EmbeddedServer()
server.start()
print(server.root, flush=True)
sys.stdin.read()
server.stop()
"""


async def _one(dsn: str) -> int:
    connection = await asyncpg.connect(dsn, timeout=20)
    try:
        return await connection.fetchval("SELECT 1")
    finally:
        await connection.close()


def answers(server: EmbeddedServer) -> bool:
    return asyncio.run(_one(server.dsn())) == 1


def rights(*tops: Path) -> dict[Path, tuple[int, int]]:
    """Mode and owner of folders, of all that is in them, and of all that is above them."""
    found = [each for top in tops for each in (top, *top.parents, *top.rglob("*"))]
    return {path: (path.lstat().st_mode, path.lstat().st_uid) for path in found}


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A name in the temporary folder that everybody can get to; pytest's own folder is for its user alone."""
    path = Path(f"/tmp/textbank-test-{os.getpid()}")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """TMPDIR, closed to others as it is in a user's own folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@as_root
def test_as_root_no_folder_that_was_there_changes_its_rights(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither those above the data, nor those above and in the environment, which nobody else may read here."""
    installed = postgres_programs._installed()
    environment = temporary / "environment"
    environment.mkdir(mode=0o700)
    copied = environment / "lib" / installed.parent.name / installed.name
    shutil.copytree(installed, copied, symlinks=True)
    libraries = installed.parent.parent / f"{installed.parent.name}.libs"
    shutil.copytree(libraries, environment / "lib" / libraries.name)
    monkeypatch.setattr(postgres_programs, "_installed", lambda: copied)
    before, users = rights(environment), pwd.getpwall()
    with EmbeddedServer() as server:
        assert answers(server)
    assert rights(environment) == before
    assert pwd.getpwall() == users


@as_root
def test_as_root_a_folder_that_can_t_be_entered_is_refused_in_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    before = rights(tmp_path)
    with pytest.raises(BadInput, match=r"run this as another user, or give database\.dsn"):
        EmbeddedServer(tmp_path / "data").start()
    shutil.rmtree(tmp_path / "data")
    assert rights(tmp_path) == before


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_with_umask_077(temporary: Path, reachable: Path) -> None:
    with umask(0o077):
        for folder in (None, reachable):
            with EmbeddedServer(folder) as server:
                assert answers(server)


@as_root
@pytest.mark.parametrize("mask", [0o077, 0o022])
def test_programs_in_a_closed_home_are_copied_for_the_account_to_enter(
    reachable: Path, monkeypatch: pytest.MonkeyPatch, mask: int
) -> None:
    """As an environment under /root is, which is closed to others."""
    monkeypatch.setattr(postgres_programs, "_is_usable", lambda *_: False)
    with umask(mask):
        for folder in (None, reachable):
            with EmbeddedServer(folder) as server:
                assert answers(server)


@pytest.mark.skipif(os.geteuid() == 0, reason="as root the folder above is closed, and /tmp is taken")
def test_a_temporary_folder_with_a_blank_and_a_long_name(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = temporary / LONG
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    with EmbeddedServer() as server:
        assert server.root.parent == place
        assert answers(server)


@pytest.mark.parametrize("durable", [False, True])
def test_only_a_throwaway_leaves_its_caller_the_processor(durable: bool, reachable: Path) -> None:
    """A backend inherits it from the server that made it."""

    async def policy(dsn: str) -> int:
        connection = await asyncpg.connect(dsn, timeout=20)
        try:
            return os.sched_getscheduler(await connection.fetchval("SELECT pg_backend_pid()"))
        finally:
            await connection.close()

    with EmbeddedServer(reachable if durable else None) as server:
        assert asyncio.run(policy(server.dsn())) == (os.SCHED_OTHER if durable else os.SCHED_BATCH)


def test_a_data_folder_with_a_blank_and_a_long_name(reachable: Path) -> None:
    with EmbeddedServer(reachable / LONG) as server:
        assert answers(server)
        sockets = (reachable / LONG / embedded.SOCKET_LINK).readlink()
        assert len(str(sockets)) < 60
    assert not sockets.exists()


def test_the_environment_s_postgresql_variables_and_language_mean_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "PGPORT": "6543",
        "PGDATA": "/nowhere",
        "LC_ALL": "xx_XX.UTF-8",
        "TZ": "Mars",
    }.items():
        monkeypatch.setenv(name, value)
    with EmbeddedServer() as server:
        assert answers(server)


def test_too_little_room_is_told_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        embedded.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 30_000_000)
    )
    with pytest.raises(BadInput, match=r"30 MB are free, it takes 200 MB: .+; make room, or name .* TMPDIR"):
        EmbeddedServer().start()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            "creating x ... PANIC:  could not write: No space left on device\nchild ended\n",
            "could not write: No space",
        ),
        ("initdb: error: could not change permissions\n", "could not change permissions"),
        (
            "2026-11-03 FATAL:  old\n2026-11-04 [9] FATAL:  could not map shared memory\n",
            "could not map shared",
        ),
        ("something\nelse\n", "else"),
        ("", "it said nothing"),
    ],
)
def test_why_it_does_not_start_is_in_its_own_words(said: str, why: str) -> None:
    line = str(cannot_start(said, Path("/data")))
    assert line.startswith(f"cannot start a PostgreSQL here ({why}")
    assert "/data" in line


def test_a_folder_that_can_t_be_written_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(BadInput, match="cannot start a PostgreSQL here"):
        EmbeddedServer(file / "data").start()


def test_several_users_of_a_durable_cluster_and_the_last_one_ends_it(reachable: Path) -> None:
    first, second = EmbeddedServer(reachable), EmbeddedServer(reachable)
    first.start()
    second.start()
    assert first.dsn() == second.dsn()
    first.stop()
    assert answers(second)
    second.stop()
    assert embedded._postmaster(reachable / "cluster") is None
    with EmbeddedServer(reachable) as again:
        assert answers(again)


def _holder(**options: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # type: ignore[call-overload]
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    )


def test_what_a_kill_9_leaves_is_swept_by_the_next_start() -> None:
    process = _holder()
    root = Path(process.stdout.readline().strip())
    left = embedded._postmaster(root / "cluster")
    assert left is not None
    process.kill()
    process.communicate()
    assert root.exists()
    with EmbeddedServer() as server:
        assert server.root.name.startswith(PREFIX)
        assert not root.exists()
        assert embedded._is_gone(left.pid, None)


def test_a_list_that_a_kill_9_left_is_swept_by_the_next(temporary: Path) -> None:
    """People's phones don't stay in the temporary folder."""
    place = temporary / "lists"
    place.mkdir()
    made = "import os, pathlib; from gateway.store.temporary import TemporaryFolder as T"
    killed = f"{made}; f = T('textbank-list-', pathlib.Path({str(place)!r})); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == -signal.SIGKILL
    assert len(list(place.iterdir())) == 1
    with TemporaryFolder("textbank-list-", place) as folder:
        assert list(place.iterdir()) == [folder.path]
    assert list(place.iterdir()) == []


def test_what_a_living_process_has_is_not_swept() -> None:
    process = _holder()
    root = Path(process.stdout.readline().strip())
    with EmbeddedServer():
        assert embedded._postmaster(root / "cluster") is not None
    process.communicate("")
    assert (process.returncode, root.exists()) == (0, False)


@as_root
def test_a_second_user_of_the_machine_has_one_at_the_same_time() -> None:
    nobody = pwd.getpwnam("nobody")
    path = ":".join(sys.path)
    probe = [sys.executable, "-c", "import gateway.store.embedded"]
    options = {
        "user": nobody.pw_uid,
        "group": nobody.pw_gid,
        "extra_groups": [],
        "env": {"PYTHONPATH": path},
        "cwd": "/",
    }
    try:
        can = subprocess.run(probe, **options, capture_output=True, check=False).returncode == 0
    except PermissionError:
        can = False
    if not can:
        pytest.skip("nobody can't read this environment")
    first, second = _holder(), _holder(**options)
    roots = [Path(each.stdout.readline().strip()) for each in (first, second)]
    assert [root.stat().st_uid == nobody.pw_uid for root in roots][1]
    for each in (first, second):
        each.communicate("")
        assert each.returncode == 0


def test_a_kill_in_the_middle_of_its_making_leaves_nothing(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(EmbeddedServer, "_until_ready", interrupted)
    made = EmbeddedServer()
    with pytest.raises(KeyboardInterrupt), made:
        pass
    assert made._temporary is None
    assert made._process is None
    assert signal.getsignal(signal.SIGINT) is not None
