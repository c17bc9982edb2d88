"""A worker whose clock is not the database's or the provider's says so, and is not ready until they agree."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from gateway.clock import Clock
from gateway.core.rules.errors import TextbankError
from gateway.metrics import Metrics
from gateway.store.database import Database
from gateway.upkeep.clock_watch import ClockDiffersFromDatabase, ClockDiffersFromProvider, ClockWatch
from tests.store.cluster import Cluster


@pytest.fixture
def dsn(cluster: Cluster) -> str:
    return cluster.empty()


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    opened = Database(dsn, connections=1)
    yield opened
    await opened.close()


class World:
    """A worker's clock and the provider's, both of which may be wrong."""

    def __init__(
        self, database: Database, monkeypatch: pytest.MonkeyPatch, tolerance_s: float = 30.0
    ) -> None:
        self.wrong_s = 0.0
        self.provider_s: float | None = None
        self.restarts: list[float] = []
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + self.wrong_s)
        self.metrics = Metrics()
        self.clock = Clock.of_the_system(asyncio.get_running_loop())
        self.watch = ClockWatch(
            database,
            self.clock,
            self.metrics,
            lambda: self.provider_s,
            lambda: self.restarts.append(self.wrong_s),
            tolerance_s=tolerance_s,
        )

    async def trouble(self) -> type[TextbankError] | None:
        await self.watch.run_once()
        try:
            await self.watch.check()
        except TextbankError as error:
            return type(error)
        return None

    def skew_s(self, whose: str) -> float | None:
        return self.metrics.registry.get_sample_value("p2p_clock_skew_seconds", {"whose": whose})


DIFFERENCES = [
    (0.0, None, None),
    (20.0, None, None),
    (40.0, None, ClockDiffersFromDatabase),
    (-3600.0, None, ClockDiffersFromDatabase),
    (0.0, 20.0, None),
    (0.0, -120.0, ClockDiffersFromProvider),
    (0.0, 120.0, ClockDiffersFromProvider),
]


@pytest.mark.parametrize(("wrong_s", "provider_s", "trouble"), DIFFERENCES)
async def test_who_is_ready(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    wrong_s: float,
    provider_s: float | None,
    trouble: type[TextbankError] | None,
) -> None:
    world = World(database, monkeypatch)
    world.wrong_s, world.provider_s = wrong_s, provider_s
    assert await world.trouble() is trouble
    assert world.skew_s("database") == pytest.approx(-wrong_s, abs=5)
    assert world.skew_s("provider") == (provider_s or 0.0)


async def test_it_is_noticed_and_over_at_once_when_the_clock_is_set(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(database, monkeypatch)
    assert await world.trouble() is None
    world.wrong_s = 90.0
    assert await world.trouble() is ClockDiffersFromDatabase
    assert await world.trouble() is ClockDiffersFromDatabase
    world.wrong_s = 0.0
    assert await world.trouble() is None
    assert world.restarts == [90.0, 0.0]
    said = capsys.readouterr().out
    assert said.count("the time of day was set") == 2
    assert said.count("the clocks differ") == 1
    assert said.count("the clocks agree again") == 1


async def test_any_difference_may_be_tolerated(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(database, monkeypatch, tolerance_s=0.0)
    world.wrong_s = 1e6
    assert await world.trouble() is None


async def test_a_rehearsals_clock_is_its_own(database: Database) -> None:
    clock = Clock(asyncio.get_running_loop(), 1_773_241_200.0)
    watch = ClockWatch(database, clock, Metrics(), lambda: 1e6, lambda: None, tolerance_s=30.0)
    await watch.run_once()
    await watch.check()
