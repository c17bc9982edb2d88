"""Objectives, alerts and resources as tables."""

from benchmarks import alert_days
from dashboards.alerts import ALERTS
from dashboards.resources import RESOURCES
from dashboards.rules import slo_alerts
from dashboards.slos import BANK_BURNS, BURNS, SLOS
from docs.generate.tables import code, table


def objectives() -> str:
    rows = [
        (
            slo.title,
            f"{slo.objective * 100:g} %",
            f"{slo.bank_objective * 100:g} %" if slo.bank_objective else "the same",
            code(slo.alert + "…"),
            slo.least_events,
            slo.note,
        )
        for slo in SLOS
    ]
    return table(
        ("objective", "of events", "on a bank's day", "its alerts", "least events an hour", "note"), rows
    )


def burns() -> str:
    rows = [
        (
            code("…" + burn.suffix),
            f"{burn.factor:g}",
            burn.long,
            burn.short,
            burn.for_,
            burn.severity,
            burn.means,
        )
        for burn in (*BURNS, *BANK_BURNS)
    ]
    return table(("alert", "times too fast", "over", "and over", "for", "who", "what it means"), rows)


def alerts() -> str:
    rows = [
        (
            code(alert.name),
            alert.severity,
            alert.summary,
            "; and ".join(code(each.expression()) for each in alert.conditions),
            alert.for_,
            f"[runbook](../runbooks/{alert.runbook}.md)",
        )
        for alert in ALERTS
    ]
    return table(("alert", "who", "what", "when", "for", "what to do"), rows)


def resources() -> str:
    rows = [
        (code(each.name), each.title, each.full_means, "planned" if each.full_is_planned else "told at 90 %")
        for each in RESOURCES
    ]
    return table(("resource", "what", "when it is full", "who is told"), rows)


def judged_faults() -> str:
    days = alert_days.kept().days
    rows = [
        (
            alert_days.FAULTS[fault].what,
            ", ".join(map(code, alert_days.FAULTS[fault].alerts)),
            f"{told} of {count}",
            "" if delay_s is None else f"{delay_s / 60:.0f} min",
            ", ".join(f"{code(name)} {on}" for name, on in sorted(others.items())),
        )
        for fault, count, told, delay_s, others in alert_days.by_fault(days)
    ]
    return table(("fault", "should be told by", "told", "delay", "what else came, on how many days"), rows)


def judged_healthy() -> str:
    count, alerts = alert_days.false_alarms(alert_days.kept().days)
    if not count:
        return "None were judged yet."
    if not alerts:
        return f"{count} days, and no alert on any."
    who = {alert.name: alert.severity for alert in (*slo_alerts(), *ALERTS)}
    rows = [(code(name), who[name], f"{on} of {count}") for name, on in alerts.items()]
    return table(("alert", "who", "came on"), rows)
