"""One first text, blocks for a reason, numbers that are needed: what breaks each rule, and what gives it a chance."""

import msgspec
import numpy as np
import pytest

from simulator.audit.auditor import audit
from simulator.audit.blocks import rightly_untexted
from simulator.audit.evidence import Evidence
from simulator.audit.records import BLOCKED, CONFIRMATION, MARK, GroundTruth, Pool
from tests.simulator.audited_bank import ANN, BOB, CAMPAIGN, CAT, DAN, NOON, OURS, SECOND, Bank, moment

POOL = Pool(rotate_after=2, preferred_area_codes=("267",), stock={"267": 2}, stock_elsewhere=200)
LOCAL = [12_675_550_110 + nth for nth in range(10)]
ELSEWHERE = [13_125_550_100 + nth for nth in range(10)]
HOUR = 3600.0


def bank():
    """One action, a look-up that calls nobody a landline, two numbers for each four people."""
    return Bank(first_texts=1, landlines=np.array([DAN], np.int64), pool=POOL)


def told(bank, message_id, phone, code, *, status="undelivered", **handed):
    return bank.text(message_id, phone, status=status, code=code, **handed)


# ------------------------------------------------------------ one first text


def a_second_first_text(bank):
    bank.text(1, ANN).text(20, ANN)


def an_answer(bank):
    bank.text(1, ANN).writes(ANN, 100.0).text(20, ANN)


def the_same_words_to_one_who_wrote(bank):
    bank.text(1, ANN, body_key=5).writes(ANN, 100.0).text(20, ANN, body_key=5)


def the_same_words_to_another(bank):
    bank.text(1, ANN, body_key=5).text(2, BOB, body_key=5)


def a_text_to_a_landline(bank):
    told(bank, 1, ANN, 30_006).writes(BOB, 1.0)
    bank.again(1)
    bank.end(1, bank.hand_over(1, 900.0, attempt=2), at=904.0)


def a_text_an_hour_after_an_off_phone(bank):
    told(bank, 1, ANN, 30_003).again(1)
    bank.end(1, bank.hand_over(1, HOUR, attempt=2), at=HOUR + 4)


def a_text_five_hours_after_an_off_phone(bank):
    told(bank, 1, ANN, 30_003).again(1)
    bank.end(1, bank.hand_over(1, 5 * HOUR, attempt=2), at=5 * HOUR + 4)


def an_answer_to_a_phone_that_was_off(bank):
    told(bank, 1, ANN, 30_003).writes(ANN, 300.0).text(50, ANN)


def a_text_to_one_the_provider_calls_unsubscribed(bank):
    bank.text(1, ANN).writes(ANN, 20.0)
    bank.ledger.refuse(30.0, ANN, OURS, CAMPAIGN, 21_610)
    bank.text(50, ANN)


def one_who_is_unsubscribed_starts_again(bank):
    bank.text(1, ANN).writes(ANN, 20.0)
    bank.ledger.refuse(30.0, ANN, OURS, CAMPAIGN, 21_610)
    bank.writes(ANN, 60.0, "START", "start").text(50, ANN)


# ------------------------------------------------------------ blocks


def blocked(bank, message_id, phone, code, at):
    bank.request(message_id, phone, state=BLOCKED, code=code, at=at)
    return bank.change(message_id, final_at=NOON + at)


def a_landline_is_blocked(bank):
    blocked(bank, 1, DAN, 9000, 10.0)


def a_mobile_is_blocked_as_a_landline(bank):
    blocked(bank, 1, ANN, 9000, 10.0)


def one_who_left_in_own_words_is_blocked(bank):
    bank.text(1, ANN).writes(ANN, 20.0, "Lose my number", "reply")
    blocked(bank, 5, ANN, 1302, 60.0)


def one_whom_a_volunteer_marked_is_blocked(bank):
    bank.opt_outs.append((ANN, NOON + 30.0, "manual"))
    blocked(bank, 5, ANN, 1302, 60.0)


def one_who_never_left_is_blocked(bank):
    bank.opt_outs.append((ANN, NOON + 30.0, "keyword"))
    blocked(bank, 5, ANN, 1302, 60.0)


def one_who_leaves_later_is_blocked(bank):
    blocked(bank, 5, ANN, 1302, 60.0)
    bank.writes(ANN, 100.0, "STOP", "stop")


def a_phone_that_failed_is_blocked(bank):
    told(bank, 1, ANN, 30_005)
    blocked(bank, 5, ANN, 1204, 60.0)


def a_phone_that_failed_long_ago_is_blocked(bank):
    told(bank, 1, ANN, 30_008)
    blocked(bank, 5, ANN, 1204, 7 * HOUR)


def a_phone_that_is_filtered_is_blocked(bank):
    told(bank, 1, ANN, 30_007)
    blocked(bank, 5, ANN, 1205, 60.0)


