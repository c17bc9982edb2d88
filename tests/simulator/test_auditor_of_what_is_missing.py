"""What never came, came too late or went before its turn: each fault by hand, beside what is no fault."""

import numpy as np
import pytest

from simulator.audit.evidence import Evidence
from simulator.audit.records import EMPTY_CLAIM, QUEUED, REPLY, GroundTruth
from simulator.audit.screens import still_waiting
from tests.simulator.audited_bank import ANN, BOB, CAMPAIGN, CAT, DAN, NOON, OURS
from tests.simulator.test_auditor_bank import Watched

EVERYBODY = np.array([ANN, BOB, CAT, DAN])


class Missing(Watched):
    """A watched bank in which lost texts and receipts are fetched within ten minutes."""

    def __init__(self, **world):
        super().__init__(
            **{
                "texts": None,
                "fetched_within_s": 600.0,
                "compared_within_s": 600.0,
                "people": EVERYBODY,
                **world,
            }
        )
        self.empty, self.waiting = [], None

    def books(self):
        books = super().books()
        books.empty_claims = np.array(self.empty, EMPTY_CLAIM)
        books.waiting = None if self.waiting is None else np.array(self.waiting, np.int64)
        return books

    def whats(self, rule):
        return [each.what for each in self.audit().violations if each.invariant == rule]


def test_a_text_whose_webhook_got_lost_is_fetched():
    unheard = Missing().writes(ANN, 100.0, "Yes!", comes=None, stored=False)
    assert unheard.found() == {"inbound_once": 1}
    assert Missing().writes(ANN, 100.0, "Yes!", comes=None).found() == {}, "it is in the books"
    late = Missing().writes(ANN, 19_500.0, "Yes!", comes=None, stored=False)
    assert late.found() == {}, "the next look would have found it"


def test_a_receipt_that_got_lost_is_asked_for():
    def unheard(**world):
        bank = Missing(**world).request(1, ANN, state=QUEUED)
        n = bank.hand_over(1)
        bank.hear(n, "sent", 12.0)
        return bank.end(1, n, told=False)

    assert unheard().found() == {"books_balance": 1}
    assert unheard(compared_within_s=30_000.0).found() == {}


def test_an_end_is_not_dated_before_the_provider_gave_it():
    assert Missing(one_clock=True).text(1, ANN).found() == {}
    early = NOON + 5.0
    assert Missing(one_clock=True).text(1, ANN).change(1, final_at=early).found() == {"books_balance": 1}
    assert Missing().text(1, ANN).change(1, final_at=early).found() == {}, "clocks may differ"


def test_who_waits_is_given_to_somebody_who_asks():
    def asked_in_vain(at=3000.0, **world):
        bank = Missing(**world)
        bank.claims += [(10.0, 1, phone, 1) for phone in (ANN, BOB, CAT)]
        bank.empty = [(at, 1)]
        return bank

    assert asked_in_vain().found() == {"one_volunteer_a_contact": 1}
    assert "gets none" in "\n".join(asked_in_vain().audit().violations[0].story)
    bank = asked_in_vain()
    bank.claims.append((3100.0, 2, DAN, 1))
    assert bank.found() == {}, "somebody else was just being given this person"
    assert asked_in_vain(away=((2900.0, 3200.0),)).found() == {}, "the gateway was away"
    assert asked_in_vain(at=9 * 3600.0 - 60, day_ends_at=40_000.0).found() == {}, "the hours were over"


def test_a_number_that_the_provider_refuses_is_given_up():
    def refused(last):
        bank = Missing()
        for at in (100.0, last):
            bank.ledger.refuse(at, ANN, OURS, CAMPAIGN, 21_606)
        return bank

    assert refused(200.0).found() == {}, "it was claimed before"
    assert refused(500.0).found() == {"one_number_a_contact": 1}
    assert "refuses a text" in "\n".join(refused(500.0).audit().violations[0].story)


def test_nothing_goes_to_what_a_look_up_calls_a_landline():
    assert Missing(landlines=np.array([BOB]), first_texts=1).text(1, ANN).found() == {}
    assert Missing(landlines=np.array([ANN]), first_texts=1).text(1, ANN).found() == {"one_first_text": 1}


# ---- before its turn


