"""What a board says, without a word about Grafana: questions, queries, units. grafana.py draws it."""

from dataclasses import dataclass
from typing import Final, Literal

from dashboards.queries import narrowed

Kind = Literal["time", "stat", "bars", "heat", "table"]
Unit = Literal["short", "percentunit", "s", "reqps", "cps", "currencyUSD", "bytes", "bool_on_off"]
WIDTH: Final = 24
SERIES_OF_A_CARRIER: Final = "{{carrier}}"


@dataclass(frozen=True)
class Query:
    """PromQL and how its series are called."""

    expression: str
    legend: str = ""

    def shown(self, *, by_carrier: bool) -> str:
        """As a board asks it: for the environment and the carriers that were chosen."""
        return narrowed(self.expression, by_carrier=by_carrier)


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One question. `limit` is a line, or where a figure turns red; `floor`: red below it instead."""

    question: str
    unit: Unit
    queries: tuple[Query, ...]
    means: str
    kind: Kind = "time"
    width: int = 8
    height: int = 8
    limit: float | None = None
    floor: float | None = None
    stacked: bool = False
    exemplars: bool = False
    decimals: int | None = None


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """An instant on every time axis of a board."""

    name: str
    expression: str
    title: str
    colour: str


@dataclass(frozen=True, kw_only=True)
class Board:
    """A screen, read from the top left."""

    name: str
    title: str
    asks: str
    panels: tuple[Panel, ...]
    by_carrier: bool = False
    since: str = "now-3h"
    annotations: tuple[Annotation, ...] = ()
    says: str = ""  # what Prometheus can't tell, in Markdown

    def ids(self) -> dict[tuple[str, str], int]:
        """A panel's number, by which a link finds it."""
        return {(self.name, panel.question): nth for nth, panel in enumerate(self.panels, start=1)}


DEPLOYS: Final = Annotation(
    name="Workers started",
    expression='changes(process_start_time_seconds{job="textbank"}[2m]) > 0',
    title="a worker started",
    colour="blue",
)
BANKS: Final = Annotation(
    name="Banks began",
    expression=(
        "(sum by (environment) (rate(p2p_messages_accepted_total[5m])) > 0) unless "
        "(sum by (environment) (rate(p2p_messages_accepted_total[5m] offset 5m)) > 0)"
    ),
    title="a bank began",
    colour="green",
)
FAULTS: Final = Annotation(
    name="Faults of the carriers' model",
    expression="p2psim_fault_active == 1",
    title="{{fault}}",
    colour="red",
)
