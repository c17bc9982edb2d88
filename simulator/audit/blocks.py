"""Every block re-derived: the model finds the reason for which a text was blocked, or there was none.

| code       | right when                                                                                        |
|------------|---------------------------------------------------------------------------------------------------|
| 9000       | a look-up calls the phone a landline                                                              |
| 1302       | the person had asked to be left alone, was marked, or the provider had said so (21610)            |
| 1204, 1205 | a text to this person had ended with a code that is remembered, within its time                   |
| 1202       | the window was shut, or about to within three minutes; our confirmation of an opt-out came late   |
| 1203       | a purchase failed lately, or as many numbers as the campaign may have were bought                  |
| 1001       | a first text: another text to this person was asked for before; an answer: the same one, lately   |
| 1304       | another text to this person was asked for before                                                  |
| 9001       | another text to this person was asked for within two minutes                                      |
| 1303       | the contact was with another volunteer, or with none                                              |

Any other code has no reason in a text bank.
"""

from collections.abc import Callable, Iterator, Mapping
from math import inf

import numpy as np

from simulator.audit.evidence import Booleans, Breaches, Evidence, Judged
from simulator.audit.first_texts import DAY_S
from simulator.audit.hours import shut_around
from simulator.audit.moments import latest
from simulator.audit.opt_outs import CONFIRMED_WITHIN_S, marks_of_the_list, told_to_the_list
from simulator.audit.records import BLOCKED, CONFIRMATION, REPLY, Rows
from simulator.audit.wall_clock import Floats, Integers
from simulator.model.arrays import distinct, is_among, places_of
from simulator.model.replies import Intent, intent_of

_REMEMBERED_S = {
    21211: inf,
    21217: inf,
    21265: inf,
    21614: inf,
    21635: inf,
    30006: inf,
    30004: 90 * DAY_S,
    30005: 90 * DAY_S,
    30003: DAY_S,
    30008: 6 * 3600.0,
    30450: 1800.0,
}
_LEAVING = frozenset({Intent.KEYWORD, Intent.LEAVES, Intent.ABUSE, Intent.WRONG_NUMBER})
_UNSUBSCRIBED = 21610
_ROUNDING_S = 1.0
_LOCKED_S = 120.0
# A minute before its end the window takes nothing new, and what is claimed has a slot ahead.
_SHUTS_WITHIN_MINUTES = 3
_FEWEST_A_DAY = 10  # purchases
_TRIED_AGAIN_S = 180.0
_FOR_GOOD = (9000, 1205, 1204, 1302)
_REPEATS = (1001, 1304, 9001)
_MANY = 128  # more than there are answers to press


class _Blocks:
    """The blocked messages, one element each."""

    def __init__(self, evidence: Evidence) -> None:
        rows = np.flatnonzero(evidence.messages["state"] == BLOCKED)
        messages = evidence.messages[rows]
        self.evidence = evidence
        self.ids: Integers = messages["message_id"]
        self.phone: Integers = np.ascontiguousarray(messages["phone"])
        self.code = messages["code"]
        self.is_answer: Booleans = messages["kind"] == REPLY
        self.is_confirmation: Booleans = messages["kind"] == CONFIRMATION
        self.asked_at = evidence.asked_at[rows]
        ended = messages["final_at"] - evidence.world.start_at
        self.at: Floats = np.where(np.isnan(ended), self.asked_at, ended)


def judge_blocks(evidence: Evidence) -> Judged:
    """Texts blocked with a code for which the model finds no reason."""
    blocks = _Blocks(evidence)
    found = [
        Breaches("message", blocks.ids[chosen[~right]], f"blocked with {code}, for which there was no reason")
        for code, chosen, right in _judged(blocks)
    ]
    return Judged(found, len(blocks.ids))


def rightly_untexted(evidence: Evidence) -> Integers:
    """People whose text was blocked for good, and rightly: a landline, opted out, or failing."""
    blocks = _Blocks(evidence)
    people = [blocks.phone[chosen[right]] for code, chosen, right in _judged(blocks) if code in _FOR_GOOD]
    return distinct(np.concatenate(people)) if people else np.empty(0, np.int64)


