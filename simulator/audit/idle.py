"""Nothing idles and every press comes to something: no text waited while its hours were open, its rates had room, and gateway and provider were there.

Time counts as idle for a text when, in cells of a few seconds, all of this holds:

- the campaign's and its carrier's rate were used by less than half, in the half minute before and in that after (slow
  rates: in the time of ten texts); a call of which no text was made counts as one;
- T-Mobile's day had room, by a tenth;
- a number of ours was known to the carriers, and none of them had lately turned it away;
- campaign and recipient were open, and stayed so for some minutes more;
- neither gateway nor provider was away or just back, and the provider had not lately said to slow down;
- no carrier filtered so much of its script that first texts may wait for that (breakers.py).

More than two minutes of such time between the press and the first call are a breach: the gateway's own windows,
looks and polls are done in less. So are more than 25 minutes between two calls for one message (after "slow down" two
minutes more than that is waited out, twice as long each time), and a wait in which texts overtook that had to wait
themselves (order.py).
"""

import numpy as np

from simulator.audit.breakers import held_since
from simulator.audit.evidence import Breaches, Evidence, Judged
from simulator.audit.hours import Opening, shut_around
from simulator.audit.kinds import kinds_of
from simulator.audit.order import Waits, overtaken
from simulator.audit.records import BLOCKED, FAILED, QUEUED, REPLY, SENDING, UNDELIVERED, UNKNOWN
from simulator.audit.room import Room
from simulator.audit.wall_clock import Floats, Integers
from simulator.model.ledger import STATUSES

ALLOWED_S = 120.0  # of idle time [A]
_AGAIN_WITHIN_S = (
    1500.0  # of idle time [A]: a quarter of an hour, the longest rest between two tries, and jitter
)
_HOURS_OVER = 1202
_EXPIRED, _LONGEST_VALIDITY_S = 30036, 36_000.0
_GIVEN_TIME = (30003, 30023)
_SLOW_DOWN_S, _DOUBLINGS = (
    2.5,
    9,
)  # of the first "slow down" for a message, and how often that doubles at most
_PASSING = (
    30001,
    30017,
    30022,
)  # the carrier was full or failing: nothing is wrong with text, person or number
_MOST_ATTEMPTS = 4  # a promise (docs/reference/errors.md)
_UNDELIVERED, _FAILED_FOR_GOOD = STATUSES.index("undelivered"), STATUSES.index("failed")
_WINDOW_LEFT_MINUTES = 20  # of the hours, so that a further attempt had time
_KINDS = 16  # more than there are carriers


def judge_idle(evidence: Evidence) -> Judged:
    """Texts that could have gone, and went late."""
    if evidence.world.numbers is None:
        return Judged([], 0)
    sent = _waits(evidence).of(is_sent=True)
    long = sent.longer_than(ALLOWED_S)
    late = long.message_id[_idle_s(evidence, long) > ALLOWED_S]
    waits, allowed_s = _between_calls(evidence)
    long_again = waits.until - waits.since > allowed_s
    again, allowed_s = waits.only(long_again), allowed_s[long_again]
    slow = np.unique(again.message_id[_idle_s(evidence, again) > allowed_s])
    found = [
        Breaches("message", late, "went out late: hours, rates and numbers had been free for minutes"),
        Breaches("message", slow, "was tried again late: hours, rates and numbers had long been free"),
        Breaches("message", overtaken(evidence, long), "waited while texts went that had to wait for it"),
    ]
    return Judged(found, _chances(evidence, sent))


def judge_pressed(evidence: Evidence) -> Judged:
    """Presses of Send that came to nothing: an error, or a text that could have gone and never went."""
    broken = evidence.books.broken_presses
    found = [Breaches("phone", broken, "Send was pressed for this person and ended in an error")]
    waits = _waits(evidence)
    if evidence.world.numbers is not None:
        long = waits.of(is_sent=False).longer_than(ALLOWED_S)
        never = long.message_id[_idle_s(evidence, long) > ALLOWED_S]
        found.append(Breaches("message", never, "was let through and never went out, though all was free"))
        expired = _expired_early(evidence)
        found.append(Breaches("submission", expired, "expired at the provider long before its window shut"))
        found.append(
            Breaches("message", _given_up(evidence), "was given up while further attempts were left")
        )
    return Judged(found, len(waits.message_id) + len(broken))


def _chances(evidence: Evidence, sent: Waits) -> int:
    """Texts that had no need to wait for a rate or a number when they were asked for, or that waited for minutes."""
    if not len(sent.message_id):
        return 0
    room = Room(evidence, float(sent.since.max()))
    had_room = room.is_at(kinds_of(evidence, sent.phone), sent.since)
    return int(np.count_nonzero(had_room | (sent.until - sent.since > ALLOWED_S)))


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
    until = np.minimum(until, held_since(evidence, np.ascontiguousarray(answers["message_id"])))
    return Waits(
        np.ascontiguousarray(answers["message_id"]),
        np.ascontiguousarray(answers["phone"]),
        answers["response"] >= 0,
        answers["at"] - answers["took_s"],
        np.minimum(until, evidence.world.day_ends_at),
        is_sent,
    )


