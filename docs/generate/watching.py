"""Objectives, alerts and resources as tables."""

from statistics import median

from benchmarks import alert_days
from benchmarks.alert_figures import JUDGED, Quiet, by_fault, false_pages, interval, of_healthy
from benchmarks.alert_worlds import FAULTS, HEALTHY, world
from dashboards.alert import Alert
from dashboards.alerts import ALERTS
from dashboards.resources import RESOURCES
from dashboards.slos import BANK_BURNS, BURNS, SLOS
from docs.generate.tables import code, table

_NOT_JUDGED = "not by the twin"


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
            "[limit](alerts.md#limits)" if alert.name in JUDGED else _NOT_JUDGED,
            f"[runbook](../runbooks/{alert.runbook}.md)",
        )
        for alert in ALERTS
    ]
    return table(("alert", "who", "what", "when", "for", "judged", "what to do"), rows)


def resources() -> str:
    rows = [
        (code(each.name), each.title, each.full_means, "planned" if each.full_is_planned else "told at 90 %")
        for each in RESOURCES
    ]
    return table(("resource", "what", "when it is full", "who is told"), rows)


def judged_faults() -> str:
    _, days = alert_days.kept()
    rows = [
        (
            FAULTS[told.fault].what,
            ", ".join(map(code, FAULTS[told.fault].alerts)),
            f"{len(told.delays_s)} of {told.days}",
            f"{told.paged} of {told.days}",
            _minutes(told.median_s),
            _minutes(told.slowest_s),
            ", ".join(f"{code(name)} {on}" for name, on in sorted(told.others.items())),
        )
        for told in by_fault(days)
    ]
    return table(
        (
            "fault",
            "should be told by",
            "told",
            "somebody woken",
            "delay",
            "the longest",
            "what else came, on how many days",
        ),
        rows,
    )


def judged_recall() -> str:
    """All faults together."""
    _, days = alert_days.kept()
    all_told = list(by_fault(days))
    of, delays = sum(told.days for told in all_told), [late for told in all_told for late in told.delays_s]
    if not of:
        return "None were judged yet."
    low, high = interval(len(delays), of)
    quick = sum(late <= 120 for late in delays)
    return (
        f"{len(delays)} of {of} days with a fault were told: recall {len(delays) / of:.3f} "
        f"(95 %: {low:.3f} to {high:.3f}). Median delay {_minutes(median(delays))}; within two minutes "
        f"{quick} of {of}."
    )


def judged_healthy() -> str:
    _, days = alert_days.kept()
    rows = [
        (
            code(quiet.alert),
            JUDGED[quiet.alert].severity,
            f"{quiet.came} of {quiet.days}",
            _per_thousand(quiet),
        )
        for quiet in of_healthy(days)
        if not JUDGED[quiet.alert].labels or quiet.came
    ]
    return table(("alert", "who", "came on healthy days", "of a thousand such days (95 %)"), rows)


def judged_pages() -> str:
    """All pages together."""
    _, days = alert_days.kept()
    came, of = false_pages(days)
    low, high = interval(came, of)
    hours = sum(world(day.fault, day.seed).scenario.duration_s for day in days if day.fault == HEALTHY) / 3600
    return (
        f"A page came on {came} of {of} healthy days, {hours:.0f} hours of banks: of a thousand such days on "
        f"{1000 * low:.0f} to {1000 * high:.0f} (95 %)."
    )


def judged_limits() -> str:
    _, days = alert_days.kept()
    rows = [
        (
            code(quiet.alert),
            _limit(JUDGED[quiet.alert]),
            f"{median(quiet.highest):.3g}",
            f"{max(quiet.highest):.3g}",
            f"{min(quiet.told):.3g}" if quiet.told else "",
            f"{median(quiet.told):.3g}" if quiet.told else "",
        )
        for quiet in of_healthy(days)
        if not JUDGED[quiet.alert].labels and JUDGED[quiet.alert].conditions[0].passes == ">" and quiet.days
    ]
    return table(
        (
            "alert",
            "its limit",
            "highest on a healthy day, median",
            "highest of all healthy days",
            "highest on a day with its fault, lowest",
            "median",
        ),
        rows,
    )


def judged_when() -> str:
    rules, days = alert_days.kept()
    healthy = sum(day.fault == HEALTHY for day in days)
    return (
        f"Judged on {rules.judged}: {healthy} healthy days and {len(days) - healthy} with a fault, under the rules "
        f"{code(rules.rules)}."
    )


def _limit(alert: Alert) -> str:
    return f"{alert.conditions[0].limit:g}"


def _per_thousand(quiet: Quiet) -> str:
    share, low, high = quiet.per_thousand
    return f"{share:.0f} ({low:.0f} to {high:.0f})"


def _minutes(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds / 60:.1f} min"
