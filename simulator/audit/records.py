"""What the auditor is given and what it hands back.

`Books` are the gateway's own words, read from its store when the world has ended; `GroundTruth` is what the campaign
was allowed. Rows are numpy structured arrays: `np.fromiter(rows, MESSAGE)` takes tuples in a dtype's order.
Phones are ints (12155550123). Times in the store's rows are Unix seconds; witnessed times (claims) are seconds
since the world's start, as in the ledger.
"""

from collections.abc import Mapping
from math import inf
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from simulator.model.addresses import NO_ADDRESSES, Addresses
from simulator.model.carriers import CampaignRegistration
from simulator.model.roster import Roster
from simulator.model.wording import Wording

STOP_IN_FORCE_S = 10.0
"""The promise: so long after its webhook came a STOP holds, and so long other words may take to be written down.

A figure of its own, not made from the settings that are judged by it. Law allows ten business days (47 CFR
64.1200(a)(10)), people do not.
"""

STATES = (
    "draft",
    "blocked",
    "queued",
    "sending",
    "sent",
    "delivered",
    "undelivered",
    "failed",
    "unknown",
)
DRAFT, BLOCKED, QUEUED, SENDING, SENT, DELIVERED, UNDELIVERED, FAILED, UNKNOWN = range(9)

# The confirmation of an opt-out is the one text that may follow a STOP (47 CFR 64.1200(a)(12)).
KINDS = ("initial", "reply", "broadcast", "canvass", "invitation", "confirmation")
INITIAL, REPLY, BROADCAST, CANVASS, INVITATION, CONFIRMATION = range(6)

MESSAGE = np.dtype(
    [
        ("message_id", "<i8"),
        ("phone", "<i8"),
        ("number", "<i8"),  # 0: none
        ("kind", "u1"),  # index in KINDS
        ("state", "u1"),  # index in STATES
        ("has_reason", "?"),
        ("code", "<i4"),  # 0: none
        ("attempt", "<i2"),
        ("segments", "<i2"),
        ("requested_at", "<f8"),
        ("slot_at", "<f8"),  # nan: none
        ("final_at", "<f8"),  # nan: none
    ]
)
PAST_ATTEMPT = np.dtype([("message_id", "<i8"), ("attempt", "<i2"), ("state", "u1"), ("code", "<i4")])
OPT_OUT = np.dtype([("phone", "<i8"), ("at", "<f8"), ("source", "<U10")])
INBOUND = np.dtype(
    [
        ("provider_sid", "<U34"),
        ("phone", "<i8"),
        ("number", "<i8"),
        ("contact_known", "?"),
        ("intent", "<U8"),
        ("received_at", "<f8"),
    ]
)
NUMBER = np.dtype([("phone", "<i8"), ("state", "<U12")])
WAITING = np.dtype([("phone", "<i8")])
CLAIM = np.dtype([("at", "<f8"), ("volunteer", "<i8"), ("phone", "<i8"), ("change", "i1")])  # +1 or -1
REQUEST = np.dtype([("message_id", "<i8"), ("state", "u1")])
ANSWER = np.dtype(
    [
        ("message_id", "<i8"),  # 0: nobody knows
        ("at", "<f8"),
        ("took_s", "<f4"),  # since Send was first pressed
        ("volunteer", "<i4"),
        ("phone", "<i8"),
        ("response", "i1"),  # the canned response that was pressed; -1: a first text
        ("variant", "u1"),  # of a first text: which of the scripts was on the screen
        ("state", "u1"),
        ("drawn", "u1"),  # and which of them the person's luck gives
    ]
)
LOOK = np.dtype([("asked_at", "<f8"), ("at", "<f8"), ("volunteer", "<i4"), ("shown", "u1")])
SHOWN = np.dtype(
    [("at", "<f8"), ("phone", "<i8"), ("text", "<u4"), ("volunteer", "<i4")]
)  # text: its key (model/wording.py)
MARK = np.dtype([("phone", "<i8"), ("asked_at", "<f8"), ("at", "<f8")])  # at inf: nobody answered
CALL = np.dtype([("at", "<f8"), ("message_id", "<i8"), ("slow_down", "?")])  # slow_down: HTTP 429
EMPTY_CLAIM = np.dtype([("at", "<f8"), ("volunteer", "<i4")])  # a claim that brought nobody
COST = np.dtype([("message_id", "<i8"), ("usd", "<f8")])

