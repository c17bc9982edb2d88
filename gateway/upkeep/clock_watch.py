"""Whether this worker's time of day can be trusted: it is held against the database's and the provider's.

Lawful hours and validity hang on it, and a worker can't know by itself that its clock is wrong. A time of day that is
set, or a difference that begins or ends, is told in the log; a large difference makes the worker not ready.
"""

from collections.abc import Callable
from typing import Final

import structlog

from gateway.clock import Clock
from gateway.core.rules.errors import TextbankError
from gateway.metrics import Metrics
from gateway.store import server_clock
from gateway.store.database import Database
from gateway.upkeep.periodic import repeatedly

_log = structlog.get_logger("textbank.clock")
_LOOK_S: Final = 1.0
_ASK_EVERY_S: Final = 30.0
_JUMP_S: Final = 0.5  # less is slewing
_RESTART_S: Final = 2.0  # meters and polls that were to come would stand still for so long
_TOLD_S: Final = 5.0  # a difference worth a warning
_LONGEST_ANSWER_S: Final = 2.0  # a slower answer says too little of the time

SkewOfProvider = Callable[[], float | None]


class ClockDiffersFromDatabase(TextbankError):
    """This worker's time of day is not the database's."""


class ClockDiffersFromProvider(TextbankError):
    """This worker's time of day is not the provider's."""


class ClockWatch:
    """`was_set` is told of a jump that matters. `tolerance_s` 0: any difference is tolerated. A rehearsal's clock is its own, and is compared with nobody's."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        skew_of_provider: SkewOfProvider,
        was_set: Callable[[], None],
        *,
        tolerance_s: float,
    ) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._skew_of_provider = skew_of_provider
        self._was_set = was_set
        self._tolerance_s = tolerance_s
        self._ask_at = 0.0
        self._ahead_s: dict[str, float] = {}  # of us: database, provider
        self._told: set[str] = set()

    async def run(self) -> None:
        """For ever; whatever goes wrong, it is tried again."""
        await repeatedly(self.run_once, lambda _took_s: _LOOK_S, "comparing the clocks")

    async def run_once(self) -> None:
        """Raises DatabaseAway."""
        jump_s = self._clock.jump_s()
        if abs(jump_s) >= _JUMP_S:
            self._ask_at = 0.0
            _log.warning("the time of day was set", by_s=round(jump_s, 3))
            if abs(jump_s) >= _RESTART_S:
                self._was_set()
        if (provider_s := self._skew_of_provider()) is not None:
            self._saw("provider", provider_s)
        if self._clock.steady() >= self._ask_at:
            await self._ask_database()

    async def _ask_database(self) -> None:
        asked_at = self._clock.steady()
        theirs = await server_clock.time_of_day(self._database)
        took_s = self._clock.steady() - asked_at
        self._ask_at = self._clock.steady() + _ASK_EVERY_S
        if took_s <= _LONGEST_ANSWER_S:
            self._saw("database", theirs + took_s / 2 - self._clock.now())

    def _saw(self, whose: str, ahead_s: float) -> None:
        """Somebody's clock is so far ahead of ours."""
        self._ahead_s[whose] = ahead_s
        self._metrics.clock_skew(whose, ahead_s)
        if not self._clock.is_of_the_system:
            return
        differs, was_told = abs(ahead_s) >= _TOLD_S, whose in self._told
        if differs and not was_told:
            self._told.add(whose)
            _log.warning("the clocks differ", whose=whose, ahead_of_ours_s=round(ahead_s, 1))
        elif was_told and not differs:
            self._told.discard(whose)
            _log.info("the clocks agree again", whose=whose)

    async def check(self) -> None:
        """Raises ClockDiffersFromDatabase or ClockDiffersFromProvider when this worker is not to be trusted."""
        if not self._clock.is_of_the_system or not self._tolerance_s:
            return
        if abs(self._ahead_s.get("database", 0.0)) > self._tolerance_s:
            raise ClockDiffersFromDatabase
        if abs(self._ahead_s.get("provider", 0.0)) > self._tolerance_s:
            raise ClockDiffersFromProvider
