"""The template of a throwaway's cluster: used when it is ours and whole, and otherwise as if there were none."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from gateway.store import embedded
from gateway.store.cluster_template import ClusterTemplate
from gateway.store.embedded import EmbeddedServer
from gateway.store.postgres_programs import account_for, programs

pytestmark = pytest.mark.xdist_group("embedded")


class Initdb:
    """Counts how often a cluster is made anew."""

    def __init__(self) -> None:
        self.calls = 0
        self._real = embedded.initialise

    def __call__(self, *arguments: object) -> None:
        self.calls += 1
        self._real(*arguments)


@pytest.fixture
def initdb(monkeypatch: pytest.MonkeyPatch) -> Initdb:
    counting = Initdb()
    monkeypatch.setattr(embedded, "initialise", counting)
    return counting


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "textbank"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with a template in it, made once for all who harm a copy."""
    home = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home))
        answered()
    return home / "textbank"


def answered() -> str:
    """What a throwaway says of itself, started and stopped."""

    async def ask(dsn: str) -> str:
        connection = await asyncpg.connect(dsn, timeout=20)
        try:
            said = await connection.fetchval("SELECT datcollate || ' ' || datlocale FROM pg_database LIMIT 1")
            await connection.execute("CREATE TABLE t AS SELECT generate_series(1, 1000)")
        finally:
            await connection.close()
        return said

    with EmbeddedServer() as server:
        return asyncio.run(ask(server.dsn()))


def only(cache: Path) -> Path:
    (template,) = cache.iterdir()
    return template


def test_the_second_cluster_is_unpacked_and_the_same(initdb: Initdb, cache: Path) -> None:
    first, second = answered(), answered()
    assert first == second
    assert initdb.calls == 1
    assert only(cache).stat().st_mode & 0o777 == 0o600
    assert cache.stat().st_mode & 0o777 == 0o700


def test_what_is_unpacked_is_what_was_made(tmp_path: Path, cache: Path) -> None:
    made, unpacked = tmp_path / "made", tmp_path / "unpacked"
    (made / "folder" / "empty").mkdir(parents=True)
    (made / "folder" / "zeros").write_bytes(bytes(100_000))
    (made / "folder" / "text").write_bytes(b"a\0b\0\0")
    (made / "nothing").touch()
    for name in ("1259_fsm", "1259_vm"):
        (made / "folder" / name).write_bytes(b"a map")
    template = ClusterTemplate(programs(None, tmp_path), ["--an-option"])
    assert not template.unpack(unpacked, None)
    assert not unpacked.exists()
    template.keep(made)
    for name in ("1259_fsm", "1259_vm"):
        (made / "folder" / name).unlink()  # maps that a server makes anew
    assert template.unpack(unpacked, None)
    found = {
        top: {
            str(each.relative_to(top)): each.read_bytes() if each.is_file() else None
            for each in top.rglob("*")
        }
        for top in (made, unpacked)
    }
    assert found[made] == found[unpacked]
    for each in (unpacked, *unpacked.rglob("*")):
        assert each.stat().st_mode & 0o077 == 0
    assert not ClusterTemplate(programs(None, tmp_path), ["--another"]).unpack(tmp_path / "other", None)


def _cut(template: Path) -> None:
    template.write_bytes(template.read_bytes()[:-1000])


def _change(template: Path) -> None:
    content = bytearray(template.read_bytes())
    content[len(content) // 2] ^= 1
    template.write_bytes(bytes(content))


def _empty(template: Path) -> None:
    template.write_bytes(b"")


def _open_to_all(template: Path) -> None:
    template.chmod(0o666)


def _link(template: Path) -> None:
    template.rename(template.with_name("elsewhere"))
    template.symlink_to("elsewhere")


def _of_another_user(template: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(template, 12345, 12345)


def _another_version(template: Path) -> None:
    """It is whole, and this server does not start on it."""
    other = template.parent.parent / "other"
    other.mkdir()
    account = account_for(None)
    kept = ClusterTemplate(programs(account, other), EmbeddedServer()._initdb_options())
    assert kept.unpack(other / "cluster", None)
    (other / "cluster" / "PG_VERSION").write_text("9.6\n")
    kept.keep(other / "cluster")


@pytest.mark.parametrize(
    "harm", [_cut, _change, _empty, _open_to_all, _link, _of_another_user, _another_version]
)
def test_a_template_that_is_no_good_is_made_anew(
    harm: Callable[[Path], None], initdb: Initdb, cache: Path, kept: Path
) -> None:
    shutil.copytree(kept, cache)
    harm(only(cache))
    answered()
    assert initdb.calls == 1
    answered()
    assert initdb.calls == 1


def test_without_a_place_for_it_each_cluster_is_made(
    initdb: Initdb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    answered()
    answered()
    assert initdb.calls == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="root only, in another's home")
def test_root_leaves_nothing_in_the_home_of_another(initdb: Initdb, cache: Path, tmp_path: Path) -> None:
    cache.parent.mkdir()
    os.chown(cache.parent, 12345, 12345)
    answered()
    assert not cache.exists()


def test_versions_that_nobody_uses_any_more_go(tmp_path: Path, cache: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    for nth in range(5):
        ClusterTemplate(programs(None, tmp_path), [str(nth)]).keep(made)
    assert len(list(cache.iterdir())) == 3
    assert ClusterTemplate(programs(None, tmp_path), ["4"]).unpack(tmp_path / "newest", None)


def test_a_durable_cluster_is_always_made(initdb: Initdb, cache: Path, tmp_path: Path) -> None:
    """It lives long, with an identity of its own."""
    answered()
    folder = Path(f"/tmp/textbank-test-template-{os.getpid()}")
    try:
        with EmbeddedServer(folder):
            assert initdb.calls == 2
    finally:
        shutil.rmtree(folder, ignore_errors=True)
