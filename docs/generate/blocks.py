"""What each generated part of a page says."""

from collections.abc import Callable, Iterator, Mapping
from math import isinf
from typing import Any

from benchmarks import chances
from docs.generate import watching
from docs.generate.command_line import command_line, commands
from docs.generate.door import operations, records
from docs.generate.parameters import Parameter, parameters
from docs.generate.result_fields import json_fields
from docs.generate.tables import code, table
from docs.generate.taken_out import export_columns, figures
from docs.generate.twin import fault_orders, ledger_tables
from gateway import config_reference
from gateway.core.rules.errors import CATALOGUE, Consequence, Kind, SubReason, consequence
from gateway.core.rules.hours import STATE_WINDOWS, WEEKDAYS, clock_text
from gateway.core.rules.lifecycle import MOVES, State
from gateway.core.rules.safeguards import RULES
from gateway.core.rules.safeguards import Kind as MessageKind
from gateway.core.text.phone import PhoneFault
from gateway.core.text.segments import PRICES
from gateway.metric_families import FAMILIES
from gateway.p2p.list_consent import EXPORTS
from gateway.series import Family, Label
from simulator.audit.rules import RULES as AUDITED
from simulator.model.scenario import load, shipped

_HOUR_S = 3600


def _scenarios() -> str:
    rows = [
        (code(name), scenario.title, scenario.question, f"{scenario.contacts:,}")
        for name in shipped()
        for scenario in (load(name),)
    ]
    return table(("name", "what", "the question it answers", "contacts"), rows)


def _scenario_parameters() -> str:
    sections: dict[str, list[Parameter]] = {}
    for each in parameters():
        section = each.path.partition(".")[0] if "." in each.path else ""
        sections.setdefault(section.removesuffix("[]"), []).append(each)
    return "\n\n".join(_section(name, rows) for name, rows in sections.items())


def _section(name: str, rows: list[Parameter]) -> str:
    title = f"### [{name}]" if name else "### At the top of the file"
    cells = ((code(row.path), row.unit, row.default, row.source, row.meaning) for row in rows)
    return f"{title}\n\n{table(('parameter', 'unit', 'default', 'source', 'meaning'), cells)}"


def _settings() -> str:
    rows = [
        (
            code(each.name),
            code(each.variable),
            each.type,
            code(each.default) or "none",
            f"{each.description}{' (secret: never shown)' if each.secret else ''}",
        )
        for each in config_reference.reference()
    ]
    return table(("setting", "variable", "type", "default", "meaning"), rows)


def _metrics() -> str:
    rows = [
        (code(family.name), family.type, ", ".join(label.name for label in family.labels), family.help)
        for family in FAMILIES
    ]
    return table(("metric", "type", "labels", "meaning"), rows)


def _labels() -> str:
    rows = [
        (code(family.name), code(label.name), _label_values(label))
        for family in FAMILIES
        for label in family.labels
    ]
    return table(("metric", "label", "values"), rows)


def _label_values(label: Label) -> str:
    return ", ".join(label.values) or "set once at the start"


def _buckets() -> str:
    rows = [
        (code(family.name), ", ".join(f"{edge:g}" for edge in family.buckets)) for family in _histograms()
    ]
    return table(("histogram", "buckets end at, seconds"), rows)


def _histograms() -> Iterator[Family]:
    return (family for family in FAMILIES if family.type == "histogram")


_CODE_HEADER = (
    "code",
    "title",
    "a volunteer reads",
    "what to do",
    "who acts",
    "retry",
    "billed",
    "held",
    "box",
)


def _error_codes() -> str:
    by_kind: dict[Kind, list[Consequence]] = {}
    for means in CATALOGUE.values():
        by_kind.setdefault(means.kind, []).append(means)
    return "\n\n".join(
        f"### {kind.value.replace('_', ' ')}\n\n{table(_CODE_HEADER, map(_code_row, rows))}"
        for kind, rows in by_kind.items()
    )


def _code_row(means: Consequence) -> tuple[object, ...]:
    return (
        code(means.code),
        means.title,
        means.volunteer_reads,
        means.what_to_do,
        means.actor.value.replace("_", " "),
        means.retry,
        "free" if means.fee_exempt and means.billing == "fee" else means.billing,
        _held(means.memory_s),
        means.box,
    )


def _held(memory_s: float) -> str:
    if isinf(memory_s):
        return "for good"
    hours = memory_s / _HOUR_S
    return "" if not hours else f"{hours:g} h" if hours < 48 else f"{hours / 24:g} days"


def sub_reasons() -> list[tuple[SubReason, Consequence]]:
    """Each sub-reason with what it means; told by its code's own line being another."""
    return [
        (sub_reason, consequence(number, sub_reason))
        for number in sorted(CATALOGUE)
        for sub_reason in SubReason
        if consequence(number, sub_reason) is not CATALOGUE[number]
    ]


def _sub_reasons() -> str:
    rows = [
        (code(means.code), code(sub_reason.value), means.title, means.volunteer_reads, means.what_to_do)
        for sub_reason, means in sub_reasons()
    ]
    return table(("code", "sub-reason", "title", "a volunteer reads", "what to do"), rows)


def _safeguards() -> str:
    rows = [
        (
            place,
            code(rule.code),
            rule.name.replace("_", " "),
            _kinds(rule.applies_to),
            consequence(rule.code, rule.sub_reason).title,
            "yes" if rule.at_hand_over else "",
        )
        for place, rule in enumerate(RULES, start=1)
    ]
    return table(("#", "code", "rule", "applies to", "refuses with", "looked at again"), rows)


