"""How long things took, and when the bank was at work; times in seconds, moments in seconds of the world."""

from math import nan

import msgspec
import numpy as np
from numpy.typing import NDArray

from simulator.audit.moments import Moments
from simulator.audit.records import BLOCKED, MARK, Books, no_rows
from simulator.model.arrays import distinct
from simulator.model.ledger import Ledger
from simulator.model.replies import Intent, intent_of

_NEEDS_NOBODY = frozenset({Intent.KEYWORD, Intent.START})

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Timing(msgspec.Struct, frozen=True):
    """Moments are nan, and spans too, where nothing happened."""

    first_at: float = nan  # the first hand-over to the provider
    last_at: float = nan  # the last
    last_first_text_at: float = nan  # the last hand-over of a person's first text
    wire_half_s: float = nan  # from a press of Send to the hand-over: half within
    wire_most_s: float = nan  # 99 % within
    answer_half_s: float = nan  # from a person's text to a volunteer's answer: half within
    answer_most_s: float = nan  # 90 % within


class Conversations(msgspec.Struct, frozen=True):
    """One element for each time that a person's texts began to wait for a volunteer.

    `closed_at` is nan when nobody came; `answered` whether it ended with an answer (else with an opt-out).
    """

    opened_at: Floats
    closed_at: Floats
    answered: NDArray[np.bool_]


class Spans(msgspec.Struct, frozen=True):
    """How long each press waited for the wire, and each reply that was answered for its answer; in seconds."""

    press_to_wire_s: Floats
    reply_to_answer_s: Floats


def spans(ledger: Ledger, books: Books, start_at: float) -> Spans:
    """Worked out once, for all who tell of them."""
    return Spans(press_to_wire_s(ledger, books), reply_to_answer_s(conversations(ledger, books, start_at)))


def timing(ledger: Ledger, took: Spans) -> Timing:
    """Medians and the late ones."""
    asked = ledger.submissions.columns()
    if not len(asked):
        return Timing()
    firsts = asked["handed_at"][np.unique(asked["to"], return_index=True)[1]]
    wire_s, answer_s = took.press_to_wire_s, took.reply_to_answer_s
    return Timing(
        first_at=float(asked["handed_at"].min()),
        last_at=float(asked["handed_at"].max()),
        last_first_text_at=float(firsts.max()),
        wire_half_s=_quantile(wire_s, 0.5),
        wire_most_s=_quantile(wire_s, 0.99),
        answer_half_s=_quantile(answer_s, 0.5),
        answer_most_s=_quantile(answer_s, 0.9),
    )


def _quantile(values: Floats, share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else nan


def press_to_wire_s(ledger: Ledger, books: Books) -> Floats:
    """From a volunteer's press, as the client saw it, to the first hand-over of each message that was handed over."""
    asked = ledger.submissions.columns()
    ours = asked[(asked["campaign_id"] == books.campaign_id) & (asked["message_id"] >= 0)]
    ids, first = np.unique(ours["message_id"], return_index=True)  # oldest first: the first hand-over
    pressed, press = np.unique(books.answers["message_id"], return_index=True)
    known, handed, presses = np.intersect1d(ids, pressed, assume_unique=True, return_indices=True)
    rows = books.answers[press[presses]]
    spans: Floats = np.maximum(ours["handed_at"][first[handed]] - (rows["at"] - rows["took_s"]), 0.0)
    return spans[known > 0]


def conversations(ledger: Ledger, books: Books, start_at: float) -> Conversations:
    """From the texts that reached the gateway and need a volunteer to what closed them."""
    person, at = _waiting_texts(ledger)
    who, when, answers = _closings(books, start_at)
    rows = Moments(who, when).after(person, at)
    closes = rows >= 0
    ends = np.where(closes, rows, -1 - np.searchsorted(distinct(person), person))  # one open end a person
    by_time = np.argsort(at, kind="stable")
    first = by_time[np.unique(ends[by_time], return_index=True)[1]]  # of what one answer closed, the earliest
    closed_at, answered = np.full(len(person), nan), np.zeros(len(person), np.bool_)
    closed_at[closes] = when[rows[closes]]
    answered[closes] = answers[rows[closes]]
    return Conversations(at[first], closed_at[first], answered[first])


def reply_to_answer_s(found: Conversations) -> Floats:
    """How long those waited whom a volunteer answered."""
    spans: Floats = (found.closed_at - found.opened_at)[found.answered]
    return spans


def _waiting_texts(ledger: Ledger) -> tuple[Integers, Floats]:
    """Whose texts wait for a volunteer since when: all but the keywords, of which the gateway takes care."""
    deliveries = ledger.inbound_deliveries.columns()
    rows, first = np.unique(deliveries["n"], return_index=True)
    needs = [intent_of(ledger.inbound_texts[n].strip()) not in _NEEDS_NOBODY for n in rows.tolist()]
    chosen = np.array(needs, np.bool_)
    person: Integers = ledger.inbound.columns()["person"][rows[chosen]]
    return person, deliveries["at"][first][chosen]


def _closings(books: Books, start_at: float) -> tuple[Integers, Floats, NDArray[np.bool_]]:
    """Answers and marks that volunteers pressed, and opt-outs by keyword; what was blocked closes and answers nothing."""
    replies = books.answers[books.answers["response"] >= 0]
    marks = no_rows(MARK) if books.marks is None else books.marks
    left = books.opt_outs[books.opt_outs["source"] == "keyword"]
    who = np.concatenate((replies["phone"], marks["phone"], left["phone"]))
    when = np.concatenate((replies["at"] - replies["took_s"], marks["asked_at"], left["at"] - start_at))
    answers = np.zeros(len(who), np.bool_)
    answers[: len(replies)] = replies["state"] != BLOCKED
    return who, when, answers
