"""Invariant 1: no text after an opt-out; who has asked to be left alone, in whatever words, and when the gateway knew."""

import numpy as np

from simulator.audit.evidence import Booleans, Breaches, Evidence, Judged
from simulator.audit.moments import latest, microseconds
from simulator.audit.records import CONFIRMATION, MARK, Rows, no_rows
from simulator.audit.wall_clock import Floats, Integers
from simulator.model.arrays import distinct, is_among
from simulator.model.blocking import STOP_WORDS
from simulator.model.replies import Intent, intent_of

# YES opens the provider's block, but nobody who says yes to a question has asked for more texts (C5).
_START_WORDS = frozenset({"START", "UNSTOP"})
_LATEST_S = 366 * 86_400.0  # later than any world lasts
_ROUNDING_S = 2e-6
CONFIRMED_WITHIN_S = 300.0
"""A confirmation that comes later is none (47 CFR 64.1200(a)(12))."""
_LEAVING = frozenset({Intent.LEAVES, Intent.ABUSE, Intent.WRONG_NUMBER})


def judge_opt_outs(evidence: Evidence) -> Judged:
    """Handed over more than the commit window after an opt-out, with no START in between.

    Opt-outs are the store's, and each text that its writer meant as a STOP and whose webhook the ledger saw reach the
    gateway, stored or not. One confirmation may follow within five minutes, known by its words (47 CFR
    64.1200(a)(12)).
    """
    stop_phones, stop_at, start_phones, start_at = _consent(evidence)
    exempt = confirms(evidence, stop_phones, stop_at)
    known = distinct(stop_phones)
    chosen = np.flatnonzero(is_among(evidence.to, known) & ~exempt)
    to, handed_at = evidence.to[chosen], evidence.handed_at[chosen]
    in_force_since = handed_at - evidence.world.commit_window_s - _ROUNDING_S
    stopped = latest(known, stop_phones, stop_at, to, in_force_since)
    started = latest(known, start_phones, start_at, to, handed_at)
    found = [
        Breaches(
            "submission", chosen[stopped > started], "handed over after this person's opt-out was in force"
        )
    ]
    return Judged(found, _asked_in_vain(evidence, known, stop_phones, stop_at, start_phones, start_at))


def _asked_in_vain(
    evidence: Evidence,
    known: Integers,
    stop_phones: Integers,
    stop_at: Floats,
    start_phones: Integers,
    start_at: Floats,
) -> int:
    """Texts that were asked for after their person's opt-out, or were not yet handed over when that came."""
    messages = evidence.messages
    theirs = is_among(messages["phone"], known) & (messages["kind"] != CONFIRMATION)
    phones = messages["phone"][theirs]
    until = np.minimum(evidence.left_at[theirs], _LATEST_S)
    stopped = latest(known, stop_phones, stop_at, phones, until)
    started = latest(known, start_phones, start_at, phones, until)
    return int(np.count_nonzero(stopped > started))


def heard_consent(evidence: Evidence) -> tuple[Integers, Floats, Integers, Floats]:
    """Who meant to stop and who to start, to whichever campaign of the list, and when that reached the gateway (seconds
    of the world)."""
    rows, first_at = told_to_the_list(evidence)
    inbound = evidence.ledger.inbound.columns()[rows]
    words = [_consent_word(evidence.ledger.inbound_texts[n]) for n in rows.tolist()]
    says = np.array(words, "U5") if words else np.empty(0, "U5")
    stops, starts = says == "stop", says == "start"
    return inbound["person"][stops], first_at[stops], inbound["person"][starts], first_at[starts]


def _consent(evidence: Evidence) -> tuple[Integers, Floats, Integers, Floats]:
    """The same, the opt-outs that the store itself has, and those that a volunteer marked and was answered."""
    stop_phones, stop_at, start_phones, start_at = heard_consent(evidence)
    rows, first_at = told_to_the_list(evidence)
    leaves = np.array([_says_leave(evidence, each) for each in rows.tolist()], np.bool_)
    texts = evidence.ledger.inbound.columns()[rows[leaves]]
    stored = evidence.books.opt_outs
    stored_at = stored["at"] - evidence.world.start_at
    by_text = stored["source"] == "keyword"
    stored_at[by_text] = _told_at(
        stored["phone"][by_text], stored_at[by_text], texts["person"], texts["at"], first_at[leaves]
    )
    marked = answered_marks(evidence)
    missed, fetched_at = _missed_stops(evidence)
    return (
        np.concatenate((stop_phones, stored["phone"], marked["phone"], missed)),
        np.concatenate((stop_at, stored_at, marked["at"], fetched_at)),
        start_phones,
        start_at,
    )


