"""The right words: each text on the wire is its script, rendered by the model for this person, and somebody pressed it.

A first text is the variant that the person was to get, with the list's name and that of the volunteer who pressed. An
answer is the canned response that the volunteer pressed, to the person for whom it was pressed.
"""

import numpy as np

from simulator.audit.evidence import Booleans, Breaches, Evidence, Judged
from simulator.audit.records import Rows, Texts
from simulator.audit.wall_clock import Integers
from simulator.model.arrays import is_among, places_of
from simulator.model.wording import Names, Wording, key_of

_UNKNOWN = -1  # of a text that the model can't render
_KEY_BITS = 32


def judge_words(evidence: Evidence) -> Judged:
    """Texts with other words, to other people, or that nobody pressed."""
    texts = evidence.world.texts
    if texts is None:
        return Judged([], 0)
    answers = evidence.books.answers
    order = np.argsort(answers["message_id"], kind="stable")
    acknowledged = answers[order]
    expected = _expected(acknowledged, texts)
    is_confirmation = np.isin(
        evidence.submissions["body_key"], evidence.world.confirmations
    )  # ours, nobody's press
    is_ours = evidence.submissions["campaign_id"] == evidence.books.campaign_id
    ours = np.flatnonzero(is_ours & ~is_confirmation)
    press = _press_of(evidence, acknowledged, ours)
    known = press >= 0
    told, of = ours[known], press[known]
    is_other = evidence.to[told] != acknowledged["phone"][of]
    is_judged = expected[of] != _UNKNOWN
    is_wrong = is_judged & ~is_other & (_keys(evidence, told) != expected[of])
    stray, asked = _uncalled(evidence, ours[~known], acknowledged, expected, texts)
    found = [
        Breaches("submission", told[is_other], "on the wire to another person than it was pressed for"),
        Breaches(
            "submission", told[is_wrong], "on the wire in other words than its script has for this person"
        ),
        Breaches("submission", stray, "on the wire in words that nobody pressed for this person"),
    ]
    return Judged(found, int(is_judged.sum()) + asked)


def _press_of(evidence: Evidence, acknowledged: Rows, rows: Integers) -> Integers:
    """The press behind each submission, -1 where none was acknowledged."""
    ids = np.ascontiguousarray(acknowledged["message_id"])
    return places_of(ids, evidence.submissions["message_id"][rows])


def _uncalled(
    evidence: Evidence, rows: Integers, acknowledged: Rows, expected: Integers, texts: Texts
) -> tuple[Integers, int]:
    """Texts whose press nobody acknowledged (a crash came between) have to be some press's, by person and words."""
    unsure = evidence.books.unsure
    phones = np.concatenate((acknowledged["phone"], unsure["phone"]))
    words = np.concatenate((expected, _expected(unsure, texts)))
    can_tell = ~is_among(evidence.to[rows], phones[words == _UNKNOWN])
    pressed = (phones << _KEY_BITS) + words
    on_wire = (evidence.to[rows] << _KEY_BITS) + _keys(evidence, rows)
    return rows[can_tell & ~is_among(on_wire, pressed)], int(can_tell.sum())


def _keys(evidence: Evidence, rows: Integers) -> Integers:
    keys: Integers = evidence.submissions["body_key"][rows].astype(np.int64)
    return keys


def _expected(presses: Rows, texts: Texts) -> Integers:
    """The key of each press's text; _UNKNOWN where the model can't render it. Every different text is made once."""
    count = len(presses)
    keys = np.full(count, _UNKNOWN, np.int64)
    first, last = (
        codes.astype(np.int64) for codes in texts.roster.codes(np.ascontiguousarray(presses["phone"]))
    )
    sender = presses["volunteer"].astype(np.int64) % max(1, len(texts.senders))
    is_first = presses["response"] < 0
    scripts = [(is_first & (presses["variant"] == n), each, True) for n, each in enumerate(texts.initials)]
    scripts += [(presses["response"] == n, each, False) for n, each in enumerate(texts.responses)]
    for chosen, wording, is_initial in scripts:
        if wording is not None and chosen.any():
            _fill(keys, np.flatnonzero(chosen), wording, texts, (first, last, sender), is_initial)
    return keys


def _fill(
    keys: Integers,
    rows: Integers,
    wording: Wording,
    texts: Texts,
    who: tuple[Integers, Integers, Integers],
    is_initial: bool,
) -> None:
    """The keys of one script's presses; a volunteer who answers gives the first name alone."""
    first, last, sender = (
        codes[rows].astype(np.int64) if _asks(wording, what) else np.zeros(len(rows), np.int64)
        for codes, what in zip(who, ("first", "last", "user"), strict=True)
    )
    can_tell: Booleans = (first >= 0) & (last >= 0)
    many_last, many_senders = len(texts.roster.words[1]) + 1, max(1, len(texts.senders))
    combined = (first * many_last + last) * many_senders + sender
    different, whose = np.unique(combined[can_tell], return_inverse=True)
    made = [
        key_of(_text(wording, texts, int(each), (many_last, many_senders), is_initial)) for each in different
    ]
    keys[rows[can_tell]] = np.array(made, np.int64)[whose]


def _asks(wording: Wording, what: str) -> bool:
    """Whether a script needs the person's first name, the last, or the volunteer's."""
    if what == "user":
        return any(name.startswith("user.") for name in wording.variables)
    return any(name in {f"{what}_name", "full_name", "fullname"} for name in wording.variables)


def _text(wording: Wording, texts: Texts, combined: int, many: tuple[int, int], is_initial: bool) -> str:
    many_last, many_senders = many
    people, sender = divmod(combined, many_senders)
    first, last = divmod(people, many_last)
    names = texts.roster.names(first, last)
    if not is_initial:
        return wording.text(Names(names.first), Names())
    return wording.text(names, Names(texts.senders[sender]))
