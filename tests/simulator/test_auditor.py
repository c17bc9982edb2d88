"""The auditor: a bank in which everything holds, and a planted fault for every rule."""

import pytest

from simulator.audit.records import (
    BLOCKED,
    DELIVERED,
    DRAFT,
    FAILED,
    QUEUED,
    SENT,
    UNDELIVERED,
    UNKNOWN,
)
from simulator.model.carriers import REGIONAL, USCELLULAR
from simulator.model.ledger import Table, inbound_sid_of
from simulator.model.messages import Submission
from simulator.report.result import INVARIANTS
from tests.simulator.audited_bank import (
    ANN,
    BOB,
    CAMPAIGN,
    CAT,
    DAN,
    NOON,
    OF_TEXTS_AND_NUMBERS,
    OF_THE_BILL,
    OF_THE_RESULTS,
    OF_THE_VOLUNTEERS,
    OURS,
    SECOND,
    Bank,
    moment,
    sound,
)


def test_a_sound_bank_has_no_violation():
    assert sound().faults() == {}


def test_nothing_at_all_has_no_violation():
    assert Bank().faults() == {}


# ------------------------------------------------------------ one planted fault each


def rewrite_finals(bank, *rows):
    bank.ledger.finals = Table("n:q at:d status:B code:H")
    for n, status, code in rows:
        bank.ledger.finals.append(n, 14.0, status, code)


def text_after_stop(bank):
    bank.text(20, CAT)


def text_after_unstored_stop(bank):
    bank.writes(BOB, 100.0, "Stop", "other").text(20, BOB)


def text_after_manual_opt_out(bank):
    bank.opt_outs.append((DAN, NOON + 30, "manual"))
    bank.text(20, DAN)


def text_after_stop_and_earlier_start(bank):
    bank.writes(BOB, 90.0, "START", "start").writes(BOB, 100.0, "Stop.", "reply").text(20, BOB)


def text_before_campaign_hours(bank):
    bank.text(20, DAN, at=moment(4, 8, 59))


def departure_after_hours(bank):
    bank.text(20, DAN, at=moment(3, 20, 59), departs=90.0)


def text_after_florida_evening(bank):
    bank.text(20, 13_055_550_100, at=moment(3, 20, 1))


def text_before_nine_in_california(bank):
    bank.text(20, 12_135_550_100, at=0 - 1.0)


def text_to_no_place(bank):
    bank.text(20, 10_005_550_100)


def attempt_taken_twice(bank):
    bank.end(1, bank.hand_over(1, 200.0), at=203.0)


def accepted_twice(bank):
    bank.ledger.accept(0, 200.0, 201.0)


def sent_again_too_early(bank):
    bank.text(20, DAN, status="failed", code=30_001).again(20)
    n = bank.hand_over(20, 202.0, attempt=2)  # the failure came at 204
    bank.end(20, n, at=300.0)


def sent_again_after_success(bank):
    bank.text(20, DAN).again(20)
    bank.end(20, bank.hand_over(20, 300.0, attempt=2), at=303.0)


def acknowledged_and_lost(bank):
    bank.requests.append((99, QUEUED))


def blocked_and_sent(bank):
    bank.text(20, DAN)
    bank.requests[-1] = (20, BLOCKED)


def unknown_without_reason(bank):
    bank.change(8, has_reason=False)


def stored_twice(bank):
    bank.messages["again"] = dict(bank.messages[4])


def draft_in_the_store(bank):
    bank.change(4, state=DRAFT)
    bank.requests = [(message_id, QUEUED) for message_id, _ in bank.requests]


def delivered_by_the_store_alone(bank):
    bank.change(3, state=DELIVERED)
    rewrite_finals(bank, (0, 2, 0), (1, 3, 30_003), (3, 4, 30_001), (4, 2, 0))


def other_end(bank):
    bank.change(2, state=DELIVERED)


def other_code(bank):
    bank.change(2, code=30_007)


def missed_end(bank):
    bank.change(1, state=SENT)