Rows = NDArray[Any]


def _nobody() -> NDArray[np.int64]:
    return np.empty(0, np.int64)


def no_rows(dtype: np.dtype[Any]) -> Rows:
    """An empty table."""
    return np.empty(0, dtype)


class Books(msgspec.Struct, kw_only=True):
    """One campaign's store at the end of the world, and what its clients were told.

    `requests` are the acknowledged requests with the state that was answered, `answers` tells the same with who
    was told when, whom it was for and what was pressed, `unsure` those that were never answered; `looks` and `shown`
    are what the inbox put on volunteers' screens, `marks` whom they marked as opted out (None: nobody watched);
    `broken_presses` whose press ended in an error; `calls_in_vain` are calls of which the provider made no text.
    `waiting` are whom the gateway has as waiting for an answer (None: nobody asked). `costs` is what the gateway says that some messages cost, `counted_usd` what its metrics count by carrier (None:
    nobody asked, or they count other campaigns too), `results` the figures that it tells of its action, `usage_usd` its bill for the campaign (None: nobody asked).
    `claims` are in the order in which they happened, `empty_claims` those that brought nobody; `numbers` are all numbers the campaign ever had.
    """

    campaign_id: int
    messages: Rows  # MESSAGE
    past_attempts: Rows = msgspec.field(default_factory=lambda: no_rows(PAST_ATTEMPT))
    opt_outs: Rows = msgspec.field(default_factory=lambda: no_rows(OPT_OUT))
    inbound: Rows = msgspec.field(default_factory=lambda: no_rows(INBOUND))
    numbers: Rows = msgspec.field(default_factory=lambda: no_rows(NUMBER))
    claims: Rows = msgspec.field(default_factory=lambda: no_rows(CLAIM))
    requests: Rows = msgspec.field(default_factory=lambda: no_rows(REQUEST))
    answers: Rows = msgspec.field(default_factory=lambda: no_rows(ANSWER))
    unsure: Rows = msgspec.field(default_factory=lambda: no_rows(ANSWER))
    looks: Rows = msgspec.field(default_factory=lambda: no_rows(LOOK))
    shown: Rows = msgspec.field(default_factory=lambda: no_rows(SHOWN))
    marks: Rows | None = None  # MARK
    broken_presses: NDArray[np.int64] = msgspec.field(default_factory=_nobody)  # phones
    calls_in_vain: Rows = msgspec.field(default_factory=lambda: no_rows(CALL))
    empty_claims: Rows = msgspec.field(default_factory=lambda: no_rows(EMPTY_CLAIM))
    waiting: NDArray[np.int64] | None = None  # phones
    costs: Rows = msgspec.field(default_factory=lambda: no_rows(COST))
    counted_usd: Mapping[str, float] | None = None
    results: Mapping[str, int] | None = None
    usage_usd: float | None = None


class NumberLife(msgspec.Struct, frozen=True):
    """From when until when a number of ours can be relied upon, in seconds of the world."""

    phone: int
    known_at: float
    dies_at: float = inf


class Texts(msgspec.Struct, frozen=True):
    """The campaign's texts as the model renders them; None in place of a script that it can't render."""

    initials: tuple[Wording | None, ...]
    responses: tuple[Wording | None, ...]
    senders: tuple[str, ...]  # first names; volunteer n is called senders[n % len(senders)]
    roster: Roster


class Desk(msgspec.Struct, frozen=True):
    """How the inbox is looked at: volunteers from `first` on sit at the desk; who takes over, and after how long."""

    first: int
    limit: int  # conversations a look shows at most
    desk_take_over_s: float
    own_take_over_s: float


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """What the campaign wishes of its numbers, and what is on sale: `stock` by area code, else `stock_elsewhere`."""

    rotate_after: int
    preferred_area_codes: tuple[str, ...] = ()
    stock: Mapping[str, int] = {}
    stock_elsewhere: int = 0


class Breaker(msgspec.Struct, frozen=True):
    """When first texts of a script wait for a carrier: more than this share filtered for sure, of no fewer texts."""

    filtered_share: float
    least_texts: int


