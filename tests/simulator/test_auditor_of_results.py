"""What the gateway tells of an action, against what happened."""

import pytest

from simulator.audit.records import CONFIRMATION, QUEUED, REPLY
from tests.simulator.audited_bank import ANN, BOB, CAT, DAN, Bank

EVE = 12_155_550_104

_TOLD = {
    "segments": 7,
    "first texts": 2,
    "answers": 1,
    "texts under way": 1,
    "texts that the carriers filtered": 1,
    "texts with other errors": 1,
    "texts that were blocked": 1,
    "responses": 2,
    "people who responded": 1,
}


def told(**otherwise: int) -> Bank:
    """A little of everything that results count; `otherwise` is what they tell of it instead."""
    bank = Bank()
    bank.text(1, ANN).text(2, BOB, told=False)
    bank.text(3, CAT, status="undelivered", code=30_007).text(4, DAN, status="undelivered", code=30_005)
    bank.request(5, DAN).request(6, EVE, state=QUEUED)
    bank.writes(ANN, 70.0).text(8, ANN, kind=REPLY).writes(ANN, 90.0, "Thanks")
    bank.results = {**_TOLD, **otherwise}
    return bank


def test_results_that_are_true():
    assert told().faults() == {}


def test_a_confirmation_is_of_no_action():
    bank = told().request(9, ANN, kind=CONFIRMATION, state=QUEUED)
    assert bank.faults() == {}


@pytest.mark.parametrize("figure", _TOLD)
@pytest.mark.parametrize("by", [-1, 1])
def test_a_figure_that_is_wrong_is_named_with_both_numbers(figure: str, by: int):
    bank = told(**{figure: _TOLD[figure] + by})
    assert bank.faults() == {"results_told": 1}
    [violation] = bank.audit().violations
    assert violation.what.endswith(
        f"the results tell {_TOLD[figure] + by} {figure}, and there are {_TOLD[figure]}"
    )
