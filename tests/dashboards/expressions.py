"""PromQL as a tree, and what the project's metrics are: for checks over every query there is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser

from dashboards.addresses import Addresses
from dashboards.alerts import ALERTS
from dashboards.boards import BOARDS
from dashboards.rules import groups, slo_alerts
from gateway.metric_families import FAMILIES
from loadtests.metrics import BASES

Tree = Any
PANEL_IDS = {key: nth for board in BOARDS for key, nth in board.ids().items()}
RULES = [rule for found in groups(Addresses(), PANEL_IDS).values() for group in found for rule in group.rules]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
EVERY_ALERT = [*slo_alerts(), *ALERTS]
_PAGE = Path(__file__).parents[2] / "docs/reference/metrics.md"
_ROW = re.compile(r"^\| `(?P<name>p2p\w+)` \| (?P<type>\w+) \| (?P<labels>[\w, ]*)\|", re.MULTILINE)
_OTHERS = {
    "up": ("gauge", set()),
    "ALERTS": ("gauge", {"alertname", "alertstate", "severity", "slo"}),
    "process_start_time_seconds": ("gauge", set()),
    "process_cpu_seconds_total": ("counter", set()),
    "process_resident_memory_bytes": ("gauge", set()),
    "process_open_fds": ("gauge", set()),
    "process_max_fds": ("gauge", set()),
    "python_gc_collections_total": ("counter", {"generation"}),
    "prometheus_rule_evaluation_failures_total": ("counter", {"rule_group"}),
    "p2pload_intended_total": ("counter", {"scenario"}),
    "p2pload_started_total": ("counter", {"scenario"}),
    "p2pload_late_total": ("counter", {"scenario"}),
    "p2pload_duration_seconds": ("histogram", {"scenario", "basis"}),
}
SCRAPED = {"environment", "instance", "job"}
"""What Prometheus puts to every series."""


def _kinds() -> dict[str, tuple[str, set[str]]]:
    """Every metric that there is: its type and its own labels."""
    ours = {family.name: (family.type, {label.name for label in family.labels}) for family in FAMILIES}
    documented = {
        row["name"]: (row["type"], {each.strip() for each in row["labels"].split(",") if each.strip()})
        for row in _ROW.finditer(_PAGE.read_text(encoding="utf-8"))
        if row["name"].startswith("p2psim_")
    }
    assert BASES
    return {**ours, **documented, **_OTHERS}


KINDS = _kinds()
LABEL_VALUES = {
    (family.name, label.name): set(label.values) for family in FAMILIES for label in family.labels
}


def tree(expression: str) -> Tree:
    """Parsed as Prometheus does; a board's intervals are given a length first."""
    return promql_parser.parse(expression.replace("$__rate_interval", "1m").replace("$__range", "1h"))


def children(node: Tree) -> Iterator[Tree]:
    for name in ("lhs", "rhs", "expr", "vector_selector", "param"):
        child = getattr(node, name, None)
        if isinstance(child, promql_parser.Expr):
            yield child
    yield from getattr(node, "args", ())


def walk(node: Tree, *above: Tree) -> Iterator[tuple[Tree, tuple[Tree, ...]]]:
    """Each node with those above it, the nearest last."""
    yield node, above
    for child in children(node):
        yield from walk(child, *above, node)


def kind_of(name: str) -> tuple[str, set[str]]:
    """A series' type and labels; of a histogram's parts too. KeyError when there is none."""
    if name in KINDS:
        return KINDS[name]
    base, _, part = name.rpartition("_")
    kind, labels = KINDS[base]
    assert kind == "histogram", name
    assert part in ("bucket", "count", "sum"), name
    return ("bucket" if part == "bucket" else "counter"), labels | ({"le"} if part == "bucket" else set())


def every_query() -> list[tuple[str, str]]:
    """Where it stands, and the expression."""
    rules = [(rule.get("record") or rule.get("alert"), rule["expr"]) for rule in RULES]
    panels = [
        (f"{board.name}: {panel.question}", query.shown(by_carrier=board.by_carrier))
        for board in BOARDS
        for panel in board.panels
        for query in panel.queries
    ]
    marks = [
        (f"{board.name}: {each.name}", each.expression) for board in BOARDS for each in board.annotations
    ]
    return [*rules, *panels, *marks]
