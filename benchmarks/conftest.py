"""What the benchmarks share: one throwaway PostgreSQL."""

from collections.abc import Iterator

import pytest

from gateway.store.embedded import EmbeddedServer


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as running:
        yield running
