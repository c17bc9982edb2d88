"""How long people and volunteers waited, each figure at its half, its late ones and its longest, in seconds.

| figure          | from                                  | to                                                          |
|-----------------|---------------------------------------|-------------------------------------------------------------|
| press to wire   | a volunteer's first press of Send     | the first call to the provider that made a text of it       |
| reply to screen | a reply's webhook reached the gateway | it stood on a volunteer's screen                            |
| reply to answer | the same, of what began to wait       | a volunteer's press of the answer                           |
| STOP to effect  | a person's keyword at the provider    | the last text handed over to that person; at the least,     |
|                 |                                       | when the gateway heard of it                                |

All are seen from outside: by the phones' log and the carriers' ledger.
"""

import msgspec
import numpy as np

from simulator.audit.consent import Means, Said, said
from simulator.audit.moments import Moments
from simulator.audit.records import Books
from simulator.audit.timing import Spans
from simulator.audit.wall_clock import Floats
from simulator.model.ledger import Ledger

_KEPT_DIGITS = 3


class Wait(msgspec.Struct, frozen=True):
    """Seconds within which half, 95 %, 99 % and all of `count` waits were over; 0 where there was none."""

    count: int = 0
    p50_s: float = 0.0
    p95_s: float = 0.0
    p99_s: float = 0.0
    max_s: float = 0.0


class Waits(msgspec.Struct, frozen=True):
    """The four figures."""

    press_to_wire: Wait = Wait()
    reply_to_screen: Wait = Wait()
    reply_to_answer: Wait = Wait()
    stop_to_effect: Wait = Wait()


def waits(ledger: Ledger, books: Books, took: Spans) -> Waits:
    """The four figures of a rehearsal that is over."""
    texts = said(ledger)
    return Waits(
        press_to_wire=_wait(took.press_to_wire_s),
        reply_to_screen=_wait(reply_to_screen_s(texts, books)),
        reply_to_answer=_wait(took.reply_to_answer_s),
        stop_to_effect=_wait(stop_to_effect_s(texts, ledger)),
    )


def _wait(spans: Floats) -> Wait:
    if not len(spans):
        return Wait()
    quantiles = np.quantile(spans, (0.5, 0.95, 0.99, 1.0)).tolist()
    return Wait(len(spans), *(round(each, _KEPT_DIGITS) for each in quantiles))


def reply_to_screen_s(texts: Said, books: Books) -> Floats:
    """Of each reply that was ever shown: how long it waited for a screen."""
    replies = np.isfinite(texts.heard_at) & np.isin(texts.means, (Means.NOTHING, Means.LEAVES))
    person, heard_at = texts.person[replies], texts.heard_at[replies]
    shown_at = Moments(books.shown["phone"], books.shown["at"]).next_at(person, heard_at)
    spans: Floats = (shown_at - heard_at)[np.isfinite(shown_at)]
    return spans


def stop_to_effect_s(texts: Said, ledger: Ledger) -> Floats:
    """Of each keyword that reached the gateway: until it knew, or until its person's last text before a START."""
    stops = np.flatnonzero((texts.means == Means.STOP) & np.isfinite(texts.heard_at))
    person, at = texts.person[stops], texts.at[stops]
    starts = texts.means == Means.START
    until = Moments(texts.person[starts], texts.at[starts]).next_at(person, at)
    submissions = ledger.submissions.columns()
    handed_at = np.ascontiguousarray(submissions["handed_at"])
    last_at = Moments(np.ascontiguousarray(submissions["to"]), handed_at).last_at(person, until)
    spans: Floats = np.maximum(texts.heard_at[stops], last_at) - at
    return spans
