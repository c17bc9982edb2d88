"""Invariants 3, 4, 5 and 8: the life of single messages, ledger against books.

3 accepted once, 4 books balance, 5 accepted is stored, 8 legal moves. A fault is one rule's:

| the store ...                                                      | rule |
|--------------------------------------------------------------------|------|
| does not know the attempt, or says that it was never handed over    | 5    |
| has it under another person, number or size                        | 5    |
| has another end than the ledger, or an earlier one                 | 4    |
| missed an end that it was told, or never asked for a lost one      | 4    |
| has a state to which no legal move leads from the words it was told | 8    |
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.audit.evidence import NOTHING, WORDS, Booleans, Breaches, Evidence, Judged
from simulator.audit.first_texts import HOLDS_S
from simulator.audit.records import (
    BLOCKED,
    DELIVERED,
    DRAFT,
    FAILED,
    QUEUED,
    SENDING,
    SENT,
    STATES,
    UNDELIVERED,
    UNKNOWN,
)
from simulator.audit.wall_clock import Floats, Integers
from simulator.model.arrays import is_among
from simulator.model.ledger import STATUSES

_WAITING = (QUEUED, BLOCKED)
_ENDS = (DELIVERED, UNDELIVERED, FAILED)
_CODES = 100_000  # above every code
_NOBODY_TOOK_IT = (0, 20429)  # no connection to be had, too many requests
_ROUNDING_S = 1.0
_AN_END = STATUSES.index("delivered")  # in the order of a text's words: queued, sent, an end
_UNDELIVERED, _FAILED_BEFORE = STATUSES.index("undelivered"), STATUSES.index("failed")
# Codes of `undelivered` that say the phone has not got it: a full queue, a rate or a day's cap that was passed, a number
# that the carrier doesn't know, and those of which first_texts.py says when they allow another text at all. After any
# other the text may be on the phone all the same (provider's error pages).
_NEVER_ON_THE_PHONE = (30001, 30017, 30022, 30023, 30034, 30035, *HOLDS_S)
_SETTLED_WITHIN_S = 600.0  # a lease, the longest call and a few rounds of asking, twice a minute [A]


# ---- 3: accepted once


def judge_accepted_once(evidence: Evidence) -> Judged:
    """One attempt on the wire twice, or another attempt while the one before might still arrive."""
    known = np.flatnonzero(evidence.submissions["message_id"] >= 0)
    message_id = evidence.submissions["message_id"][known]
    campaign = evidence.submissions["campaign_id"][known]
    order = np.lexsort((known, evidence.attempt[known], message_id, campaign))
    n = known[order]
    follows = np.zeros(len(n), np.bool_)
    follows[1:] = (np.diff(message_id[order]) == 0) & (np.diff(campaign[order]) == 0)
    before = np.roll(n, 1)
    is_repeat = follows & (evidence.attempt[n] == evidence.attempt[before])
    is_over = evidence.final_status[before] == _FAILED_BEFORE
    is_over |= (evidence.final_status[before] == _UNDELIVERED) & np.isin(
        evidence.final_code[before], _NEVER_ON_THE_PHONE
    )
    is_early = follows & ~is_repeat & ~(is_over & (evidence.final_at[before] <= evidence.handed_at[n]))
    found = [
        Breaches("submission", n[is_repeat], "the same attempt was taken by the provider a second time"),
        Breaches(
            "submission", np.flatnonzero(evidence.accepted > 1), "accepted by the carrier more than once"
        ),
        Breaches("submission", n[is_early], "sent again while the attempt before could still arrive, or had"),
    ]
    return Judged(found, evidence.world.answers_lost + _further_attempts(evidence))


def _further_attempts(evidence: Evidence) -> int:
    return int(np.count_nonzero(evidence.attempt > 1))


# ---- 4: the books balance


def judge_balance(evidence: Evidence) -> Judged:
    """Every request is in the store, in a state that counts, and ended as the ledger says."""
    messages, ids = evidence.messages, evidence.message_ids
    state = messages["state"]
    twice = np.flatnonzero(ids[1:] == ids[:-1]) + 1
    no_state = (state == DRAFT) | (state >= len(STATES))
    no_reason = (state == UNKNOWN) & ~messages["has_reason"]
    found = [
        *_requests(evidence),
        Breaches("message", ids[twice], "stored twice under one message id"),
        Breaches("message", ids[no_state], "in no state that the books count"),
        Breaches("message", ids[no_reason], "unknown, and nothing says why"),
        Breaches(
            "message", ids[_never_settled(evidence)], "nobody knows of it, and nobody asked the provider"
        ),
        *_ends(evidence),
    ]
    return Judged(found, len(evidence.books.requests))


def _requests(evidence: Evidence) -> list[Breaches]:
    """What was acknowledged is there; what was answered as blocked stays blocked."""
    requests = evidence.books.requests
    asked = requests["message_id"]
    rows = evidence.rows_of(asked)
    lost = rows < 0
    answered = (requests["state"] == BLOCKED) & ~lost
    answered[answered] = evidence.messages["state"][rows[answered]] != BLOCKED
    return [
        Breaches("message", asked[lost], "acknowledged, and not in the store"),
        Breaches("message", asked[answered], "answered as blocked, and stored as something else"),
    ]


def _ends(evidence: Evidence) -> list[Breaches]:
    """Stored ends against the ledger's, and ends that the store was told of."""
    messages, ids = evidence.messages, evidence.message_ids
    state, present = messages["state"], evidence.present
    arrived = _of_any_attempt(evidence, evidence.final_status == STATUSES.index("delivered"))
    told = evidence.words_until(evidence.world.ended_at - evidence.world.commit_window_s)
    agrees = (_ledger_end(evidence) == state) & (
        _at_present(evidence.final_code, present, 0) == messages["code"]
    )
    refused = (state == FAILED) & (present < 0) & _was_refused(evidence)
    other = np.isin(state, (UNDELIVERED, FAILED)) & ~agrees & ~refused
    ended_at = _ended_at(evidence)
    early = np.isin(state, _ENDS) & agrees & evidence.world.one_clock
    early &= messages["final_at"] - evidence.world.start_at < ended_at - _ROUNDING_S
    overdue = (state == SENT) & (ended_at > -np.inf)
    overdue &= ended_at < evidence.world.day_ends_at - evidence.world.compared_within_s
    missed = np.isin(state, (SENDING, SENT, UNKNOWN)) & np.isin(_at_present(told, present, SENDING), _ENDS)
    still = np.isin(state, _WAITING) & _of_any_attempt(evidence, told == DELIVERED)
    return [
        Breaches(
            "message", ids[(state == DELIVERED) & ~arrived], "delivered in the store, not in the ledger"
        ),
        Breaches("message", ids[other], "ended otherwise in the store than in the ledger"),
        Breaches(
            "message", ids[(state == SENT) & (present < 0)], "sent in the store, and no provider has it"
        ),
        Breaches("message", ids[missed], "the store was told how it ended, and does not say so"),
        Breaches("message", ids[early], "its end is dated before there was one"),
        Breaches("message", ids[overdue], "its receipt got lost, and the provider was never asked"),
        Breaches("message", ids[still], "the store was told of its delivery, and lets it wait or blocks it"),
    ]


