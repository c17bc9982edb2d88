"""The evidence: the ledger's tables and the books' rows, joined once for all who judge."""

from functools import cached_property
from math import inf
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from simulator.audit.records import SENDING, SENT, STATES, Books, GroundTruth, Rows
from simulator.audit.wall_clock import Floats, Integers, WallClock
from simulator.model.arrays import places_of
from simulator.model.ledger import STATUSES, Ledger

NOTHING = 255  # no final word
_ENDS = tuple(STATUSES.index(status) for status in ("delivered", "undelivered", "failed"))
_AROUND_S, _DAY_S = 900.0, 86_400.0

# The legal moves a second time, from the design's "life of a message". `sending -> an end`: word of the end may
# overtake the answer to the request; `queued` after an attempt that failed.
_MOVES = {
    "draft": {"blocked", "queued"},
    "queued": {"sending", "blocked"},
    "sending": {"sent", "delivered", "undelivered", "failed", "queued", "unknown"},
    "sent": {"delivered", "undelivered", "failed", "queued"},
    "unknown": {"sent", "delivered", "undelivered", "failed", "queued"},
}
_LEGAL = np.array([[after in _MOVES.get(before, ()) for after in STATES] for before in STATES])
# A webhook's status as a state of ours: what stands in the provider's queue is sent.
WORDS = np.array([SENT if status == "queued" else STATES.index(status) for status in STATUSES], np.uint8)
Booleans = NDArray[np.bool_]


class Breaches(msgspec.Struct, frozen=True):
    """What one rule found: rows of the ledger's submissions, message ids, phones of persons or numbers of
    the campaign's own, and a sentence for all.
    """

    about: Literal["submission", "message", "phone", "number"]
    subjects: Integers
    what: str


class Judged(msgspec.Struct, frozen=True):
    """What one rule found, and how often the gateway could have broken it in this run; 0: it is not tested."""

    breaches: list[Breaches]
    chances: int


class LedgerNotWhole(ValueError):
    """A table names rows of another that are not there: the tables were not taken at one instant."""

    def __init__(self, table: str, named: int, other: str, count: int) -> None:
        super().__init__(
            f"the ledger is not whole: {table} names row {named} of {other}, which has {count} rows;"
            " take all tables as of one instant (?upto= the counts of one GET /twin/ledger)"
        )


