"""A bank written by hand: a ledger and books that agree, until a test plants a fault."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from simulator.audit.auditor import Books, GroundTruth, audit
from simulator.audit.records import (
    BLOCKED,
    CLAIM,
    COST,
    FAILED,
    INBOUND,
    INITIAL,
    MESSAGE,
    NUMBER,
    OPT_OUT,
    PAST_ATTEMPT,
    QUEUED,
    REQUEST,
    SENDING,
    SENT,
    STATES,
    UNKNOWN,
)
from simulator.model.addresses import Addresses
from simulator.model.carriers import CampaignRegistration
from simulator.model.ledger import STATUSES, Ledger, inbound_sid_of
from simulator.model.messages import Submission
from simulator.report.result import INVARIANTS

NEW_YORK = ZoneInfo("America/New_York")
NOON = datetime(2026, 11, 3, 12, tzinfo=NEW_YORK).timestamp()
CAMPAIGN = 7
OURS, SECOND = 12_675_550_100, 12_675_550_101
ANN, BOB, CAT, DAN = 12_155_550_100, 12_155_550_101, 12_155_550_102, 12_155_550_103
NAN = float("nan")
RATES = CampaignRegistration(
    total_per_s=4, carrier_per_s={"att": 2, "tmobile": 2, "verizon": 2, "uscellular": 1}
)


def moment(day, hour, minute=0, zone=NEW_YORK):
    return datetime(2026, 11, day, hour, minute, tzinfo=zone).timestamp() - NOON


OF_TEXTS_AND_NUMBERS = (
    "one_first_text",
    "blocked_for_a_reason",
    "numbers_needed",
    "wished_area_codes",
)
OF_THE_VOLUNTEERS = (
    "consent_kept", "right_words", "replies_shown", "presses_sent", "nothing_idles", "filtered_scripts_stopped",
)  # fmt: skip
"""Rules that need a log of the volunteers' phones: test_auditor_bank.py has their faults and chances."""
OF_THE_BILL = ("costs_told",)
"""The rule that needs the gateway's word on costs: test_auditor_of_costs.py has its faults."""
OF_THE_RESULTS = ("results_told",)
"""The rule that needs the gateway's results: test_auditor_of_results.py has its faults."""