def _never_settled(evidence: Evidence) -> Booleans:
    """Texts of which for ten minutes nobody knew whether the provider has them, with gateway and provider there."""
    messages = evidence.messages
    told = evidence.words_until(evidence.world.ended_at - evidence.world.commit_window_s)
    left = np.isin(messages["state"], (SENDING, UNKNOWN)) & np.isfinite(messages["slot_at"])
    left &= _at_present(told, evidence.present, SENDING) == SENDING  # else a word was not believed
    if not left.any() or not np.isfinite(evidence.world.day_ends_at):
        return np.zeros(len(left), np.bool_)
    since = np.maximum(messages["slot_at"] - evidence.world.start_at, _handed_at(evidence))
    in_vain = evidence.books.calls_in_vain
    rows = evidence.rows_of(np.ascontiguousarray(in_vain["message_id"]))
    np.maximum.at(since, rows[rows >= 0], in_vain["at"][rows >= 0])
    settled: Booleans = left & (_present_s(evidence, since, evidence.world.day_ends_at) > _SETTLED_WITHIN_S)
    return settled


def _handed_at(evidence: Evidence) -> Floats:
    """When each message's last attempt was handed over; -inf: it was not."""
    handed_at = np.full(len(evidence.messages), -np.inf)
    handed = evidence.present >= 0
    handed_at[handed] = evidence.handed_at[evidence.present[handed]]
    return handed_at


