"""Small worlds without number: each is drawn from its number, in which nothing but chance goes wrong."""

from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from simulator.model.draws import Draws
from simulator.model.faults import Chaos, FaultParameters, StopWave
from simulator.model.scenario import Scenario
from tests.rehearsal.small_worlds import (
    CHAOS,
    ELECTION_DAY,
    NEARLY_SHUT,
    SMALL_TOWN,
    TALKATIVE,
    UNRELIABLE_PROVIDER,
    UNRELIABLE_WEBHOOKS,
    WINDOW_CLOSE,
    campaign,
    chaotic,
    limited,
    small,
    starting,
)

_EVENING = datetime.fromisoformat("2026-11-02T20:15")
_BEFORE_MIDNIGHT = datetime.fromisoformat("2026-10-14T20:00")
_KINDS: tuple[Callable[[], Scenario], ...] = (
    lambda: small(ELECTION_DAY, hours=1),
    lambda: small(ELECTION_DAY, hours=1, people=TALKATIVE, webhooks=UNRELIABLE_WEBHOOKS),
    lambda: small(SMALL_TOWN, hours=1, faults=UNRELIABLE_PROVIDER),
    lambda: chaotic(ELECTION_DAY, hours=1.5),
    lambda: chaotic(
        ELECTION_DAY, hours=1.5, faults=replace(CHAOS, stop_waves=(StopWave(600.0, 1800.0, 0.5),))
    ),
    lambda: chaotic(
        campaign(ELECTION_DAY, rotate_after=15),
        hours=1.5,
        inventory=replace(ELECTION_DAY.inventory, stock_per_area_code=2),
        faults=replace(CHAOS, purchase_failure_share=0.5, chaos=replace(CHAOS.chaos, number_bans=12)),
    ),
    lambda: chaotic(limited(SMALL_TOWN, tmobile_daily_segments=40), hours=1.5),
    lambda: small(limited(ELECTION_DAY, total_per_s=0.05), hours=1, people=TALKATIVE),
    lambda: starting(chaotic(WINDOW_CLOSE, hours=1), NEARLY_SHUT),
    lambda: starting(
        limited(chaotic(WINDOW_CLOSE, hours=1, faults=FaultParameters()), total_per_s=0.05), NEARLY_SHUT
    ),
    lambda: starting(small(ELECTION_DAY, hours=14), _EVENING),
    lambda: starting(limited(chaotic(SMALL_TOWN, hours=6), tmobile_daily_segments=40), _BEFORE_MIDNIGHT),
    lambda: chaotic(
        ELECTION_DAY, hours=1.5, faults=replace(CHAOS, chaos=Chaos(gateway_crashes=8, outages=4))
    ),
)


def world(number: int) -> Scenario:
    """The world of a number: one of the kinds above, with its own people, volunteers and share of strangers."""
    luck = Draws(number).stream("swarm")
    scenario = _KINDS[number % len(_KINDS)]()
    population = replace(scenario.population, elsewhere_share=0.5 * luck(1), landline_share=0.1 * luck(2))
    volunteers = replace(scenario.volunteers, count=2 + int(luck(3) * 10), bucket=5 + int(luck(4) * 60))
    people = replace(scenario.people, second_thoughts_share=0.3 * luck(6))
    return replace(scenario, population=population, volunteers=volunteers, people=people)


def contacts(number: int) -> int:
    """How many people live in it."""
    return 20 + int(Draws(number).stream("swarm")(5) * 120)
