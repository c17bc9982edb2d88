"""The tables as Prometheus' rules: recording rules named level:metric:operation, and alerts with their annotations."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dashboards.addresses import Addresses
from dashboards.alert import Alert, Condition
from dashboards.alerts import ALERTS
from dashboards.queries import rate, share, total
from dashboards.resources import FORECAST, RATIO, RESOURCES
from dashboards.shares import Rule, recorded, shares
from dashboards.slos import BANK_BURNS, BURNS, LONG_WINDOWS, SLOS, WINDOWS, Burn, Slo

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
            Group("shares", "30s", (*shares(), _cost_per_hour())),
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


def _cost_per_hour() -> Rule:
    """What is really spent."""
    dollars = rate("p2p_cost_dollars_total", "30m", "environment")
    return recorded("environment:cost_dollars:per_hour", f"{dollars} * 3600")


# ---------------------------------------------------------------- objectives


def _objectives() -> Iterator[Rule]:
    for slo in SLOS:
        yield recorded("slo:objective:ratio", f"vector({slo.objective:g})", slo=slo.name)
        events = total(f"increase({slo.total}[1h])", "environment")
        yield recorded(_EVENTS, events, slo=slo.name)
    yield recorded(_BANK, rate("p2p_messages_accepted_total", "15m", "environment"))


def _error_ratio(slo: Slo, window: str) -> Rule:
    """The share of bad events; nothing while there are none at all."""
    good, whole = rate(slo.good, window, "environment"), rate(slo.total, window, "environment")
    return recorded(f"slo:errors:ratio_rate{window}", f"1 - {share(good, whole)}", slo=slo.name)


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
    yield recorded(RATIO, "max by (environment, resource) (p2p_saturation_ratio)")
    for resource in RESOURCES:
        if resource.expression is not None:
            yield recorded(RATIO, resource.expression, resource=resource.name)
    yield recorded(FORECAST, f"clamp_min(predict_linear({RATIO}[30m], 3600), 0)")


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
