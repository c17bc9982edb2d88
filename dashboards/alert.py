"""An alert: conditions that hold at once, and where it leads."""

from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["page", "ticket", "none"]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A value and the limit that it passes."""

    value: str
    limit: float
    passes: Literal[">", "<"] = ">"

    def expression(self) -> str:
        return f"{self.value} {self.passes} {self.limit:g}"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """The first condition's labels are the alert's; the others hold in the same environment (`on` names more)."""

    name: str
    severity: Severity
    conditions: tuple[Condition, ...]
    for_: str
    summary: str
    means: str
    board: str
    panel: str
    runbook: str
    on: str = "environment"
    labels: dict[str, str] = field(default_factory=dict)

    def expression(self) -> str:
        first, *others = (each.expression() for each in self.conditions)
        return " ".join((first, *(f"and on ({self.on}) {each}" for each in others)))


def more(value: str, limit: float) -> Condition:
    return Condition(value=value, limit=limit)
