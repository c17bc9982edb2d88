"""The composition root: the only file that names concrete parts."""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NamedTuple, assert_never

from gateway.clock import Clock
from gateway.config import Retention as Kept
from gateway.config import Settings
from gateway.core.rules.campaign import CampaignKey
from gateway.entropy import secret
from gateway.metrics import Metrics
from gateway.p2p.actions import Actions
from gateway.p2p.broadcasts import Broadcasts
from gateway.p2p.links import Links
from gateway.p2p.mailing import EVERY_S, Mailing
from gateway.p2p.publishing import Publishing
from gateway.p2p.quiet_inboxes import QuietInboxes
from gateway.p2p.text_bank import text_bank
from gateway.pipeline.admission import Admission
from gateway.pipeline.campaigns import Campaigns
from gateway.pipeline.confirmations import Confirmations
from gateway.pipeline.delivery import Delivery
from gateway.pipeline.dispatch import Dispatch
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.options import DispatchOptions
from gateway.pipeline.settling import Settling
from gateway.post import post_of
from gateway.providers.base import History, InboundText, Provider, StatusReport
from gateway.store import ownership
from gateway.store.database import Database
from gateway.store.group_commit import CommitWindow
from gateway.store.notices import Notices, Notifier, Subject
from gateway.upkeep import promises, tables
from gateway.upkeep.breakers import BreakerWatch
from gateway.upkeep.chores import Chore, Work
from gateway.upkeep.clock_watch import ClockWatch
from gateway.upkeep.counting import Counting
from gateway.upkeep.first_texts import FirstTextsInOrder
from gateway.upkeep.headcount import Headcount
from gateway.upkeep.idle_buckets import IdleBuckets
from gateway.upkeep.idle_conversations import IdleConversations
from gateway.upkeep.inbound_poll import InboundPoll
from gateway.upkeep.limit_watch import LimitWatch
from gateway.upkeep.ownership import Ownership
from gateway.upkeep.periodic import every
from gateway.upkeep.reconciliation import Reconciliation
from gateway.upkeep.recovery import Recovery
from gateway.upkeep.retention import Retention
from gateway.upkeep.webhook_sender import Courier
from gateway.upkeep.webhooks import DeliverySweep, Webhooks
from gateway.upkeep.workload import Workload

_ASK_EVERY_S = 30.0
_QUIET_ALONE_S, _QUIET_AMONG_OTHERS_S = 600.0, 1.0
_SCHEDULED_S = 10.0  # how often scheduled actions are looked for
_SWEEP_S = 3600.0  # how often deliveries to campaigns' endpoints that are done with are looked for
_IDLE_S, _IDLE_BUCKETS_S = 6 * 3600.0, 60.0  # how often what was idle for long is looked for


class Undurable(NamedTuple):
    """Callbacks whose sender has had no answer yet, and will call again."""

    statuses: list[StatusReport]
    texts: list[InboundText]


