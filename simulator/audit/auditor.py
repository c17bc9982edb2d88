"""The auditor: judges every rule from the carriers' ledger first and the gateway's books second.

It shares no code with the gateway, only the tables of law and geography: it is the outside witness.
"""

from itertools import islice
from typing import assert_never

from simulator.audit.evidence import Breaches, Evidence
from simulator.audit.records import Audit, Books, GroundTruth, Violation
from simulator.audit.rules import RULES
from simulator.audit.story import Stories
from simulator.model.ledger import Ledger

__all__ = ["Audit", "Books", "GroundTruth", "audit", "audit_of"]

TOLD_IN_FULL = 20


def audit(ledger: Ledger, books: Books, world: GroundTruth) -> Audit:
    """Every violation counted; of each rule the first 20 with the whole story of the message or person."""
    return audit_of(Evidence(ledger, books, world))


def audit_of(evidence: Evidence) -> Audit:
    """The same, of evidence that is joined already."""
    stories = Stories(evidence)
    counts: dict[str, int] = {}
    chances: dict[str, int] = {}
    violations: list[Violation] = []
    for rule in RULES:
        judged = rule.judge(evidence)
        counts[rule.name] = sum(len(each.subjects) for each in judged.breaches)
        chances[rule.name] = judged.chances
        violations += _told(rule.name, judged.breaches, evidence, stories)
    return Audit(counts, violations, chances)


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
        case "number":
            return Violation(invariant, f"+{subject}: {found.what}", None, stories.of_number(subject))
        case _:
            assert_never(found.about)