def _judged(blocks: _Blocks) -> Iterator[tuple[int, Integers, Booleans]]:
    """Code by code: which blocks it gave, and which of them rightly."""
    for code in np.unique(blocks.code).tolist():
        chosen = np.flatnonzero(blocks.code == code)
        reasons = _REASONS.get(code)
        yield code, chosen, np.zeros(len(chosen), np.bool_) if reasons is None else reasons(blocks, chosen)


def _is_landline(blocks: _Blocks, chosen: Integers) -> Booleans:
    landlines = blocks.evidence.world.landlines
    if landlines is None:
        return np.ones(len(chosen), np.bool_)
    return is_among(blocks.phone[chosen], landlines)


def _had_left(blocks: _Blocks, chosen: Integers) -> Booleans:
    """Whether the person had asked to be left alone, in whatever words, was marked, or is one the provider refuses."""
    evidence = blocks.evidence
    rows, first_at = told_to_the_list(evidence)
    leaves = np.array(
        [intent_of(evidence.ledger.inbound_texts[n]) in _LEAVING for n in rows.tolist()], np.bool_
    )
    person = evidence.ledger.inbound.columns()["person"][rows]
    marked, marked_at = _marks(evidence)
    refused = evidence.ledger.refusals.columns()
    refused = refused[refused["code"] == _UNSUBSCRIBED]
    elsewhere = () if evidence.world.elsewhere is None else (evidence.world.elsewhere.unsubscribed,)
    phones = np.concatenate((person[leaves], marked, refused["to"], *(each["to"] for each in elsewhere)))
    at = np.concatenate((first_at[leaves], marked_at, refused["at"], *(each["at"] for each in elsewhere)))
    return _before(phones, at, blocks.phone[chosen], blocks.at[chosen] + _ROUNDING_S)


def _marks(evidence: Evidence) -> tuple[Integers, Floats]:
    """Whom the list marks, and whom volunteers did and when; by the store where nobody watched them."""
    listed = evidence.world.marked
    if evidence.books.marks is not None:
        marks = marks_of_the_list(evidence)
        phones, at = marks["phone"], marks["asked_at"]
    else:
        stored = evidence.books.opt_outs[evidence.books.opt_outs["source"] != "keyword"]
        phones, at = stored["phone"], stored["at"] - evidence.world.start_at
    return np.concatenate((phones, listed)), np.concatenate((at, np.zeros(len(listed))))


def _had_failed(blocks: _Blocks, chosen: Integers) -> Booleans:
    evidence = blocks.evidence
    refused = evidence.ledger.refusals.columns()
    found = np.zeros(len(chosen), np.bool_)
    for code, held_s in _REMEMBERED_S.items():
        ended = evidence.final_code == code
        of_code = refused[refused["code"] == code]
        phones = np.concatenate((evidence.to[ended], of_code["to"]))
        at = np.concatenate((evidence.final_at[ended], of_code["at"]))
        until = blocks.at[chosen] + _ROUNDING_S
        found |= _before(phones, at, blocks.phone[chosen], until, within_s=held_s)
    return found


def _before(
    phones: Integers, at: Floats, whose: Integers, until: Floats, *, within_s: float = inf
) -> Booleans:
    """Whether each person has an event before a moment, and not longer ago than that."""
    known = distinct(phones)
    found = np.zeros(len(whose), np.bool_)
    theirs = np.flatnonzero(is_among(whose, known))
    if not len(theirs):
        return found
    last_us = latest(known, phones, at, whose[theirs], until[theirs])
    now_us = latest(whose[theirs], whose[theirs], until[theirs], whose[theirs], until[theirs])
    found[theirs] = (last_us >= 0) & (now_us - last_us <= min(within_s, 366 * DAY_S) * 1e6)
    return found


def _was_shut(blocks: _Blocks, chosen: Integers) -> Booleans:
    evidence, phone, is_answer = blocks.evidence, blocks.phone[chosen], blocks.is_answer[chosen]
    shut = shut_around(evidence, phone, blocks.at[chosen], is_answer, within_minutes=_SHUTS_WITHIN_MINUTES)
    waited_s = blocks.at[chosen] - blocks.asked_at[chosen]
    shut |= blocks.is_confirmation[chosen] & (waited_s > CONFIRMED_WITHIN_S - _SHUTS_WITHIN_MINUTES * 60.0)
    return shut | shut_around(
        evidence, phone, blocks.asked_at[chosen], is_answer, within_minutes=_SHUTS_WITHIN_MINUTES
    )


