"""The tables as Prometheus' rules: recording rules named level:metric:operation, and alerts with their annotations."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from dashboards.addresses import Addresses
from dashboards.alert import Alert, Condition
from dashboards.alerts import ALERTS
from dashboards.queries import lower_bound, rate, share, total
from dashboards.resources import FORECAST, RATIO, RESOURCES
from dashboards.slos import BANK_BURNS, BURNS, LONG_WINDOWS, SLOS, WINDOWS, Burn, Slo

Rule = dict[str, Any]
_BANK: Final = "bank:accepted:rate15m"
_EVENTS: Final = "slo:events:increase1h"


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated one after the other, every `interval`."""

    name: str
    interval: str
    rules: tuple[Rule, ...]


def groups(addresses: Addresses, panel_ids: dict[tuple[str, str], int]) -> dict[str, list[Group]]:
    """Every rule, by the file that it stands in; `panel_ids` by board and title."""
    slow = [_error_ratio(slo, window) for slo in SLOS for window in WINDOWS if window in LONG_WINDOWS]
    quick = [_error_ratio(slo, window) for slo in SLOS for window in WINDOWS if window not in LONG_WINDOWS]
    made = [_alert(each, addresses, panel_ids) for each in (*slo_alerts(), *ALERTS)]
    return {
        "plan": [Group("plan", "1m", tuple(_plan()))],
        "recording": [
            Group("recording-objectives", "1m", tuple(_objectives())),
            Group("errors", "30s", tuple(quick)),
            Group("errors-over-hours-and-days", "5m", tuple(slow)),
            Group("resources", "30s", tuple(_resources())),
            Group("shares", "30s", tuple(_shares())),
        ],
        "alerts": [
            Group("objectives", "30s", tuple(each for each in made if "slo" in each["labels"])),
            Group("symptoms", "30s", tuple(each for each in made if "slo" not in each["labels"])),
        ],
    }


# ---------------------------------------------------------------- what is planned


def _plan() -> Iterator[Rule]:
    """The operator's own figures: this file is meant to be changed before a bank."""
    yield {"record": "plan:cost_dollars:per_hour", "expr": "vector(120)"}


# ---------------------------------------------------------------- objectives


def _objectives() -> Iterator[Rule]:
    for slo in SLOS:
        yield _recorded("slo:objective:ratio", f"vector({slo.objective:g})", slo=slo.name)
        events = total(f"increase({slo.total}[1h])", "environment")
        yield _recorded(_EVENTS, events, slo=slo.name)
    yield _recorded(_BANK, rate("p2p_messages_accepted_total", "15m", "environment"))


def _error_ratio(slo: Slo, window: str) -> Rule:
    """The share of bad events; nothing while there are none at all."""
    good, whole = rate(slo.good, window, "environment"), rate(slo.total, window, "environment")
    return _recorded(f"slo:errors:ratio_rate{window}", f"1 - {share(good, whole)}", slo=slo.name)


def slo_alerts() -> Iterator[Alert]:
    """Of each objective: four on the 30 days' budget, two on a bank's."""
    for slo in SLOS:
        budget = 1 - slo.objective
        for burn in BURNS:
            yield _burns(slo, burn, budget, f'{_EVENTS}{{slo="{slo.name}"}}', slo.least_events)
        for burn in BANK_BURNS:
            yield _burns(slo, burn, 1 - (slo.bank_objective or slo.objective), _BANK, 0)


def _burns(slo: Slo, burn: Burn, budget: float, guard: str, least: float) -> Alert:
    limit = min(burn.factor * budget, 0.999)
    over = [
        Condition(value=f'slo:errors:ratio_rate{window}{{slo="{slo.name}"}}', limit=limit)
        for window in (burn.long, burn.short)
    ]
    return Alert(
        name=slo.alert + burn.suffix,
        severity="page" if burn.severity == "page" else "ticket",
        conditions=(*over, Condition(value=guard, limit=least)),
        for_=burn.for_,
        summary=f"{slo.title}: too often it is not so",
        means=f"{burn.means} ({burn.factor:g} times too fast).",
        board="slo",
        panel=slo.question,
        runbook=slo.runbook,
        labels={"slo": slo.name},
    )


