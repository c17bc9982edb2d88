"""A database for each town."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.end_to_end.postgres import Postgres
from tests.store.cluster import Cluster, shared


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Cluster:
    return shared(pytestconfig)


@pytest.fixture
def dsn(cluster: Cluster) -> Iterator[str]:
    with cluster.fresh() as fresh:
        yield fresh


@pytest.fixture
def dsns(cluster: Cluster) -> Iterator[list[str]]:
    """Databases for four towns at once."""
    with ExitStack() as stack:
        yield [stack.enter_context(cluster.fresh()) for _ in range(4)]


@pytest.fixture
def folder() -> Iterator[Path]:
    """One's own that PostgreSQL's user can reach: pytest's is its owner's alone."""
    with tempfile.TemporaryDirectory(prefix="textbank-night-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def postgres(folder: Path) -> Iterator[Postgres]:
    """A durable server of one's own, to be killed and worse."""
    server = Postgres(folder / "data")
    server.make()
    server.start()
    yield server
    server.stop()