def _had_no_number(blocks: _Blocks, chosen: Integers) -> Booleans:
    """A purchase failed lately (each minute another may be tried), or all that may be made were."""
    bought = blocks.evidence.ledger.purchases.columns()
    most = blocks.evidence.world.registration.max_numbers
    most = min(most, max(_FEWEST_A_DAY, (most + 1) // 2))
    at = blocks.at[chosen]
    failed_at = bought["at"][bought["code"] > 0]
    failed = np.searchsorted(failed_at, at, side="right") - np.searchsorted(failed_at, at - _TRIED_AGAIN_S)
    made = np.searchsorted(bought["at"][bought["code"] == 0], at, side="right")
    right: Booleans = (failed > 0) | (made >= most)
    return right


def _had_another(blocks: _Blocks, chosen: Integers) -> Booleans:
    """Another text to this person, asked for before, that was not itself blocked for being one too many."""
    messages = blocks.evidence.messages
    others = ~((messages["state"] == BLOCKED) & np.isin(messages["code"], _REPEATS))
    return _before(
        messages["phone"][others],
        blocks.evidence.asked_at[others],
        blocks.phone[chosen],
        blocks.asked_at[chosen] + _ROUNDING_S,
    )


def _had_the_same(blocks: _Blocks, chosen: Integers) -> Booleans:
    """Of a first text whether there was another; of an answer whether this very one was pressed for the person lately.

    A press that nobody answered may have been carried out. Who pressed the answer is not known of every message: where
    nobody does, any earlier text may have had its words.
    """
    found = _had_another(blocks, chosen)
    answers, unsure = blocks.evidence.books.answers, blocks.evidence.books.unsure
    answers = answers[np.argsort(answers["message_id"], kind="stable")]
    rows = places_of(answers["message_id"], blocks.ids[chosen])
    known = np.flatnonzero(rows >= 0)
    its = known[answers["response"][rows[known]] >= 0]
    if not len(its):
        return found
    let_in = answers[answers["state"] != BLOCKED]
    pressed = np.concatenate((let_in["phone"], unsure["phone"])) * _MANY + np.concatenate(
        (let_in["response"], unsure["response"])
    )
    at = np.concatenate((let_in["at"] - let_in["took_s"], unsure["at"]))
    theirs = blocks.phone[chosen[its]] * _MANY + answers["response"][rows[its]]
    until = blocks.asked_at[chosen[its]] + _ROUNDING_S
    found[its] = _before(pressed, at, theirs, until, within_s=DAY_S)
    return found


def _was_locked(blocks: _Blocks, chosen: Integers) -> Booleans:
    messages, asked_at = blocks.evidence.messages, blocks.evidence.asked_at
    order = np.lexsort((asked_at, messages["phone"]))
    same = np.diff(messages["phone"][order]) == 0
    near = same & (np.diff(asked_at[order]) <= _LOCKED_S)
    locked = np.zeros(len(order), np.bool_)
    locked[order[1:][near]] = True
    locked[order[:-1][near]] = True
    right: Booleans = locked[blocks.evidence.rows_of(blocks.ids[chosen])]
    return right


def _was_anothers(blocks: _Blocks, chosen: Integers) -> Booleans:
    claims: Rows = blocks.evidence.books.claims
    if not len(claims):
        return np.ones(len(chosen), np.bool_)
    order = np.argsort(claims["phone"], kind="stable")
    phone, volunteer = claims["phone"][order], claims["volunteer"][order]
    handed_on = distinct(phone[1:][(phone[1:] == phone[:-1]) & (volunteer[1:] != volunteer[:-1])])
    given_back = distinct(claims["phone"][claims["change"] < 0])
    return is_among(blocks.phone[chosen], handed_on) | is_among(blocks.phone[chosen], given_back)


_REASONS: Mapping[int, Callable[[_Blocks, Integers], Booleans]] = {
    9000: _is_landline,
    1302: _had_left,
    1204: _had_failed,
    1205: _had_failed,
    1202: _was_shut,
    1203: _had_no_number,
    1001: _had_the_same,
    1304: _had_another,
    9001: _was_locked,
    1303: _was_anothers,
}
