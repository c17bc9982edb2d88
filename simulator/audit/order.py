"""Who waits, and who goes first: answers before first texts, and of first texts those that were asked for earlier.

Each text's own number may be busy or on trial, and its person's hours may shut: so only texts count as overtaking that
went to the same carrier, an answer's overtakers from the answer's own number, and those of a first text to people of the
same place. Nobody knows the carrier of a number out of service, and its text needs room at every one: it may wait.
"""

from typing import NamedTuple

import numpy as np

from simulator.audit.evidence import Booleans, Evidence
from simulator.audit.hours import Opening
from simulator.audit.records import CONFIRMATION, REPLY
from simulator.audit.wall_clock import Floats, Integers
from simulator.model.arrays import is_among

_ANSWERS = (REPLY, CONFIRMATION)
_BEFORE_AN_ANSWER = 3  # first texts that may be on their way already when it is pressed [A]
_BEFORE_A_FIRST_TEXT = 10  # that were asked for later, by a minute and more [A]
_LATER_S = 60.0
_ON_ITS_WAY_S = 30.0  # what was claimed before is handed over within so long


class Waits(NamedTuple):
    """Presses that were let through: who, since when, until when; `is_sent`: a call ended the wait."""

    message_id: Integers
    phone: Integers
    is_answer: Booleans
    since: Floats
    until: Floats
    is_sent: Booleans

    def of(self, *, is_sent: bool) -> "Waits":
        """Those that a call ended, or those that none did."""
        return self.only(self.is_sent == is_sent)

    def longer_than(self, least_s: float) -> "Waits":
        """Those that waited for longer."""
        return self.only(self.until - self.since > least_s)

    def only(self, rows: Booleans) -> "Waits":
        """The chosen ones."""
        return Waits(
            self.message_id[rows],
            self.phone[rows],
            self.is_answer[rows],
            self.since[rows],
            self.until[rows],
            self.is_sent[rows],
        )


def overtaken(evidence: Evidence, waits: Waits) -> Integers:
    """The messages of waits that a call ended, which too many of less right went before."""
    if not len(waits.message_id):
        return waits.message_id
    rows = evidence.rows_of(waits.message_id)
    first = _First(evidence)
    found = [
        message_id
        for message_id, row, is_answer, since, until in zip(
            waits.message_id.tolist(),
            rows.tolist(),
            waits.is_answer.tolist(),
            waits.since.tolist(),
            waits.until.tolist(),
            strict=True,
        )
        if (
            first.before_answer(row, since, until)
            if is_answer
            else first.before_first_text(row, since, until)
        )
    ]
    return np.array(found, np.int64)


class _First:
    """First texts at their first calls, in time order, and by message row its own first submission (-1: none that counts)."""

    def __init__(self, evidence: Evidence) -> None:
        n = np.flatnonzero((evidence.row_of >= 0) & (evidence.attempt == 1))
        self._n_of = np.full(len(evidence.messages), -1, np.int64)
        served = n[~is_among(evidence.to[n], evidence.world.out_of_service)]
        self._n_of[evidence.row_of[served]] = served
        n = n[~np.isin(evidence.messages["kind"][evidence.row_of[n]], _ANSWERS)]
        n = n[np.argsort(evidence.handed_at[n], kind="stable")]
        submissions = evidence.submissions
        self._all = submissions
        self._at: Floats = evidence.handed_at[n]
        self._asked_at: Floats = evidence.asked_at[evidence.row_of[n]]
        self._carrier = submissions["carrier"][n]
        self._sender = submissions["sender"][n]
        places = Opening(evidence).places(np.ascontiguousarray(evidence.to))
        self._places, self._place = places, places[n]

    def before_answer(self, row: int, since: float, until: float) -> bool:
        """More than a few first texts went from an answer's number to its carrier while it waited."""
        n = self._n_of[row]
        if n < 0:
            return False
        those = self._while(since + _ON_ITS_WAY_S, until)
        same = (self._sender[those] == self._all["sender"][n]) & (
            self._carrier[those] == self._all["carrier"][n]
        )
        return int(np.count_nonzero(same)) > _BEFORE_AN_ANSWER

    def before_first_text(self, row: int, since: float, until: float) -> bool:
        """More than a few that were asked for later went to a first text's carrier and place."""
        n = self._n_of[row]
        if n < 0:
            return False
        those = self._while(since, until)
        same = (self._place[those] == self._places[n]) & (self._carrier[those] == self._all["carrier"][n])
        later = self._asked_at[those] > since + _LATER_S
        return int(np.count_nonzero(same & later)) > _BEFORE_A_FIRST_TEXT

    def _while(self, since: float, until: float) -> slice:
        return slice(*np.searchsorted(self._at, (since, until)).tolist())
