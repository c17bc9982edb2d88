"""The other campaigns of a world: each with its own numbers, texts, volunteers and books, in the same gateway.

Each keeps its own list of opt-outs, as campaigns do unless told otherwise (`opt_out_scope`). The auditor judges a
campaign by the texts to its own numbers, and what was said to others that share its list is told to it besides.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, assert_never

import msgspec
import numpy as np
import simpy

from gateway.app import Gateway
from gateway.config import OptOuts
from gateway.core.rules.campaign import DEFAULT_ORGANISATION, CampaignKey
from gateway.providers.base import Line
from gateway.store.database import Database
from simulator.audit.auditor import audit
from simulator.audit.records import Audit, Books, Elsewhere, GroundTruth
from simulator.model.arrays import is_among
from simulator.model.carriers import TMOBILE, CampaignRegistration, next_pacific_midnight
from simulator.model.draws import Draws
from simulator.model.faults import Faults
from simulator.model.ledger import Ledger
from simulator.model.market import Market
from simulator.model.of_campaign import of_campaign
from simulator.model.population import Population
from simulator.model.roster import Roster
from simulator.model.scenario import Companion as Wanted
from simulator.model.scenario import Scenario
from simulator.rehearsal import contact_import, witness
from simulator.rehearsal.bank import BankOfVolunteers
from simulator.rehearsal.books import marks_of, read_books
from simulator.rehearsal.campaign_setup import create, scripts_of
from simulator.rehearsal.loop import VirtualLoop
from simulator.rehearsal.provider import SimulatedProvider
from simulator.rehearsal.staff import staffed
from simulator.report.result import Plan

_FIRST, _ACTION = 1, 1
_UNSUBSCRIBED = 21610
_LUCK_OF_ITS_OWN = 1 << 40  # volunteers and scripts of another campaign have other luck; people keep theirs


class Companion:
    """One other campaign, which texts the same people; its contacts have the same ids."""

    def __init__(
        self, campaign_id: int, wanted: Wanted, plan: Plan, senders: tuple[str, ...], opt_outs: OptOuts
    ) -> None:
        self.campaign_id = campaign_id
        self.key = CampaignKey(DEFAULT_ORGANISATION, campaign_id)
        self.plan = msgspec.structs.replace(plan, scenario=wanted.over(plan.scenario), script=None)
        self.scenario = self.plan.scenario
        self._draws = Draws((plan.seed + campaign_id * _LUCK_OF_ITS_OWN) % 2**63)
        self._senders = senders
        self._opt_outs = opt_outs

    async def create(
        self, database: Database, market: Market, population: Population, now: float, *, opt_out_scope: int
    ) -> None:
        """Its registration, its row, and its contacts, which were looked up for the first campaign."""
        market.register(self.campaign_id, self.scenario.campaign.registration())
        await create(database, self.campaign_id, self.scenario, now, opt_out_scope=opt_out_scope)

        async def kept(phones: Sequence[str]) -> list[Line]:
            found = [market.line_of(int(phone[1:])) for phone in phones]
            return [Line(line_type, carrier or None) for line_type, carrier in found]

        people = contact_import.from_population(population)
        self.contacts = await contact_import.put(database, self.key, people, kept, now)

    async def publish(
        self,
        gateway: Gateway,
        loop: VirtualLoop,
        env: simpy.Environment,
        living: "Callable[[], Gateway | None]",
        population: Population,
    ) -> None:
        """Its action, and everybody who texts for it."""
        await gateway.bank.publish(
            self.campaign_id, _ACTION, self.scenario.campaign.name, scripts_of(self.plan), seed=self.plan.seed
        )
        self.bank, self.volunteers = staffed(
            env,
            loop,
            self.scenario,
            self._draws,
            living,
            campaign_id=self.campaign_id,
            action_id=_ACTION,
            contacts=self.contacts,
            senders=self._senders,
        )

    async def judged(
        self,
        database: Database,
        ledger: Ledger,
        first: GroundTruth,
        population: Population,
        provider: SimulatedProvider,
        market: Market,
        faults: Faults,
        near: "Near",
    ) -> tuple[Audit, Books]:
        """What the auditor says of this campaign alone, and its books; `first` is the truth about the first one."""
        scripts = scripts_of(self.plan)
        books = await read_books(
            database,
            self.key,
            population,
            self.bank.client_log,
            witness.variants(self._draws, scripts),
            provider.calls_in_vain,
        )
        part = of_campaign(ledger, self.campaign_id)
        campaign = self.scenario.campaign
        truth = msgspec.structs.replace(
            first,
            registration=left_of_the_day(campaign.registration(), ledger, near.siblings, first),
            confirmations=witness.confirmations(self._opt_outs, campaign.name),
            pool=witness.pool(self.scenario),
            texts=witness.texts(scripts, self._senders, Roster.of_population(population)),
            desk=witness.desk(self.volunteers.texting),
            numbers=witness.numbers(market, part, faults, campaign.settle_s),
            elsewhere=near.elsewhere,
        )
        return audit(part, books, truth), books


def left_of_the_day(
    registration: CampaignRegistration,
    ledger: Ledger,
    siblings: Sequence[int],
    truth: GroundTruth,
) -> CampaignRegistration:
    """What a campaign may send to T-Mobile when others of its brand have had their part of the day.

    Numbers out of service count, as nobody can know whose they are. In a world of several Pacific days no part is taken
    off: the auditor then knows each campaign's own use alone.
    """
    cap, sent = registration.tmobile_daily_segments, ledger.submissions.columns()
    counts = (sent["carrier"] == TMOBILE) | is_among(sent["to"], truth.out_of_service)
    sent = sent[counts & np.isin(sent["campaign"], siblings)]
    if cap is None or not len(sent):
        return registration
    first_at, last_at = (
        truth.start_at + float(at) for at in (sent["handed_at"].min(), sent["handed_at"].max())
    )
    if next_pacific_midnight(first_at) <= last_at:
        return registration
    left = max(0, cap - int(sent["segments"].sum()))
    return msgspec.structs.replace(registration, tmobile_daily_segments=left)


class Near(NamedTuple):
    """What the auditor of one campaign is told of the others: who is of its brand, and what was said to those that share
    its list of opt-outs (None: nobody does)."""

    siblings: Sequence[int]
    elsewhere: Elsewhere | None


class Company:
    """All campaigns of a world, the first one included: which are of one brand, and which share a list of opt-outs."""

    def __init__(self, first: Scenario, companions: Sequence[Companion]) -> None:
        self._scope = first.opt_out_scope
        self._brands = {each.campaign_id: each.scenario.campaign.registration().brand for each in companions}
        self._brands[_FIRST] = first.campaign.registration().brand

    def siblings(self, of: int) -> list[int]:
        """The other campaigns of a campaign's brand."""
        return [other for other, brand in self._brands.items() if other != of and brand == self._brands[of]]

    def shares_opt_outs(self, of: int) -> list[int]:
        """The other campaigns with which a campaign shares its list of opt-outs."""
        match self._scope:
            case "campaign":
                return []
            case "brand":
                return self.siblings(of)
            case "organisation":
                return [other for other in self._brands if other != of]
            case _:
                assert_never(self._scope)

    def opt_out_scope(self, of: int) -> int:
        """The id of a campaign's list: that of the first campaign that has it."""
        return min([of, *self.shares_opt_outs(of)])

    def near(
        self, of: int, ledger: Ledger, banks: Mapping[int, BankOfVolunteers], population: Population
    ) -> Near:
        """What happened in the others by the end of the day."""
        return Near(self.siblings(of), self._said(self.shares_opt_outs(of), ledger, banks, population))

    @staticmethod
    def _said(
        others: Sequence[int],
        ledger: Ledger,
        banks: Mapping[int, BankOfVolunteers],
        population: Population,
    ) -> Elsewhere | None:
        if not others:
            return None
        heard, deliveries = ledger.inbound.columns(), ledger.inbound_deliveries.columns()
        refusals = ledger.refusals.columns()
        is_theirs = np.isin(refusals["campaign"], others) & (refusals["code"] == _UNSUBSCRIBED)
        return Elsewhere(
            deliveries=deliveries[np.isin(heard["campaign"][deliveries["n"]], others)],
            marks=np.concatenate([marks_of(banks[other].client_log, population.phones) for other in others]),
            unsubscribed=refusals[is_theirs],
        )


def together(audits: list[Audit]) -> Audit:
    """Several campaigns' audits as one."""
    first, *others = audits
    counts, chances, violations = dict(first.counts), dict(first.chances), list(first.violations)
    for other in others:
        for name, count in other.counts.items():
            counts[name] = counts.get(name, 0) + count
        for name, count in other.chances.items():
            chances[name] = chances.get(name, 0) + count
        violations += other.violations
    return Audit(counts, violations, chances)


def merged(books: list[Books]) -> Books:
    """What several campaigns' books say together, for counting: messages, numbers, texts and opt-outs."""
    first, *others = books
    if not others:
        return first
    return msgspec.structs.replace(
        first,
        messages=np.concatenate([each.messages for each in books]),
        inbound=np.concatenate([each.inbound for each in books]),
        numbers=np.concatenate([each.numbers for each in books]),
        opt_outs=np.unique(np.concatenate([each.opt_outs for each in books])),
    )
