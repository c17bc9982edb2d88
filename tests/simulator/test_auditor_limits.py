"""What the auditor allows, and by how much; and a run of the real market."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.audit.evidence import LedgerNotWhole
from simulator.audit.records import (
    CONFIRMATION,
    DELIVERED,
    FAILED,
    INITIAL,
    QUEUED,
    REPLY,
    SENT,
    STATES,
)
from simulator.model.carriers import CARRIERS, TMOBILE, CampaignRegistration
from simulator.model.draws import Draws
from simulator.model.faults import FaultParameters, Faults
from simulator.model.ledger import STATUSES, number_of
from simulator.model.market import Market, MarketParameters
from simulator.model.messages import Submission
from tests.simulator.audited_bank import (
    ANN,
    BOB,
    CAMPAIGN,
    CAT,
    NAN,
    NEW_YORK,
    NOON,
    OURS,
    SECOND,
    Bank,
    moment,
)

# ------------------------------------------------------------ what is allowed, and by how much


FLORIDA, CALIFORNIA, TEXAS = 13_055_550_100, 12_135_550_100, 12_145_550_100
CHICAGO = ZoneInfo("America/Chicago")
PACIFIC = ZoneInfo("America/Los_Angeles")
HOURS = [
    # phone, kind, wrote, handed over, is lawful
    (FLORIDA, INITIAL, False, moment(3, 19, 59), True),
    (FLORIDA, INITIAL, True, moment(3, 20, 0), False),
    (FLORIDA, REPLY, True, moment(3, 20, 59), True),
    (FLORIDA, REPLY, False, moment(3, 20, 1), False),  # calls itself a reply, and nobody wrote
    (CALIFORNIA, INITIAL, False, moment(3, 9, 0, PACIFIC), True),
    (CALIFORNIA, REPLY, True, moment(4, 8, 59, PACIFIC), False),
    (TEXAS, INITIAL, False, moment(8, 12, 0, CHICAGO), True),  # a Sunday
    (TEXAS, INITIAL, False, moment(8, 11, 59, CHICAGO), False),
    (TEXAS, INITIAL, False, moment(7, 9, 0, CHICAGO), True),  # a Saturday
    (ANN, INITIAL, False, moment(3, 21, 0), False),
    (ANN, INITIAL, False, moment(1, 9, 0) - 90_000.0, True),  # 9 in summer time: the day has 25 hours
    (ANN, INITIAL, False, moment(1, 9, 0) - 86_400.0, True),
    (ANN, INITIAL, False, moment(1, 9, 0) - 90_001.0, False),
]


@pytest.mark.parametrize(("phone", "kind", "wrote", "at", "lawful"), HOURS)
def test_hours_are_those_of_the_campaign_and_of_every_place_of_the_recipient(phone, kind, wrote, at, lawful):
    bank = Bank()
    if kind == REPLY:
        bank.text(50, phone, at=moment(1, 13))  # a first text is no answer, whoever wrote before
    if wrote:
        bank.writes(phone, at - 60)
    bank.text(1, phone, kind=kind, at=at, departs=0.0)
    assert bank.faults() == ({} if lawful else {"lawful_hours": 2})


@pytest.mark.parametrize(
    ("address", "lawful"),
    [
        (("", ""), True),
        (("90210", ""), False),  # it is 08:30 in Los Angeles
        (("90210-1234", ""), False),
        (("", "CA"), False),
        (("19103", "CA"), True),  # a ZIP says more than a state
        (("no zip", "nowhere"), True),
        (("2139", ""), True),  # Massachusetts, its zero lost
    ],
)
def test_an_address_narrows_the_hours(address, lawful):
    bank = Bank(addresses={ANN: address}).text(1, ANN, at=moment(3, 11, 30))
    assert bank.faults() == ({} if lawful else {"lawful_hours": 2})


def test_the_campaigns_clock_follows_the_change_to_standard_time():
    # 1 November 2026, 02:00 EDT is 01:00 EST: half past one comes twice
    first = datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK).timestamp() - NOON
    bank = Bank(start_minute=0, end_minute=90).text(1, ANN, at=first - 60, departs=0.0)
    assert bank.faults() == {"lawful_hours": 2}  # inside the campaign's hours, at night for the person
    found = bank.text(2, BOB, at=first, departs=0.0).text(3, CAT, at=first + 3600 - 60, departs=0.0).audit()
    outside = [each.message_id for each in found.violations if "campaign's hours" in each.what]
    assert outside == [2, 2]


@pytest.mark.parametrize(
    ("handed_at", "allowed"), [(100.6, True), (101.5, True), (101.51, False), (4000.0, False)]
)
def test_a_stop_is_in_force_a_commit_window_after_its_webhook(handed_at, allowed):
    bank = Bank().writes(ANN, 100.0, "STOP", "stop").text(1, ANN, at=handed_at)
    assert bank.faults() == ({} if allowed else {"no_text_after_opt_out": 1})


CONSENT = [
    ([("STOP", 10.0), ("START", 50.0)], True),
    ([("STOP", 10.0), ("YES", 50.0)], False),
    ([("START", 10.0), ("STOP", 50.0)], False),
    ([("STOP", 10.0), ("START", 20.0), ("STOP", 30.0)], False),
    ([("STOP", 10.0), ("STOP", 20.0), ("START", 30.0)], True),
    ([("STOP", 98.9), ("START", 99.2)], True),
    ([("stop that", 10.0)], True),
]


@pytest.mark.parametrize(("texts", "allowed"), CONSENT)
def test_only_the_last_word_of_the_person_counts(texts, allowed):
    bank = Bank()
    for text, at in texts:
        bank.writes(ANN, at, text, "other")
    bank.writes(BOB, 99.0, "START", "start").text(1, ANN, at=100.0)
    assert bank.faults() == ({} if allowed else {"no_text_after_opt_out": 1})


def test_a_stop_that_never_reached_the_gateway_binds_nobody():
    bank = Bank().writes(ANN, 10.0, "STOP", comes=None, stored=False).text(1, ANN, at=100.0)
    assert bank.faults() == {}


def test_a_webhook_that_comes_again_after_a_start_stops_nobody():
    bank = Bank().writes(ANN, 10.0, "STOP", "stop").writes(ANN, 20.0, "START", "start")
    bank.ledger.inbound_deliveries.append(0, 25.0)
    assert bank.text(1, ANN, at=100.0).faults() == {}


def test_an_opt_out_from_before_the_world_holds():
    bank = Bank().text(1, ANN)
    bank.opt_outs.append((ANN, NOON - 1e8, "import"))
    assert bank.faults() == {"no_text_after_opt_out": 1}


@pytest.mark.parametrize(
    ("at", "body_key", "broken"),
    [(100.0, 77, {}), (100.0, 78, 1), (309.0, 77, {}), (311.0, 77, 1)],
    ids=["in time", "other words", "just in time", "too late"],
)
def test_one_confirmation_of_an_opt_out_may_follow_it(at, body_key, broken):
    """Known by its words, whatever the store calls it."""
    bank = Bank(confirmations=np.array([77], np.uint64)).writes(ANN, 9.5, "STOP", "stop")
    bank.text(1, ANN, kind=CONFIRMATION, at=at, body_key=body_key)
    assert bank.faults() == (broken and {"no_text_after_opt_out": 1})


def test_a_second_confirmation_is_a_text_after_an_opt_out():
    bank = Bank(confirmations=np.array([77], np.uint64)).writes(ANN, 10.0, "STOP", "stop")
    bank.text(1, ANN, kind=CONFIRMATION, at=100.0, body_key=77).text(2, ANN, at=120.0, body_key=77)
    assert bank.faults() == {"no_text_after_opt_out": 1}


def test_what_the_store_takes_for_a_start_is_none():
    """Nobody who says yes to a question has asked for more texts (C5)."""
    bank = Bank().writes(ANN, 10.0, "STOP", "stop").writes(ANN, 20.0, "Yes!", "start").text(1, ANN, at=100.0)
    assert bank.faults() == {"no_text_after_opt_out": 1}


@pytest.mark.parametrize("code", [30_007, 30_024])
def test_a_conversation_moves_when_its_number_is_of_no_use(code):
    bank = Bank()
    for nth in range(1, 6):
        bank.text(nth, ANN + nth, status="undelivered", code=code)
    assert bank.text(20, ANN + 1, sender=SECOND).text(21, ANN + 1, sender=SECOND).faults() == {}


def test_four_failures_are_not_enough_to_move():
    bank = Bank()
    for nth in range(1, 5):
        bank.text(nth, ANN + nth, status="undelivered", code=30_007)
    bank.numbers |= {OURS: "retired", SECOND: "active"}
    assert bank.text(20, ANN + 1, sender=SECOND).faults() == {"one_number_a_contact": 1}


def test_a_conversation_moves_when_the_provider_refuses_its_number():
    bank = Bank().text(1, ANN)
    bank.ledger.refuse(100.0, BOB, OURS, CAMPAIGN, 21_606)
    assert bank.text(20, ANN, sender=SECOND).faults() == {}


def test_a_number_given_back_is_retired_then():
    bank = Bank().text(1, ANN)
    bank.ledger.releases.append(100.0, OURS)
    assert bank.text(20, ANN, sender=SECOND).faults() == {}


@pytest.mark.parametrize(("code", "broken"), [(21_211, {}), (21_614, 1)])
def test_a_refusal_that_the_provider_never_gave_is_no_end(code, broken):
    bank = Bank().request(6, BOB, state=QUEUED).change(6, state=FAILED, code=code, attempt=1)
    bank.ledger.refuse(61.0, BOB, OURS, CAMPAIGN, 21_211)
    assert bank.faults() == (broken and {"books_balance": 1})


@given(
    st.lists(st.tuples(st.integers(1, 5), st.floats(0, 3)), max_size=40),
    st.sampled_from(range(len(CARRIERS))),
    st.floats(0.2, 5),
)
@settings(max_examples=60, deadline=None)
def test_whoever_waits_segments_by_rate_after_each_message_is_within_every_window(texts, carrier, rate_per_s):
    rates = CampaignRegistration(total_per_s=rate_per_s, carrier_per_s={CARRIERS[carrier]: rate_per_s})
    bank, at = Bank(registration=rates), 10.0
    for message_id, (segments, pause_s) in enumerate(texts):
        bank.text(message_id, ANN + message_id, at=at, carrier=carrier, segments=segments)
        at += segments / rate_per_s + pause_s
    assert bank.faults() == {}


@pytest.mark.parametrize(
    ("days", "passed"),
    [
        ([(3, 23, 50)] * 2 + [(4, 0, 10)] * 2, 0),
        ([(3, 0, 10)] + [(3, 23, 50)] * 2, 1),
        ([(1, 0, 30)] + [(1, 23, 30)] * 2, 1),  # 25 hours long
        ([(1, 0, 30)] * 2 + [(2, 0, 30)] * 2, 0),
    ],
)
def test_the_daily_cap_counts_pacific_days(days, passed):
    rates = CampaignRegistration(tmobile_daily_segments=4)
    bank = Bank(registration=rates)
    for nth, (day, hour, minute) in enumerate(days):
        at = moment(day, hour, minute, PACIFIC) + nth
        bank.text(nth, ANN + nth, at=at, carrier=TMOBILE, segments=2)
        bank.text(100 + nth, ANN + 100 + nth, at=at + 0.5, carrier=0, segments=2)
    assert bank.faults().get("rates_and_caps", 0) == passed


def test_what_comes_in_the_last_moment_need_not_be_in_the_books():
    bank = Bank().text(1, ANN).writes(ANN, 20.0, stored=False)
    bank.change(1, state=SENT)
    assert set(bank.faults()) == {"books_balance", "inbound_once"}
    bank.world["ended_at"] = 14.5
    assert bank.faults() == {}


@given(st.permutations(["sent", "delivered", "sent", "delivered"]))
def test_webhooks_may_come_twice_and_in_any_order(words):
    bank = Bank().request(1, ANN, state=QUEUED)
    n = bank.hand_over(1)
    for nth, word in enumerate(words):
        bank.hear(n, word, 15.0 + nth)
    bank.ledger.final(n, 14.0, STATUSES.index("delivered"))
    bank.change(1, state=DELIVERED)
    assert bank.faults() == {}
    bank.change(1, state=SENT)
    assert bank.faults() == {"books_balance": 1}


def test_a_late_receipt_of_an_earlier_attempt_ends_a_message_that_waits():
    bank = Bank().text(1, ANN).again(1)
    assert bank.change(1, state=DELIVERED, code=0).faults() == {}


def test_a_late_receipt_takes_a_message_that_waits_out_of_the_queue():
    """The provider was asked too early, and said that it never had it."""
    bank = Bank().request(1, ANN, state=QUEUED)
    n = bank.hand_over(1)
    bank.again(1, code=0)
    bank.hear(n, "sent", 15.0)
    assert bank.change(1, state=SENT, code=0).faults() == {}


# ------------------------------------------------------------ the real market


class People:
    """Two thousand phones on every carrier and line, who do nothing."""

    def __init__(self, count=2000):
        self.phones = np.arange(12_155_551_300, 12_155_551_300 + count, dtype=np.int64)
        self.carrier = (np.arange(count) % len(CARRIERS)).astype(np.uint8)
        self.line = (np.arange(count) % 40 // 38).astype(np.uint8)

    def index_of(self, phone):
        index = phone - int(self.phones[0])
        return index if 0 <= index < len(self.phones) else -1

    def __len__(self):
        return len(self.phones)


def market_bank(seed=1):
    """2,000 texts through the real market, and books written from its answers and webhooks alone."""
    env, people, draws = simpy.Environment(), People(), Draws(seed)
    bank = Bank(registration=CampaignRegistration())
    bank.world["other_per_number_per_s"] = 1.0
    market = Market(
        env,
        MarketParameters(),
        start_at=NOON,
        population=people,
        draws=draws,
        ledger=bank.ledger,
        faults=Faults(FaultParameters(), draws),
    )
    market.register(CAMPAIGN, CampaignRegistration())
    market.own(OURS, CAMPAIGN)

    def hear(event):
        message = bank.messages[event.reference[1]]
        if STATES[message["state"]] in {"sending", "sent"}:
            ended = NAN if event.status == "sent" else NOON + event.at
            message.update(state=STATES.index(event.status), code=event.code, final_at=ended)

    def send(env):
        for nth, phone in enumerate(people.phones.tolist()):
            yield env.timeout(0.5)
            bank.request(nth, phone, state=QUEUED, at=env.now)
            bank.change(nth, number=OURS, attempt=1, slot_at=NOON + env.now, state=SENT)
            reference = (CAMPAIGN, nth, 1)
            body = "Hi, it's Bo. Reply STOP to opt out"
            market.submit(Submission(phone, OURS, CAMPAIGN, 1, body, 1, 3600.0, reference, env.now))

    def hear_text(event):
        if event.sid not in {row[0] for row in bank.inbound}:
            intent = "stop" if event.body == "STOP" else "reply"
            bank.inbound.append((event.sid, event.sender, event.to, True, intent, NOON + event.at))
            if intent == "stop":
                bank.opt_outs.append((event.sender, NOON + event.at, "keyword"))

    market.on_status, market.on_inbound = hear, hear_text
    env.process(send(env))
    env.run(until=1500)
    for nth, phone in enumerate(people.phones[:300].tolist()):
        market.text_from_person(phone, OURS, "STOP" if nth % 3 == 0 else "Yes")
    env.run(until=7 * 3600)
    return bank


def test_a_clean_run_over_the_real_market_has_no_violation():
    bank = market_bank()
    assert bank.faults() == {}
    states = {STATES[message["state"]] for message in bank.messages.values()}
    assert {"sent", "delivered", "undelivered"} <= states
    assert len(bank.inbound) > 290
    assert len(bank.opt_outs) > 90


def test_a_lost_answer_sent_again_blindly_is_seen_in_the_real_ledger():
    bank = market_bank()
    n = number_of(f"SM{5:032x}")
    bank.end(
        5, bank.hand_over(5, 20_000.0, carrier=int(bank.ledger.submissions.row(n)["carrier"])), at=20_003.0
    )
    assert bank.faults() == {"accepted_once": 1}


# ------------------------------------------------------------ a ledger that is not of one instant

TORN = [
    ("accepts", (1, 2.0, 2.5), "accepts names row 1 of submissions, which has 1 rows"),
    ("finals", (1, 3.0, 2, 0), "finals names row 1 of submissions"),
    ("statuses", (7, 3.0, 2, 0), "statuses names row 7 of submissions"),
    ("arrivals", (1, 3.0, 1), "arrivals names row 1 of submissions"),
    ("inbound_deliveries", (0, 3.0), "inbound_deliveries names row 0 of inbound, which has 0 rows"),
    ("inbound", (3.0, ANN, OURS, CAMPAIGN, 1), "inbound names row 0 of the texts"),
]


@pytest.mark.parametrize(("table", "row", "says"), TORN, ids=[table for table, _, _ in TORN])
def test_a_ledger_whose_tables_are_not_of_one_instant_is_refused(table, row, says):
    bank = Bank().text(1)
    getattr(bank.ledger, table).append(*row)
    with pytest.raises(LedgerNotWhole, match=says):
        bank.faults()
