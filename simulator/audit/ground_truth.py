"""What only the world knows: texts nobody wanted, texts nobody saw, and wishes that nobody wrote down.

A wish to be left alone counts in whatever words, as the model meant them (simulator/model/replies.py), from when
the provider had it.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from simulator.audit.moments import Moments
from simulator.audit.records import Books
from simulator.model.arrays import distinct, is_among
from simulator.model.ledger import DELIVERED, Ledger
from simulator.model.population import Population
from simulator.model.replies import Intent, intent_of

LEAVING = frozenset({Intent.KEYWORD, Intent.LEAVES, Intent.ABUSE, Intent.WRONG_NUMBER})
_WISHES = {**dict.fromkeys(LEAVING, 1), Intent.START: -1}

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class WorldKnows(msgspec.Struct, frozen=True, kw_only=True):
    """What no book of a gateway's can show; counted by the model."""

    asked_to_leave: int = 0  # people whose last wish was to be left alone, in whatever words
    opt_outs_overlooked: int = 0  # of them, those whom the books don't have as opted out
    shown_after_leaving: int = 0  # texts shown to people who had asked to be left alone
    sent_after_leaving: int = 0  # of them, those handed over after the wish: the others were on their way
    reported_delivered: int = 0  # texts of which a carrier says that the phone has them
    never_shown: int = 0  # of them, those that no phone ever showed
    to_reassigned: int = 0  # texts shown to somebody who holds a reassigned number
    to_unlisted: int = 0  # texts to phones that are not on the list
    complaints: int = 0  # reports of junk
    webhooks_lost: int = 0  # callbacks of the provider that never came


def world_knows(ledger: Ledger, books: Books, population: Population, complaints: int) -> WorldKnows:
    """Counted from the ledger and the population; the books only say whom the gateway has as opted out."""
    asked = ledger.submissions.columns()
    arrivals = ledger.arrivals.columns()
    n = arrivals["n"][arrivals["shown"] > 0]
    seen_at, seen_by = arrivals["at"][arrivals["shown"] > 0], asked["to"][n]
    wishes = Wishes(ledger)
    after = wishes.to_leave(seen_by, seen_at)
    leavers = wishes.leavers
    unlisted = ~is_among(asked["to"][ledger.accepts.columns()["n"]], population.phones)
    return WorldKnows(
        asked_to_leave=len(leavers),
        opt_outs_overlooked=int((~is_among(leavers, books.opt_outs["phone"])).sum()),
        shown_after_leaving=int(after.sum()),
        sent_after_leaving=int((after & wishes.to_leave(seen_by, asked["handed_at"][n])).sum()),
        reported_delivered=int((ledger.finals.columns()["status"] == DELIVERED).sum()),
        never_shown=len(never_shown(ledger)),
        to_reassigned=int(is_among(seen_by, population.phones[population.reassigned]).sum()),
        to_unlisted=int(unlisted.sum()),
        complaints=complaints,
        webhooks_lost=ledger.webhooks_lost,
    )


def never_shown(ledger: Ledger) -> Integers:
    """The messages that a carrier reported as delivered and never showed."""
    arrivals, finals = ledger.arrivals.columns(), ledger.finals.columns()
    hidden = arrivals["n"][arrivals["shown"] == 0]
    reported: Integers = hidden[is_among(hidden, finals["n"][finals["status"] == DELIVERED])]
    return reported


class Wishes:
    """Who asked when to be left alone, and who asked for more texts."""

    def __init__(self, ledger: Ledger) -> None:
        inbound = ledger.inbound.columns()
        meant = np.array([wish(text) for text in ledger.inbound_texts], np.int8)
        person, at = inbound["person"][meant != 0], inbound["at"][meant != 0]
        self._people = distinct(person)
        self._wishes = Moments(person, at)
        self._leaves = meant[meant != 0] > 0

    @property
    def leavers(self) -> Integers:
        """The people whose last wish was to be left alone."""
        found: Integers = self._people[self.to_leave(self._people, np.full(len(self._people), np.inf))]
        return found

    def to_leave(self, people: Integers, at: Floats) -> NDArray[np.bool_]:
        """Whether the last wish of each person up to a moment was to be left alone."""
        wished = np.zeros(len(people), np.bool_)
        rows = self._wishes.before(people, at)
        wished[rows >= 0] = self._leaves[rows[rows >= 0]]
        return wished


def wish(text: str) -> int:
    """1 to be left alone, -1 for more texts, 0 neither."""
    intent = intent_of(text.strip())
    return 0 if intent is None else _WISHES.get(intent, 0)
