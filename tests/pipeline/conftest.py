"""An empty database and a stage for each test of the pipeline."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.pipeline.world import play as play_on
from tests.store.cluster import Cluster, shared


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Cluster:
    return shared(pytestconfig)


@pytest.fixture
def play(cluster: Cluster) -> Callable[..., Any]:
    """`play(story, …)` runs `story(world)` in virtual time over an empty database."""
    return partial(play_on, cluster.empty())


@pytest.fixture
def play_anew(cluster: Cluster) -> Callable[..., Any]:
    """`play` for laws with many examples: each call empties the database first."""
    return lambda story, **world: play_on(cluster.empty(), story, **world)
