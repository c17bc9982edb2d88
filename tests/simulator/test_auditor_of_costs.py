"""What the gateway says that a text cost, against what the model's prices make of the ledger."""

import numpy as np
import pytest

from simulator.audit.records import UNKNOWN
from simulator.model.carriers import TMOBILE, CampaignRegistration
from tests.simulator.audited_bank import ANN, BOB, Bank

ATT_USD, TMOBILE_USD = 0.0083 + 0.0035, 0.0083 + 0.0045


def broken(bank):
    return bank.audit().counts["costs_told"]


def told(bank, usd, message_id=1):
    bank.costs.append((message_id, usd))
    return bank


@pytest.mark.parametrize(
    ("life", "usd"),
    [
        ({}, ATT_USD),
        ({"segments": 3}, 3 * ATT_USD),
        ({"carrier": TMOBILE}, TMOBILE_USD),
        ({"status": "undelivered", "code": 30_007}, ATT_USD),
        ({"status": "failed", "code": 30_001, "departs": None}, 0.001),
        ({"status": "failed", "code": 30_036, "departs": None}, 0.0),
    ],
    ids=["delivered", "three segments", "T-Mobile", "filtered", "failed", "expired"],
)
def test_a_text_costs_what_the_carriers_and_the_provider_take(life, usd):
    assert broken(told(Bank().text(1, ANN, **life), usd)) == 0
    assert broken(told(Bank().text(1, ANN, **life), usd + 0.0005)) == 1


def test_all_attempts_are_paid():
    def two_attempts():
        bank = Bank().text(1, ANN, status="failed", code=30_001, departs=None).again(1)
        return bank.end(1, bank.hand_over(1, 95.0, attempt=2), at=97.0)

    assert broken(told(two_attempts(), ATT_USD + 0.001)) == 0
    assert broken(told(two_attempts(), ATT_USD)) == 1


def test_nothing_is_billed_for_what_was_never_asked_for():
    assert broken(told(Bank().request(1, ANN), 0.0)) == 0
    assert broken(told(Bank().request(1, ANN), 0.001)) == 1


def test_what_the_gateway_cannot_know_is_not_held_against_it():
    unheard = Bank().text(1, ANN, status="failed", code=30_001, departs=None, told=False)
    unknown = Bank().text(1, ANN).change(1, state=UNKNOWN)
    strange = Bank(out_of_service=np.array([ANN])).text(1, ANN)
    for bank in (unheard, unknown, strange):
        audit = told(bank, 9.0).audit()
        assert (audit.counts["costs_told"], audit.chances["costs_told"]) == (0, 0)


def test_tmobile_takes_nothing_from_a_charity():
    charity = CampaignRegistration(tmobile_fee_waived=True)
    bank = Bank(registration=charity).text(1, ANN, carrier=TMOBILE).text(2, BOB)
    assert broken(told(told(bank, 0.0083), ATT_USD, 2)) == 0


@pytest.mark.parametrize(
    ("counted", "answers_lost", "breaches"),
    [
        ({"att": ATT_USD, "tmobile": 2 * TMOBILE_USD}, 0, 0),
        ({"att": ATT_USD, "tmobile": TMOBILE_USD}, 0, 1),
        ({"att": ATT_USD, "tmobile": 3 * TMOBILE_USD}, 0, 1),
        ({"att": ATT_USD}, 0, 1),
        ({"att": ATT_USD, "tmobile": 0.0}, 1, 0),
        ({"att": 0.0, "tmobile": 3 * TMOBILE_USD}, 1, 1),
    ],
)
def test_the_metrics_count_what_was_taken_less_what_had_no_answer(counted, answers_lost, breaches):
    bank = Bank(answers_lost=answers_lost).text(1, ANN).text(2, BOB, carrier=TMOBILE, segments=2)
    bank.counted_usd = counted
    assert broken(bank) == breaches


def test_a_wrong_total_is_told_with_both_sums():
    bank = Bank().text(1, ANN)
    bank.counted_usd = {"att": 1.0}
    found = [each.what for each in bank.audit().violations if each.invariant == "costs_told"]
    assert found == ["toward att the metrics count $1.0000, and what was taken costs $0.0118"]
