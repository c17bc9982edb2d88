"""An empty database for each test of the store."""

from collections.abc import AsyncIterator, Iterator

import pytest

from gateway.store.database import Database
from tests.store.cluster import Cluster, shared


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Cluster:
    return shared(pytestconfig)


@pytest.fixture
def dsn(cluster: Cluster) -> str:
    return cluster.empty()


@pytest.fixture
def own_dsn(cluster: Cluster) -> Iterator[str]:
    """A database whose schema may be changed."""
    with cluster.fresh() as fresh:
        yield fresh


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    opened = Database(dsn, connections=4)
    yield opened
    await opened.close()


@pytest.fixture
async def other(dsn: str) -> AsyncIterator[Database]:
    """Another worker's door to the same database."""
    opened = Database(dsn, connections=1)
    yield opened
    await opened.close()
