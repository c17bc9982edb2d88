"""A rehearsal: the real gateway and the real PostgreSQL in a simulated world, from one seed to a verdict.

Everything runs on one loop in virtual time, over one database connection, so that one seed gives one
sequence of events and one ledger.
"""

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import simpy
from msgspec.structs import replace

from gateway.app import Gateway
from gateway.clock import Clock
from gateway.core.rules.campaign import DEFAULT_ORGANISATION, CampaignKey
from gateway.core.rules.errors import BadInput
from gateway.p2p.lists import ListReader, read_list
from gateway.store import conversations
from gateway.store.contacts import ContactRow
from gateway.store.embedded import EmbeddedServer
from gateway.store.migrate import make_throwaway, migrate
from simulator.audit.auditor import audit_of
from simulator.audit.blocks import rightly_untexted
from simulator.audit.evidence import Evidence
from simulator.audit.figures import gather
from simulator.audit.filter_record import FilterWatch
from simulator.audit.ground_truth import world_knows
from simulator.audit.records import Audit, Books, GroundTruth
from simulator.audit.screens import still_waiting
from simulator.model.addresses import NO_ADDRESSES
from simulator.model.draws import Draws
from simulator.model.faults import Faults
from simulator.model.ledger import Ledger
from simulator.model.of_campaign import of_campaign
from simulator.model.population import Line, Population
from simulator.model.roster import Roster, read_roster
from simulator.rehearsal import contact_import, witness
from simulator.rehearsal.books import read_books
from simulator.rehearsal.campaign_setup import create, lint_of, scripts_of
from simulator.rehearsal.companions import Companion, Company, Near, left_of_the_day, merged, together
from simulator.rehearsal.costs import CountedCosts, told_costs
from simulator.rehearsal.given_database import check_empty
from simulator.rehearsal.loop import VirtualLoop, run
from simulator.rehearsal.outcome import held_back_phones, list_of, result_of
from simulator.rehearsal.paced_database import PacedDatabase
from simulator.rehearsal.provider_side import provider_side
from simulator.rehearsal.recorded_metrics import RecordedMetrics
from simulator.rehearsal.rehearsed_settings import ANSWER_S, SETTINGS, rehearsed
from simulator.rehearsal.staff import staffed
from simulator.rehearsal.stopwatch import Stopwatch
from simulator.rehearsal.told_results import told_results, told_usage_usd
from simulator.rehearsal.upkeep import Upkeep
from simulator.report.result import Plan, Rehearsed, Snapshot

CAMPAIGN, ACTION = 1, 1
KEY = CampaignKey(DEFAULT_ORGANISATION, CAMPAIGN)
_SNAPSHOT_EVERY_S = 120.0
_GARBAGE_THRESHOLD = 5_000  # objects; a rehearsal makes few cycles
_RESTART_S = 20.0  # a supervisor starts a crashed gateway again
_SENDERS = ("Sam", "Maria", "Alex", "Jordan", "Taylor", "Chris", "Ana", "Pat", "Lee", "Robin")

_NOBODY = np.empty(0, np.int64)

OnProgress = Callable[[Snapshot], None]


def rehearse(plan: Plan, on_progress: OnProgress | None = None, dsn: str | None = None) -> Rehearsed:
    """Runs the plan to its end; raises BadInput or BadScenario for what a person got wrong.

    Without a DSN in a PostgreSQL of its own; a database that is given must be empty.
    """
    watch = Stopwatch()
    if dsn is not None:
        asyncio.run(check_empty(dsn))
        return rehearse_on(dsn, plan, on_progress, watch)
    with EmbeddedServer() as server:
        return rehearse_on(server.dsn(), plan, on_progress, watch)


def rehearse_on(
    dsn: str, plan: Plan, on_progress: OnProgress | None = None, watch: Stopwatch | None = None
) -> Rehearsed:
    """The same over an empty database of the caller's."""
    env = simpy.Environment()
    with _little_garbage():
        return run(env, lambda loop: _Rehearsal(env, loop, dsn, plan, watch or Stopwatch()).run(on_progress))


@contextmanager
def _little_garbage() -> Iterator[None]:
    """Collects seldom, and hands back what a world has frozen."""
    before = gc.get_threshold()
    gc.set_threshold(_GARBAGE_THRESHOLD)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