def sent_by_the_store_alone(bank):
    bank.change(8, state=SENT)


def delivered_and_waits(bank):
    bank.again(1)


def not_in_the_store(bank):
    del bank.messages[3]
    bank.requests = [request for request in bank.requests if request[0] != 3]


def of_another_campaign(bank):
    bank.ledger.submit(Submission(DAN, OURS, 9, 1, "Hi", 1, 60.0, (9, 4, 1), 300.0), 300.0, 0)


def without_reference(bank):
    bank.ledger.submit(Submission(DAN, OURS, CAMPAIGN, 1, "Hi", 1, 60.0, b"?", 300.0), 300.0, 0)


def attempt_beyond_the_stored(bank):
    bank.request(20, DAN, state=QUEUED)
    bank.hand_over(20, departs=None)
    bank.change(20, attempt=0, state=QUEUED)


def taken_and_still_queued(bank):
    bank.request(20, DAN, state=QUEUED)
    bank.hand_over(20, departs=None)
    bank.change(20, state=QUEUED)


def to_another_person(bank):
    bank.request(20, DAN, state=QUEUED)
    bank.end(20, bank.hand_over(20, to=DAN + 1))


def with_another_size(bank):
    bank.change(1, segments=3)


def two_numbers(bank):
    bank.text(20, ANN, sender=SECOND)


def moved_before_retirement(bank):
    bank.text(20, ANN, sender=SECOND)
    bank.ledger.releases.append(300.0, OURS)


def back_to_the_first_number(bank):
    bank.ledger.releases.append(100.0, OURS)
    bank.ledger.releases.append(205.0, SECOND)
    bank.text(20, ANN, sender=SECOND).text(21, ANN, sender=OURS)


def too_fast_in_total(bank):
    for each in range(6):
        bank.text(20 + each, DAN + each, at=300 + each * 0.1, carrier=(0, 1, 2)[each % 3])


def too_fast_toward_a_carrier(bank):
    for each in range(4):
        bank.text(20 + each, DAN + each, at=300 + each * 0.26, carrier=USCELLULAR)


def too_fast_toward_a_small_carrier(bank):
    for each in range(3):
        bank.text(20 + each, DAN + each, at=300 + each * 0.4, carrier=REGIONAL)


def too_fast_over_a_minute(bank):
    for each in range(130):
        bank.text(20 + each, DAN + each, at=300 + each * 0.45, carrier=0)


def heard_sent_and_still_sending(bank):
    bank.request(20, DAN, state=QUEUED)
    bank.hear(bank.hand_over(20), "sent", 204.0)


def heard_sent_and_still_unknown(bank):
    heard_sent_and_still_sending(bank)
    bank.change(20, state=UNKNOWN)


def queued_again_without_failure(bank):
    bank.text(20, DAN, told=False)
    bank.hear(5, "sent", 204.0)
    rewrite_finals(bank, (0, 2, 0), (1, 3, 30_003), (2, 2, 0), (3, 4, 30_001), (4, 2, 0))
    bank.again(20)


def later_word_won(bank):
    bank.request(20, DAN, state=QUEUED)
    n = bank.hand_over(20)
    bank.hear(n, "undelivered", 202.0, 30_008)
    bank.end(20, n, "delivered")


def gap_in_attempts(bank):
    bank.past.clear()


def past_attempt_of_nothing(bank):
    bank.past.append((99, 1, FAILED, 30_001))


def attempt_under_way_is_past(bank):
    bank.past.append((8, 1, FAILED, 30_001))


def ended_without_attempt(bank):
    bank.change(6, attempt=0)


def inbound_lost(bank):
    bank.writes(DAN, 100.0, stored=False)


def inbound_doubled(bank):
    bank.inbound.append(bank.inbound[0])


def inbound_under_another_person(bank):
    bank.inbound[0] = (bank.inbound[0][0], DAN, *bank.inbound[0][2:])


def inbound_under_another_number(bank):
    bank.inbound[0] = (*bank.inbound[0][:2], SECOND, *bank.inbound[0][3:])


