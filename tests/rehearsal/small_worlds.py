"""Small text banks for tests: a shipped scenario with fewer people and hours, and everything that may go wrong."""

from datetime import datetime

from msgspec.structs import replace

from simulator.model.faults import Chaos, FaultParameters
from simulator.model.scenario import Scenario, load
from simulator.model.volunteers import Shift
from simulator.model.webhooks import WebhookParameters
from simulator.report.result import INVARIANTS, Rehearsed

ELECTION_DAY = load("election-day")
WINDOW_CLOSE = load("window-close")
SMALL_TOWN = load("small-town")

# People who write back soon and often, and often want to be left alone.
TALKATIVE = replace(
    ELECTION_DAY.people,
    reply_share=0.35,
    opt_out_share=0.20,
    hostile_share=0.10,
    reply_median_s=60.0,
    start_again_share=0.3,
)
UNRELIABLE_WEBHOOKS = WebhookParameters(
    overtaken_share=0.10, overtaken_s=60.0, twice_share=0.15, twice_s=20.0, lost_share=0.03
)
UNRELIABLE_PROVIDER = FaultParameters(
    answers_lost_after_share=0.06,
    answers_lost_before_share=0.04,
    errors_after_share=0.04,
    errors_before_share=0.04,
    throttled_share=0.08,
    purchase_failure_share=0.3,
)
CHAOS = replace(
    UNRELIABLE_PROVIDER,
    chaos=Chaos(brownouts=1, outages=2, receipt_storms=1, number_bans=3, gateway_crashes=4, longest_s=300.0),
)
NEARLY_SHUT = datetime.fromisoformat("2026-11-02T20:30")  # half an hour before the window shuts


def small(scenario: Scenario, *, hours: float, volunteers: int = 6, **changes: object) -> Scenario:
    """The scenario in so many hours, with volunteers who text for the first four fifths of them."""
    shifts = (Shift(0.0, 0.8 * hours, 1.0),)
    staff = replace(
        scenario.volunteers, count=volunteers, desk_until_h=hours, late_at_most_s=60.0, shifts=shifts
    )
    changed = replace(scenario, duration_s=hours * 3600, volunteers=staff)
    return replace(changed, **changes)


A_DAY = small(ELECTION_DAY, hours=1.5, volunteers=8, people=TALKATIVE, webhooks=UNRELIABLE_WEBHOOKS)


def chaotic(scenario: Scenario, *, hours: float, volunteers: int = 6, **changes: object) -> Scenario:
    """Talkative people, an unreliable provider and a gateway that crashes."""
    world = small(
        scenario,
        hours=hours,
        volunteers=volunteers,
        faults=CHAOS,
        webhooks=UNRELIABLE_WEBHOOKS,
        people=TALKATIVE,
    )
    return replace(world, **changes)


def campaign(scenario: Scenario, **changes: object) -> Scenario:
    return replace(scenario, campaign=replace(scenario.campaign, **changes))


def known_at_once(scenario: Scenario) -> Scenario:
    """Numbers may send as soon as they are bought."""
    inventory = replace(scenario.inventory, provisioning_lag_s=0.0)
    return campaign(replace(scenario, inventory=inventory), settle_s=0.0)


def limited(scenario: Scenario, **overrides: object) -> Scenario:
    """The carriers granted something else."""
    return campaign(scenario, overrides=replace(scenario.campaign.overrides, **overrides))


def starting(scenario: Scenario, start: datetime) -> Scenario:
    return replace(scenario, start=start)


def broken(done: Rehearsed) -> set[str]:
    """The invariants that did not hold; all must have been judged."""
    assert list(done.result.invariants) == list(INVARIANTS)
    return {name for name, count in done.result.invariants.items() if count}


def told(done: Rehearsed) -> str:
    """What an engineer needs to repeat and understand a broken world."""
    lines = [f"{done.result.scenario}, seed {done.result.seed}: {done.result.invariants}"]
    for violation in done.violations[:5]:
        lines += [f"{violation.invariant}: {violation.what}", *(f"    {line}" for line in violation.story)]
    return "\n".join(lines)