class _Rehearsal:
    """One world and the gateway in it."""

    def __init__(
        self, env: simpy.Environment, loop: VirtualLoop, dsn: str, plan: Plan, watch: Stopwatch
    ) -> None:
        self.env = env
        self.loop = loop
        self.plan = plan
        self.scenario = plan.scenario
        self.settings = rehearsed(plan.settings, SETTINGS)
        self.watch = watch
        self.draws = Draws(plan.seed)
        self.ledger = Ledger(plan.scenario.carriers)
        day = self.scenario
        self.faults = Faults(day.faults, self.draws, day.duration_s, start_at=day.start_at)
        self.clock = Clock(loop, plan.scenario.start_at)
        self.database = PacedDatabase(dsn)
        loop.wait_for(self.database)
        self.filter_watch = FilterWatch()
        self.companions = [
            Companion(CAMPAIGN + 1 + nth, wanted, plan, _SENDERS, self.settings.opt_outs)
            for nth, wanted in enumerate(plan.scenario.companions)
        ]
        self.company = Company(plan.scenario, self.companions)
        self.reader: ListReader | None = None
        self.roster: Roster | None = None  # of a list, as the model reads it
        self.gateway: Gateway | None = None
        self.counted_costs = CountedCosts()
        self.recorded = RecordedMetrics(self._living, plan.scenario.start_at, plan.metrics)
        self.tasks: list[asyncio.Task[None]] = []
        self.upkeep_tasks: list[asyncio.Task[None]] = []
        self.came_back_at: list[float] = []  # after each crash
        self.setup_s = 0.0

    async def run(self, on_progress: OnProgress | None) -> Rehearsed:
        await self.database.open()
        self.database.ends_with_it(asyncio.current_task())
        try:
            await self._set_up(on_progress)
            self.setup_s = self.watch.wall_s()
            await self._live(on_progress)
            self.recorded.write()
            return await self._finish()
        except BaseException as error:
            why = self.database.why(error)
            await self._abandon()
            if why is error:
                raise
            raise why from error
        finally:
            await self._stop_tasks()
            await self.database.close()

    async def _abandon(self) -> None:
        """A run that failed leaves nobody at work: who holds the database's connection must give it back first."""
        if self.gateway is not None:
            self.provider.hang_up()
            self.gateway.crash()
        at_work = asyncio.all_tasks(self.loop) - {asyncio.current_task()}
        for task in at_work:
            task.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)
        self.database.hang_up()  # with the driver's own task that would have asked the server to stop

    async def _stop_tasks(self) -> None:
        tasks = [*self.tasks, *self.upkeep_tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ------------------------------------------------------------ before the day

    async def _set_up(self, on_progress: OnProgress | None) -> None:
        people = self._people()
        if on_progress is not None:
            on_progress(self._outset())
        await migrate(self.database, self.clock.now())
        await make_throwaway(self.database)
        self._build_market()
        scope_of = self.company.opt_out_scope
        await create(
            self.database, CAMPAIGN, self.scenario, self.clock.now(), opt_out_scope=scope_of(CAMPAIGN)
        )
        look_up, now = self.provider.look_up, self.clock.now()
        self.contacts = await contact_import.put(self.database, KEY, people, look_up, now)
        if self.reader is not None:
            left = self.reader.opted_out
            await conversations.import_opt_outs(self.database, KEY.organisation_id, CAMPAIGN, left, now)
        for each in self.companions:
            world = self.database, self.market, self.population, self.clock.now()
            await each.create(*world, opt_out_scope=scope_of(each.campaign_id))
        self.gateway = await self._start_gateway()
        await self.gateway.bank.publish(
            CAMPAIGN, ACTION, self.scenario.title, scripts_of(self.plan), seed=self.plan.seed
        )
        self._build_volunteers()
        for each in self.companions:
            await each.publish(self.gateway, self.loop, self.env, self._living, self.population)
        gc.collect()
        gc.freeze()  # what lives as long as the world need not be looked through again and again

    def _people(self) -> Iterator[list[ContactRow]]:
        """The batches of contacts to import; makes the population on the way.

        A list is read twice, once for its phones alone, so that it never stands in memory.
        """
        if self.plan.list_path is None:
            count = self.plan.contacts or self.scenario.contacts
            self.population = Population.synthetic(self.scenario.population, count, self.draws)
            return contact_import.from_population(self.population)
        self.reader = read_list(self.plan.list_path, rejects=self.plan.rejects, consents=self.plan.consents)
        phones = contact_import.phones_of(self.reader)
        if not len(phones):
            raise BadInput(
                "no row of the list can be used", str(self.plan.list_path), "see the rejects file for reasons"
            )
        self.population = Population.from_phones(phones, self.draws, self.scenario.population)
        self.roster = read_roster(self.plan.list_path, self.plan.consents)
        return contact_import.from_list(self.reader)

    def _build_market(self) -> None:
        world = self.scenario, self.settings, self.population, self.draws, self.ledger, self.faults
        self.market, self.people, self.provider = provider_side(self.env, *world)
        self.market.register(CAMPAIGN, self.scenario.campaign.registration())

    async def _start_gateway(self) -> Gateway:
        gateway = Gateway(self.settings, self.database, self.provider, self.clock)
        await gateway.start()
        self.upkeep = Upkeep(gateway, self.provider, self.ledger, self.settings.catch_up)
        self.upkeep_tasks = self.upkeep.start()
        await gateway.adopted()
        return gateway

    def _build_volunteers(self) -> None:
        self.bank, self.volunteers = staffed(
            self.env,
            self.loop,
            self.scenario,
            self.draws,
            self._living,
            campaign_id=CAMPAIGN,
            action_id=ACTION,
            contacts=self.contacts,
            senders=_SENDERS,
        )

    def _living(self) -> Gateway | None:
        return self.gateway

    # ------------------------------------------------------------ the day

    async def _live(self, on_progress: OnProgress | None) -> None:
        self.database.answer_s = ANSWER_S
        for volunteers in (self.volunteers, *(each.volunteers for each in self.companions)):
            volunteers.start()
        crashes = self.loop.create_task(self._supervise(), name="supervisor")
        self.tasks.append(crashes)
        self.tasks.append(self.loop.create_task(self._watch_filter(), name="filter watch"))
        self.tasks += self.recorded.start(self.loop)
        if on_progress is not None:
            self.tasks.append(self.loop.create_task(self._report(on_progress), name="progress"))
        await asyncio.sleep(self.scenario.duration_s - self.loop.time())
        await crashes  # a gateway that crashed in the last seconds comes back, and drains
        await self._stop_tasks()
        if self.gateway is not None:
            await self.gateway.drain()
        self.database.answer_s = 0.0

    async def _supervise(self) -> None:
        """The crashes one after the other; one that falls into a restart finds nothing that could crash."""
        for at_s in self.faults.crashes_at_s:
            if self.loop.time() <= at_s < self.scenario.duration_s and self.gateway is not None:
                await asyncio.sleep(at_s - self.loop.time())
                await self._crash(self.gateway)

    async def _crash(self, gateway: Gateway) -> None:
        """kill -9, and a supervisor that starts the gateway again; unanswered callbacks come again."""
        self.provider.hang_up()
        self.gateway = None
        for task in self.upkeep_tasks:
            task.cancel()
        unanswered = gateway.crash()
        self.counted_costs.ended(gateway)
        await asyncio.sleep(_RESTART_S)
        self.came_back_at.append(self.loop.time())
        gateway = await self._start_gateway()
        for campaign_id in (CAMPAIGN, *(each.campaign_id for each in self.companions)):
            await gateway.bank.open(campaign_id, ACTION)
        self.gateway = gateway
        for bank in (self.bank, *(each.bank for each in self.companions)):
            bank.reconnect()
        for report in unanswered.statuses:
            gateway.status(report)
        for text in unanswered.texts:
            gateway.inbound(text)

    async def _report(self, on_progress: OnProgress) -> None:
        while True:
            await asyncio.sleep(_SNAPSHOT_EVERY_S)
            on_progress(self._snapshot())

    async def _watch_filter(self) -> None:
        while True:
            await asyncio.sleep(_SNAPSHOT_EVERY_S)
            at = self.loop.time()
            self.filter_watch.note(at, self.market.filtering.standing(CAMPAIGN, at))

    def _outset(self) -> Snapshot:
        scenario = self.scenario
        return Snapshot(
            virtual_s=0.0,
            duration_s=scenario.duration_s,
            start_at=scenario.start_at,
            wall_s=0.0,
            contacts=len(self.population),
        )

    def _snapshot(self) -> Snapshot:
        counts, log = self.ledger.counts(), self.bank.client_log
        requested, blocked = len(log.acknowledgements), log.blocked
        return Snapshot(
            virtual_s=self.loop.time(),
            duration_s=self.scenario.duration_s,
            start_at=self.scenario.start_at,
            wall_s=self.watch.wall_s() - self.setup_s,
            contacts=self.contacts,
            requested=requested,
            blocked=blocked,
            sent=counts.submitted,
            delivered=counts.delivered,
            filtered=counts.filtered,
            replies=counts.replies,
            asked_to_leave=len(self.people.left_at),
            waiting=max(0, requested - blocked - counts.submitted) + sum(counts.in_queue.values()),
        )

    # ------------------------------------------------------------ after the day

    async def _finish(self) -> Rehearsed:
        scripts = scripts_of(self.plan)
        drawn, seen = witness.variants(self.draws, scripts), self.bank.client_log
        books = await read_books(
            self.database, KEY, self.population, seen, drawn, self.provider.calls_in_vain
        )
        if self.gateway is not None:
            self.counted_costs.ended(self.gateway)
            books.costs = await told_costs(self.gateway, CAMPAIGN, books.messages)
            books.counted_usd = None if self.companions else self.counted_costs.usd
            books.results = await told_results(self.gateway, CAMPAIGN, ACTION)
            books.usage_usd = await told_usage_usd(self.gateway, CAMPAIGN, self.scenario.start_at)
        ours = of_campaign(self.ledger, CAMPAIGN) if self.companions else self.ledger
        world = self._world(ours)
        evidence = Evidence(ours, books, world)
        judged, of_all = await self._judged(evidence)
        facts = gather(
            self.ledger,
            self.population,
            self.scenario,
            excused=rightly_untexted(evidence),
            held_back=held_back_phones(books),
            unanswered=len(still_waiting(evidence)),
            presses=self.bank.presses(),
            script_findings=lint_of(scripts),
            books=books,
            filter_record=self.filter_watch.record(),
            evidence=evidence,
        )
        result = result_of(
            plan=self.plan,
            contacts=self.contacts,
            ledger=self.ledger,
            books=of_all,
            judged=judged,
            ground_truth=world_knows(self.ledger, of_all, self.population, self.people.complaints),
            virtual_s=self.loop.time(),
            watch=self.watch,
            setup_s=self.setup_s,
            contact_list=None if self.reader is None else list_of(self.reader.summary),
            facts=facts,
        )
        return Rehearsed(
            self.plan,
            result,
            self.ledger,
            self.population,
            judged.violations,
            books,
            self.filter_watch.record(),
        )

    async def _judged(self, evidence: Evidence) -> tuple[Audit, Books]:
        """All campaigns, each by itself: what the rules say is about one. And the books of all."""
        world, books = evidence.world, evidence.books
        parts = self.population, self.provider, self.market, self.faults
        others = []
        for each in self.companions:
            near = self._near(each.campaign_id)
            others.append(await each.judged(self.database, self.ledger, world, *parts, near))
        audits = [audit_of(evidence), *(other for other, _ in others)]
        return together(audits), merged([books, *(theirs for _, theirs in others)])

    def _near(self, of: int) -> Near:
        banks = {CAMPAIGN: self.bank, **{each.campaign_id: each.bank for each in self.companions}}
        return self.company.near(of, self.ledger, banks, self.population)

    def _world(self, ledger: Ledger) -> GroundTruth:
        truth = self._truth(ledger)
        left = left_of_the_day(truth.registration, self.ledger, self.company.siblings(CAMPAIGN), truth)
        return replace(truth, registration=left)

    def _truth(self, ledger: Ledger) -> GroundTruth:
        campaign, catch_up = self.scenario.campaign, self.settings.catch_up
        invented = self.plan.list_path is None
        away = witness.away(self.faults, _RESTART_S)
        caught_up_s = partial(witness.caught_up_within_s, away=away, crashes=len(self.faults.crashes_at_s))
        roster = Roster.of_population(self.population) if invented else self.roster
        return GroundTruth(
            start_at=self.scenario.start_at,
            start_minute=campaign.start_minute,
            end_minute=campaign.end_minute,
            zone=campaign.zone,
            registration=campaign.registration(),
            other_per_number_per_s=self.scenario.carriers.other_per_number_per_s,
            confirmations=witness.confirmations(self.settings.opt_outs, campaign.name),
            answers_lost=self.provider.answers_lost,
            addresses=self.population.addresses() if invented else NO_ADDRESSES,
            landlines=witness.landlines(self.population, self.draws, self.scenario) if invented else None,
            pool=witness.pool(self.scenario),
            breaker=witness.breaker(self.scenario),
            carried=witness.carried(self.population),
            first_texts=1,
            out_of_service=self.population.phones[self.population.line == Line.DEAD],
            texts=None if roster is None else witness.texts(scripts_of(self.plan), _SENDERS, roster),
            desk=witness.desk(self.volunteers.texting),
            numbers=witness.numbers(self.market, ledger, self.faults, campaign.settle_s),
            away=away,
            came_back_at=tuple(self.came_back_at) if catch_up.before_sending else (),
            marked=_NOBODY if self.roster is None else self.roster.marked,
            day_ends_at=self.scenario.duration_s,
            people=self.population.phones if invented else None,
            one_clock=True,
            fetched_within_s=caught_up_s(catch_up.inbound_poll_s),
            compared_within_s=caught_up_s(catch_up.reconcile_s),
            elsewhere=self._near(CAMPAIGN).elsewhere,
        )
