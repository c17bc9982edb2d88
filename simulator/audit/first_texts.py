"""One first text a person, the same text once a day, and nothing after a code that forbids it.

| word about a text to this person                  | nothing more for            | source                        |
|---------------------------------------------------|-----------------------------|-------------------------------|
| 21610: unsubscribed at the provider               | ever, until START           | provider's error page         |
| 21211, 21614: no number, no mobile                | ever                        | provider's error pages        |
| 30006: a landline                                 | ever                        | provider's error page         |
| 30005: not in service; 30004: blocked             | 90 days                     | us-carrier list hygiene [A]   |
| 30003: the phone is off                           | 4 hours                     | "once, after hours" [A]       |

Whoever writes to us meanwhile has a phone that works, and is answered. Nothing at all goes to what a look-up calls a
landline.
"""

from math import inf

import numpy as np

from simulator.audit.evidence import Booleans, Breaches, Evidence, Judged
from simulator.audit.moments import latest
from simulator.audit.opt_outs import confirms, heard_consent
from simulator.audit.records import Rows
from simulator.audit.wall_clock import Floats, Integers
from simulator.model.arrays import distinct, is_among

DAY_S = 86_400.0
HOLDS_S = {
    21610: inf,
    21211: inf,
    21614: inf,
    30006: inf,
    30004: 90 * DAY_S,
    30005: 90 * DAY_S,
    30003: 4 * 3600.0,
}
_UNSUBSCRIBED = 21610
_RECEIPTS_COUNT_WITHIN_S = 120.0  # a promise: nobody waits for a receipt, and a crash may lie between
_LATEST_S = 366 * DAY_S


def judge_first_texts(evidence: Evidence) -> Judged:
    """Texts to people who had theirs and did not write, the same words again, texts after a word that forbids them."""
    if evidence.world.first_texts is None:
        return Judged([], 0)
    stop_phones, stop_at, _, _ = heard_consent(evidence)
    is_confirmation = confirms(evidence, stop_phones, stop_at)
    unasked = _beyond(evidence, evidence.world.first_texts) & ~evidence.is_answer & ~is_confirmation
    repeated = _repeated(evidence) & ~is_confirmation & ~unasked
    forbidden = _forbidden(evidence, evidence.to, evidence.handed_at - _RECEIPTS_COUNT_WITHIN_S)
    landlines = evidence.world.landlines
    to_landline = (
        np.zeros(len(evidence.to), np.bool_) if landlines is None else is_among(evidence.to, landlines)
    )
    found = [
        Breaches("submission", np.flatnonzero(to_landline), "texted although a look-up calls it a landline"),
        Breaches("submission", np.flatnonzero(unasked), "a further text to somebody who had not written"),
        Breaches("submission", np.flatnonzero(repeated), "the same words again within a day"),
        Breaches("submission", np.flatnonzero(forbidden), "texted although a code forbade it"),
    ]
    return Judged(found, _chances(evidence))


def _beyond(evidence: Evidence, most: int) -> Booleans:
    """Attempts of a person's messages after the first so many."""
    order = np.lexsort((evidence.handed_at, evidence.to))
    keys = np.stack((evidence.to, evidence.submissions["message_id"]), axis=1)[order]
    messages, first, which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    by_first = np.lexsort((first, messages[:, 0]))
    nth = np.empty(len(messages), np.int64)
    nth[by_first] = np.arange(len(messages)) - np.searchsorted(messages[by_first, 0], messages[by_first, 0])
    found = np.zeros(len(order), np.bool_)
    found[order] = nth[which.ravel()] >= most
    return found


def _repeated(evidence: Evidence) -> Booleans:
    """The same words to the same person within 24 hours, as another message."""
    key, message_id = evidence.submissions["body_key"], evidence.submissions["message_id"]
    order = np.lexsort((evidence.handed_at, key, evidence.to))
    same = (np.diff(evidence.to[order]) == 0) & (key[order][1:] == key[order][:-1])
    same &= message_id[order][1:] != message_id[order][:-1]
    same &= np.diff(evidence.handed_at[order]) < DAY_S
    found = np.zeros(len(order), np.bool_)
    found[order[1:][same]] = True
    return found


def _forbidden(evidence: Evidence, phones: Integers, at: Floats) -> Booleans:
    """Which of the people had a word at that moment that forbids to text them, and have not written since."""
    inbound = evidence.ledger.inbound.columns()
    _, _, start_phones, start_at = heard_consent(evidence)
    moments = np.minimum(at, _LATEST_S)
    found = np.zeros(len(phones), np.bool_)
    words = _words(evidence)
    for code, hold_s in HOLDS_S.items():
        told = words[words["code"] == code]
        if not len(told):
            continue
        known = distinct(told["phone"])
        theirs = np.flatnonzero(is_among(phones, known))
        told_at = latest(known, told["phone"], told["at"], phones[theirs], moments[theirs])
        wrote, wrote_at = (
            (start_phones, start_at) if code == _UNSUBSCRIBED else (inbound["person"], inbound["at"])
        )
        wrote_us = latest(known, wrote, wrote_at, phones[theirs], moments[theirs] + _RECEIPTS_COUNT_WITHIN_S)
        now_us = latest(phones[theirs], phones[theirs], moments[theirs], phones[theirs], moments[theirs])
        held = (told_at >= 0) & (wrote_us <= told_at) & (now_us - told_at < min(hold_s, _LATEST_S) * 1e6)
        found[theirs[held]] = True
    return found


_WORD = np.dtype([("phone", "<i8"), ("at", "<f8"), ("code", "<i8")])


def _words(evidence: Evidence) -> Rows:
    """Codes about people's texts, when they reached the gateway: webhooks, and refusals at the door."""
    heard = evidence.statuses[np.isin(evidence.statuses["code"], list(HOLDS_S))]
    refused = evidence.ledger.refusals.columns()
    refused = refused[np.isin(refused["code"], list(HOLDS_S))]
    words = np.empty(len(heard) + len(refused), _WORD)
    words["phone"] = np.concatenate((evidence.to[heard["n"]], refused["to"]))
    words["at"] = np.concatenate((heard["at"], refused["at"]))
    words["code"] = np.concatenate((heard["code"], refused["code"]))
    return words


def _chances(evidence: Evidence) -> int:
    """Texts asked for after another one to the same person who had not written, or while a code forbids any."""
    messages, asked_at = evidence.messages, evidence.asked_at
    order = np.lexsort((asked_at, messages["phone"]))
    again = np.zeros(len(order), np.bool_)
    again[order[1:]] = np.diff(messages["phone"][order]) == 0
    inbound = evidence.ledger.inbound.columns()
    known = distinct(inbound["person"])
    wrote = np.zeros(len(order), np.bool_)
    theirs = np.flatnonzero(is_among(messages["phone"], known))
    wrote[theirs] = (
        latest(known, inbound["person"], inbound["at"], messages["phone"][theirs], asked_at[theirs]) >= 0
    )
    forbidden = _forbidden(evidence, messages["phone"], evidence.left_at)
    return int(np.count_nonzero((again & ~wrote) | forbidden))
