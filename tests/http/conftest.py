"""A house for each test of the door, and nothing from outside for each test of a command."""

import logging
import os
from collections.abc import AsyncIterator, Iterator

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


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings from outside; the logs of other tests as they were."""
    for name in [name for name in os.environ if name.startswith("TEXTBANK_")]:
        monkeypatch.delenv(name)
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
