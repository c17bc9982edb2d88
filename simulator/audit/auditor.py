"""The auditor: judges the ten invariants from the carriers' ledger first and the gateway's books second.

It shares no code with the gateway, only the tables of law and geography: it is the outside witness.
"""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import assert_never

from simulator.audit.evidence import Breaches, Evidence
from simulator.audit.hours import judge_hours
from simulator.audit.lives import judge_accepted_once, judge_balance, judge_moves, judge_stored
from simulator.audit.persons import judge_claims, judge_inbound, judge_numbers, judge_opt_outs
from simulator.audit.rates import judge_rates
from simulator.audit.records import Audit, Books, GroundTruth
from simulator.audit.story import Stories
from simulator.model.ledger import Ledger
from simulator.report.result import INVARIANTS, Violation

__all__ = ["Audit", "Books", "GroundTruth", "audit"]

TOLD_IN_FULL = 20

_JUDGES: Mapping[str, Callable[[Evidence], list[Breaches]]] = dict(
    zip(
        INVARIANTS,
        (
            judge_opt_outs,
            judge_hours,
            judge_accepted_once,
            judge_balance,
            judge_stored,
            judge_numbers,
            judge_rates,
            judge_moves,
            judge_inbound,
            judge_claims,
        ),
        strict=True,
    )
)


def audit(ledger: Ledger, books: Books, world: GroundTruth) -> Audit:
    """Every violation counted; of each invariant the first 20 with the whole story of the message or person."""
    evidence = Evidence(ledger, books, world)
    stories = Stories(evidence)
    counts: dict[str, int] = {}
    violations: list[Violation] = []
    for invariant, judge in _JUDGES.items():
        found = judge(evidence)
        counts[invariant] = sum(len(each.subjects) for each in found)
        violations += _told(invariant, found, evidence, stories)
    return Audit(counts, violations)


def _told(invariant: str, found: list[Breaches], evidence: Evidence, stories: Stories) -> list[Violation]:
    subjects = ((each, subject) for each in found for subject in each.subjects.tolist())
    return [
        _violation(invariant, each, subject, evidence, stories)
        for each, subject in islice(subjects, TOLD_IN_FULL)
    ]


def _violation(
    invariant: str, found: Breaches, subject: int, evidence: Evidence, stories: Stories
) -> Violation:
    match found.about:
        case "submission":
            message_id = int(evidence.submissions["message_id"][subject])
            known = message_id if message_id >= 0 else None
            return Violation(invariant, found.what, known, stories.of_submission(subject))
        case "message":
            return Violation(invariant, found.what, subject, stories.of_message(subject))
        case "phone":
            return Violation(invariant, f"+{subject}: {found.what}", None, stories.of_person(subject))
        case _:
            assert_never(found.about)
