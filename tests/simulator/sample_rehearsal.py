"""A finished rehearsal without a gateway: a real market over a shipped scenario, texted by a plain loop."""

from pathlib import Path

import msgspec
import simpy

from simulator.audit.figures import gather
from simulator.model.draws import Draws
from simulator.model.faults import Faults
from simulator.model.ledger import Ledger
from simulator.model.market import Market, Submission
from simulator.model.population import Population
from simulator.model.scenario import load
from simulator.report.result import (
    INVARIANTS,
    ContactList,
    Messages,
    Numbers,
    OptOuts,
    Plan,
    Rehearsed,
    Result,
    Snapshot,
    Violation,
)
from simulator.report.verdict import judged

OURS = (12_155_550_100, 12_155_550_101)
CAMPAIGN = 1


def texted(count: int = 400, *, seed: int = 1, scenario: str = "election-day"):
    """A ledger and a population after `count` texts, some STOPs and some replies."""
    world = load(scenario)
    env, ledger, draws = simpy.Environment(), Ledger(world.carriers), Draws(seed)
    people = Population.synthetic(world.population, count, draws)
    market = Market(
        env,
        world.market(),
        start_at=world.start_at,
        population=people,
        draws=draws,
        ledger=ledger,
        faults=Faults(world.faults, draws, world.duration_s),
    )
    market.register(CAMPAIGN, world.campaign.registration())
    for number in OURS:
        market.own(number, CAMPAIGN)
    market.buy("", CAMPAIGN)
    env.process(_bank(env, market, people))
    env.run(until=world.duration_s)
    return world, ledger, people


def _bank(env, market, people):
    for n, phone in enumerate(people.phones.tolist()):
        yield env.timeout(5.0)
        text = Submission(
            to=phone,
            sender=OURS[n % 2],
            campaign=CAMPAIGN,
            segments=1,
            body=f"Hi {n}, it's Bo. Reply STOP to opt out",
            body_key=n,
            validity_s=3600.0,
            reference=(CAMPAIGN, n, 1),
            handed_at=env.now,
        )
        market.submit(text)
        if n % 40 == 0:
            market.text_from_person(phone, OURS[n % 2], "stop " if n % 80 == 0 else "Who is this?")


def result(**changes) -> Result:
    """A healthy result of 400 contacts, changed as named."""
    healthy = Result(
        scenario="election-day",
        seed=1,
        contacts=400,
        virtual_seconds=45_000.0,
        wall_seconds=2.5,
        peak_rss_bytes=100 * 2**20,
        trace_hash="0" * 64,
        messages=Messages(
            requested=420, blocked={"1302": 5}, sent=6, delivered=390, undelivered={"30005": 8, "30007": 11}
        ),
        segments=415,
        cost_usd=5.25,
        replies=5,
        opt_outs=OptOuts(keyword=5, manual=1),
        numbers=Numbers(bought=1, in_use=3),
        invariants=dict.fromkeys(INVARIANTS, 0),
        cpu_seconds=0.05,
        setup_seconds=0.5,
    )
    return msgspec.structs.replace(healthy, **changes)


def rehearsed(
    count: int = 400,
    *,
    violations: tuple[Violation, ...] = (),
    rejects: Path | None = None,
    script=None,
    scenario: str = "election-day",
) -> Rehearsed:
    """The whole record, judged."""
    world, ledger, people = texted(count, scenario=scenario)
    broken = {**dict.fromkeys(INVARIANTS, 0)}
    for violation in violations:
        broken[violation.invariant] += 1
    contact_list = (
        ContactList(
            rows=count + 2,
            used=count,
            rejected={"invalid_phone": 2},
            columns={"Cell Phone": "phone", "First": "first_name"},
            ignored=("VAN <ID>",),
            warnings=("2 states are not US states",),
        )
        if rejects
        else None
    )
    outcome = result(
        contacts=count,
        invariants=broken,
        list=contact_list,
        trace_hash=ledger.trace_hash(),
        cost_usd=ledger.cost_usd,
    )
    plan = Plan(world, count, Path("list.csv") if rejects else None, script, 1, rejects)
    outcome = judged(outcome, world, gather(ledger, people, world))
    return Rehearsed(plan, outcome, ledger, people, list(violations))


def snapshot(virtual_s: float = 0.0, wall_s: float = 0.0, **changes) -> Snapshot:
    """One of a 12.5-hour day that began at nine in New York."""
    values = {
        "virtual_s": virtual_s,
        "duration_s": 45_000.0,
        "start_at": load("election-day").start_at,
        "wall_s": wall_s,
        "contacts": 400,
        "requested": 120,
        "blocked": 5,
        "sent": 100,
        "delivered": 90,
        "filtered": 2,
        "replies": 7,
        "asked_to_leave": 3,
        "waiting": 15,
    }
    return Snapshot(**{**values, **changes})
