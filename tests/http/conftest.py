"""A house for each test of the door, and nothing from outside for each test of a command."""

import logging
import os
from collections.abc import AsyncIterator, Iterator

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from gateway.config import Dispatch
from gateway.serve import running, webhook_doors
from tests.http.house import CAMPAIGN, PUBLIC_URL, SETTINGS, House, a_house
from tests.http.signing_provider import SigningProvider
from tests.store.cluster import Cluster, shared

NEVER_S = 3600.0  # nobody looks by himself: only a word can have woken the owner
ONLY_WORDS = msgspec.structs.replace(
    SETTINGS, dispatch=Dispatch(horizon_s=2.0, poll_s=0.05, idle_poll_s=NEVER_S)
)


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


@pytest.fixture(scope="module")
def kept_dsn(cluster: Cluster) -> Iterator[str]:
    with cluster.fresh() as dsn:
        yield dsn


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kept_house(kept_dsn: str) -> AsyncIterator[House]:
    """One house for all tests of a file that ask for it, in a database of its own: each leaves it as the next may find it."""
    async with a_house(kept_dsn) as opened:
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


@pytest.fixture
async def houses(dsn: str) -> AsyncIterator[tuple[House, House]]:
    """The campaign's owner, and another worker that listens as well."""
    async with a_house(dsn, settings=ONLY_WORDS) as house:
        provider = SigningProvider()
        doors = webhook_doors(provider, PUBLIC_URL)
        async with (
            aiohttp.ClientSession() as session,
            running(ONLY_WORDS, dsn, provider, doors, house.worker.clock) as worker,
        ):
            second = House(worker, provider, session, house.store)
            second.keys = house.keys
            await house.worker.gateway.adopted()
            owns = CAMPAIGN in house.worker.gateway.dispatch.roads
            yield (house, second) if owns else (second, house)
