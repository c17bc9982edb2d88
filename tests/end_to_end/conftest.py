"""A database for each town."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

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
