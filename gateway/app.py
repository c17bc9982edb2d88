"""The composition root: the only file that names concrete parts."""

import asyncio
import contextlib
import functools
import logging
from collections.abc import Coroutine
from typing import NamedTuple

from gateway.clock import Clock
from gateway.config import Retention as Kept
from gateway.config import Settings
from gateway.metrics import Metrics
from gateway.p2p.bank import TextBank
from gateway.pipeline.admission import Admission
from gateway.pipeline.campaigns import Campaigns
from gateway.pipeline.confirmations import Confirmations
from gateway.pipeline.delivery import Delivery
from gateway.pipeline.dispatch import Dispatch
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.lease import WIRE_MARGIN_S
from gateway.pipeline.road import DispatchOptions
from gateway.providers.base import History, InboundText, Provider, StatusReport
from gateway.store.database import Database
from gateway.store.ownership import Ownership
from gateway.store.troubles import DatabaseAway
from gateway.upkeep.chores import Chore, Work
from gateway.upkeep.clock_watch import ClockWatch
from gateway.upkeep.headcount import Headcount
from gateway.upkeep.inbound_poll import InboundPoll
from gateway.upkeep.reconciliation import Reconciliation
from gateway.upkeep.recovery import Recovery
from gateway.upkeep.retention import Retention
from gateway.upkeep.workload import Window, Workload

_OWN_EVERY_S = 30.0
_ASK_EVERY_S = 30.0
_log = logging.getLogger(__name__)


class Undurable(NamedTuple):
    """Callbacks whose sender has had no answer yet, and will call again."""

    statuses: list[StatusReport]
    texts: list[InboundText]