class Gateway:
    """One worker: the road of a message and the text bank on top, over one database and one provider.

    `session` is what the worker says that it lives over: of its own, so that it never waits behind a bank. None: the
    database does, as in a rehearsal.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        provider: Provider,
        clock: Clock,
        session: Database | None = None,
        admission: Callable[..., Admission] = Admission,
    ) -> None:
        self.database = database
        self.clock = clock
        self.provider = provider
        self.metrics = Metrics()
        if session is not None:
            session.waited = functools.partial(self.metrics.pool_wait, pool="session")
        database.waited = self.metrics.pool_wait
        windows, dispatch = settings.windows, settings.dispatch
        self.settling, quiet = _settling(settings, database), _quiet_inboxes(settings, clock)
        self.campaigns = Campaigns(database, self.settling)
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
            self.campaigns,
            clock,
            self.metrics,
            provider,
            self.delivery,
            options,
        )
        self.delivery.listen(self.dispatch)
        self.admission = admission(
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
            clock,
            self.metrics,
            window_s=windows.inbound_s,
            max_rows=windows.max_rows,
            settling=self.settling,
            watch=quiet,
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
        self.bank, self.buckets, self.inbox, self.reports = text_bank(
            database,
            self.campaigns,
            self.admission,
            clock,
            opted_out=lambda: self.metrics.opt_outs("manual", 1),
            settling=self.settling,
            quiet=quiet,
        )
        self.links = Links(database, self.campaigns, clock, secret)
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
            lambda: self.dispatch.restart("the time of day was set"),
            tolerance_s=settings.time.tolerance_s,
        )
        self._catches_up = settings.catch_up.before_sending
        self.workload = Workload(database, session, clock, self.metrics, self.dispatch)
        self.notifier = None if session is None else Notifier(session)
        self._notices = None if session is None else Notices(session, self._heard, self._missed)
        self._connect()
        self.ownership = Ownership(
            session or database,
            self.campaigns,
            self.dispatch,
            clock,
            self.metrics,
            settle=self._settle,
            tell=self._tell,
            holds_lock=lambda: self._notices is not None and self._notices.is_listening,
            beat_s=settings.workers.beat_s,
            due_every_s=dispatch.idle_poll_s,
        )
        self._look_after_campaigns(database, clock)
        self._tending: list[asyncio.Task[None]] = []

    def _connect(self) -> None:
        """Who is told of what: other workers, and this one's roads."""
        self.dispatch.tell = lambda campaign_id: self._tell(Subject.QUEUE, [campaign_id])
        self.campaigns.tell = lambda campaign_id: self._tell(Subject.CAMPAIGN, [campaign_id])
        self.campaigns.changed = self.dispatch.changed

    def _look_after_campaigns(self, database: Database, clock: Clock) -> None:
        known, owned = self.campaigns, self._owned
        self.counting = Counting(database, known, clock, owned)
        self.breaker_watch = BreakerWatch(database, known, clock, self.metrics, owned)
        self.first_texts = FirstTextsInOrder(database, known, clock, owned, self.dispatch.remind)
        self.admission.campaign_windows.wrote = self.counting.wrote
        self.delivery.windows.wrote = self.counting.wrote
        self.inbound_station.windows.wrote = lambda key: self.counting.wrote(key.campaign_id)

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
        self.metrics.database_away(self.database.outage.length_s)
        self.ownership.look()
        self.workload.look(self._windows())
        self.metrics.look()

    def _windows(self) -> "list[CommitWindow[Any, Any]]":
        return [
            *self.admission.windows,
            *self.delivery.windows,
            *self.inbound_station.every_window,
            *self.links.windows,
        ]

    def _owned(self) -> list[CampaignKey]:
        return sorted(road.campaign.key for road in self.dispatch.roads.values())

    def tending(self, courier: Courier) -> "dict[str, Coroutine[None, None, None]]":
        """What goes on as long as a worker serves, its door open; a rehearsal does without, and tells nobody outside."""
        headcount = Headcount(self.database, self.clock, self.metrics, self.admission)
        webhooks = Webhooks(self.database, self.clock, self.metrics, courier, self._owned)
        left = self.workload.waiting_of, headcount.remaining_of
        watch = LimitWatch(self.database, self.clock, self.metrics, self.dispatch, *left)
        tending = {
            "counting": self.counting.run(),
            "breakers": self.breaker_watch.run(),
            "first texts": self.first_texts.run(),
            "limits": watch.run(),
            "headcount": headcount.run(self._owned),
            "webhooks": webhooks.run(),
            "workload": self.workload.run(),
            "clock": self.clock_watch.run(),
        }
        broadcasts = Broadcasts(self.database, self.campaigns, self.admission, self.clock, self.buckets)
        tending["broadcasts"] = every(1.0, lambda: broadcasts.run_once(self._owned()), "the broadcasts")
        if self.inbound_poll is not None and self._catches_up:
            tending["inbound gap"] = self.inbound_poll.run()
        return tending

    # life

    async def start(self) -> None:
        """Reads the campaigns and takes those that are free; their roads open in the background (`adopted`)."""
        await self.campaigns.load()
        self.provider.listen(self)
        self._hold_until_caught_up()
        await self.ownership.start()
        loop = asyncio.get_running_loop()
        self._tending = [loop.create_task(self.recovery.run(), name="recovery")]
        if self._notices is not None:
            listening = self._notices.run(self.ownership.worker_id)
            self._tending.append(loop.create_task(listening, name="notices"))

    def _hold_until_caught_up(self) -> None:
        """What people texted while no door was open comes before anything that is queued."""
        history = self.provider
        if isinstance(history, History) and self._catches_up:
            self.dispatch.inbound_gap.watch(lambda: history.away_since)
            self.dispatch.inbound_gap.open("this worker starts")

    async def adopted(self) -> None:
        """Until every campaign that was taken has its road, or waits with a reason."""
        await self.ownership.adopted()

    async def adopt(self, campaign_id: int) -> None:
        """A new campaign gets its dispatcher."""
        self.campaigns.tell(campaign_id)
        await self.ownership.adopt(campaign_id)

    # other workers

    def _tell(self, subject: Subject, campaign_ids: Iterable[int]) -> None:
        if self.notifier is not None:
            self.notifier.tell(subject, campaign_ids)

    def _heard(self, subject: Subject, campaign_ids: list[int]) -> None:
        match subject:
            case Subject.QUEUE:
                for campaign_id in campaign_ids:
                    self.dispatch.remind(campaign_id)
            case Subject.CAMPAIGN:
                self.ownership.read_again()
            case Subject.OWNER:
                self.ownership.look_now()
            case _:
                assert_never(subject)

    def _missed(self) -> None:
        self.ownership.look_at_everything()

    async def _settle(self, campaign_id: int) -> None:
        """What the campaign's earlier owner may not have come to, apart from what recovery asks about."""
        await self.first_texts.settle(campaign_id)
        if self.confirmations is not None:
            await self.confirmations.adopt(campaign_id)

    async def drain(self) -> None:
        """Takes nothing new, finishes what is under way, and leaves no message `sending`; may be repeated."""
        for task in self._tending:
            task.cancel()
        if self._tending:
            await asyncio.wait(self._tending)
        await self.ownership.stop()
        await self._write_what_came()
        await self.dispatch.drain()
        await self._write_what_came()
        await self.ownership.leave()
        if self.notifier is not None:
            await self.notifier.drain()
        await self._write_what_came()  # while we said goodbye

    async def _write_what_came(self) -> None:
        """Until no window holds anything: a STOP that is written asks for its confirmation, which is one more."""
        while busy := [window for window in self._windows() if not window.is_idle]:
            for window in busy:
                await window.drain()
            await asyncio.sleep(0)  # who is told of a written row may ask for another one

    def crash(self) -> "Undurable":
        """Stops as kill -9 would; returns the callbacks that were never acknowledged."""
        for task in self._tending:
            task.cancel()
        self.ownership.close()
        if self.notifier is not None:
            self.notifier.close()
        self.buckets.close()
        self.admission.close()
        self.links.close()
        self.dispatch.close()
        return Undurable(self.delivery.close(), self.inbound_station.close())


