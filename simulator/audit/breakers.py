"""Breakers: first texts of a script that a carrier filters must stop, and only these may wait for that; a number from
which everything is filtered begins no conversations (filtered_numbers.py).

All from what the carriers did and the gateway was told of it: of each script that was on a screen and each carrier, how
many of its first texts had ended, and how many of them were filtered. What the gateway says of its breakers is not asked.
Where too many were filtered for sure, by more than there may be between two counts, nothing more may go out two minutes
later; where it may have looked so, by a count that is kinder, first texts may wait, and people may get another script.
"""

from math import inf
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from simulator.audit.ends import FILTERED
from simulator.audit.evidence import Booleans, Breaches, Evidence, Judged
from simulator.audit.filtered_numbers import begun_in_vain
from simulator.audit.kinds import kinds_of
from simulator.audit.records import BLOCKED, Breaker, Rows
from simulator.audit.wall_clock import Floats, Integers
from simulator.model.carriers import CARRIERS

_KINDS = 16  # more than there are carriers
_Z_95 = 1.959963984540054
_SURELY, _PERHAPS = 1.2, 0.8  # of the threshold and of the fewest texts [A]
_STOPPED_WITHIN_S = 120.0  # twice a minute somebody looks, and what is claimed then is handed over [A]


class Plain(NamedTuple):
    """Of each pair of a script and a carrier: when the filter might first have been seen, when a breaker should open, and
    what had been counted then, and when nobody could overlook it. inf: never."""

    perhaps_at: Floats
    at: Floats
    filtered: Integers
    of: Integers
    surely_at: Floats


class Stopped(NamedTuple):
    """A script that was held from a carrier: from when, after how many filtered texts of how many, and how many people
    were texted in other words, or not at all, because of it."""

    variant: int
    carrier: str
    at: float
    filtered: int
    of: int
    spared: int


def judge_breakers(evidence: Evidence) -> Judged:
    """First texts that went on though their carrier plainly filtered their script, or all that came from their number; and
    other scripts without a reason."""
    in_vain, numbers = begun_in_vain(evidence)
    of_numbers = Breaches("submission", in_vain, "begun from a number from which everything was filtered")
    if evidence.world.breaker is None:
        return Judged([of_numbers], numbers)
    plain, first = _plain(evidence), _first_texts(evidence)
    rows, of = _press_of(evidence, first)
    pair = _pairs(evidence, first["variant"], first["phone"])
    late = evidence.handed_at[rows] > _must_stop_at(evidence, plain)[pair[of]]
    drawn = _pairs(evidence, first["drawn"], first["phone"])
    other = (first["variant"] != first["drawn"]) & ~(plain.perhaps_at[drawn] <= first["at"])
    found = [
        Breaches("submission", rows[late], "went out though its carrier plainly filtered this script"),
        Breaches(
            "message", first["message_id"][other], "is another script than was drawn, and nothing held that"
        ),
        of_numbers,
    ]
    several = len(evidence.world.texts.initials) > 1 if evidence.world.texts is not None else False
    asked = several | (first["at"] > plain.surely_at[drawn])
    return Judged(found, int(np.count_nonzero(asked)) + numbers)


def held_since(evidence: Evidence, message_ids: Integers) -> Floats:
    """From when on messages may have waited for a breaker; inf: never, as for every answer."""
    held = np.full(len(message_ids), inf)
    if evidence.world.breaker is None or not len(message_ids):
        return held
    first = _first_texts(evidence)
    first = first[np.argsort(first["message_id"], kind="stable")]
    place = np.minimum(np.searchsorted(first["message_id"], message_ids), len(first) - 1)
    if len(first):
        known = first["message_id"][place] == message_ids
        pair = _pairs(evidence, first["variant"][place], first["phone"][place])
        held[known] = _plain(evidence).perhaps_at[pair[known]]
    return held


def of_filtered_scripts(evidence: Evidence) -> Booleans:
    """Submissions of first texts whose script their carrier filtered: no number is to blame for these."""
    found = np.zeros(len(evidence.to), np.bool_)
    if evidence.world.breaker is not None:
        first = _first_texts(evidence)
        rows, of = _press_of(evidence, first)
        found[rows] = np.isfinite(_plain(evidence).perhaps_at)[
            _pairs(evidence, first["variant"], first["phone"])[of]
        ]
    return found


