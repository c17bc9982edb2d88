"""Many seeds at the edges of the day: closing time, the night, midnight's cap, the clocks' change."""

from datetime import datetime

import pytest
from msgspec.structs import replace

from simulator.model.faults import FaultParameters
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.small_worlds import (
    ELECTION_DAY,
    NEARLY_SHUT,
    SMALL_TOWN,
    UNRELIABLE_PROVIDER,
    WINDOW_CLOSE,
    broken,
    chaotic,
    limited,
    starting,
    told,
)

_EVENING = datetime.fromisoformat("2026-11-02T20:15")
_CLOCKS_GO_BACK = datetime.fromisoformat("2026-10-31T20:15")
_BEFORE_MIDNIGHT = datetime.fromisoformat("2026-10-14T20:00")
WORLDS = {
    "closing": starting(chaotic(WINDOW_CLOSE, hours=1), NEARLY_SHUT),
    "crashes at closing": starting(
        chaotic(
            WINDOW_CLOSE,
            hours=1,
            faults=replace(UNRELIABLE_PROVIDER, gateway_crashes_at_s=(1690.0, 1730.0, 1770.0)),
        ),
        NEARLY_SHUT,
    ),
    "a queue at closing": starting(
        limited(chaotic(WINDOW_CLOSE, hours=1, faults=FaultParameters()), total_per_s=0.05), NEARLY_SHUT
    ),
    "night": starting(chaotic(ELECTION_DAY, hours=14), _EVENING),
    "the clocks go back": starting(chaotic(ELECTION_DAY, hours=14), _CLOCKS_GO_BACK),
    "midnight's cap": starting(
        limited(chaotic(SMALL_TOWN, hours=15), tmobile_daily_segments=40), _BEFORE_MIDNIGHT
    ),
}


@pytest.mark.parametrize("seed", [11, 12, 13])
@pytest.mark.parametrize("world", WORLDS)
def test_every_invariant_holds(rehearse: Rehearse, world: str, seed: int) -> None:
    done = rehearse(WORLDS[world], contacts=120, seed=seed)
    assert broken(done) == set(), told(done)
    assert done.violations == []
    assert len(done.ledger.submissions) > 10, "hardly anybody was texted"
