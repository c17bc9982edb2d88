"""What the results of an action tell, against what happened: each figure counted a second time.

| figure                                   | counted from                                                            |
|------------------------------------------|-------------------------------------------------------------------------|
| first texts, answers, under way, failures | the campaign's texts by kind, state and code, as the other rules judge them |
| responses, and people who responded      | the campaign's people's texts, which are as the ledger has them          |
"""

from collections.abc import Mapping

import numpy as np

from simulator.audit.ends import FILTERED
from simulator.audit.evidence import Booleans, Breaches, Evidence, Judged
from simulator.audit.records import (
    BLOCKED,
    DELIVERED,
    FAILED,
    INITIAL,
    QUEUED,
    REPLY,
    SENDING,
    SENT,
    UNDELIVERED,
    UNKNOWN,
)
from simulator.audit.wall_clock import Integers


def judge_results(evidence: Evidence) -> Judged:
    """Figures of which the gateway tells another number."""
    told = evidence.books.results
    if told is None:
        return Judged([], 0)
    counted = {**_of_texts(evidence), **_of_people(evidence)}
    found = [
        Breaches("phone", people[:1], f"the results tell {told[figure]} {figure}, and there are {number}")
        for figure, (number, people) in counted.items()
        if told[figure] != number
    ]
    return Judged(found, sum(number for number, _ in counted.values()))


Figures = Mapping[str, tuple[int, Integers]]  # how many, and whom to look at; nobody: anybody


def _of_texts(evidence: Evidence) -> Figures:
    messages = evidence.messages
    messages = messages[np.isin(messages["kind"], (INITIAL, REPLY))]  # others are of no action
    kind, state = messages["kind"], messages["state"]
    went_out = np.isin(state, (SENT, DELIVERED))
    failed = np.isin(state, (FAILED, UNDELIVERED))
    filtered = failed & (messages["code"] == FILTERED)

    def those(chosen: Booleans) -> tuple[int, Integers]:
        phones = messages["phone"]
        return int(np.count_nonzero(chosen)), phones[chosen] if chosen.any() else phones

    asked_for = np.repeat(messages["phone"], np.maximum(messages["segments"], 0))
    return {
        "segments": (len(asked_for), asked_for),
        "first texts": those(went_out & (kind == INITIAL)),
        "answers": those(went_out & (kind == REPLY)),
        "texts under way": those(np.isin(state, (QUEUED, SENDING, UNKNOWN))),
        "texts that the carriers filtered": those(filtered),
        "texts with other errors": those(failed & ~filtered),
        "texts that were blocked": those(state == BLOCKED),
    }


def _of_people(evidence: Evidence) -> Figures:
    stored = evidence.books.inbound
    ours = stored["phone"][stored["contact_known"]]
    people = np.unique(ours)
    return {"responses": (len(ours), people), "people who responded": (len(people), people)}