def _settling(settings: Settings, database: Database) -> Settling:
    """The only worker of a database knows for how long its own looks are good; of several, the books do."""
    longest_look = None
    if settings.workers.beat_s > 0:
        longest_look = functools.partial(ownership.longest_look, database)
    return Settling(settings.dispatch.look_valid_s, longest_look)


def _quiet_inboxes(settings: Settings, clock: Clock) -> QuietInboxes:
    """For how long a look that found nobody waiting speaks for all: people's texts come in here, or elsewhere as well."""
    is_alone = settings.workers.beat_s == 0
    return QuietInboxes(clock.steady, _QUIET_ALONE_S if is_alone else _QUIET_AMONG_OTHERS_S)


def reconciliation_of(gateway: Gateway, history: History) -> Reconciliation:
    """The comparison of the provider's list with the books; its late receipts take the webhooks' way."""
    books = gateway.database, gateway.campaigns, gateway.clock
    return Reconciliation(*books, gateway.metrics, history, gateway)


def retention_of(gateway: Gateway, kept: Kept) -> Retention:
    """What deletes what is older than it is kept."""
    return Retention(
        gateway.database,
        gateway.campaigns,
        gateway.clock,
        messages_days=kept.messages_days,
        inbound_days=kept.inbound_days,
        events_days=kept.events_days,
    )


def publishing_of(gateway: Gateway) -> Publishing:
    """What publishes actions, now or when their time has come."""
    shared = gateway.database, gateway.campaigns, gateway.clock
    return Publishing(*shared, Actions(*shared, secret))


def chores_of(settings: Settings, gateway: Gateway) -> list[Chore]:
    """What one of all workers does now and then; a provider that keeps no history can't be asked for it."""
    works: dict[str, tuple[float, Work]] = {}
    history, poll = gateway.provider, gateway.inbound_poll
    if isinstance(history, History) and poll is not None:
        works["inbound_poll"] = settings.catch_up.inbound_poll_s, poll.poll
        works["reconciliation"] = settings.catch_up.reconcile_s, reconciliation_of(gateway, history).catch_up
    if settings.mail.url is not None:
        works["mails"] = EVERY_S, Mailing(gateway.database, gateway.clock, post_of(settings)).run
    works["scheduled_actions"] = _SCHEDULED_S, publishing_of(gateway).publish_due
    own = tables.Tables(gateway.database, gateway.clock)
    works["statistics"] = tables.STATISTICS_S, own.tell_planner
    works["months"] = tables.MONTHS_S, own.make_months
    books = gateway.database, gateway.campaigns, gateway.clock
    works["idle_conversations"] = _IDLE_S, IdleConversations(*books).run
    works["idle_buckets"] = _IDLE_BUCKETS_S, IdleBuckets(*books, gateway.buckets.given_back).run
    works["promises"] = promises.EVERY_S, promises.PromiseWatch(*books, gateway.metrics).run
    works["webhook_deliveries"] = _SWEEP_S, DeliverySweep(*books).run
    works["retention"] = settings.retention.every_s, retention_of(gateway, settings.retention).run
    return [
        Chore(gateway.database, gateway.clock, gateway.metrics, name, every_s, work)
        for name, (every_s, work) in works.items()
        if every_s > 0
    ]
