"""An empty database for each rehearsal, all on one PostgreSQL."""

from collections.abc import Callable, Iterator

import pytest

from simulator.model.scenario import Scenario
from simulator.rehearsal.run import rehearse_on
from simulator.report.result import Plan, Rehearsed
from tests.store.cluster import Cluster, shared

Rehearse = Callable[..., Rehearsed]


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Cluster:
    return shared(pytestconfig)


@pytest.fixture(scope="session")
def rehearse(cluster: Cluster) -> Rehearse:
    """Rehearses a scenario over an empty database: `rehearse(scenario, contacts=200, seed=1)`."""

    def rehearse(
        scenario: Scenario, *, contacts: int | None = 200, seed: int = 1, **plan: object
    ) -> Rehearsed:
        return rehearse_on(cluster.empty(), Plan(scenario, contacts=contacts, seed=seed, **plan))

    return rehearse


@pytest.fixture
def own_dsn(cluster: Cluster) -> Iterator[str]:
    """A database whose schema may be changed."""
    with cluster.fresh() as fresh:
        yield fresh
