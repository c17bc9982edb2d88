"""An empty database for each test of a use case."""

from collections.abc import AsyncIterator

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
async def database(dsn: str) -> AsyncIterator[Database]:
    opened = Database(dsn, connections=4)
    yield opened
    await opened.close()


@pytest.fixture
async def other(dsn: str) -> AsyncIterator[Database]:
    """Another worker's door to the same database."""
    opened = Database(dsn, connections=4)
    yield opened
    await opened.close()
