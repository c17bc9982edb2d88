"""Many seeds, small worlds, everything goes wrong: no invariant is ever broken, and all is settled at the end."""

from collections.abc import Iterator

import numpy as np
import pytest
from msgspec.structs import replace

from simulator.model.faults import Chaos, StopWave
from simulator.report.result import Messages
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.small_worlds import (
    CHAOS,
    ELECTION_DAY,
    SMALL_TOWN,
    broken,
    campaign,
    chaotic,
    limited,
    told,
)

SCARCE = replace(ELECTION_DAY.inventory, stock_per_area_code=2)
WORLDS = {
    "morning": chaotic(ELECTION_DAY, hours=2),
    "stop wave": chaotic(
        ELECTION_DAY, hours=2, faults=replace(CHAOS, stop_waves=(StopWave(600.0, 1800.0, 0.5),))
    ),
    "numbers die": chaotic(
        campaign(ELECTION_DAY, rotate_after=15),
        hours=2,
        inventory=SCARCE,
        faults=replace(CHAOS, purchase_failure_share=0.5, chaos=replace(CHAOS.chaos, number_bans=12)),
    ),
    "small cap": chaotic(limited(SMALL_TOWN, tmobile_daily_segments=40), hours=2),
}
SEEDS = range(1, 6)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("world", WORLDS)
def test_every_invariant_holds(rehearse: Rehearse, world: str, seed: int) -> None:
    done = rehearse(WORLDS[world], contacts=80 + 20 * seed, seed=seed)
    assert broken(done) == set(), told(done)
    assert done.violations == []
    assert done.result.held
    assert sum(counts(done.result.messages)) == done.result.messages.requested
    assert done.result.messages.sending == 0, "the drain leaves nothing in hand"
    assert len(done.ledger.submissions) > done.result.contacts / 4, "hardly anybody was texted"


def counts(messages: Messages) -> Iterator[int]:
    yield from (messages.queued, messages.sending, messages.sent, messages.delivered, messages.unknown)
    for by_code in (messages.blocked, messages.undelivered, messages.failed):
        yield from by_code.values()


def test_everything_did_go_wrong(rehearse: Rehearse) -> None:
    """The chaos above is no paper tiger: each kind of fault was met in one of these worlds."""
    world = replace(WORLDS["numbers die"], name="met")
    done = rehearse(world, contacts=250, seed=2)
    ledger = done.ledger
    calls, words = ledger.submissions.columns(), ledger.statuses.columns()
    met = {
        "a further attempt": (calls["attempt"] > 1).any(),
        "a callback twice": len(np.unique(words[["n", "status"]])) < len(words),
        "a callback lost": ledger.webhooks_lost > 0,
        "a purchase failed": (ledger.purchases.columns()["code"] > 0).any(),
        "a number died": (ledger.finals.columns()["code"] == 30007).any(),
        "people stopped": ledger.opt_outs > 10,
        "a text came twice": len(ledger.inbound_deliveries) > len(ledger.inbound_texts),
        "volunteers were refused": bool(done.result.messages.blocked),
    }
    assert [name for name, happened in met.items() if not happened] == []


def test_after_the_faults_everything_is_settled(rehearse: Rehearse) -> None:
    """Break everything in the first hour, heal, and demand that it finishes."""
    hours = 3.0
    early = replace(
        CHAOS,
        answers_lost_before_share=0.10,
        gateway_crashes_at_s=(300.0, 305.0, 330.0, 900.0, 2400.0),
        chaos=Chaos(outages=0),
    )
    world = chaotic(ELECTION_DAY, hours=hours, faults=early)
    world = replace(world, webhooks=replace(world.webhooks, lost_share=0.0))
    for seed in (1, 2, 3):
        done = rehearse(world, contacts=150, seed=seed)
        assert broken(done) == set(), told(done)
        left = done.result.messages
        assert (left.queued, left.sending, left.unknown) == (0, 0, 0)
