"""A house for each test of the door."""

from collections.abc import AsyncIterator

import pytest

from tests.http.house import House, a_house
from tests.store.cluster import Cluster, shared


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Cluster:
    return shared(pytestconfig)


@pytest.fixture
def dsn(cluster: Cluster) -> str:
    return cluster.empty()


@pytest.fixture
async def house(dsn: str) -> AsyncIterator[House]:
    async with a_house(dsn) as opened:
        yield opened