class Evidence:
    """Ledger, books and world; arrays by submission `n` or by row of `messages` (sorted by message id).

    LedgerNotWhole when the ledger's tables are not of one instant.
    """

    def __init__(self, ledger: Ledger, books: Books, world: GroundTruth) -> None:
        _must_be_whole(ledger)
        self.ledger = ledger
        self.books = books
        self.world = world
        self.submissions = ledger.submissions.columns()
        self.accepts = ledger.accepts.columns()
        self.statuses = ledger.statuses.columns()
        self.messages = _sorted(books.messages)
        self.message_ids = np.ascontiguousarray(self.messages["message_id"])
        self.handed_at = np.ascontiguousarray(self.submissions["handed_at"])
        self.to = np.ascontiguousarray(self.submissions["to"])
        self.attempt = np.ascontiguousarray(self.submissions["attempt"])
        self._join()
        self._finals()

    def _join(self) -> None:
        """Every submission's message row (-1: none), and every message's submission of its last attempt."""
        self.row_of = self.rows_of(np.ascontiguousarray(self.submissions["message_id"]))
        self.row_of[self.submissions["campaign_id"] != self.books.campaign_id] = -1
        self.is_present = self.row_of >= 0
        known = np.flatnonzero(self.is_present)
        rows = self.row_of[known]
        self.is_present[known] = self.attempt[known] == self.messages["attempt"][rows]
        self.present = np.full(len(self.messages), -1, np.int64)
        present = np.flatnonzero(self.is_present)
        self.present[self.row_of[present]] = present

    def _finals(self) -> None:
        """The provider's last words and the carriers' acceptances, by submission."""
        count = len(self.submissions)
        finals = self.ledger.finals.columns()
        self.final_status = np.full(count, NOTHING, np.uint8)
        self.final_code = np.zeros(count, np.int64)
        self.final_at = np.full(count, inf)
        self.final_status[finals["n"]] = finals["status"]
        self.final_code[finals["n"]] = finals["code"]
        self.final_at[finals["n"]] = finals["at"]
        self.accepted = np.bincount(self.accepts["n"], minlength=count)

    def rows_of(self, message_ids: Integers) -> Integers:
        """The messages' rows, -1 where there is no such message."""
        return places_of(self.message_ids, message_ids)

    @cached_property
    def told_ends(self) -> Rows:
        """The first word on the end of each submission of whose end the gateway was told, in the order in which it was."""
        words = self.statuses[np.isin(self.statuses["status"], _ENDS)]
        words = words[np.argsort(words["at"], kind="stable")]
        first: Rows = words[np.sort(np.unique(words["n"], return_index=True)[1])]
        return first

    @cached_property
    def is_first(self) -> Booleans:
        """Submissions of the first message that a person got from us, all its attempts."""
        order = np.lexsort((self.handed_at, self.to))
        to, message_id = self.to[order], self.submissions["message_id"][order]
        starts = np.flatnonzero(np.diff(to, prepend=-1))
        first = np.repeat(message_id[starts], np.diff(starts, append=len(to)))
        found = np.zeros(len(to), np.bool_)
        found[order] = (message_id == first) & (message_id >= 0)
        return found

    @cached_property
    def is_answer(self) -> Booleans:
        """Submissions to a person who had written (C1), by the ledger's inbound texts; a first text is no answer."""
        inbound = self.ledger.inbound.columns()
        people, first = np.unique(
            inbound["person"], return_index=True
        )  # oldest first: the first is the earliest
        if not len(people):
            return np.zeros(len(self.to), np.bool_)
        at = np.minimum(np.searchsorted(people, self.to), len(people) - 1)
        wrote: Booleans = (people[at] == self.to) & (inbound["at"][first][at] <= self.handed_at)
        return wrote & ~self.is_first

    def words_until(self, until: float) -> NDArray[np.uint8]:
        """Each submission's state by its webhooks that came before `until`, folded along the legal moves."""
        heard = self.statuses[self.statuses["at"] < until]
        order = np.argsort(heard["n"], kind="stable")
        n, words = heard["n"][order], WORDS[heard["status"][order]]
        place = np.arange(len(n)) - np.searchsorted(n, n)  # how many words came before this one
        states = np.full(len(self.submissions), SENDING, np.uint8)
        for nth in range(int(place.max(initial=-1)) + 1):
            now = place == nth
            who, word = n[now], words[now]
            states[who] = np.where(_LEGAL[states[who], word], word, states[who])
        return states

    @cached_property
    def asked_at(self) -> Floats:
        """When each message was asked for, in seconds of the world."""
        asked: Floats = self.messages["requested_at"] - self.world.start_at
        return asked

    @cached_property
    def left_at(self) -> Floats:
        """When each message's last attempt was handed over, or it ended without; inf: it still waits."""
        ended = self.messages["final_at"] - self.world.start_at
        left = np.where(np.isnan(ended), inf, ended)
        handed = self.present >= 0
        left[handed] = self.handed_at[self.present[handed]]
        return left

    @cached_property
    def departed_at(self) -> Floats:
        """When each submission left the provider for its carrier; nan: not that we know."""
        departed = np.full(len(self.submissions), np.nan)
        departed[self.accepts["n"]] = self.accepts["departed_at"]
        return departed

    def wall_clock(self, zone: str) -> WallClock:
        """The clocks of a zone over all that went out, was asked for, or looked at."""
        if zone not in self._clocks:
            start_at, (first, last) = self.world.start_at, self.span
            self._clocks[zone] = WallClock(zone, start_at + first, start_at + last)
        return self._clocks[zone]

    @cached_property
    def _clocks(self) -> dict[str, WallClock]:
        return {}

    @cached_property
    def span(self) -> tuple[float, float]:
        """From a quarter of an hour before the first text was asked for, pressed or went out to as long after the last end.

        The ledger's moments count, and the books' within a day of them.
        """
        moments = np.concatenate((self.handed_at, self.accepts["departed_at"]))
        day = [self.world.day_ends_at] if np.isfinite(self.world.day_ends_at) else []
        watched = (self.books.looks["asked_at"], self.books.answers["at"], np.array([0.0, *day]))
        stored = np.concatenate((self.asked_at, self.left_at[np.isfinite(self.left_at)], *watched))
        if not len(moments):
            moments = np.clip(stored, 0.0, _DAY_S)
        if not len(moments):
            return 0.0, 0.0
        stored = np.clip(stored, moments.min() - _DAY_S, moments.max() + _DAY_S)
        every = np.concatenate((moments, stored))
        return float(every.min()) - _AROUND_S, float(every.max()) + _AROUND_S


_NAMES_ROWS_OF = {
    "accepts": "submissions",
    "finals": "submissions",
    "statuses": "submissions",
    "arrivals": "submissions",
    "inbound_deliveries": "inbound",
}


def _must_be_whole(ledger: Ledger) -> None:
    for table, other in _NAMES_ROWS_OF.items():
        named = int(getattr(ledger, table).columns()["n"].max(initial=-1))
        count = len(getattr(ledger, other))
        if named >= count:
            raise LedgerNotWhole(table, named, other, count)
    if len(ledger.inbound_texts) != len(ledger.inbound):
        raise LedgerNotWhole("inbound", len(ledger.inbound) - 1, "the texts", len(ledger.inbound_texts))


def _sorted(messages: Rows) -> Rows:
    ids = messages["message_id"]
    return messages if bool((ids[1:] >= ids[:-1]).all()) else messages[np.argsort(ids, kind="stable")]
