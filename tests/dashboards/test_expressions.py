"""What somebody who knows Prometheus well would look for in every query: over the parsed expressions."""

import re

import promql_parser
import pytest

from tests.dashboards.expressions import (
    EVERY_ALERT,
    KINDS,
    LABEL_VALUES,
    RECORDED,
    RULES,
    SCRAPED,
    every_query,
    kind_of,
    tree,
    walk,
)

RATES = {"rate", "increase", "irate", "resets"}
OF_GAUGES = {"predict_linear", "deriv", "delta", "avg_over_time", "max_over_time", "changes"}
COUNTERS_AS_THEY_ARE = {
    "p2pload_intended_total",
    "p2pload_started_total",
    "p2pload_late_total",
    "p2psim_cost_dollars_total",
    "p2p_cost_dollars_total",
}
"""A whole run's figures, of a process that is not restarted meanwhile: boards of tests and of cost."""
QUERIES = every_query()


def faults(expression: str) -> list[str]:
    """Everything that is wrong with a query."""
    return [
        fault
        for node, above in walk(tree(expression))
        for fault in (*_selector(node, above), *_division(node), *_quantile(node), *_grouping(node))
    ]


def _selector(node, above):
    if not isinstance(node, promql_parser.VectorSelector):
        return
    name = node.name
    if name in RECORDED:
        return
    try:
        kind, labels = kind_of(name)
    except KeyError:
        yield f"nothing is called {name}"
        return
    functions = {each.func.name for each in above if isinstance(each, promql_parser.Call)}
    if kind in ("counter", "bucket") and not functions & RATES and name not in COUNTERS_AS_THEY_ARE:
        yield f"{name} is a counter and has no rate"
    if kind == "gauge" and functions & RATES:
        yield f"{name} is a gauge and has a rate"
    if kind in ("counter", "bucket") and functions & OF_GAUGES:
        yield f"{name} is a counter and is taken for a gauge"
    for matcher in node.matchers.matchers:
        if matcher.name not in labels | SCRAPED:
            yield f"{name} has no label {matcher.name}"
        yield from _value(name, matcher)


def _value(name, matcher):
    """A value that can't occur never matches: a typing error."""
    values = LABEL_VALUES.get((name.removesuffix("_bucket").removesuffix("_count"), matcher.name))
    if not values or "$" in matcher.value:
        return
    if matcher.op == promql_parser.MatchOp.Equal and matcher.value not in values:
        yield f"{name}: {matcher.name} is never {matcher.value}"
    pattern = re.compile(matcher.value)
    if matcher.op == promql_parser.MatchOp.Re and not any(map(pattern.fullmatch, values)):
        yield f"{name}: {matcher.name} never matches {matcher.value}"


def _division(node):
    """By a number, by something above 0, or by what is left of a whole: a constant rule."""
    if not isinstance(node, promql_parser.BinaryExpr) or str(node.op) != "/":
        return
    by = node.rhs
    while isinstance(by, promql_parser.ParenExpr):
        by = by.expr
    is_guarded = isinstance(by, promql_parser.BinaryExpr) and str(by.op) == ">"
    is_constant = isinstance(by, promql_parser.NumberLiteral) or "slo:objective:ratio" in str(by)
    is_power_of_guarded = isinstance(by, promql_parser.BinaryExpr) and "> 0" in str(by.lhs)
    is_one_and_more = isinstance(by, promql_parser.BinaryExpr) and str(by).startswith("1 + ")
    if not (is_guarded or is_constant or is_power_of_guarded or is_one_and_more):
        yield f"divides by what may be nothing: {by}"


def _quantile(node):
    if not isinstance(node, promql_parser.Call) or node.func.name != "histogram_quantile":
        return
    inner = node.args[1]
    labels = getattr(getattr(inner, "modifier", None), "labels", [])
    if "le" not in labels:
        yield "a quantile of buckets that were summed away"


