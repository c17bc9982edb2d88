"""The table of planted bugs as a whole; each of its lines is a test of its own."""

from collections import Counter
from statistics import median

from simulator.audit.rules import RULES
from tests.rehearsal.fault_table import rows
from tests.rehearsal.planted_bugs import MOST_SEEDS


def test_every_rule_has_at_least_four_bugs() -> None:
    counts = Counter(row.rule for row in rows())
    assert {rule.name: counts[rule.name] for rule in RULES if counts[rule.name] < 4} == {}


def test_a_bug_stands_in_the_table_once() -> None:
    twice = [bug for bug, count in Counter(row.bug for row in rows()).items() if count > 1]
    assert twice == []


def test_one_seed_is_enough_for_half_of_them_and_twenty_for_all() -> None:
    seeds = [row.seeds for row in rows()]
    assert median(seeds) == 1
    assert max(seeds) <= MOST_SEEDS
