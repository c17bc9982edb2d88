"""How often a rule could have been broken: for each a bank that gives it no chance, and one that does."""

import pytest

from simulator.audit.records import BLOCKED, QUEUED, REPLY
from simulator.audit.rules import RULES
from tests.simulator.audited_bank import (
    ANN,
    BOB,
    CAT,
    NOON,
    OF_TEXTS_AND_NUMBERS,
    OF_THE_VOLUNTEERS,
    OURS,
    RATES,
    SECOND,
    Bank,
    moment,
)


def chances(bank, rule):
    return bank.audit().chances[rule]


def plain():
    """Three people, a text each at noon, nothing else."""
    return Bank().text(1, ANN).text(2, BOB).text(3, CAT)


def asked_after_a_stop(bank):
    bank.writes(ANN, 40.0, "STOP", "stop").request(20, ANN, code=1302)
    bank.change(20, final_at=NOON + 200)


def waits_when_the_stop_comes(bank):
    bank.request(20, ANN, state=QUEUED).writes(ANN, 240.0, "STOP", "stop")


def asked_after_stop_and_start(bank):
    bank.writes(ANN, 40.0, "STOP", "stop").writes(ANN, 60.0, "START", "start").text(20, ANN, kind=REPLY)


def asked_near_closing(bank):
    bank.text(20, ANN, at=moment(3, 20, 55))


def blocked_at_closing(bank):
    bank.text(20, BOB, at=moment(3, 20, 30)).request(21, ANN, state=BLOCKED, at=moment(3, 20, 30))
    bank.change(21, final_at=NOON + moment(3, 21, 0))


def an_answer_is_lost(bank):
    bank.world["answers_lost"] = 1


def a_further_attempt(bank):
    bank.text(20, ANN, status="failed", code=30_001).again(20)
    bank.end(20, bank.hand_over(20, 230.0, attempt=2), at=233.0)


def a_client_is_answered(bank):
    bank.request(20, ANN, state=QUEUED)


def the_provider_takes_a_text(bank):
    bank.text(20, ANN)


def a_second_text_and_a_second_number(bank):
    bank.text(20, ANN).text(30, BOB, sender=OURS)
    bank.ledger.buy(5.0, SECOND, 7)


def more_asked_for_than_a_rate_allows(bank):
    for message_id in range(20, 30):
        bank.request(message_id, ANN + message_id, state=QUEUED, at=200.0)
        bank.end(message_id, bank.hand_over(message_id, 200.0 + (message_id - 19) * 2), at=260.0)


def late_in_a_capped_day(bank):
    bank.world["registration"] = type(RATES)(tmobile_daily_segments=4)
    for message_id in range(20, 24):
        bank.text(message_id, ANN + message_id, carrier=1)


def a_receipt_comes_twice(bank):
    bank.hear(0, "delivered", 16.0)


def an_overtaken_receipt(bank):
    bank.hear(1, "queued", 30.0)


def a_person_writes(bank):
    bank.writes(ANN, 40.0)


def two_are_given_contacts_at_once(bank):
    bank.claims += [(0, 1, ANN, 1), (3, 2, BOB, 1)]


def a_contact_is_handed_on(bank):
    bank.claims += [(0, 1, ANN, 1), (900, 1, ANN, -1), (2000, 2, ANN, 1)]


def an_hour_lies_between(bank):
    bank.claims += [(0, 1, ANN, 1), (3600, 2, BOB, 1)]


def a_cost_is_told(bank):
    bank.costs.append((1, 0.0118))


def the_results_are_told(bank):
    figures = ("answers", "texts under way", "texts that the carriers filtered", "texts with other errors")
    figures += ("texts that were blocked", "responses", "people who responded")
    bank.results = {**dict.fromkeys(figures, 0), "first texts": 3, "segments": 3}


def no_change(_):
    pass


CASES = [
    ("no_text_after_opt_out", no_change, 0),
    ("no_text_after_opt_out", asked_after_a_stop, 1),
    ("no_text_after_opt_out", waits_when_the_stop_comes, 1),
    ("no_text_after_opt_out", asked_after_stop_and_start, 0),
    ("lawful_hours", no_change, 0),
    ("lawful_hours", asked_near_closing, 1),
    ("lawful_hours", blocked_at_closing, 1),
    ("accepted_once", no_change, 0),
    ("accepted_once", an_answer_is_lost, 1),
    ("accepted_once", a_further_attempt, 1),
    ("books_balance", no_change, 3),
    ("books_balance", a_client_is_answered, 4),
    ("accepted_is_stored", no_change, 3),
    ("accepted_is_stored", the_provider_takes_a_text, 4),
    ("one_number_a_contact", the_provider_takes_a_text, 0),
    ("one_number_a_contact", a_second_text_and_a_second_number, 2),
    ("rates_and_caps", no_change, 0),
    ("rates_and_caps", more_asked_for_than_a_rate_allows, 7),  # toward AT&T two may go, and one message more
    ("rates_and_caps", late_in_a_capped_day, 1),
    ("legal_moves", no_change, 0),
    ("legal_moves", a_receipt_comes_twice, 1),
    ("legal_moves", an_overtaken_receipt, 1),
    ("legal_moves", a_further_attempt, 1),
    ("inbound_once", no_change, 0),
    ("inbound_once", a_person_writes, 1),
    ("one_volunteer_a_contact", no_change, 0),
    ("one_volunteer_a_contact", two_are_given_contacts_at_once, 2),
    ("one_volunteer_a_contact", a_contact_is_handed_on, 1),
    ("one_volunteer_a_contact", an_hour_lies_between, 0),
    ("costs_told", no_change, 0),
    ("costs_told", a_cost_is_told, 1),
    ("results_told", no_change, 0),
    ("results_told", the_results_are_told, 6),
]


@pytest.mark.parametrize(
    ("rule", "change", "count"), CASES, ids=[f"{rule}-{change.__name__}" for rule, change, _ in CASES]
)
def test_chances(rule, change, count):
    bank = plain()
    change(bank)
    assert bank.faults() == {}
    assert chances(bank, rule) == count


def test_every_rule_has_a_case_with_chances_and_most_have_one_without():
    with_chances = {rule for rule, _, count in CASES if count}
    assert with_chances == {rule.name for rule in RULES} - {*OF_THE_VOLUNTEERS, *OF_TEXTS_AND_NUMBERS}
    always = {"books_balance", "accepted_is_stored"}  # who asks at all gives them their chance
    assert {rule for rule, _, count in CASES if not count} == with_chances - always


def test_an_empty_run_tests_nothing():
    assert set(Bank().audit().chances.values()) == {0}