def inbound_from_nowhere(bank):
    bank.inbound.append((inbound_sid_of(99), ANN, OURS, True, "reply", NOON))


def contact_as_a_stranger(bank):
    bank.writes(BOB, 100.0, known=False)


def taken_by_two(bank):
    bank.claims += [(70, 3, ANN, 1)]


def released_by_another_and_taken(bank):
    bank.claims += [(70, 3, BOB, -1), (80, 3, BOB, 1)]


PLANTED = {
    "no_text_after_opt_out": [
        text_after_stop,
        text_after_unstored_stop,
        text_after_manual_opt_out,
        text_after_stop_and_earlier_start,
    ],
    "lawful_hours": [
        text_before_campaign_hours,
        departure_after_hours,
        text_after_florida_evening,
        text_before_nine_in_california,
        text_to_no_place,
    ],
    "accepted_once": [
        attempt_taken_twice,
        accepted_twice,
        sent_again_too_early,
        sent_again_after_success,
    ],
    "books_balance": [
        acknowledged_and_lost,
        blocked_and_sent,
        stored_twice,
        draft_in_the_store,
        unknown_without_reason,
        delivered_by_the_store_alone,
        other_end,
        other_code,
        missed_end,
        sent_by_the_store_alone,
        delivered_and_waits,
    ],
    "accepted_is_stored": [
        not_in_the_store,
        of_another_campaign,
        without_reference,
        attempt_beyond_the_stored,
        taken_and_still_queued,
        to_another_person,
        with_another_size,
    ],
    "one_number_a_contact": [two_numbers, moved_before_retirement, back_to_the_first_number],
    "rates_and_caps": [
        too_fast_in_total,
        too_fast_toward_a_carrier,
        too_fast_toward_a_small_carrier,
        too_fast_over_a_minute,
    ],
    "legal_moves": [
        heard_sent_and_still_sending,
        heard_sent_and_still_unknown,
        queued_again_without_failure,
        later_word_won,
        gap_in_attempts,
        past_attempt_of_nothing,
        attempt_under_way_is_past,
        ended_without_attempt,
    ],
    "inbound_once": [
        inbound_lost,
        inbound_doubled,
        inbound_under_another_person,
        inbound_under_another_number,
        inbound_from_nowhere,
        contact_as_a_stranger,
    ],
    "one_volunteer_a_contact": [taken_by_two, released_by_another_and_taken],
}
CASES = [(invariant, fault) for invariant, faults in PLANTED.items() for fault in faults]


@pytest.mark.parametrize(("invariant", "plant"), CASES, ids=[fault.__name__ for _, fault in CASES])
def test_a_planted_fault_is_reported_and_only_it(invariant, plant):
    bank = sound()
    plant(bank)
    assert list(bank.faults()) == [invariant]


def test_every_invariant_has_a_planted_fault():
    elsewhere = {*OF_THE_VOLUNTEERS, *OF_TEXTS_AND_NUMBERS, *OF_THE_BILL, *OF_THE_RESULTS}
    assert {*PLANTED, *elsewhere} == set(INVARIANTS)


def test_a_stop_is_known_from_its_own_webhook():
    """It got lost and was fetched at 300 s; "Thanks" came by itself, and says nothing of it."""
    bank = Bank().text(1, ANN).writes(ANN, 40.0, "STOP", "stop", comes=260.0)
    bank.opt_outs = [(ANN, NOON + 40.0, "keyword")]
    bank.writes(ANN, 45.0, "Thanks").text(20, ANN, at=100.0)
    assert "no_text_after_opt_out" not in bank.faults()


def test_a_stop_that_was_missed_counts_from_when_the_gateway_came_back():
    def bank(**world):
        return (
            Bank(**world).text(1, ANN).writes(ANN, 40.0, "STOP", "stop", comes=260.0).text(20, ANN, at=100.0)
        )

    assert "no_text_after_opt_out" not in bank().faults()
    assert bank(came_back_at=(50.0,)).faults()["no_text_after_opt_out"] == 1
    assert "no_text_after_opt_out" not in bank(came_back_at=(30.0, 120.0)).faults()