def _grouping(node):
    """Whoever sums by a label that nothing below has gets one empty group."""
    if not isinstance(node, promql_parser.AggregateExpr) or node.modifier is None:
        return
    below = [each.name for each, _ in walk(node) if isinstance(each, promql_parser.VectorSelector)]
    for name in below:
        if name in RECORDED:
            continue
        known = kind_of(name)[1] | SCRAPED
        for label in node.modifier.labels:
            if label not in known:
                yield f"sums {name} by {label}, which it has not"


@pytest.mark.parametrize(("where", "expression"), QUERIES, ids=[where for where, _ in QUERIES])
def test_a_query_is_as_it_should_be(where: str, expression: str) -> None:
    assert faults(expression) == []


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("p2p_nothing", "nothing is called"),
        ("sum(p2p_messages_accepted_total)", "has no rate"),
        ("rate(p2p_conversations_waiting[5m])", "is a gauge and has a rate"),
        ("predict_linear(p2p_inbound_total[5m], 60)", "taken for a gauge"),
        ('p2p_queue_messages{phone="1"}', "has no label"),
        ('p2p_queue_messages{lane="express"}', "never express"),
        ('p2p_queue_messages{lane=~"express|air"}', "never matches"),
        ("p2p_queue_messages / p2p_queue_segments", "divides by what may be nothing"),
        ("histogram_quantile(0.9, sum(rate(p2p_queue_wait_seconds_bucket[5m])))", "summed away"),
        ("sum by (colour) (p2p_queue_messages)", "sums p2p_queue_messages by colour"),
    ],
)
def test_the_checks_find_what_they_are_for(expression: str, said: str) -> None:
    assert any(said in fault for fault in faults(expression))


# ---------------------------------------------------------------- rules


def test_recording_rules_are_named_level_metric_operation() -> None:
    assert [name for name in RECORDED if not re.fullmatch(r"[a-z0-9_]+:[a-z0-9_]+:[a-z0-9_]+", name)] == []


def test_what_is_recorded_is_recorded_before_it_is_used_and_used_at_all() -> None:
    used = {
        node.name
        for _, expression in QUERIES
        for node, _ in walk(tree(expression))
        if isinstance(node, promql_parser.VectorSelector) and ":" in node.name
    }
    assert used <= RECORDED
    windows_that_only_people_ask_for = {"slo:errors:ratio_rate12h"}
    assert RECORDED - used <= windows_that_only_people_ask_for


def test_no_series_is_recorded_twice() -> None:
    keys = [(rule["record"], *sorted(rule.get("labels", {}).items())) for rule in RULES if "record" in rule]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("rule", [rule for rule in RULES if "alert" in rule], ids=lambda rule: rule["alert"])
def test_an_alert_says_for_how_long_to_whom_why_and_where(rule) -> None:
    assert re.fullmatch(r"\d+[mh]", rule["for"])
    assert rule["labels"]["severity"] in ("page", "ticket", "none")
    assert set(rule["annotations"]) == {"summary", "description", "dashboard", "runbook_url"}
    assert all(rule["annotations"].values())


def test_an_alert_has_one_name_and_its_pages_have_a_guard_against_thin_traffic() -> None:
    names = [each.name for each in EVERY_ALERT]
    assert len(names) == len(set(names))
    burns = [each for each in EVERY_ALERT if each.labels.get("slo")]
    assert all("increase1h" in each.expression() or "rate15m" in each.expression() for each in burns)


def test_every_metric_of_the_gateway_is_on_a_board_or_in_a_rule() -> None:
    """A metric that nobody looks at is a cost without a use."""
    asked = {
        node.name
        for _, expression in QUERIES
        for node, _ in walk(tree(expression))
        if isinstance(node, promql_parser.VectorSelector)
    }
    bare = {re.sub(r"_(bucket|count|sum)$", "", name) for name in asked}
    assert {name for name in KINDS if name.startswith("p2p_")} - bare - asked == set()