def _present_s(evidence: Evidence, since: Floats, until: float) -> Floats:
    """How long gateway and provider were there between moments and another."""
    passed: Floats = until - since
    covered_until = -np.inf
    for begin, end in sorted(evidence.world.away):
        begin = max(begin, covered_until)
        covered_until = max(end, covered_until)
        passed -= np.clip(min(end, until) - np.maximum(begin, since), 0.0, None)
    return passed


def _was_refused(evidence: Evidence) -> Booleans:
    """Messages whose code the provider gave to a text for that person; without one, or at a 429, nobody took it."""
    refused, messages = evidence.ledger.refusals.columns(), evidence.messages
    code = messages["code"].astype(np.int64)
    told = is_among(messages["phone"] * _CODES + code, refused["to"] * _CODES + refused["code"])
    nobody_answered: Booleans = told | np.isin(code, _NOBODY_TOOK_IT)
    return nobody_answered


# ---- 5: accepted is stored


def judge_stored(evidence: Evidence) -> Judged:
    """Everything that the provider took is in the store: this attempt, to this person, from this number."""
    known = np.flatnonzero(evidence.row_of >= 0)
    rows, attempt, present = evidence.row_of[known], evidence.attempt[known], evidence.is_present[known]
    messages, submissions = evidence.messages, evidence.submissions
    surplus = (attempt > messages["attempt"][rows]) | (attempt < 1)
    present &= ~surplus
    unsent = present & np.isin(messages["state"][rows], _WAITING) & ~_is_past(evidence)[rows]
    other = evidence.to[known] != messages["phone"][rows]
    other |= present & (submissions["sender"][known] != messages["number"][rows])
    other |= present & (submissions["segments"][known] != messages["segments"][rows])
    found = [
        Breaches(
            "submission",
            np.flatnonzero(evidence.row_of < 0),
            "the provider took it, and it is not in the store",
        ),
        Breaches("submission", known[surplus], "the provider took an attempt that is not in the store"),
        Breaches(
            "submission", known[unsent], "the provider took it, and the store says it was not handed over"
        ),
        Breaches("submission", known[other], "stored with another person, number or size"),
    ]
    return Judged(found, len(submissions))


# ---- 8: legal moves


def judge_moves(evidence: Evidence) -> Judged:
    """The words that came, folded along the table, lead to the stored state; attempts follow each other."""
    ids, state, present = evidence.message_ids, evidence.messages["state"], evidence.present
    told = evidence.words_until(evidence.world.ended_at - evidence.world.commit_window_s)
    must = _at_present(told, present, SENDING)
    may = _at_present(evidence.words_until(np.inf), present, SENDING)
    behind = np.isin(state, (SENDING, UNKNOWN)) & (must == SENT)
    is_end = np.isin(state, _ENDS) & (_ledger_end(evidence) == state)
    moved_on = is_end & np.isin(may, _ENDS) & (may != state)
    again = np.isin(state, _WAITING) & (present >= 0) & _is_past(evidence) & ~_is_negative(evidence)
    again &= ~_of_any_attempt(evidence, told == DELIVERED)  # the fourth invariant's
    found = [
        Breaches("message", ids[behind], "the store was told that the provider has it, and does not say so"),
        Breaches("message", ids[moved_on], "a later word changed a state that was final"),
        Breaches("message", ids[again], "it went back to the queue although its attempt had not failed"),
        *_attempts(evidence),
    ]
    return Judged(found, _strayed(evidence) + evidence.world.answers_lost + _further_attempts(evidence))