class Gateway:
    """One worker: the road of a message and the text bank on top, over one database and one provider.

    With one connection the claims share it (a rehearsal's order of writes); otherwise they have their own.
    """

    def __init__(
        self, settings: Settings, database: Database, claims: Database, provider: Provider, clock: Clock
    ) -> None:
        self.database = database
        self.clock = clock
        self.provider = provider
        self.metrics = Metrics()
        claims.waited = functools.partial(self.metrics.pool_wait, pool="claims")
        database.waited = self.metrics.pool_wait  # one for both in a rehearsal
        windows, dispatch = settings.windows, settings.dispatch
        stop_settles_s = dispatch.look_valid_s + WIRE_MARGIN_S
        self.campaigns = Campaigns(database, stop_settles_s)
        self.delivery = Delivery(
            database,
            self.campaigns,
            clock,
            self.metrics,
            window_s=windows.delivery_s,
            max_rows=windows.max_rows,
        )
        options = DispatchOptions(
            horizon_s=dispatch.horizon_s,
            look_ahead=dispatch.look_ahead,
            poll_s=dispatch.poll_s,
            idle_poll_s=dispatch.idle_poll_s,
            concurrency=dispatch.concurrency,
            closing_margin_s=dispatch.closing_margin_s,
            on_the_wire_s=2 * dispatch.submit_timeout_s,
            look_valid_s=dispatch.look_valid_s,
        )
        self.dispatch = Dispatch(
            database,
            Ownership(claims),
            self.campaigns,
            clock,
            self.metrics,
            provider,
            self.delivery,
            options,
        )
        self.delivery.listen(self.dispatch)
        self.admission = Admission(
            database,
            self.campaigns,
            clock,
            self.metrics,
            self.dispatch,
            window_s=windows.admission_s,
            settled_s=options.settled_s,
            longest_wait_s=windows.longest_wait_s,
            max_rows=windows.max_rows,
        )
        opt_outs = settings.opt_outs
        self.confirmations = None
        if not opt_outs.provider_replies:
            self.confirmations = Confirmations(
                database, self.campaigns, clock, self.admission, opt_outs.confirmation
            )
        self.inbound_station = Inbound(
            database,
            self.campaigns,
            self.metrics,
            window_s=windows.inbound_s,
            max_rows=windows.max_rows,
            stop_settles_s=stop_settles_s,
            confirm=self.confirmations.confirm if self.confirmations is not None else None,
        )
        self.recovery = Recovery(
            database,
            clock,
            self.metrics,
            provider,
            self.delivery,
            self.dispatch.hand_over,
            self.dispatch.roads,
            settled_s=options.settled_s,
            on_the_wire_s=options.on_the_wire_s,
            ask_every_s=min(_ASK_EVERY_S, 2 * dispatch.submit_timeout_s),
        )
        self.bank = TextBank(
            database,
            self.campaigns,
            self.admission,
            clock,
            opted_out=lambda: self.metrics.opt_outs("manual", 1),
            stop_settles_s=stop_settles_s,
        )
        self.inbound_poll = None
        if isinstance(provider, History):
            self.inbound_poll = InboundPoll(
                database,
                clock,
                self.metrics,
                provider,
                self.inbound_station.receive,
                self.dispatch.inbound_gap,
            )
        self.clock_watch = ClockWatch(
            database,
            clock,
            self.metrics,
            lambda: provider.skew_s if isinstance(provider, History) else None,
            tolerance_s=settings.time.tolerance_s,
        )
        self._catches_up = settings.catch_up.before_sending
        self.workload = Workload(database, claims, clock, self.metrics, self.dispatch)
        self._tending: list[asyncio.Task[None]] = []
        self._stopping = False

    # the provider's sink

    def status(self, report: StatusReport) -> "asyncio.Future[None]":
        return self.delivery.status(report)

    def inbound(self, text: InboundText) -> "asyncio.Future[None]":
        """A webhook's text. One that is not kept may be a STOP that the provider tells nobody again."""
        try:
            kept = self.inbound_station.receive(text)
        except Exception:
            self._text_lost()
            raise
        kept.add_done_callback(self._text_kept)
        return kept

    def _text_kept(self, kept: "asyncio.Future[None]") -> None:
        if kept.cancelled() or kept.exception() is not None:
            self._text_lost()

    def _text_lost(self) -> None:
        self.dispatch.inbound_gap.open("a text could not be kept")

    # for the metrics

    def look(self) -> None:
        """Brings the gauges of what memory knows up to date."""
        self.metrics.inbound_gap(self.dispatch.inbound_gap.open_s)
        windows: list[Window] = [
            *self.admission.windows,
            *self.delivery.windows,
            *self.inbound_station.every_window,
        ]
        self.workload.look(windows)

    def tending(self) -> "dict[str, Coroutine[None, None, None]]":
        """What goes on as long as a worker serves, its door open; a rehearsal does without."""
        headcount = Headcount(self.database, self.clock, self.metrics, self.admission)
        tending = {
            "headcount": headcount.run(
                lambda: sorted(road.campaign.key for road in self.dispatch.roads.values())
            ),
            "workload": self.workload.run(),
            "clock": self.clock_watch.run(),
        }
        if self.inbound_poll is not None and self._catches_up:
            tending["inbound gap"] = self.inbound_poll.run()
        return tending

    # life

    async def start(self) -> None:
        """Reads the campaigns, becomes the owner of those that are free, and settles what was left."""
        await self.campaigns.load()
        self.provider.listen(self)
        self._hold_until_caught_up()
        await self._own_what_is_free()
        loop = asyncio.get_running_loop()
        self._tending = [
            loop.create_task(self.recovery.run(), name="recovery"),
            loop.create_task(self._keep_owning(), name="ownership"),
        ]

    def _hold_until_caught_up(self) -> None:
        """What people texted while no door was open comes before anything that is queued."""
        history = self.provider
        if isinstance(history, History) and self._catches_up:
            self.dispatch.inbound_gap.watch(lambda: history.away_since)
            self.dispatch.inbound_gap.open("this worker starts")

    async def _own_what_is_free(self) -> None:
        for campaign_id in self.campaigns.ids():
            await self.adopt(campaign_id)

    async def adopt(self, campaign_id: int) -> None:
        """Becomes the campaign's dispatcher if nobody is, and settles what an earlier one left."""
        if self._stopping or campaign_id in self.dispatch.roads or not await self.dispatch.own(campaign_id):
            return
        if self.confirmations is not None:
            await self.confirmations.adopt(campaign_id)
        _log.info("campaign %s is ours to dispatch", campaign_id)

    async def _keep_owning(self) -> None:
        """Takes up campaigns that are new, or whose owner is gone, ourselves after a lost connection included."""
        while True:
            await self._until_time_to_own()
            try:
                await self.campaigns.load()
                await self._own_what_is_free()
            except DatabaseAway:
                self.dispatch.lost.set()
            except Exception:  # noqa: BLE001 - a defect must not leave campaigns without an owner for good
                _log.exception("taking up campaigns failed")

    async def _until_time_to_own(self) -> None:
        """Every half a minute, and soon when campaigns of ours went with their connection."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_OWN_EVERY_S):
                await self.dispatch.lost.wait()
                self.dispatch.lost.clear()
                await asyncio.sleep(self.dispatch.options.horizon_s)  # the slots that it gave have passed

    async def drain(self) -> None:
        """Takes nothing new, finishes what is under way, and leaves no message `sending`."""
        self._stopping = True
        for task in self._tending:
            task.cancel()
        await self.admission.drain()
        await self.dispatch.drain()
        stations = (self.delivery.windows, self.inbound_station)
        await asyncio.gather(*(station.drain() for station in stations))
        while any(len(station) for station in stations):  # what came while the other one was written
            await asyncio.gather(*(station.drain() for station in stations))

    def crash(self) -> "Undurable":
        """Stops as kill -9 would; returns the callbacks that were never acknowledged."""
        for task in self._tending:
            task.cancel()
        self.admission.close()
        self.dispatch.close()
        return Undurable(self.delivery.close(), self.inbound_station.close())


def reconciliation_of(gateway: Gateway, history: History) -> Reconciliation:
    """The comparison of the provider's list with the books; its late receipts take the webhooks' way."""
    return Reconciliation(
        gateway.database, gateway.campaigns, gateway.clock, gateway.metrics, history, gateway
    )


def retention_of(gateway: Gateway, kept: Kept) -> Retention:
    """What deletes what is older than it is kept."""
    return Retention(
        gateway.database,
        gateway.campaigns,
        gateway.clock,
        messages_days=kept.messages_days,
        inbound_days=kept.inbound_days,
    )


def chores_of(settings: Settings, gateway: Gateway) -> list[Chore]:
    """What one of all workers does now and then; a provider that keeps no history can't be asked for it."""
    works: dict[str, tuple[float, Work]] = {}
    history, poll = gateway.provider, gateway.inbound_poll
    if isinstance(history, History) and poll is not None:
        works["inbound_poll"] = settings.catch_up.inbound_poll_s, poll.poll
        works["reconciliation"] = settings.catch_up.reconcile_s, reconciliation_of(gateway, history).catch_up
    kept = settings.retention
    if kept.messages_days is not None or kept.inbound_days is not None:
        works["retention"] = kept.every_s, retention_of(gateway, kept).run
    return [
        Chore(gateway.database, gateway.clock, gateway.metrics, name, every_s, work)
        for name, (every_s, work) in works.items()
        if every_s > 0
    ]