def _expired_early(evidence: Evidence) -> Integers:
    """Texts that the provider gave up because it had been given less time than their hours."""
    expired = np.flatnonzero(evidence.final_code == _EXPIRED)
    shut = shut_around(evidence, evidence.to[expired], evidence.final_at[expired])
    had_all = evidence.submissions["validity_s"][expired] >= _LONGEST_VALIDITY_S
    early: Integers = expired[~shut & ~had_all]
    return early


def _given_up(evidence: Evidence) -> Integers:
    """Texts that failed for a reason that passes, had attempts and hours left, and were tried no more."""
    messages, present = evidence.messages, evidence.present
    over = np.flatnonzero(
        np.isin(messages["state"], (FAILED, UNDELIVERED))
        & np.isin(messages["code"], _PASSING)
        & (messages["attempt"] < _MOST_ATTEMPTS)
        & (present >= 0)
    )
    ended_at = _told_at(evidence)[present[over]]
    early = ended_at < evidence.world.day_ends_at - _AGAIN_WITHIN_S
    over, ended_at = over[early], ended_at[early]
    phones = np.ascontiguousarray(messages["phone"][over])
    is_answer = messages["kind"][over] == REPLY
    shut = shut_around(evidence, phones, ended_at, is_answer, within_minutes=_WINDOW_LEFT_MINUTES)
    given_up: Integers = messages["message_id"][over[~shut]]
    return given_up


def _between_calls(evidence: Evidence) -> tuple[Waits, Floats]:
    """From when the gateway knew that a call had failed to the next one for the same message, or to the end of the day, and
    how much of that may be idle, in seconds.

    Not of a phone that was off, which is given hours, nor of a day's cap that was used up.
    """
    in_vain = evidence.books.calls_in_vain
    n = np.flatnonzero(evidence.row_of >= 0)
    ids = np.concatenate((evidence.submissions["message_id"][n], in_vain["message_id"]))
    began = np.concatenate((evidence.handed_at[n], in_vain["at"]))
    failed = np.isin(evidence.final_status[n], (_UNDELIVERED, _FAILED_FOR_GOOD))
    failed &= ~np.isin(evidence.final_code[n], _GIVEN_TIME)
    over = np.concatenate((np.where(failed, _told_at(evidence)[n], np.inf), in_vain["at"]))
    slow_down = np.concatenate((np.zeros(len(n), np.bool_), in_vain["slow_down"]))
    order = np.lexsort((began, ids))
    ids, began, over, slow_down = ids[order], began[order], over[order], slow_down[order]
    calls_before = np.minimum(np.arange(len(ids)) - np.searchsorted(ids, ids), _DOUBLINGS)
    rest_s = np.minimum(_SLOW_DOWN_S * 2.0**calls_before, _AGAIN_WITHIN_S)
    allowed_s = np.where(slow_down, np.minimum(ALLOWED_S + rest_s, _AGAIN_WITHIN_S), _AGAIN_WITHIN_S)
    rows = evidence.rows_of(ids)
    last = np.append(ids[1:] != ids[:-1], True)[: len(ids)]
    waits_on = (rows >= 0) & np.isin(evidence.messages["state"][rows], (QUEUED,))
    until = np.where(last, np.where(waits_on, evidence.world.day_ends_at, -np.inf), np.append(began[1:], 0.0))
    until = np.minimum(until, held_since(evidence, ids))
    kinds = evidence.messages["kind"][rows]
    waits = Waits(
        ids,
        np.ascontiguousarray(evidence.messages["phone"][rows]),
        kinds == REPLY,
        over,
        np.minimum(until, evidence.world.day_ends_at),
        ~last,
    )
    waited = waits.until > waits.since
    return waits.only(waited), allowed_s[waited]


def _told_at(evidence: Evidence) -> Floats:
    """When the gateway was first told that a submission had failed; inf: never."""
    told_at = np.full(len(evidence.submissions), np.inf)
    words = evidence.statuses[np.isin(evidence.statuses["status"], (_UNDELIVERED, _FAILED_FOR_GOOD))]
    np.minimum.at(told_at, words["n"], words["at"])
    return told_at


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
    kinds, places = kinds_of(evidence, waits.phone), opening.places(waits.phone)
    keys = (places * _KINDS + kinds) * 2 + waits.is_answer
    order = np.argsort(keys, kind="stable")
    for alike in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
        first = alike[0]
        is_open = opening.over(int(waits.phone[first]), bool(waits.is_answer[first]), room.at)
        idle_s[alike] = room.idle_s(int(kinds[first]), is_open, waits.since[alike], waits.until[alike])
    return idle_s