def line(others, *, kind=REPLY, waits_from=1000.0, until=1300.0, **world):
    """Somebody's text waits for five minutes, and meanwhile so many first texts go."""
    bank = Missing(first_texts=None, numbers=(), people=None, **world)
    bank.writes(ANN, 900.0, "Yes!")
    bank.press(1, ANN, at=waits_from, response=0 if kind == REPLY else -1)
    bank.text(1, ANN, kind=kind, at=until)
    for nth in range(others):
        message_id, phone = 10 + nth, ANN + 100 + nth
        at = waits_from + 100 + 5 * nth
        bank.press(message_id, phone, at=at - 2).text(message_id, phone, at=at)
    return bank


def waited(bank):
    return bank.whats("nothing_idles")


@pytest.mark.parametrize(("others", "is_late"), [(3, False), (4, True)])
def test_an_answer_waits_behind_few_first_texts(others, is_late):
    assert bool(waited(line(others))) == is_late


@pytest.mark.parametrize(("others", "is_late"), [(10, False), (11, True)])
def test_a_first_text_goes_before_those_that_were_asked_for_later(others, is_late):
    assert bool(waited(line(others, kind=0))) == is_late


def test_a_text_that_needs_room_at_every_carrier_may_wait():
    assert not waited(line(20, kind=0, out_of_service=np.array([ANN])))


def test_a_further_attempt_is_not_put_off():
    def again_after(seconds):
        bank = Missing(people=None).press(1, ANN, at=99.0)
        bank.text(1, ANN, status="failed", code=30_001, at=100.0, departs=None).again(1)
        at = 103.0 + seconds
        return bank.end(1, bank.hand_over(1, at, attempt=2), at=at + 2)

    assert again_after(1400.0).found() == {}
    assert again_after(1600.0).found() == {"nothing_idles": 1}


def test_the_provider_is_given_the_time_that_the_hours_leave():
    def expired_at(at):
        bank = Missing(people=None).press(1, ANN, at=at - 4)
        return bank.text(1, ANN, status="failed", code=30_036, at=at - 3, departs=None)

    assert expired_at(3600.0).found() == {"presses_sent": 1}
    assert expired_at(9 * 3600.0 - 120.0).found() == {}, "its window was about to shut"


# ---- on the screens


def test_a_screen_shows_the_last_thing_somebody_wrote():
    def shown(text, at=500.0):
        bank = Missing().writes(ANN, 100.0, "Yes!").writes(ANN, 300.0, "Where do I vote?")
        return bank.look(200.0, 0, [(ANN, "Yes!")]).look(at, 0, [(ANN, text)])

    assert shown("Where do I vote?").found() == {}
    assert shown("Yes!", at=310.0).found() == {}, "the later one had only just come"
    assert shown("Yes!").found() == {"replies_shown": 1}


def answered(bank):
    bank.press(1, ANN, at=1000.0, response=0).text(1, ANN, kind=REPLY, at=1001.0)


def marked(bank):
    bank.marks.append((ANN, 1000.0, 1001.0))


def marked_after_the_last_look(bank):
    bank.marks.append((ANN, 20_003.0, 20_003.5))  # the day ended at 20,000


def left(bank):
    bank.writes(ANN, 1000.0, "STOP", "stop")


@pytest.mark.parametrize("what", [answered, marked, marked_after_the_last_look, left])
def test_who_was_answered_or_has_left_waits_no_more(what):
    bank = Missing().writes(ANN, 100.0, "Yes!").writes(BOB, 100.0, "Yes!")
    assert waits(bank) == [ANN, BOB]
    what(bank)
    assert waits(bank) == [BOB]


def waits(bank):
    return still_waiting(Evidence(bank.ledger, bank.books(), GroundTruth(**bank.world))).tolist()


def test_who_waits_is_not_forgotten():
    bank = Missing().writes(ANN, 100.0, "Yes!").look(200.0, 0, [(ANN, "Yes!")])
    bank.waiting = [ANN]
    assert bank.found() == {}
    bank.waiting = []
    assert bank.found() == {"replies_shown": 1}


def test_nobody_asked_whom_the_gateway_lets_wait():
    assert Missing().writes(ANN, 100.0, "Yes!").look(200.0, 0, [(ANN, "Yes!")]).found() == {}