class Bank:
    """Ledger and books written by hand; what one says the other says too, until a test plants a fault."""

    keeps_consent = True  # the list of opt-outs follows what people write

    def __init__(self, **world):
        self.world = {
            "start_at": NOON,
            "start_minute": 9 * 60,
            "end_minute": 21 * 60,
            "zone": "America/New_York",
            "commit_window_s": 1.0,
            "registration": RATES,
            **world,
        }
        self.ledger = Ledger()
        self.messages, self.past, self.requests = {}, [], []
        self.opt_outs, self.inbound, self.claims, self.numbers = [], [], [], {OURS: "active"}
        self.costs, self.counted_usd, self.results = [], None, None

    def request(self, message_id, phone=ANN, *, kind=INITIAL, state=BLOCKED, code=0, at=None):
        at = message_id * 10.0 if at is None else at
        code = code or (9000 if state == BLOCKED else 0)
        row = [message_id, phone, 0, kind, state, True, code, 0, 1, NOON + at, NAN, NAN]
        self.messages[message_id] = dict(zip(MESSAGE.names, row, strict=True))
        self.requests.append((message_id, BLOCKED if state == BLOCKED else QUEUED))
        return self

    def hand_over(
        self,
        message_id,
        at=None,
        *,
        sender=OURS,
        attempt=1,
        to=None,
        carrier=0,
        segments=1,
        departs=0.5,
        body_key=None,
    ):
        """The provider has it; with `departs` None it stays there."""
        message = self.messages.get(message_id, {"phone": ANN})
        at = message_id * 10.0 + 1 if at is None else at
        whom = message["phone"] if to is None else to
        reference = (CAMPAIGN, message_id, attempt)
        asked = Submission(
            whom,
            sender,
            CAMPAIGN,
            segments,
            "Hi",
            message_id if body_key is None else body_key,
            3600.0,
            reference,
            at,
        )
        n = self.ledger.submit(asked, at + 0.1, carrier)
        if departs is not None:
            self.ledger.accept(n, at + departs, at + departs + 0.5)
        message.update(number=sender, attempt=attempt, segments=segments, slot_at=NOON + at, state=SENDING)
        return n

    def hear(self, n, status, at, code=0):
        """A status webhook, as the ledger keeps it."""
        self.ledger.statuses.append(n, at, STATUSES.index(status), code)

    def end(self, message_id, n, status="delivered", *, at=None, code=0, told=True):
        """The provider's last word, the webhook, and the store's state after it."""
        at = message_id * 10.0 + 4 if at is None else at
        self.ledger.final(n, at, STATUSES.index(status), code)
        message = self.messages[message_id]
        if told:
            self.hear(n, "sent", at - 1)
            self.hear(n, status, at + 0.2, code)
            message.update(state=STATES.index(status), code=code, final_at=NOON + at + 0.2)
        else:
            message.update(state=SENT)
        return self

    def text(self, message_id, phone=ANN, *, kind=INITIAL, status="delivered", code=0, told=True, **handed):
        """A whole life."""
        requested_at = handed["at"] - 1 if "at" in handed else None
        self.request(message_id, phone, kind=kind, state=QUEUED, at=requested_at)
        n = self.hand_over(message_id, **handed)
        ends_at = handed["at"] + 3 if "at" in handed else None
        return self.end(message_id, n, status, at=ends_at, code=code, told=told)

    def again(self, message_id, state=FAILED, code=30_001):
        """The last attempt is over and the message waits for another."""
        message = self.messages[message_id]
        self.past.append((message_id, message["attempt"], state, code))
        message.update(state=QUEUED, code=code, final_at=NAN)
        return self

    def writes(
        self, phone, at, text="Yes", intent="reply", number=OURS, *, comes=0.5, stored=True, known=True
    ):
        n = self.ledger.receive(at, phone, number, campaign=CAMPAIGN, carrier=0, text=text, segments=1)
        if comes is not None:
            self.ledger.inbound_deliveries.append(n, at + comes)
        if stored:
            self.inbound.append((inbound_sid_of(n), phone, number, known, intent, NOON + at + (comes or 0)))
        if comes is not None and self.keeps_consent:
            self._keep_consent(phone, at + comes, text)
        return self

    def _keep_consent(self, phone, at, text):
        if text.upper() == "START":
            self.opt_outs = [row for row in self.opt_outs if row[0] != phone]
        elif text.upper() == "STOP":
            self.opt_outs.append((phone, NOON + at, "keyword"))

    def change(self, message_id, **fields):
        self.messages[message_id].update(fields)
        return self

    def books(self):
        def rows(dtype, tuples):
            return np.array(list(tuples), dtype)

        return Books(
            campaign_id=CAMPAIGN,
            messages=rows(MESSAGE, (tuple(message.values()) for message in self.messages.values())),
            past_attempts=rows(PAST_ATTEMPT, self.past),
            opt_outs=rows(OPT_OUT, self.opt_outs),
            inbound=rows(INBOUND, self.inbound),
            numbers=rows(NUMBER, list(self.numbers.items())),
            claims=rows(CLAIM, self.claims),
            requests=rows(REQUEST, self.requests),
            costs=rows(COST, self.costs),
            counted_usd=self.counted_usd,
            results=self.results,
        )

    def audit(self):
        if isinstance(self.world.get("addresses"), dict):
            self.world["addresses"] = Addresses.of(self.world["addresses"])
        return audit(self.ledger, self.books(), GroundTruth(**self.world))

    def faults(self):
        """What is violated and how often; the named violations must match the counts."""
        found = self.audit()
        assert tuple(found.counts) == INVARIANTS
        broken = {name: count for name, count in found.counts.items() if count}
        told = [violation.invariant for violation in found.violations]
        assert {name: told.count(name) for name in broken} == {n: min(20, c) for n, c in broken.items()}
        assert found.held is not bool(broken)
        return broken


def sound():
    """A little of everything that may happen."""
    bank = Bank()
    bank.text(1, ANN).text(2, BOB, status="undelivered", code=30_003).text(3, CAT, told=False)
    bank.request(4, DAN).request(5, DAN, state=QUEUED)
    bank.change(bank.request(6, BOB, state=QUEUED) and 6, state=FAILED, code=21_211, attempt=1)
    bank.ledger.refuse(61.0, BOB, OURS, CAMPAIGN, 21_211)
    bank.text(7, ANN, status="failed", code=30_001).again(7)
    bank.end(7, bank.hand_over(7, 95.0, attempt=2), at=97.0)
    bank.change(bank.request(8, CAT, state=QUEUED) and 8, state=UNKNOWN, attempt=1, number=OURS)
    bank.writes(ANN, 20.0).writes(CAT, 60.0, "STOP", "stop")
    bank.claims += [(0, 1, ANN, 1), (0, 2, BOB, 1), (50, 1, ANN, -1), (60, 2, ANN, 1), (60, 2, ANN, 1)]
    return bank