class Carried(msgspec.Struct, frozen=True):
    """Who is with which carrier: phones, rising, and places in CARRIERS."""

    phones: NDArray[np.int64]
    carriers: NDArray[np.uint8]


class Elsewhere(msgspec.Struct, frozen=True):
    """What concerns consent in the other campaigns that share the list of opt-outs: which texts of people reached them and
    when (`n`, `at`), whom their volunteers marked (MARK), and whom the provider refused to text as unsubscribed
    (`to`, `at`).
    """

    deliveries: Rows
    marks: Rows
    unsubscribed: Rows


class GroundTruth(msgspec.Struct, frozen=True, kw_only=True):
    """What the campaign was allowed, and how long the gateway may take to commit.

    `start_at` in Unix seconds; hours in minutes after midnight in `zone`, `end_minute` excluded.
    `commit_window_s` is the longest time from a webhook's arrival to its being in force; `ended_at` (seconds
    since the start) is when the books were read, infinite when everything was written before. `addresses` are
    where people live, as the list says; `landlines` the phones that a look-up calls one (None: nobody knows), `pool`
    what is wished of numbers (None: they are not judged), `first_texts` how many a person may get without having
    written: one for each action (None: not judged). `texts`, `desk` and `numbers` are None where nobody knows them;
    `away` are spans in which gateway or provider were not to be had, what they need to come back included;
    `came_back_at`, rising, are the moments at which the gateway started again and, before anything went out, fetched what
    it had missed (none: it need not);
    `day_ends_at` is when the gateway is stopped, which texts that wait can't outlast; `marked` are phones that the
    contact list itself marks as opted out. `carriers_known` False: the gateway cannot know who is with a small carrier,
    and only the total, the big three and the daily cap are judged. `out_of_service` are the phones that no carrier
    serves; `confirmations` are the keys (crc32) of the texts that confirm an opt-out; `answers_lost` counts the calls
    that the provider carried out and whose answer never
    reached the gateway. Texts and receipts that a webhook lost are in the books so many seconds later
    (`fetched_within_s`, `compared_within_s`); with `one_clock` the gateway's time of day is the world's; `people` are all who are to be texted (None: nobody knows);
    `elsewhere` is what people said to the campaigns that share the list of opt-outs (None: there is none); `breaker` when
    a script's first texts may wait for a carrier (None: they may not), `carried` who is with which carrier (None: the ledger
    tells of those who were texted).
    """

    start_at: float
    start_minute: int
    end_minute: int
    zone: str
    registration: CampaignRegistration = CampaignRegistration()
    other_per_number_per_s: float = 1.0
    commit_window_s: float = STOP_IN_FORCE_S
    confirmations: NDArray[np.uint64] = msgspec.field(default_factory=lambda: np.empty(0, np.uint64))
    ended_at: float = inf
    carriers_known: bool = True
    answers_lost: int = 0
    out_of_service: NDArray[np.int64] = msgspec.field(default_factory=_nobody)
    addresses: Addresses = NO_ADDRESSES
    landlines: NDArray[np.int64] | None = None
    pool: Pool | None = None
    first_texts: int | None = None
    texts: Texts | None = None
    desk: Desk | None = None
    numbers: tuple[NumberLife, ...] | None = None
    away: tuple[tuple[float, float], ...] = ()
    came_back_at: tuple[float, ...] = ()
    day_ends_at: float = inf
    marked: NDArray[np.int64] = msgspec.field(default_factory=_nobody)
    fetched_within_s: float = inf
    compared_within_s: float = inf
    people: NDArray[np.int64] | None = None
    one_clock: bool = False
    elsewhere: Elsewhere | None = None
    breaker: Breaker | None = None
    carried: Carried | None = None


class Violation(msgspec.Struct, frozen=True):
    """One breach of a rule; `story` is the message's whole life, a line each."""

    invariant: str
    what: str
    message_id: int | None = None
    story: tuple[str, ...] = ()


class Audit(msgspec.Struct, frozen=True):
    """Violations by rule, all rules named; told in full are at most 20 of each.

    `chances` says how often each rule could have been broken: 0 is "not tested", whatever the count.
    """

    counts: dict[str, int]
    violations: list[Violation]
    chances: dict[str, int]

    @property
    def held(self) -> bool:
        """Whether every invariant held."""
        return not any(self.counts.values())
