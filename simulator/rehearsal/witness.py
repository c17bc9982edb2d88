"""What the model knows of a campaign beyond its ledger, for the auditor: texts, the desk, numbers, and who was away."""

from collections.abc import Iterator
from math import inf
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from gateway.config import OptOuts
from gateway.p2p.bank import Scripts
from simulator.audit.records import Breaker, Carried, Desk, NumberLife, Pool, Texts
from simulator.model.draws import Draws
from simulator.model.faults import Faults
from simulator.model.ledger import Ledger
from simulator.model.look_ups import called_landlines
from simulator.model.market import Market
from simulator.model.population import Population
from simulator.model.roster import Roster
from simulator.model.scenario import Scenario
from simulator.model.wording import Wording
from simulator.rehearsal.bank import DESK_TAKE_OVER_S, INBOX_LIMIT, OWN_TAKE_OVER_S
from simulator.rehearsal.books import Variants

_AFTER_OUTAGE_S = 300.0  # calls that failed are tried again later and later, at most so late [A]
_AFTER_CRASH_S = (
    420.0  # what was claimed is asked about, twice a minute, when it can't be on the wire any more [A]
)
_LEAST_REST_S = 60.0
_CATCH_UP_S = 300.0  # of looking [A]


def texts(scripts: Scripts, senders: tuple[str, ...], roster: Roster) -> Texts:
    """The campaign's texts, compiled by the model."""

    def compiled(source: str, *, suffix: bool) -> Wording | None:
        return Wording.of(
            source,
            suffix=suffix,
            contact_fallback=scripts.contact_fallback,
            sender_fallback=scripts.sender_fallback,
        )

    return Texts(
        initials=tuple(compiled(source, suffix=scripts.opt_out_suffix) for source in scripts.initials),
        responses=tuple(compiled(source, suffix=False) for source in scripts.responses),
        senders=senders,
        roster=roster,
    )


def breaker(scenario: Scenario) -> Breaker | None:
    """When the campaign's admins want a script's first texts held."""
    wanted = scenario.campaign.breaker
    return Breaker(wanted.filtered_share, wanted.least_texts) if wanted.opens else None


def carried(population: Population) -> Carried:
    """Who is with which carrier."""
    order = np.argsort(population.phones)
    return Carried(population.phones[order], population.carrier[order])


def desk(texting: int) -> Desk:
    """How the volunteers' phones ask for the inbox."""
    return Desk(texting, INBOX_LIMIT, DESK_TAKE_OVER_S, OWN_TAKE_OVER_S)


def variants(draws: Draws, scripts: Scripts) -> Variants:
    """Which first text each contact gets: an even draw (F087), the bank's own."""
    luck, count = draws.stream("bank/script"), len(scripts.initials)

    def of(contacts: NDArray[np.int64]) -> NDArray[np.int64]:
        drawn: NDArray[np.int64] = np.minimum((luck.many(contacts) * count).astype(np.int64), count - 1)
        return drawn

    return of


def away(faults: Faults, restart_s: float) -> tuple[tuple[float, float], ...]:
    """When gateway or provider were down, and what they needed to come back."""
    outages = [(w.from_s, w.from_s + w.for_s + _AFTER_OUTAGE_S) for w in faults.parameters.outages]
    crashes = [(at_s, at_s + restart_s + _AFTER_CRASH_S) for at_s in faults.crashes_at_s]
    return tuple(sorted(outages + crashes))


def caught_up_within_s(every_s: float, away: tuple[tuple[float, float], ...], crashes: int) -> float:
    """How long what a webhook lost may be missing, with a look so often; a crash begins the wait anew. inf: nobody looks."""
    if not every_s:
        return inf
    return (2 + crashes) * every_s + _CATCH_UP_S + sum(end - begin for begin, end in away)


def numbers(market: Market, ledger: Ledger, faults: Faults, settle_s: float) -> tuple[NumberLife, ...]:
    """The numbers that the campaign has: from when on carriers knew them for sure, and until when they were let."""
    return tuple(_lives(market, ledger, faults, settle_s))


def _lives(market: Market, ledger: Ledger, faults: Faults, settle_s: float) -> Iterator[NumberLife]:
    bought = ledger.purchases.columns()
    for at, phone in zip(bought["at"].tolist(), bought["number"].tolist(), strict=True):
        holding = market.inventory.holding(phone)
        if holding is None:
            continue
        lag_s = max(_LEAST_REST_S, holding.ready_at - at)
        # refused while nobody knew it, it rests twice as long each time: so it may be tried as late as that
        known_at = holding.ready_at + 2 * lag_s + settle_s
        yield NumberLife(phone, known_at, _banned_at(faults, holding.nth))


def _banned_at(faults: Faults, nth: int) -> float:
    return min((ban.at_s for ban in faults.parameters.number_bans if ban.nth == nth), default=inf)


def pool(scenario: Scenario) -> Pool:
    """What the campaign wishes of its numbers, and what is on sale."""
    campaign, inventory = scenario.campaign, scenario.inventory
    return Pool(
        rotate_after=campaign.rotate_after,
        preferred_area_codes=campaign.preferred_area_codes,
        stock=inventory.scarce,
        stock_elsewhere=inventory.stock_per_area_code,
    )


def landlines(population: Population, draws: Draws, scenario: Scenario) -> NDArray[np.int64]:
    """The phones that look-ups call landlines."""
    return called_landlines(population, draws, scenario.inventory.lookup_error_share)


def confirmations(ours: OptOuts, campaign_name: str) -> NDArray[np.uint64]:
    """The key of our own confirmation of an opt-out, where we send one."""
    body = ours.confirmation.replace("{campaign}", campaign_name)
    return np.array([] if ours.provider_replies else [crc32(body.encode())], np.uint64)
