"""When the people of each time zone had their first text."""

import numpy as np
import pytest

from simulator.audit.places import place_of, texted_s
from simulator.model.ledger import Ledger
from simulator.model.scenario import load
from tests.simulator.sample_rehearsal import texted


def test_each_zone_ends_with_its_last_first_text() -> None:
    _, ledger, _ = texted(60)
    asked = ledger.submissions.columns()
    zones = np.array(
        [place_of(code).partition(", ")[2] for code in (asked["to"] // 10_000_000 % 1000).tolist()]
    )
    firsts = np.unique(asked["to"], return_index=True)[1]
    found = texted_s(ledger)
    assert set(found) == set(zones)
    for zone, last_s in found.items():
        at = asked["handed_at"][firsts][zones[firsts] == zone]
        assert last_s == pytest.approx(at.max() - asked["handed_at"].min(), abs=0.001)
    assert max(found.values()) == pytest.approx(59 * 5.0)


def test_nobody_texted_is_no_zone() -> None:
    assert texted_s(Ledger(load("election-day").carriers)) == {}
