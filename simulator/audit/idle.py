"""Nothing idles and every press comes to something: no text waited while its hours were open, its rates had room, and gateway and provider were there.

Time counts as idle for a text when, in cells of a few seconds, all of this holds:

- the campaign's and its carrier's rate were used by less than half, in the half minute before and in that after (slow
  rates: in the time of ten texts); a call of which no text was made counts as one;
- T-Mobile's day had room, by a tenth;
- a number of ours was known to the carriers, and none of them had lately turned it away;
- campaign and recipient were open, and stayed so for some minutes more;
- neither gateway nor provider was away or just back, and the provider had not lately said to slow down.

More than two minutes of such time between the press and the first call are a breach: the gateway's own windows,
looks and polls are done in less.
"""

from typing import NamedTuple

import numpy as np

from simulator.audit.evidence import Booleans, Breaches, Evidence, Judged
from simulator.audit.hours import Opening
from simulator.audit.records import BLOCKED, FAILED, QUEUED, SENDING, UNKNOWN
from simulator.audit.room import Room
from simulator.audit.wall_clock import Floats, Integers

ALLOWED_S = 120.0  # of idle time [A]
_HOURS_OVER = 1202
_KINDS = 16  # more than there are carriers


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
        return self._only(self.is_sent == is_sent)

    def longer_than(self, least_s: float) -> "Waits":
        """Those that waited for longer."""
        return self._only(self.until - self.since > least_s)

    def _only(self, rows: Booleans) -> "Waits":
        return Waits(
            self.message_id[rows],
            self.phone[rows],
            self.is_answer[rows],
            self.since[rows],
            self.until[rows],
            self.is_sent[rows],
        )


def judge_idle(evidence: Evidence) -> Judged:
    """Texts that could have gone, and went late."""
    if evidence.world.numbers is None:
        return Judged([], 0)
    sent = _waits(evidence).of(is_sent=True)
    long = sent.longer_than(ALLOWED_S)
    late = long.message_id[_idle_s(evidence, long) > ALLOWED_S]
    found = [Breaches("message", late, "went out late: hours, rates and numbers had been free for minutes")]
    return Judged(found, _pressed_into_room(evidence, sent))


def judge_pressed(evidence: Evidence) -> Judged:
    """Presses of Send that came to nothing: an error, or a text that could have gone and never went."""
    broken = evidence.books.broken_presses
    found = [Breaches("phone", broken, "Send was pressed for this person and ended in an error")]
    waits = _waits(evidence)
    if evidence.world.numbers is not None:
        long = waits.of(is_sent=False).longer_than(ALLOWED_S)
        never = long.message_id[_idle_s(evidence, long) > ALLOWED_S]
        found.append(Breaches("message", never, "was let through and never went out, though all was free"))
    return Judged(found, len(waits.message_id) + len(broken))


def _pressed_into_room(evidence: Evidence, sent: Waits) -> int:
    """Texts that had no need to wait for a rate or a number when they were asked for."""
    if not len(sent.message_id):
        return 0
    room = Room(evidence, float(sent.since.max()))
    return int(room.is_at(room.kinds_of(sent.phone), sent.since).sum())


def _waits(evidence: Evidence) -> Waits:
    """From the first press to the first call, or to the end of the day or of the hours."""
    answers = evidence.books.answers
    rows = evidence.rows_of(np.ascontiguousarray(answers["message_id"]))
    let_in = (answers["state"] != BLOCKED) & (rows >= 0)
    answers, rows = answers[let_in], rows[let_in]
    called_at = _first_calls(evidence, np.ascontiguousarray(answers["message_id"]))
    is_sent = np.isfinite(called_at)
    message = evidence.messages[rows]
    hours_over = (message["state"] == BLOCKED) & (message["code"] == _HOURS_OVER)
    still = np.isin(message["state"], (QUEUED, SENDING, UNKNOWN, FAILED)) | hours_over
    ended_at = np.where(hours_over, message["final_at"] - evidence.world.start_at, evidence.world.day_ends_at)
    until = np.where(is_sent, called_at, np.where(still, ended_at, -np.inf))
    return Waits(
        np.ascontiguousarray(answers["message_id"]),
        np.ascontiguousarray(answers["phone"]),
        answers["response"] >= 0,
        answers["at"] - answers["took_s"],
        np.minimum(until, evidence.world.day_ends_at),
        is_sent,
    )


def _first_calls(evidence: Evidence, message_ids: Integers) -> Floats:
    """When the provider was first called for each message; inf: never."""
    calls = evidence.books.calls_in_vain
    ids = np.concatenate((evidence.submissions["message_id"], calls["message_id"]))
    at = np.concatenate((evidence.handed_at, calls["at"]))
    order = np.argsort(message_ids, kind="stable")
    known = message_ids[order]
    first = np.full(len(known), np.inf)
    if len(known):
        place = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        theirs = known[place] == ids
        np.minimum.at(first, place[theirs], at[theirs])
    found = np.empty(len(known))
    found[order] = first
    return found


# ---- when there was room


def _idle_s(evidence: Evidence, waits: Waits) -> Floats:
    """How much of each wait was idle."""
    idle_s = np.zeros(len(waits.message_id))
    if not len(idle_s):
        return idle_s
    room, opening = Room(evidence, float(waits.until.max())), Opening(evidence)
    kinds, places = room.kinds_of(waits.phone), opening.places(waits.phone)
    keys = (places * _KINDS + kinds) * 2 + waits.is_answer
    order = np.argsort(keys, kind="stable")
    for alike in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
        first = alike[0]
        is_open = opening.over(int(waits.phone[first]), bool(waits.is_answer[first]), room.at)
        idle_s[alike] = room.idle_s(int(kinds[first]), is_open, waits.since[alike], waits.until[alike])
    return idle_s
