"""Consent kept: the list of opt-outs at the end is what people said, and nobody whom the list marks was texted.

What a text means is the model's to say, not the gateway's:

| said or done                               | on the list of opt-outs at the end          |
|--------------------------------------------|---------------------------------------------|
| a keyword that reached the gateway         | must be                                     |
| marked by a volunteer, who was answered    | must be                                     |
| marked as opted out in the contact list    | must be                                     |
| meant as leaving, in words of their own    | may be: somebody has to notice it           |
| a keyword or mark that may have got lost   | may be                                      |
| START, by text, after all of these         | must not be                                 |
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from simulator.audit.evidence import Booleans, Breaches, Evidence, Judged
from simulator.audit.hours import is_placed
from simulator.audit.opt_outs import marks_of_the_list
from simulator.audit.records import Elsewhere
from simulator.audit.wall_clock import Floats, Integers
from simulator.model.arrays import distinct, is_among
from simulator.model.blocking import STOP_WORDS
from simulator.model.ledger import Ledger
from simulator.model.replies import Intent, intent_of

_BEFORE_ALL_S = -1.0
_AT_ONCE_S = 10.0  # within so long either of two words may be taken for the later one
_STARTS = frozenset({"START", "UNSTOP"})  # YES answers a question (C5)


class Means(IntEnum):
    """What a text from a person asks for."""

    NOTHING = 0
    STOP = 1
    LEAVES = 2  # in words of their own
    START = 3


_MEANINGS = {
    Intent.KEYWORD: Means.STOP,
    Intent.LEAVES: Means.LEAVES,
    Intent.ABUSE: Means.LEAVES,
    Intent.WRONG_NUMBER: Means.LEAVES,
    Intent.START: Means.START,
}


def meaning_of(text: str) -> Means:
    """What a person of the model means; of a text that the model never writes, what a bare keyword says."""
    intent = intent_of(text)
    if intent is not None:
        return _MEANINGS.get(intent, Means.NOTHING)
    word = text.strip().upper()
    if word in STOP_WORDS:
        return Means.STOP
    return Means.START if word in _STARTS else Means.NOTHING


class Said(NamedTuple):
    """People's texts, oldest first: who, when it was with the provider, when first with the gateway (inf: never), what."""

    person: Integers
    at: Floats
    heard_at: Floats
    means: Integers


def said(ledger: Ledger, elsewhere: Elsewhere | None = None) -> Said:
    """Every text of a person; those to the campaigns `elsewhere` count as heard as well."""
    inbound = ledger.inbound.columns()
    heard_at = np.full(len(inbound), np.inf)
    for deliveries in (ledger.inbound_deliveries.columns(), *([elsewhere.deliveries] if elsewhere else ())):
        np.minimum.at(heard_at, deliveries["n"], deliveries["at"])
    means = np.fromiter((meaning_of(text) for text in ledger.inbound_texts), np.int64, len(inbound))
    return Said(np.ascontiguousarray(inbound["person"]), np.ascontiguousarray(inbound["at"]), heard_at, means)


def said_to_the_list(evidence: Evidence, elsewhere: Elsewhere | None = None) -> Said:
    """The same for one campaign: a text to another that keeps a list of its own asks nothing of ours."""
    texts = said(evidence.ledger, elsewhere)
    if evidence.world.elsewhere is None:
        to_others = evidence.ledger.inbound.columns()["campaign"] != evidence.books.campaign_id
        texts.means[to_others] = Means.NOTHING
    return texts


def judge_consent(evidence: Evidence) -> Judged:
    """Opt-outs that are missing, opt-outs that nobody asked for, texts to people whom the list marks."""
    world, books = evidence.world, evidence.books
    texts = said_to_the_list(evidence, world.elsewhere)
    marked = world.marked[is_placed(world.marked)]
    must = _must_have_left(evidence, texts, marked)
    listed = distinct(books.opt_outs["phone"].astype(np.int64))
    uncalled = listed[~is_among(listed, _may_have_left(evidence, texts)) & _is_told_of(evidence, listed)]
    started = distinct(texts.person[texts.means == Means.START])
    texted = np.flatnonzero(is_among(evidence.to, marked) & ~is_among(evidence.to, started))
    chances = len(must) + len(started) + int((texts.means == Means.STOP).sum())
    found = [
        Breaches(
            "phone", must[~is_among(must, listed)], "wants to be left alone, and is on no list of opt-outs"
        ),
        Breaches("phone", uncalled, "is on the list of opt-outs without having asked, or after START"),
        Breaches("submission", texted, "texted although the contact list marks this person as opted out"),
    ]
    return Judged(found, chances)


def _is_told_of(evidence: Evidence, phones: Integers) -> Booleans:
    """Of whom the model knows all that can have been said: what volunteers marked, and what the list says."""
    known = np.zeros(len(phones), np.bool_)
    if evidence.books.marks is None or evidence.world.texts is None:
        return known
    return evidence.world.texts.roster.has(phones)


def _must_have_left(evidence: Evidence, texts: Said, marked: Integers) -> Integers:
    """Whose last certain word was to be left alone."""
    latest = evidence.world.ended_at - evidence.world.commit_window_s
    stops = (texts.means == Means.STOP) & (texts.heard_at < latest)
    by_volunteers = marks_of_the_list(evidence)
    done = by_volunteers["at"] < latest
    phones = np.concatenate((texts.person[stops], by_volunteers["phone"][done], marked))
    at = np.concatenate(
        (texts.at[stops], by_volunteers["asked_at"][done], np.full(len(marked), _BEFORE_ALL_S))
    )
    people, last_at = _last(phones, at)
    starts = texts.means == Means.START  # heard or fetched: it may count
    return people[last_at > _last_of(people, texts.person[starts], texts.at[starts]) + _AT_ONCE_S]


def _may_have_left(evidence: Evidence, texts: Said) -> Integers:
    """Whose last word may have been to be left alone: by when it was said, or by when it came."""
    leaves = (texts.means == Means.STOP) | (texts.means == Means.LEAVES)
    by_volunteers, marked = marks_of_the_list(evidence), evidence.world.marked
    came_at = np.where(np.isfinite(texts.heard_at), texts.heard_at, texts.at)
    phones = np.concatenate((texts.person[leaves], by_volunteers["phone"], marked))
    answered_at = np.where(np.isfinite(by_volunteers["at"]), by_volunteers["at"], by_volunteers["asked_at"])
    at = np.concatenate((came_at[leaves], answered_at, np.full(len(marked), _BEFORE_ALL_S)))
    people, last_at = _last(phones, at)
    starts: Booleans = (texts.means == Means.START) & np.isfinite(texts.heard_at)
    started_at = _last_of(people, texts.person[starts], texts.at[starts])
    return people[last_at > started_at - _AT_ONCE_S]


def _last(phones: Integers, at: Floats) -> tuple[Integers, Floats]:
    """Each phone once, with its latest moment."""
    people, whose = np.unique(phones, return_inverse=True)
    last_at = np.full(len(people), -np.inf)
    np.maximum.at(last_at, whose, at)
    return people, last_at


def _last_of(people: Integers, phones: Integers, at: Floats) -> Floats:
    """The latest moment of each of the people; -inf: none."""
    known, last_at = _last(phones, at)
    found = np.full(len(people), -np.inf)
    if len(known):
        place = np.minimum(np.searchsorted(known, people), len(known) - 1)
        found = np.where(known[place] == people, last_at[place], found)
    return found