@pytest.mark.parametrize(("code", "breaches"), [(30_008, 1), (30_007, 1), (30_017, 0)])
def test_only_what_the_phone_can_t_have_is_sent_again(code, breaches):
    bank = Bank().text(1, ANN, status="undelivered", code=code).again(1, state=UNDELIVERED, code=code)
    bank.end(1, bank.hand_over(1, 200.0, attempt=2), at=203.0)
    assert bank.faults().get("accepted_once", 0) == breaches


# ------------------------------------------------------------ what is told


def test_a_violation_tells_the_whole_life_in_order_and_local_time():
    bank = Bank().text(1, ANN).writes(ANN, 40.0, "STOP", "stop").text(20, ANN)
    [violation] = bank.audit().violations
    assert (violation.invariant, violation.message_id) == ("no_text_after_opt_out", 20)
    assert violation.what == "handed over after this person's opt-out was in force"
    assert violation.story == (
        "Tue 2026-11-03 12:00:40.000 EST  +12155550100 writes to +12675550100: 'STOP'",
        "Tue 2026-11-03 12:00:40.500 EST  the webhook of 'STOP' reached the gateway",
        "Tue 2026-11-03 12:00:40.500 EST  the store has 'STOP' as stop",
        "Tue 2026-11-03 12:00:40.500 EST  +12155550100 opted out (keyword) by the store",
        "Tue 2026-11-03 12:03:20.000 EST  message 20 requested: initial to +12155550100, 1 segments",
        "Tue 2026-11-03 12:03:21.000 EST  message 20: the gateway's slot, from +12675550100",
        f"Tue 2026-11-03 12:03:21.000 EST  message 20 attempt 1 handed over: +{OURS} to +{ANN}, 1 segments",
        "Tue 2026-11-03 12:03:21.100 EST  message 20 attempt 1 at the provider",
        "Tue 2026-11-03 12:03:21.500 EST  message 20 attempt 1 left the provider's queue",
        "Tue 2026-11-03 12:03:22.000 EST  message 20 attempt 1 at the carrier (att)",
        "Tue 2026-11-03 12:03:23.000 EST  message 20 attempt 1: the webhook 'sent' reached the gateway",
        "Tue 2026-11-03 12:03:24.000 EST  message 20 attempt 1 delivered",
        "Tue 2026-11-03 12:03:24.200 EST  message 20 in the store since then: delivered, attempt 1",
        "Tue 2026-11-03 12:03:24.200 EST  message 20 attempt 1: the webhook 'delivered' reached the gateway",
    )


@pytest.mark.parametrize(("invariant", "plant"), CASES, ids=[fault.__name__ for _, fault in CASES])
def test_every_story_is_told_in_order(invariant, plant):
    bank = sound()
    plant(bank)
    for violation in bank.audit().violations:
        times = [line[4:27] for line in violation.story]
        assert times == sorted(times)
        assert violation.story or violation.message_id == 99  # of which nobody knows anything


def test_all_are_counted_and_twenty_are_told():
    bank = Bank(start_minute=0, end_minute=60)
    for message_id in range(50):
        bank.text(message_id, ANN + message_id, at=message_id * 10.0)
    found = bank.audit()
    assert found.counts["lawful_hours"] == 100
    assert len(found.violations) == 20


def test_small_carriers_are_judged_only_where_they_can_be_known():
    bank = sound()
    too_fast_toward_a_small_carrier(bank)
    bank.world["carriers_known"] = False
    assert bank.faults() == {}
    bank = sound()
    too_fast_in_total(bank)
    bank.world["carriers_known"] = False
    assert list(bank.faults()) == ["rates_and_caps"]


def test_the_audit_is_the_same_twice():
    one, other = sound(), sound()
    for bank in (one, other):
        text_after_stop(bank)
    assert one.audit() == other.audit()
