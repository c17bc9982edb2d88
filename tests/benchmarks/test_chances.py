"""The kept chances: every shipped scenario and every rule is in them, and each rule has some somewhere."""

import pytest

from benchmarks.chances import kept
from simulator.audit.rules import RULES
from simulator.model.scenario import load, shipped


def test_every_shipped_scenario_has_run_at_its_own_size() -> None:
    assert {name: run.contacts for name, run in kept().items()} == {
        name: load(name).contacts for name in shipped()
    }


@pytest.mark.parametrize("rule", [rule.name for rule in RULES])
def test_a_rule_has_chances_when_everything_breaks(rule: str) -> None:
    assert kept()["everything-breaks"].chances[rule] > 0


def test_no_rule_was_broken() -> None:
    assert {name: run.broken for name, run in kept().items() if run.broken} == {}