def _missed_stops(evidence: Evidence) -> tuple[Integers, Floats]:
    """Who meant to stop before the gateway came back, and when it did: it fetches what it has missed before it sends."""
    back_at = np.array(evidence.world.came_back_at)
    inbound = evidence.ledger.inbound.columns()
    if not len(back_at) or not len(inbound):
        return np.empty(0, np.int64), np.empty(0)
    after = np.searchsorted(back_at, inbound["at"])
    heard_at = np.full(len(inbound), np.inf)
    rows, first_at = first_deliveries(evidence)
    heard_at[rows] = first_at
    missed = (after < len(back_at)) & (inbound["campaign"] == evidence.books.campaign_id)
    missed &= heard_at > back_at[np.minimum(after, len(back_at) - 1)]
    n = [each for each in np.flatnonzero(missed).tolist() if _says_stop(evidence, each)]
    chosen = np.array(n, np.int64)
    return inbound["person"][chosen], back_at[after[chosen]]


def _says_stop(evidence: Evidence, n: int) -> bool:
    return _consent_word(evidence.ledger.inbound_texts[n]) == "stop"


def _says_leave(evidence: Evidence, n: int) -> bool:
    """In whatever words: the gateway may have understood them too."""
    return _says_stop(evidence, n) or intent_of(evidence.ledger.inbound_texts[n]) in _LEAVING


def answered_marks(evidence: Evidence) -> Rows:
    """Whom volunteers marked as opted out, and were told that it is done."""
    marks = marks_of_the_list(evidence)
    answered: Rows = marks[np.isfinite(marks["at"])]
    return answered


def marks_of_the_list(evidence: Evidence) -> Rows:
    """Whom volunteers marked as opted out, those of other campaigns that share the list included."""
    marks, elsewhere = evidence.books.marks, evidence.world.elsewhere
    marks = no_rows(MARK) if marks is None else marks
    return marks if elsewhere is None else np.concatenate((marks, elsewhere.marks))


def _told_at(phones: Integers, at: Floats, people: Integers, sent_at: Floats, heard_at: Floats) -> Floats:
    """When the gateway knew of stored opt-outs: a text that was fetched late is stored under the time it was sent."""
    texts: dict[int, list[tuple[float, float]]] = {}
    for person, heard, sent in zip(people.tolist(), heard_at.tolist(), sent_at.tolist(), strict=True):
        texts.setdefault(person, []).append((heard, sent))
    told = at.copy()
    for row, (phone, moment) in enumerate(zip(phones.tolist(), at.tolist(), strict=True)):
        its = [
            heard
            for heard, sent in texts.get(phone, ())
            if heard >= moment - _ROUNDING_S and sent <= moment + _ROUNDING_S
        ]
        told[row] = max(moment, min(its, default=moment))
    return told


def _consent_word(text: str) -> str:
    """What the person meant: to stop, to start, or neither of them in so many words."""
    word, meant = text.strip().upper(), intent_of(text)
    if word in STOP_WORDS or meant is Intent.KEYWORD:
        return "stop"
    return "start" if word in _START_WORDS or meant is Intent.START else ""


def confirms(evidence: Evidence, stop_phones: Integers, stop_at: Floats) -> Booleans:
    """The first text in a confirmation's words that follows an opt-out within five minutes."""
    n = np.flatnonzero(np.isin(evidence.submissions["body_key"], evidence.world.confirmations))
    found = np.zeros(len(evidence.submissions), np.bool_)
    if not len(n):
        return found
    n = n[np.lexsort((evidence.handed_at[n], evidence.to[n]))]
    to, at = evidence.to[n], evidence.handed_at[n]
    known = distinct(stop_phones)
    stopped = latest(known, stop_phones, stop_at, to, at)
    is_prompt = (stopped >= 0) & (microseconds(at) - stopped <= CONFIRMED_WITHIN_S * 1e6)
    is_second = np.zeros(len(n), np.bool_)
    is_second[1:] = (to[1:] == to[:-1]) & (stopped[1:] == stopped[:-1])  # of the same opt-out
    found[n] = is_prompt & ~is_second
    return found


def first_deliveries(evidence: Evidence) -> tuple[Integers, Floats]:
    """The inbound texts that reached the gateway, and when first."""
    deliveries = evidence.ledger.inbound_deliveries.columns()
    rows, first = np.unique(deliveries["n"], return_index=True)  # in time order
    return rows, deliveries["at"][first]


def told_to_the_list(evidence: Evidence) -> tuple[Integers, Floats]:
    """The same, to whichever campaign of those that share the list of opt-outs."""
    rows, first_at = first_deliveries(evidence)
    elsewhere = evidence.world.elsewhere
    if elsewhere is None:
        return rows, first_at
    theirs, first = np.unique(elsewhere.deliveries["n"], return_index=True)
    return np.concatenate((rows, theirs)), np.concatenate((first_at, elsewhere.deliveries["at"][first]))
