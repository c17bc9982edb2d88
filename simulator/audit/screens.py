"""Heard: each reply that reached the gateway came on a volunteer's screen as soon as somebody looked who should see it.

The volunteers' phones kept each look at the inbox. A look with room on its screen shows all that waits for that
volunteer: what people wrote whom he has, and what others have left lying for too long. So a reply that such a look
did not show was kept from everybody.
"""

import numpy as np

from simulator.audit.consent import Means, Said, said_to_the_list
from simulator.audit.evidence import Booleans, Breaches, Evidence, Judged
from simulator.audit.hours import Opening
from simulator.audit.moments import Moments
from simulator.audit.opt_outs import marks_of_the_list
from simulator.audit.records import BLOCKED, Desk, Rows
from simulator.audit.wall_clock import Floats, Integers
from simulator.model.arrays import is_among
from simulator.model.wording import key_of

_KNOWN_WITHIN_S = 60.0  # of its webhook a reply can be shown [A]
_ROUNDING_S = 2e-6


def judge_screens(evidence: Evidence) -> Judged:
    """Replies that were kept from the screens, and words on a screen that nobody wrote."""
    books, desk = evidence.books, evidence.world.desk
    looks = books.looks[:0] if desk is None else books.looks[books.looks["shown"] < desk.limit]
    if desk is None or not len(looks):
        return Judged([], 0)
    texts = said_to_the_list(evidence)
    replies = np.flatnonzero(
        np.isfinite(texts.heard_at) & np.isin(texts.means, (Means.NOTHING, Means.LEAVES))
    )
    due = _due_looks(evidence, looks, desk, texts, replies)
    is_due = due >= 0
    replies, due = replies[is_due], due[is_due]
    person, heard_at = texts.person[replies], texts.heard_at[replies]
    is_due = _still_wants(evidence, texts, person, heard_at, looks["at"][due])
    is_due &= Opening(evidence).at(person, looks["asked_at"][due])
    shown_at = Moments(books.shown["phone"], books.shown["at"]).next_at(person, heard_at)
    is_late = is_due & (shown_at > looks["at"][due] + _ROUNDING_S)
    found = [
        Breaches(
            "phone", person[is_late], "wrote to us, and was kept from the screen of a volunteer who looked"
        ),
        Breaches(
            "phone", _strange_words(evidence, texts), "stood on a volunteer's screen with words of nobody"
        ),
        Breaches("phone", _forgotten(evidence), "waits for an answer, and the inbox has forgotten it"),
        Breaches("phone", _old_words(evidence, texts), "stood on a screen without the last thing they wrote"),
        Breaches(
            "phone", _snatched(evidence, desk), "changed hands though a volunteer had just been shown them"
        ),
    ]
    return Judged(found, int(is_due.sum()))


def still_waiting(evidence: Evidence) -> Integers:
    """People whose last text still wants an answer at the end, by the model: nobody has answered it or marked them, and
    they have not left. Not those of whom a lost answer may have been carried out, nor who wrote in the last minute."""
    texts, books = said_to_the_list(evidence), evidence.books
    replies = np.flatnonzero(
        np.isfinite(texts.heard_at) & np.isin(texts.means, (Means.NOTHING, Means.LEAVES))
    )
    if not len(replies) or not np.isfinite(evidence.world.day_ends_at):
        return np.empty(0, np.int64)
    person, heard_at = texts.person[replies], texts.heard_at[replies]
    answers = books.answers[(books.answers["response"] >= 0) & (books.answers["state"] != BLOCKED)]
    answered_at = Moments(answers["phone"], answers["at"] - answers["took_s"]).next_at(person, heard_at)
    unsure_at = Moments(books.unsure["phone"], books.unsure["at"]).next_at(person, heard_at)
    waits = (
        np.isinf(answered_at)
        & np.isinf(unsure_at)
        & (heard_at < evidence.world.day_ends_at - _KNOWN_WITHIN_S)
    )
    # The books are read when the last volunteer has ended: a mark made after the day's end is in them.
    waits &= _still_wants(evidence, texts, person, heard_at, np.full(len(person), np.inf))
    waits &= ~_repeats(evidence, person, heard_at)
    return np.unique(person[waits])


def _repeats(evidence: Evidence, person: Integers, heard_at: Floats) -> Booleans:
    """Whose answer was refused as one that had been given: the volunteer then reports that nothing is left to say."""
    refused = evidence.books.answers
    refused = refused[(refused["response"] >= 0) & (refused["state"] == BLOCKED)]
    at = Moments(refused["phone"], refused["at"]).next_at(person, heard_at)
    return np.isfinite(at)


def _due_looks(evidence: Evidence, looks: Rows, desk: Desk, texts: Said, replies: Integers) -> Integers:
    """The first look that had to show each reply, as a row of `looks`; -1: nobody looked.

    A person's own volunteer sees a reply at once; the desk, and later anybody, what was left lying.
    """
    known_at = texts.heard_at[replies] + _KNOWN_WITHIN_S
    order = np.argsort(looks["asked_at"], kind="stable")
    at_desk = order[looks["volunteer"][order] >= desk.first]
    found = [
        _first(looks, at_desk, known_at + desk.desk_take_over_s),
        _first(looks, order, known_at + desk.own_take_over_s),
        _own(evidence, looks, texts.person[replies], texts.heard_at[replies], known_at),
    ]
    asked_at = np.stack([np.where(rows >= 0, looks["asked_at"][rows], np.inf) for rows in found])
    first = asked_at.argmin(axis=0)
    rows: Integers = np.stack(found)[first, np.arange(len(replies))]
    return rows


