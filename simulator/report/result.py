"""What a rehearsal says in the end: the records that `--json`, the summary and the report are made from."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from simulator.audit.filter_record import Record
from simulator.audit.ground_truth import WorldKnows
from simulator.audit.records import Books, Violation
from simulator.audit.rules import RULES
from simulator.audit.waits import Waits
from simulator.model.ledger import Ledger
from simulator.model.scenario import Scenario

INVARIANT_RULES: Mapping[str, str] = MappingProxyType({rule.name: rule.sentence for rule in RULES})
"""What each rule means, by its name."""

INVARIANTS = tuple(INVARIANT_RULES)

Verdict = Literal["GO", "GO with limits", "NO-GO"]

Counts = Mapping[str, int]
"""How many by code ("30007") or reason."""


class Messages(msgspec.Struct, frozen=True):
    """Messages by the state in which the world ended; `requested` is their sum."""

    requested: int = 0
    blocked: Counts = {}
    queued: int = 0
    sending: int = 0
    sent: int = 0
    delivered: int = 0
    undelivered: Counts = {}
    failed: Counts = {}
    unknown: int = 0


class OptOuts(msgspec.Struct, frozen=True):
    """People whom the campaign's books have as opted out at the end: by a keyword, or marked by a volunteer.

    The one definition of an opt-out; who asked for it, in whatever words, is `WorldKnows.asked_to_leave`.
    """

    keyword: int = 0
    manual: int = 0


class Numbers(msgspec.Struct, frozen=True):
    """The campaign's own phone numbers."""

    bought: int = 0
    in_use: int = 0
    retired: int = 0


class ContactList(msgspec.Struct, frozen=True):
    """What became of a list's rows, and of its columns.

    `rejected` by reason; `columns` names each header that was used and what it was taken for, `ignored` the others;
    `warnings` begin with the gravest.
    """

    rows: int
    used: int
    rejected: Counts = {}
    columns: Mapping[str, str] = {}
    ignored: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one rehearsal; its fields are those of `--json`, in that order."""

    scenario: str
    seed: int
    contacts: int
    virtual_seconds: float
    wall_seconds: float
    peak_rss_bytes: int
    trace_hash: str
    messages: Messages
    segments: int
    cost_usd: float
    replies: int
    opt_outs: OptOuts
    numbers: Numbers
    list: ContactList | None = None
    invariants: Counts
    chances: Counts = {}
    ground_truth: WorldKnows = WorldKnows()
    waits: Waits = Waits()
    texted_s: Mapping[str, float] = {}
    answer: str = ""  # to the scenario's question
    verdict: Verdict = "NO-GO"  # until judged (simulator/report/verdict.py)
    verdict_reasons: tuple[str, ...] = ()
    cpu_seconds: float = 0.0
    setup_seconds: float = 0.0
    not_rehearsed: tuple[str, ...] = ()

    @property
    def held(self) -> bool:
        """Whether every invariant held."""
        return not any(self.invariants.values())

    @property
    def not_tested(self) -> tuple[str, ...]:
        """The rules that nothing in this run could have broken: of them it shows nothing."""
        return tuple(name for name, count in self.chances.items() if not count and not self.invariants[name])

    def to_json(self) -> str:
        """One line; without `list` unless a list was given."""
        content: dict[str, Any] = msgspec.to_builtins(self)
        if self.list is None:
            del content["list"]
        return msgspec.json.encode(content).decode()


class Snapshot(msgspec.Struct):
    """Where a running rehearsal is; times in seconds, `start_at` in Unix seconds, the rest are counts."""

    virtual_s: float
    duration_s: float
    start_at: float
    wall_s: float
    contacts: int
    requested: int = 0
    blocked: int = 0
    sent: int = 0  # handed to the provider
    delivered: int = 0
    filtered: int = 0
    replies: int = 0
    asked_to_leave: int = 0  # people
    waiting: int = 0  # in the gateway's and the provider's queues


class Plan(msgspec.Struct, frozen=True):
    """What to rehearse: invented contacts (the scenario's number unless given), or a list."""

    scenario: Scenario
    contacts: int | None = None
    list_path: Path | None = None
    script: str | None = None
    seed: int = 1
    rejects: Path | None = None  # where the rows of the list that can't be used go
    consents: Mapping[
        str, str
    ] = {}  # the owner's answers about columns of the list (gateway/p2p/list_answers.py)
    settings: Any = None  # gateway.config.Settings: the operator's own, as far as a rehearsal can show them
    metrics: Path | None = None  # where the gateway's metrics over the day go, with virtual time stamps

    def heading(self, contacts: int) -> str:
        """The scenario's title with the people of this run, who are not the scenario's own number."""
        people = "person" if contacts == 1 else "people"
        whose = f"invented {people}" if self.list_path is None else f"{people} of {self.list_path.name}"
        return f"{self.scenario.title}: {contacts:,} {whose}"


class Rehearsed(msgspec.Struct):
    """A finished rehearsal with its evidence."""

    plan: Plan
    result: Result
    ledger: Ledger
    population: Any  # simulator.model.population.Population
    violations: list[Violation]
    books: Books | None = None
    filter_record: Record | None = None