def _strayed(evidence: Evidence) -> int:
    """Webhooks that said nothing new: twice, or after a later word about the same text."""
    heard = evidence.statuses[np.argsort(evidence.statuses["n"], kind="stable")]
    rank = np.minimum(heard["status"], _AN_END).astype(np.int64)  # all ends are equally late
    key = heard["n"] * (_AN_END + 1) + rank  # rises within a text while its words follow their order
    highest = np.maximum.accumulate(key) if len(key) else key
    return int(np.count_nonzero(key[1:] <= highest[:-1]))


def _attempts(evidence: Evidence) -> list[Breaches]:
    """Past attempts are 1, 2, … up to the one before the present, or to the present one if that is over."""
    ids, state = evidence.message_ids, evidence.messages["state"]
    attempt = evidence.messages["attempt"].astype(np.int64)
    rows, past = _past(evidence)
    stray = (rows < 0) | (past < 1) | (past > np.where(rows >= 0, attempt[rows], 0) if len(ids) else rows < 0)
    earlier = np.unique(np.stack((rows, past))[:, ~stray & (rows >= 0)], axis=1)
    before = earlier[1] < attempt[earlier[0]]
    count = np.bincount(earlier[0][before], minlength=len(ids))
    is_past, waits = _is_past(evidence), np.isin(state, _WAITING)
    gap = count != np.maximum(attempt - 1, 0)
    gap |= waits & (attempt > 0) & ~is_past & (evidence.present < 0)
    wrong = is_past & np.isin(
        state, (SENDING, UNKNOWN)
    )  # a late receipt may take one that waits out of the queue
    never = ~waits & (attempt < 1) & (state != DRAFT)
    return [
        Breaches(
            "message", evidence.books.past_attempts["message_id"][stray], "a past attempt of no message"
        ),
        Breaches("message", ids[gap], "an attempt is missing among the past ones"),
        Breaches("message", ids[wrong], "its attempt under way is among the past ones"),
        Breaches("message", ids[never], f"past {STATES[QUEUED]} without having been handed over"),
    ]


# ---- joins


def _past(evidence: Evidence) -> tuple[Integers, Integers]:
    """Message row and number of each past attempt."""
    past = evidence.books.past_attempts
    return evidence.rows_of(past["message_id"]), past["attempt"].astype(np.int64)


def _is_past(evidence: Evidence) -> Booleans:
    """Messages whose last attempt is written down as over."""
    rows, past = _past(evidence)
    found = np.zeros(len(evidence.messages), np.bool_)
    known = rows >= 0
    last = known.copy()
    last[known] = past[known] == evidence.messages["attempt"][rows[known]]
    found[rows[last]] = True
    return found


def _is_negative(evidence: Evidence) -> Booleans:
    """Messages whose last attempt failed at the provider or the carrier."""
    negative: Booleans = np.isin(_ledger_end(evidence), (UNDELIVERED, FAILED))
    return negative


def _ledger_end(evidence: Evidence) -> Integers:
    """How each message's last attempt ended by the ledger, as a state of ours; NOTHING: it has not."""
    status = _at_present(evidence.final_status, evidence.present, NOTHING)
    states: Integers = np.where(status == NOTHING, NOTHING, WORDS[np.minimum(status, len(WORDS) - 1)])
    return states


def _at_present(values: NDArray[np.integer[Any]], present: Integers, missing: int) -> Integers:
    """A submission's value for each message's last attempt."""
    if not len(values):
        return np.full(len(present), missing, np.int64)
    taken: Integers = np.where(present >= 0, values[present], missing).astype(np.int64)
    return taken


def _ended_at(evidence: Evidence) -> Floats:
    """When each message's last attempt ended by the ledger; -inf: it has not."""
    ended_at = np.full(len(evidence.messages), -np.inf)
    ended = np.flatnonzero(evidence.present >= 0)
    at = evidence.final_at[evidence.present[ended]]
    ended_at[ended] = np.where(np.isfinite(at), at, -np.inf)
    return ended_at


def _of_any_attempt(evidence: Evidence, chosen: Booleans) -> Booleans:
    """Messages of which any attempt is among the chosen submissions."""
    found = np.zeros(len(evidence.messages), np.bool_)
    found[evidence.row_of[chosen & (evidence.row_of >= 0)]] = True
    return found
