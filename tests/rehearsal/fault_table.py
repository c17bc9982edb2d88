"""All planted bugs in one table: which rule names each, in which world, and after how many seeds."""

from collections.abc import Iterator
from importlib import import_module
from typing import NamedTuple

from simulator.audit.rules import RULES
from tests.rehearsal.planted_bugs import Plant

MODULES = (
    "test_bugs_against_people",
    "test_bugs_against_messages",
    "test_bugs_against_the_bank",
    "test_further_bugs",
    "test_bugs_of_first_texts_and_numbers",
    "test_bugs_of_the_bill",
    "test_bugs_of_shared_opt_outs",
    "test_bugs_of_an_outsider",
    "test_bugs_of_an_outsider_in_the_store",
    "test_bugs_of_later_outsiders",
    "test_bugs_of_breakers",
)


_IN_TESTS_OF_THEIR_OWN = (
    ("inbound_once", "a text is stored twice", "a database without the unique rule"),
    ("consent_kept", "the list is not asked who left", "a list"),
    ("consent_kept", "marks are not imported", "a list"),
)


class Row(NamedTuple):
    """One planted bug."""

    rule: str
    bug: str
    world: str
    seeds: int


def rows() -> list[Row]:
    """By rule, in the order of the rules."""
    order = [rule.name for rule in RULES]
    return sorted(_rows(), key=lambda row: order.index(row.rule))


def _rows() -> Iterator[Row]:
    for module in MODULES:
        plants: dict[str, Plant] = import_module(f"tests.rehearsal.{module}").PLANTS
        for bug, plant in plants.items():
            yield Row(plant.breaks, bug, plant.world, plant.seeds)
    for rule, bug, world in _IN_TESTS_OF_THEIR_OWN:
        yield Row(rule, bug, world, 1)