def _first(looks: Rows, order: Integers, after: Floats) -> Integers:
    """The first of some looks that was asked for at or after each moment; -1: none."""
    if not len(order):
        return np.full(len(after), -1, np.int64)
    place = np.searchsorted(looks["asked_at"][order], after)
    rows: Integers = np.where(place < len(order), order[np.minimum(place, len(order) - 1)], -1)
    return rows


def _own(evidence: Evidence, looks: Rows, person: Integers, heard_at: Floats, known_at: Floats) -> Integers:
    """The first look of whoever had the person when the reply came; -1: none, or nobody had."""
    claims = evidence.books.claims
    if not len(claims) or not len(looks):
        return np.full(len(person), -1, np.int64)
    given = Moments(claims["phone"], claims["at"]).before(person, heard_at)
    claim = claims[given]
    rows = Moments(looks["volunteer"], looks["asked_at"]).after(claim["volunteer"], known_at)
    found: Integers = np.where((given >= 0) & (claim["change"] > 0), rows, -1)
    return found


def _still_wants(
    evidence: Evidence, texts: Said, person: Integers, heard_at: Floats, until: Floats
) -> Booleans:
    """Whose reply still wanted an answer: nobody who had left, or left before it could be shown (F125)."""
    stops = texts.means == Means.STOP
    marks = marks_of_the_list(evidence)
    left = np.concatenate((texts.person[stops], marks["phone"], evidence.world.marked))
    left_at = np.concatenate(
        (texts.at[stops], marks["asked_at"], np.full(len(evidence.world.marked), -1.0))
    )  # a STOP that got lost, and was fetched, counts as well
    starts = texts.means == Means.START
    had_left = Moments(left, left_at).last_at(person, until)
    came_back = Moments(texts.person[starts], texts.at[starts]).last_at(person, heard_at)
    return ~(had_left > came_back)


def _forgotten(evidence: Evidence) -> Integers:
    """Who waits by the model, and is not among those of whom the gateway says so."""
    if evidence.books.waiting is None:
        return np.empty(0, np.int64)
    waits = still_waiting(evidence)
    forgotten: Integers = waits[~is_among(waits, evidence.books.waiting)]
    return forgotten


def _old_words(evidence: Evidence, texts: Said) -> Integers:
    """Whom a screen showed with an earlier text, though a later one had long been known."""
    shown = evidence.books.shown
    heard = np.flatnonzero(np.isfinite(texts.heard_at))
    moments = Moments(texts.person[heard], texts.heard_at[heard])
    last = moments.before(shown["phone"], shown["at"] - _KNOWN_WITHIN_S)
    known = np.flatnonzero(last >= 0)
    since = np.full(len(shown), np.inf)
    since[known] = texts.heard_at[heard[last[known]]]
    said_at: dict[tuple[int, int], float] = {}
    for n in heard.tolist():
        words = int(texts.person[n]), key_of(evidence.ledger.inbound_texts[n])
        said_at[words] = max(said_at.get(words, -np.inf), float(texts.heard_at[n]))
    old = [
        phone
        for phone, text, at in zip(
            shown["phone"][known].tolist(), shown["text"][known].tolist(), since[known].tolist(), strict=True
        )
        if said_at.get((phone, text), np.inf) < at
    ]
    return np.unique(np.array(old, np.int64))


def _snatched(evidence: Evidence, desk: Desk) -> Integers:
    """Whom a screen showed to another volunteer sooner than that one may take over what stood on somebody's screen."""
    shown = evidence.books.shown[np.lexsort((evidence.books.shown["at"], evidence.books.shown["phone"]))]
    take_over_s = np.where(shown["volunteer"] >= desk.first, desk.desk_take_over_s, desk.own_take_over_s)
    changed = (np.diff(shown["phone"]) == 0) & (np.diff(shown["volunteer"]) != 0)
    too_soon = changed & (np.diff(shown["at"]) < take_over_s[1:] - _KNOWN_WITHIN_S)
    return np.unique(shown["phone"][1:][too_soon])


def _strange_words(evidence: Evidence, texts: Said) -> Integers:
    """Whom a screen showed with a text that is not theirs."""
    shown = evidence.books.shown
    written = np.fromiter(
        (key_of(text) for text in evidence.ledger.inbound_texts), np.int64, len(texts.person)
    )
    theirs = np.unique((texts.person << 32) + written)
    on_screen = (shown["phone"] << 32) + shown["text"].astype(np.int64)
    place = np.minimum(np.searchsorted(theirs, on_screen), len(theirs) - 1)
    strange = theirs[place] != on_screen if len(theirs) else np.ones(len(shown), np.bool_)
    people: Integers = np.unique(shown["phone"][strange])
    return people
