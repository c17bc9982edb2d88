"""From a finished world to its result: the books counted, the money, the verdict."""

from collections import Counter

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.p2p.list_columns import Meaning
from gateway.p2p.lists import ListSummary
from simulator.audit.figures import Facts
from simulator.audit.ground_truth import WorldKnows
from simulator.audit.places import texted_s
from simulator.audit.records import STATES, Audit, Books
from simulator.model.ledger import Ledger
from simulator.rehearsal.rehearsed_settings import not_rehearsed
from simulator.rehearsal.stopwatch import Stopwatch, peak_rss_bytes
from simulator.report.result import ContactList, Messages, Numbers, OptOuts, Plan, Result
from simulator.report.verdict import judged as with_verdict

_HOURS_OVER = 1202
_CONSENT = frozenset({Meaning.OPT_OUT, Meaning.OPT_IN, Meaning.CONSENT})
_NO_CONSENT = "no column says who has opted out or who may be texted: nobody was left out for it"
_BY_CODE = ("blocked", "undelivered", "failed")


def result_of(
    *,
    plan: Plan,
    contacts: int,
    ledger: Ledger,
    books: Books,
    judged: Audit,
    ground_truth: WorldKnows,
    virtual_s: float,
    watch: Stopwatch,
    setup_s: float,
    contact_list: ContactList | None,
    facts: Facts,
) -> Result:
    """The outcome with its verdict; wall and CPU seconds run until now."""
    counts = ledger.counts()
    undecided = Result(
        scenario=plan.scenario.name,
        seed=plan.seed,
        contacts=contacts,
        virtual_seconds=round(virtual_s, 3),
        wall_seconds=round(watch.wall_s(), 3),
        peak_rss_bytes=peak_rss_bytes(),
        trace_hash=ledger.trace_hash(),
        messages=_messages(books),
        segments=counts.segments_billed,
        cost_usd=round(counts.cost_usd, 2),
        replies=len(books.inbound),
        opt_outs=_opt_outs(books),
        numbers=_numbers(books),
        list=contact_list,
        invariants=judged.counts,
        chances=judged.chances,
        ground_truth=ground_truth,
        waits=facts.waits,
        texted_s=texted_s(ledger),
        verdict="NO-GO",
        cpu_seconds=round(watch.cpu_s(), 3),
        setup_seconds=round(setup_s, 3),
        not_rehearsed=not_rehearsed(plan.settings),
    )
    return with_verdict(undecided, plan.scenario, facts)


def _messages(books: Books) -> Messages:
    rows = books.messages
    totals = np.bincount(rows["state"], minlength=len(STATES))
    counted: dict[str, object] = {
        state: int(totals[index]) for index, state in enumerate(STATES) if state not in (*_BY_CODE, "draft")
    }
    for state in _BY_CODE:
        codes, times = np.unique(rows["code"][rows["state"] == STATES.index(state)], return_counts=True)
        counted[state] = {str(code): int(n) for code, n in zip(codes, times, strict=True)}
    return msgspec.convert({"requested": len(rows), **counted}, Messages)


def _opt_outs(books: Books) -> OptOuts:
    sources = Counter(books.opt_outs["source"].tolist())
    return OptOuts(keyword=sources["keyword"], manual=sources["manual"])


def _numbers(books: Books) -> Numbers:
    states = Counter(books.numbers["state"].tolist())
    return Numbers(
        bought=len(books.numbers),
        in_use=len(books.numbers) - states["retired"],
        retired=states["retired"],
    )


def list_of(summary: ListSummary) -> ContactList:
    """What became of a list; one that says nothing about consent is warned of first."""
    silent = _CONSENT.isdisjoint(summary.columns.values())
    return ContactList(
        rows=summary.rows,
        used=summary.used,
        rejected=dict(summary.rejected),
        columns=summary.columns,
        ignored=summary.ignored,
        warnings=(*((_NO_CONSENT,) if silent else ()), *summary.warnings),
    )


def held_back_phones(books: Books) -> NDArray[np.int64]:
    """To whom a message still waits, or met the end of the texting hours while it waited."""
    rows = books.messages
    waits = rows["state"] == STATES.index("queued")
    late = (rows["state"] == STATES.index("blocked")) & (rows["code"] == _HOURS_OVER)
    phones: NDArray[np.int64] = rows["phone"][waits | late]
    return phones