def _kinds(kinds: frozenset[MessageKind]) -> str:
    every, named = list(MessageKind), [kind.value for kind in MessageKind if kind in kinds]
    if len(named) == len(every):
        return "all"
    left_out = [kind.value for kind in every if kind not in kinds]
    return f"all but {left_out[0]}" if len(left_out) == 1 else ", ".join(named)


def _moves() -> str:
    rows = [
        (
            code(here.value),
            ", ".join(code(there.value) for there in State if there in MOVES[here]) or "nowhere: final",
        )
        for here in State
    ]
    return table(("from", "to"), rows)


def _invariants() -> str:
    rows = [
        (place, code(rule.name), rule.sentence, rule.chance) for place, rule in enumerate(AUDITED, start=1)
    ]
    return table(("#", "name", "the rule", "one chance to break it"), rows)


def _planted_bugs() -> str:
    from tests.rehearsal.fault_table import rows  # with the whole gateway behind it

    told = [(code(row.rule), row.bug, row.world, row.seeds) for row in rows()]
    return table(("named by the rule", "what was broken on purpose", "in which world", "seeds needed"), told)


def _chances() -> str:
    runs = chances.kept()
    header = ("rule", *(code(name) for name in runs))
    people = ("people", *(f"{run.contacts:,}" for run in runs.values()))
    rows = [
        (code(rule.name), *(_chance(run.chances, rule.name) for run in runs.values())) for rule in AUDITED
    ]
    return table(header, [people, *rows])


def _chance(counted: Mapping[str, int], rule: str) -> str:
    """Blank where the rule is younger than the run."""
    return f"{counted[rule]:,}" if rule in counted else ""


def _state_windows() -> str:
    rows = [(state, _week(week)) for state, week in sorted(STATE_WINDOWS.items())]
    return table(("state", "hours, recipient's local time"), rows)


def _week(week: Any) -> str:
    """Runs of days with the same hours: "mon-sat 09:00-21:00, sun 12:00-21:00"."""
    runs: list[list[int]] = []
    for day in range(7):
        if runs and week[runs[-1][-1]] == week[day]:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(_run(run, week[run[0]]) for run in runs)


def _run(days: list[int], minutes: Any) -> str:
    hours = f"{clock_text(minutes.start)}-{clock_text(minutes.end)}"
    if len(days) == 7:
        return hours
    named = WEEKDAYS[days[0]] if len(days) == 1 else f"{WEEKDAYS[days[0]]}-{WEEKDAYS[days[-1]]}"
    return f"{named} {hours}"


def _prices() -> str:
    rows = [
        (code(name), f"{PRICES.sms_usd + fees.sms_usd:.4f}", f"{PRICES.sms_in_usd + fees.sms_in_usd:.4f}")
        for name, fees in {**PRICES.carriers, "unknown": PRICES.planning}.items()
    ]
    header = ("carrier", "US dollars per outbound segment", "per inbound segment")
    return f"Prices as of {PRICES.as_of}; a message that ends `failed` costs {PRICES.failed_usd:g}.\n\n{table(header, rows)}"


_OTHER_REJECTS: Mapping[str, str] = {
    "blank_phone": "There is no phone number in the row, or the whole row is blank.",
    "landline": "The list itself says that this is a landline, which can't receive texts.",
    "opted_out": "The list marks this person as opted out.",
    "duplicate": "The number stands on an earlier line already.",
    "row_shape": "The row has more cells than the header: a cell with a comma needs quotes.",
    "row_size": "The row has more than 50,000 characters: each person stands on a line of their own.",
}


def _rejects() -> str:
    faults = {fault.value: fault.reason for fault in PhoneFault if fault is not PhoneFault.BLANK}
    rows = [(code(reason), text) for reason, text in (faults | dict(_OTHER_REJECTS)).items()]
    return table(("reason", "what it means"), rows)


def _consent() -> str:
    rows = [
        (code(each.header), each.product, each.sense.value.replace("_", " "), each.values) for each in EXPORTS
    ]
    return table(("header", "from", "read as", "its values"), rows)


BLOCKS: Mapping[str, Callable[[], str]] = {
    "commands": command_line,
    "json-fields": json_fields,
    "scenarios": _scenarios,
    "scenario-parameters": _scenario_parameters,
    "settings": _settings,
    "metrics": _metrics,
    "metric-labels": _labels,
    "metric-buckets": _buckets,
    "error-codes": _error_codes,
    "sub-reasons": _sub_reasons,
    "safeguards": _safeguards,
    "moves": _moves,
    "invariants": _invariants,
    "planted-bugs": _planted_bugs,
    "chances": _chances,
    "state-windows": _state_windows,
    "prices": _prices,
    "rejects": _rejects,
    "consent": _consent,
    "result-figures": figures,
    "export-columns": export_columns,
    "http-operations": operations,
    "http-records": records,
    "fault-orders": fault_orders,
    "ledger-tables": ledger_tables,
    "objectives": watching.objectives,
    "burns": watching.burns,
    "alerts": watching.alerts,
    "resources": watching.resources,
    "judged-faults": watching.judged_faults,
    "judged-healthy": watching.judged_healthy,
    "judged-limits": watching.judged_limits,
    "judged-pages": watching.judged_pages,
    "judged-recall": watching.judged_recall,
    "judged-when": watching.judged_when,
}
"""Name of a part -> what it says."""

__all__ = ["BLOCKS", "commands", "sub_reasons"]
