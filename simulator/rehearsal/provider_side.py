"""What is on the provider's side of a rehearsal: the market, the people behind it, and the provider in front."""

import msgspec
import simpy

from gateway.config import Settings
from simulator.model.blocking import BlockScope
from simulator.model.draws import Draws
from simulator.model.faults import Faults
from simulator.model.ledger import Ledger
from simulator.model.market import Market
from simulator.model.people import People
from simulator.model.population import Population
from simulator.model.scenario import Scenario
from simulator.rehearsal.history import RememberingProvider


def provider_side(
    env: simpy.Environment,
    scenario: Scenario,
    settings: Settings,
    population: Population,
    draws: Draws,
    ledger: Ledger,
    faults: Faults,
) -> tuple[Market, People, RememberingProvider]:
    """Builds them, joined to each other; no campaign is registered yet."""
    parameters = scenario.market()
    if not settings.opt_outs.provider_replies:
        parameters = msgspec.structs.replace(parameters, block_scope=BlockScope.NOTHING)
    market = Market(
        env,
        parameters,
        start_at=scenario.start_at,
        population=population,
        draws=draws,
        ledger=ledger,
        faults=faults,
    )
    people = People(
        env,
        scenario.people,
        population,
        draws,
        send=market.text_from_person,
        complain=market.complaint,
        stop_wave_share=faults.stop_wave_share if faults.parameters.stop_waves else None,
    )
    market.people = people
    provider = RememberingProvider(
        env,
        market,
        faults,
        draws,
        scenario.carriers,
        start_at=scenario.start_at,
        timeout_s=settings.dispatch.submit_timeout_s,
    )
    return market, people, provider
