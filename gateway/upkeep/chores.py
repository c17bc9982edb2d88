"""Chores: what one of all workers does now and then, such as asking the provider what a webhook lost."""

from collections.abc import Awaitable, Callable

import structlog

from gateway.clock import Clock
from gateway.metrics import Metrics
from gateway.providers.base import ProviderError
from gateway.store import chores
from gateway.store.database import Database
from gateway.upkeep.periodic import repeatedly

_log = structlog.get_logger("textbank.chores")
_LOOK_EVERY_S = 60.0  # whether a chore is due that another worker did last
_TURN_S = 3600.0  # for so long nobody else takes it up; then a chore that failed is due again

Work = Callable[[float | None], Awaitable[float]]
"""Does everything since an instant (None: never done) and says until when it is done; all in Unix seconds."""


class Chore:
    """One chore. `run_once` does it if it is due and nobody else has taken it."""

    def __init__(
        self, database: Database, clock: Clock, metrics: Metrics, name: str, every_s: float, work: Work
    ) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self.name = name
        self._every_s = every_s
        self._work = work

    async def run(self) -> None:
        """For ever; whatever goes wrong, it is tried again."""
        await repeatedly(
            self.run_once, lambda _: min(self._every_s, _LOOK_EVERY_S), f"the chore '{self.name}'"
        )

    async def run_once(self) -> bool:
        """Whether it was our turn and it is done. Raises DatabaseAway."""
        now = self._clock.now()
        turn = await chores.take(self._database, self.name, now, min(self._every_s, _TURN_S))
        if turn is None:
            return False
        try:
            until = await self._work(turn.done_until)
        except ProviderError as error:
            _log.warning("a chore did not get through", chore=self.name, error=str(error))
            self._metrics.chore(self.name, "error")
            return False
        await chores.done(self._database, self.name, until, now + self._every_s)
        self._metrics.chore(self.name, "ok")
        return True