def blocked_at_closing(bank):
    blocked(bank, 5, ANN, 1202, moment(3, 20, 58))
    bank.text(1, BOB)


def blocked_some_minutes_before_closing(bank):
    blocked(bank, 5, ANN, 1202, moment(3, 20, 55))
    bank.text(1, BOB)


def a_late_confirmation_is_blocked(bank):
    bank.text(1, ANN).request(5, ANN, kind=CONFIRMATION, code=1202, at=60.0)
    bank.change(5, final_at=NOON + 60.0 + 240.0)


def a_confirmation_is_blocked_at_once(bank):
    bank.text(1, ANN).request(5, ANN, kind=CONFIRMATION, code=1202, at=60.0)
    bank.change(5, final_at=NOON + 70.0)


def blocked_at_noon_for_the_hours(bank):
    bank.text(1, BOB)
    blocked(bank, 5, ANN, 1202, 60.0)


def a_second_text_is_blocked(bank):
    bank.text(1, ANN)
    blocked(bank, 5, ANN, 1001, 60.0)


def a_first_text_is_blocked_as_a_repeat(bank):
    blocked(bank, 5, ANN, 1001, 60.0)
    blocked(bank, 6, ANN, 1304, 70.0)


def no_number_after_a_failed_purchase(bank):
    bank.ledger.buy(5.0, 0, CAMPAIGN, 21_452)
    blocked(bank, 5, ANN, 1203, 60.0)


def no_number_although_one_was_bought(bank):
    buy(bank, 5.0, LOCAL[0])
    blocked(bank, 5, ANN, 1203, 60.0)


def an_unheard_of_code(bank):
    blocked(bank, 5, ANN, 1305, 60.0)


# ------------------------------------------------------------ numbers


def buy(bank, at, number, *, kept=True):
    bank.ledger.buy(at, number, CAMPAIGN)
    if kept:
        bank.numbers[number] = "active"


def as_many_as_there_are_reasons(bank):
    for nth in range(8):
        bank.request(nth, ANN + nth, at=float(nth))
    for number in (*LOCAL[:2], *ELSEWHERE[:6]):
        buy(bank, 10.0, number)


def two_more_than_there_are_reasons(bank):
    as_many_as_there_are_reasons(bank)
    buy(bank, 11.0, ELSEWHERE[6])
    buy(bank, 12.0, ELSEWHERE[7])


def one_more_for_a_number_that_went_bad(bank):
    for nth in range(3):
        told(bank, 100 + nth, CAT + nth, 30_007, sender=LOCAL[0], at=1.0 + nth)
    as_many_as_there_are_reasons(bank)
    buy(bank, 11.0, ELSEWHERE[6])


def beyond_the_registered_pool(bank):
    bank.world["registration"] = type(bank.world["registration"])(max_numbers=1)
    buy(bank, 10.0, LOCAL[0])
    buy(bank, 11.0, LOCAL[1])


def bought_and_forgotten(bank):
    bank.world["ended_at"] = HOUR
    buy(bank, 10.0, LOCAL[0], kept=False)


def bought_just_now(bank):
    bank.world["ended_at"] = 100.0
    buy(bank, 10.0, LOCAL[0], kept=False)


def elsewhere_at_once(bank):
    buy(bank, 10.0, ELSEWHERE[0])


def elsewhere_when_sold_out(bank):
    buy(bank, 10.0, LOCAL[0])
    buy(bank, 11.0, LOCAL[1])
    buy(bank, 12.0, ELSEWHERE[0])


def elsewhere_after_a_failed_purchase(bank):
    bank.ledger.buy(5.0, 0, CAMPAIGN, 21_422)
    buy(bank, 10.0, ELSEWHERE[0])


def elsewhere_long_after_a_failed_purchase(bank):
    bank.ledger.buy(5.0, 0, CAMPAIGN, 21_422)
    buy(bank, 2 * HOUR, ELSEWHERE[0])


