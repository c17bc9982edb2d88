"""What a worker does beside the messages, in virtual time: it fetches lost texts, compares the books, and watches breakers.

The gateway's own poll and comparison; what they bring is told to the ledger as a webhook is, so that the auditor knows
since when the gateway has known.
"""

import asyncio
from collections.abc import Coroutine
from math import inf
from typing import Final

from gateway.app import Gateway
from gateway.config import CatchUp
from gateway.providers.base import InboundText, StatusReport
from gateway.upkeep.breakers import EVERY_S as BREAKERS_S
from gateway.upkeep.chores import Chore
from gateway.upkeep.inbound_poll import InboundPoll
from gateway.upkeep.periodic import every
from gateway.upkeep.reconciliation import Reconciliation
from gateway.upkeep.tables import Tables
from simulator.model.ledger import STATUSES, Ledger, inbound_number_of, number_of
from simulator.rehearsal.history import RememberingProvider

_STATISTICS_S: Final = 300.0  # of virtual time, in which a bank begins with some thousand texts


class Upkeep:
    """The works of one living gateway; `start` returns their tasks."""

    def __init__(
        self, gateway: Gateway, history: RememberingProvider, ledger: Ledger, settings: CatchUp
    ) -> None:
        self._gateway = gateway
        self._ledger = ledger
        self._settings = settings
        self.texts_fetched = 0
        self.receipts_fetched = 0
        self._has_watched = False
        gap = gateway.dispatch.inbound_gap
        gap.frozen_s = inf  # nothing stands still in virtual time
        parts = gateway.database, gateway.clock, gateway.metrics, history
        self._poll = InboundPoll(*parts, self._take_in, gap)
        database, clock, metrics, _ = parts
        self._comparison = Reconciliation(database, gateway.campaigns, clock, metrics, history, self)

    def start(self) -> list[asyncio.Task[None]]:
        """Begins everything that the settings want."""
        works: list[Coroutine[None, None, None]] = []
        if self._settings.before_sending:
            works.append(self._poll.close_gaps())
        database, clock, metrics = self._gateway.database, self._gateway.clock, self._gateway.metrics
        for name, every_s, work in (
            ("inbound_poll", self._settings.inbound_poll_s, self._poll.poll),
            ("reconciliation", self._settings.reconcile_s, self._comparison.catch_up),
        ):
            if every_s > 0:
                works.append(_regularly(Chore(database, clock, metrics, name, every_s, work), every_s))
        works.append(every(BREAKERS_S, self._watch_breakers, "the watch on breakers"))
        works.append(every(_STATISTICS_S, Tables(database, clock).tell_planner, "the planner's statistics"))
        loop = asyncio.get_running_loop()
        return [loop.create_task(work, name="upkeep") for work in works]

    async def _watch_breakers(self) -> None:
        """What happened is counted just before somebody looks at it: nobody else asks for counts. When nothing has, and it
        was looked at before, it is as it was: the only worker wrote all that there is."""
        if self._has_watched and not self._gateway.counting.has_news:
            return
        self._has_watched = True
        await self._gateway.counting.run_once()
        await self._gateway.breaker_watch.run_once()

    # ------------------------------------------------------------ what they bring

    def _take_in(self, text: InboundText) -> "asyncio.Future[None]":
        n = inbound_number_of(text.provider_sid)
        self._ledger.inbound_deliveries.append(n, self._now())
        self.texts_fetched += 1
        return self._gateway.inbound_station.receive(text)

    def status(self, report: StatusReport) -> "asyncio.Future[None]":
        """A receipt that a webhook lost."""
        n = number_of(report.provider_sid)
        if n is not None:
            self._ledger.statuses.append(n, self._now(), STATUSES.index(report.status), report.code or 0)
            self.receipts_fetched += 1
        return self._gateway.status(report)

    def inbound(self, text: InboundText) -> "asyncio.Future[None]":
        """The comparison brings receipts only."""
        return self._take_in(text)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def _regularly(chore: Chore, every_s: float) -> None:
    """The only worker's chore is due whenever its time has come: nobody need look in between."""
    while True:
        await asyncio.sleep(every_s)
        await chore.run_once()
