"""A cancellation ends a rehearsal wherever it stands in its set-up: nothing on the way swallows it."""

import asyncio

import pytest
import simpy

from simulator.rehearsal import run
from simulator.rehearsal.loop import VirtualLoop
from simulator.rehearsal.stopwatch import Stopwatch
from simulator.report.result import Plan
from tests.rehearsal.small_worlds import ELECTION_DAY, small
from tests.store.cluster import Cluster

TURNS = 1_200  # of the loop, about, until the day begins


class Lived(Exception):
    """The day began."""


class Injecting(VirtualLoop):
    """Cancels `whom` between two of its turns."""

    whom: "asyncio.Task[object] | None" = None
    turn = 0

    def __init__(self, env: simpy.Environment, at: int) -> None:
        super().__init__(env)
        self.at = at

    def _run_once(self) -> None:
        super()._run_once()
        self.turn += 1
        if self.turn == self.at and self.whom is not None:
            self.whom.cancel()


def begun(dsn: str, at: int) -> int:
    """Sets a rehearsal up and cancels it at that turn; raises Lived when the day began all the same."""
    env = simpy.Environment()
    with asyncio.Runner(loop_factory=lambda: Injecting(env, at)) as runner:
        loop = runner.get_loop()

        async def main() -> None:
            loop.whom = asyncio.current_task()
            world = run._Rehearsal(
                env, loop, dsn, Plan(small(ELECTION_DAY, hours=1.0), contacts=20), Stopwatch()
            )

            async def day(_: object) -> None:
                raise Lived

            world._live = day
            await world.run(None)

        try:
            runner.run(main())
        except asyncio.CancelledError:
            return loop.turn
    raise AssertionError("it came to its end")


@pytest.mark.parametrize("at", [1, 2, 3, 5, 8, 13, 40, *range(97, TURNS, 157)])
def test_a_cancellation_at_any_turn_of_the_set_up_ends_it(cluster: Cluster, at: int) -> None:
    """Between two turns of the loop, so that it also falls between an answer and the one who waits for it."""
    with cluster.fresh("template0") as dsn:
        assert begun(dsn, at) >= at


def test_without_one_the_day_begins(cluster: Cluster) -> None:
    with cluster.fresh("template0") as dsn, pytest.raises(Lived):
        begun(dsn, 10**9)