FIRST, BLOCKS, NEEDED, WISHED = (
    "one_first_text",
    "blocked_for_a_reason",
    "numbers_needed",
    "wished_area_codes",
)
CASES = [
    # rule, what happens, violations, chances
    (FIRST, a_second_first_text, 1, 1),
    (FIRST, an_answer, 0, 0),
    (FIRST, the_same_words_to_one_who_wrote, 1, 0),
    (FIRST, the_same_words_to_another, 0, 0),
    (FIRST, a_text_to_a_landline, 1, 1),
    (FIRST, a_text_an_hour_after_an_off_phone, 1, 1),
    (FIRST, a_text_five_hours_after_an_off_phone, 0, 0),
    (FIRST, an_answer_to_a_phone_that_was_off, 0, 0),
    (FIRST, a_text_to_one_the_provider_calls_unsubscribed, 1, 1),
    (FIRST, one_who_is_unsubscribed_starts_again, 0, 0),
    (BLOCKS, a_landline_is_blocked, 0, 1),
    (BLOCKS, a_mobile_is_blocked_as_a_landline, 1, 1),
    (BLOCKS, one_who_left_in_own_words_is_blocked, 0, 1),
    (BLOCKS, one_whom_a_volunteer_marked_is_blocked, 0, 1),
    (BLOCKS, one_who_never_left_is_blocked, 1, 1),
    (BLOCKS, one_who_leaves_later_is_blocked, 1, 1),
    (BLOCKS, a_phone_that_failed_is_blocked, 0, 1),
    (BLOCKS, a_phone_that_failed_long_ago_is_blocked, 1, 1),
    (BLOCKS, a_phone_that_is_filtered_is_blocked, 1, 1),
    (BLOCKS, blocked_at_closing, 0, 1),
    (BLOCKS, blocked_some_minutes_before_closing, 1, 1),
    (BLOCKS, a_late_confirmation_is_blocked, 0, 1),
    (BLOCKS, a_confirmation_is_blocked_at_once, 1, 1),
    (BLOCKS, blocked_at_noon_for_the_hours, 1, 1),
    (BLOCKS, a_second_text_is_blocked, 0, 1),
    (BLOCKS, a_first_text_is_blocked_as_a_repeat, 2, 2),
    (BLOCKS, no_number_after_a_failed_purchase, 0, 1),
    (BLOCKS, no_number_although_one_was_bought, 1, 1),
    (BLOCKS, an_unheard_of_code, 1, 1),
    (NEEDED, as_many_as_there_are_reasons, 0, 8),
    (NEEDED, two_more_than_there_are_reasons, 2, 10),
    (NEEDED, one_more_for_a_number_that_went_bad, 0, 9),
    (NEEDED, beyond_the_registered_pool, 1, 2),
    (NEEDED, bought_and_forgotten, 1, 1),
    (NEEDED, bought_just_now, 0, 1),
    (WISHED, elsewhere_at_once, 1, 1),
    (WISHED, elsewhere_when_sold_out, 0, 3),
    (WISHED, elsewhere_after_a_failed_purchase, 0, 1),
    (WISHED, elsewhere_long_after_a_failed_purchase, 1, 1),
]


@pytest.mark.parametrize(
    ("rule", "happens", "violations", "chances"), CASES, ids=[case[1].__name__ for case in CASES]
)
def test_what_breaks_a_rule_and_what_is_a_chance(rule, happens, violations, chances):
    ours = bank()
    happens(ours)
    found = ours.audit()
    assert (found.counts[rule], found.chances[rule]) == (violations, chances)


def test_the_volunteers_phones_know_whom_they_marked_not_the_store():
    ours = bank()
    one_whom_a_volunteer_marked_is_blocked(ours)
    watched = msgspec.structs.replace(ours.books(), marks=np.array([(BOB, 20.0, 21.0)], MARK))
    found = audit(ours.ledger, watched, GroundTruth(**ours.world))
    assert found.counts[BLOCKS] == 1
    watched.marks["phone"] = ANN
    assert audit(ours.ledger, watched, GroundTruth(**ours.world)).counts[BLOCKS] == 0


def test_a_text_after_a_mark_is_one_after_an_opt_out_whatever_the_store_says():
    ours = bank().text(1, ANN).text(50, ANN)
    watched = msgspec.structs.replace(ours.books(), marks=np.array([(ANN, 20.0, 21.0)], MARK))
    found = audit(ours.ledger, watched, GroundTruth(**ours.world))
    assert found.counts["no_text_after_opt_out"] == 1


def test_only_those_are_excused_whose_block_had_a_reason():
    ours = bank()
    a_landline_is_blocked(ours)
    one_whom_a_volunteer_marked_is_blocked(ours)
    blocked(ours, 6, BOB, 9000, 70.0)
    blocked(ours, 7, CAT, 1302, 80.0)
    evidence = Evidence(ours.ledger, ours.books(), GroundTruth(**ours.world))
    assert rightly_untexted(evidence).tolist() == [ANN, DAN]


def test_where_nobody_knows_what_was_wished_nothing_is_judged():
    ours = Bank()
    a_second_first_text(ours)
    elsewhere_at_once(ours)
    a_mobile_is_blocked_as_a_landline(ours)
    found = ours.audit()
    assert [found.counts[rule] for rule in (FIRST, BLOCKS, NEEDED, WISHED)] == [0, 0, 0, 0]
    assert [found.chances[rule] for rule in (FIRST, NEEDED, WISHED)] == [0, 0, 0]
    assert SECOND not in ours.numbers