def stopped(evidence: Evidence) -> tuple[Stopped, ...]:
    """What breakers had to stop, the earliest first."""
    if evidence.world.breaker is None:
        return ()
    plain, first = _plain(evidence), _first_texts(evidence)
    drawn = _pairs(evidence, first["drawn"], first["phone"])
    _, of = _press_of(evidence, first)
    went = np.zeros(len(first), np.bool_)
    went[of] = True
    later, other = first["at"] > plain.perhaps_at[drawn], first["variant"] != first["drawn"]
    spared = np.bincount(drawn[later & (other | ~went)], minlength=len(plain.at))
    is_stopped = (np.bincount(drawn[later & other], minlength=len(plain.at)) > 0) | (
        (spared > 0) & np.isfinite(plain.at)
    )
    at = np.where(np.isfinite(plain.at), plain.at, plain.perhaps_at)
    return tuple(
        Stopped(
            variant=pair // _KINDS,
            carrier=(*CARRIERS, "")[pair % _KINDS],
            at=float(at[pair]),
            filtered=int(plain.filtered[pair]),
            of=int(plain.of[pair]),
            spared=int(spared[pair]),
        )
        for pair in np.argsort(at, kind="stable").tolist()
        if is_stopped[pair]
    )


_PLAIN: WeakKeyDictionary[Evidence, Plain] = WeakKeyDictionary()  # several rules ask for it


def _plain(evidence: Evidence) -> Plain:
    if evidence not in _PLAIN:
        _PLAIN[evidence] = _made_plain(evidence)
    return _PLAIN[evidence]


def _made_plain(evidence: Evidence) -> Plain:
    breaker, first = evidence.world.breaker, _first_texts(evidence)
    assert breaker is not None
    rows, of = _press_of(evidence, first)
    pairs = np.full(len(evidence.to), -1, np.int64)
    pairs[rows] = _pairs(evidence, first["variant"], first["phone"])[of]
    words = evidence.told_ends
    pair, is_filtered = pairs[words["n"]], words["code"] == FILTERED
    count = _KINDS * (int(first["variant"].max(initial=0)) + int(first["drawn"].max(initial=0)) + 1)
    never, nothing = np.full(count, inf), np.zeros(count, np.int64)
    plain = Plain(never, never.copy(), nothing, nothing.copy(), never.copy())
    for each in np.unique(pair[pair >= 0]).tolist():
        its = pair == each
        filtered, of_all, at = np.cumsum(is_filtered[its]), np.arange(1, its.sum() + 1), words["at"][its]
        for moments, factor in ((plain.perhaps_at, _PERHAPS), (plain.at, 1.0), (plain.surely_at, _SURELY)):
            place = _first(filtered, of_all, breaker, factor)
            if place is not None:
                moments[each] = at[place]
                if factor <= 1.0:
                    plain.filtered[each], plain.of[each] = filtered[place], of_all[place]
    return plain


def _first(filtered: Integers, of: Integers, breaker: Breaker, factor: float) -> int | None:
    """The first count at which surely more than `factor` times the threshold was filtered, of enough; None: none."""
    enough = of >= factor * breaker.least_texts
    over = np.flatnonzero(enough & (_at_least(filtered, of) > factor * breaker.filtered_share))
    return int(over[0]) if len(over) else None


def _at_least(number: Integers, of: Integers) -> Floats:
    """The lower end of Wilson's interval, of 95 in 100 (JASA 22, 1927)."""
    share, square = number / of, _Z_95 * _Z_95
    half = _Z_95 * np.sqrt(share * (1 - share) / of + square / (4 * of * of))
    low: Floats = (share + square / (2 * of) - half) / (1 + square / of)
    return np.where(number == 0, 0.0, low)


def _must_stop_at(evidence: Evidence, plain: Plain) -> Floats:
    """When nothing more may go: later where the gateway was away meanwhile."""
    stop_at: Floats = plain.surely_at + _STOPPED_WITHIN_S
    for begin, end in evidence.world.away:
        meanwhile = (plain.surely_at <= end) & (begin <= stop_at)
        stop_at[meanwhile] = np.maximum(stop_at[meanwhile], end + _STOPPED_WITHIN_S)
    return stop_at


def _first_texts(evidence: Evidence) -> Rows:
    """The presses of first texts that were let through."""
    answers = evidence.books.answers
    first: Rows = answers[(answers["response"] < 0) & (answers["state"] != BLOCKED)]
    return first


def _press_of(evidence: Evidence, first: Rows) -> tuple[Integers, Integers]:
    """The submissions of these presses, as rows of the ledger and of the presses."""
    order = np.argsort(first["message_id"], kind="stable")
    ids = first["message_id"][order]
    ours = np.flatnonzero(evidence.row_of >= 0)
    if not len(ids):
        return ours[:0], ours[:0]
    wanted = evidence.submissions["message_id"][ours]
    place = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    known = ids[place] == wanted
    return ours[known], order[place[known]]


def _pairs(evidence: Evidence, variants: Integers, phones: Integers) -> Integers:
    pairs: Integers = variants.astype(np.int64) * _KINDS + kinds_of(evidence, phones)
    return pairs