# ---------------------------------------------------------------- what can be full


def _resources() -> Iterator[Rule]:
    yield _recorded(RATIO, "max by (environment, resource) (p2p_saturation_ratio)")
    for resource in RESOURCES:
        if resource.expression is not None:
            yield _recorded(RATIO, resource.expression, resource=resource.name)
    yield _recorded(FORECAST, f"clamp_min(predict_linear({RATIO}[30m], 3600), 0)")


# ---------------------------------------------------------------- shares


def _shares() -> Iterator[Rule]:
    finals, by = "p2p_messages_final_total", "environment, carrier"
    filtered = total(f'increase({finals}{{reason="filtered"}}[30m])', by)
    yield _recorded("carrier:finals:increase30m", total(f"increase({finals}[30m])", by))
    yield _recorded("carrier:filtered:ratio30m", share(filtered, "carrier:finals:increase30m"))
    bound = lower_bound("carrier:filtered:ratio30m", "carrier:finals:increase30m")
    yield _recorded("carrier:filtered:lower_bound30m", bound)
    reasons = 'status!="delivered",reason!~"landline|opted_out|filtered|bad_number"'
    failed = total(f"increase({finals}{{{reasons}}}[30m])", by)
    yield _recorded("carrier:failed:ratio30m", share(failed, "carrier:finals:increase30m"))
    bound = lower_bound("carrier:failed:ratio30m", "carrier:finals:increase30m")
    yield _recorded("carrier:failed:lower_bound30m", bound)
    yield from _leaving()
    yield from _unsettled()
    dollars = rate("p2p_cost_dollars_total", "30m", "environment")
    yield _recorded("environment:cost_dollars:per_hour", f"{dollars} * 3600")


def _leaving() -> Iterator[Rule]:
    """People who left in an hour, of the texts delivered in it, or in the hour that ended half an hour ago if those were
    more: when a bank ends, those who leave are still the ones texted before."""
    delivered = 'increase(p2p_messages_final_total{status="delivered"}[1h]'
    now = total(f"{delivered})", "environment")
    before = total(f"{delivered} offset 30m)", "environment")
    left = total('increase(p2p_optouts_total{source=~"keyword|provider"}[1h])', "environment")
    base, ratio = "environment:delivered:increase1h", "environment:optouts:ratio1h"
    yield _recorded(base, f"({now} >= {before}) or {before} or {now}")
    yield _recorded(ratio, f"clamp_max({share(left, base)}, 1)")
    yield _recorded("environment:optouts:lower_bound1h", lower_bound(ratio, base))


def _unsettled() -> Iterator[Rule]:
    """By how much more texts came to `sent` than left it, of those taken: many never stop there, as their receipt is quick.

    When a bank ends more leave than come, so its end looks like no trouble.
    """
    moves, by = "p2p_state_transitions_total", "environment"
    taken = f'{moves}{{from=~"sending|unknown",to=~"sent|delivered|undelivered"}}'
    yield _recorded("environment:taken:increase30m", total(f"increase({taken}[30m])", by))
    came = total(f'increase({moves}{{to="sent"}}[30m])', by)
    left = total(f'increase({moves}{{from="sent"}}[30m])', by)
    ratio = share(f"({came} - {left})", "environment:taken:increase30m")
    yield _recorded("environment:unsettled:ratio30m", f"clamp_min({ratio}, 0)")


def _recorded(name: str, expression: str, **labels: str) -> Rule:
    return {"record": name, "expr": expression, **({"labels": labels} if labels else {})}


def _alert(alert: Alert, addresses: Addresses, panel_ids: dict[tuple[str, str], int]) -> Rule:
    panel_id = panel_ids[alert.board, alert.panel]
    return {
        "alert": alert.name,
        "expr": alert.expression(),
        "for": alert.for_,
        "labels": {"severity": alert.severity, **alert.labels},
        "annotations": {
            "summary": alert.summary,
            "description": alert.means,
            "dashboard": addresses.panel(alert.board, panel_id),
            "runbook_url": addresses.runbook(alert.runbook),
        },
    }
