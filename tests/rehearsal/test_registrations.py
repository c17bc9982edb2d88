"""What the gateway grants itself is never more than what the carriers grant the same campaign."""

from math import inf
from typing import get_args

import pytest
from msgspec.structs import replace

from gateway.core.rules.errors import BadInput
from gateway.core.rules.registration import CampaignKind, Limits, limits
from simulator.model import carriers
from simulator.model.carriers import CampaignRegistration
from simulator.model.population import CarrierShares
from simulator.model.scenario import Scenario
from simulator.rehearsal.campaign_setup import campaign_settings
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.small_worlds import ELECTION_DAY, broken, campaign, limited, small, told

BRANDS = get_args(carriers.BrandKind)


def gateway_limits(scenario: Scenario) -> Limits | None:
    """None when no carrier would register that brand for that use, and the gateway says so."""
    try:
        return limits(campaign_settings(scenario).registration)
    except BadInput:
        return None


def beyond(ours: Limits, theirs: CampaignRegistration) -> list[str]:
    """In what the gateway would go too far."""
    wrong = []
    if ours.total_per_s > theirs.total_per_s:
        wrong.append(f"{ours.total_per_s:g}/s in all, granted {theirs.total_per_s:g}")
    for carrier, rate_per_s in theirs.carrier_per_s.items():
        if ours.carrier_per_s.get(carrier, inf) > rate_per_s:
            wrong.append(f"{ours.carrier_per_s[carrier]:g}/s to {carrier}, granted {rate_per_s:g}")
    if (ours.tmobile_daily_segments or inf) > (theirs.tmobile_daily_segments or inf):
        wrong.append(
            f"{ours.tmobile_daily_segments} a day to T-Mobile, granted {theirs.tmobile_daily_segments}"
        )
    if ours.max_numbers > theirs.max_numbers:
        wrong.append(f"{ours.max_numbers} numbers, granted {theirs.max_numbers}")
    return wrong


@pytest.mark.parametrize("brand", BRANDS)
@pytest.mark.parametrize("use", [kind.value for kind in CampaignKind])
def test_no_registration_is_exceeded(brand: str, use: str) -> None:
    found = {}
    for score in (0, 30, 60, 80):
        scenario = campaign(ELECTION_DAY, brand_kind=brand, campaign_kind=use, score=score)
        ours = gateway_limits(scenario)
        if ours is not None and (wrong := beyond(ours, scenario.campaign.registration())):
            found[f"score {score}"] = wrong
    assert found == {}


OVERRIDES = {
    "total_per_s": 3.0,
    "carrier_per_s": {"att": 2.0, "tmobile": 2.0, "verizon": 2.0, "uscellular": 1.0},
    "tmobile_daily_segments": 100,
    "max_numbers": 3,
}


@pytest.mark.parametrize("name", OVERRIDES)
def test_what_the_scenario_overrides_reaches_the_gateway(name: str) -> None:
    scenario = limited(ELECTION_DAY, **{name: OVERRIDES[name]})
    ours = gateway_limits(scenario)
    assert ours is not None
    assert beyond(ours, scenario.campaign.registration()) == []


def test_a_granted_carrier_rate_is_kept(rehearse: Rehearse) -> None:
    rates = {"att": 75.0, "tmobile": 75.0, "verizon": 0.02, "uscellular": 8.0}
    done = rehearse(limited(small(ELECTION_DAY, hours=1.0), carrier_per_s=rates), contacts=80)
    assert broken(done) == set(), told(done)


def test_the_rate_to_small_carriers_is_kept(rehearse: Rehearse) -> None:
    """Nobody is with a big carrier, so that one number meets many whose rate is its own."""
    world = small(ELECTION_DAY, hours=1.0, volunteers=20)
    shares = CarrierShares(att=0, tmobile=0, verizon=0, uscellular=0, regional=0.5, voip=0.5)
    world = replace(world, population=replace(world.population, carriers=shares))
    done = rehearse(world, contacts=150)
    assert broken(done) == set(), told(done)


def test_the_rate_to_small_carriers_is_kept_when_the_lookup_knows_no_carrier(rehearse: Rehearse) -> None:
    """A number out of service has no carrier, to the lookup and to the auditor: its texts hold up nobody's rate."""
    world = small(ELECTION_DAY, hours=1.0, volunteers=20)
    shares = CarrierShares(att=0, tmobile=0, verizon=0, uscellular=0, regional=0.0, voip=1.0)
    world = replace(world, population=replace(world.population, carriers=shares, dead_share=0.9))
    done = rehearse(world, contacts=150)
    assert broken(done) == set(), told(done)
