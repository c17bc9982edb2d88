"""The words of a result: what the terminal shows in the end, and what the report's tables say."""

import os
from collections.abc import Iterator
from typing import TextIO

import msgspec
import numpy as np
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gateway.core.rules.errors import consequence
from simulator.audit.ends import Ends
from simulator.audit.records import Violation
from simulator.model.carriers import CARRIERS
from simulator.model.ledger import STATUSES, Ledger
from simulator.report.result import INVARIANT_RULES, ContactList, Counts, Rehearsed, Result
from simulator.report.words import CARRIER_NAMES, counted, percent, share_of, span, words

_STYLES = {"GO": "bold green", "GO with limits": "bold yellow", "NO-GO": "bold red"}
_VIOLATIONS_SHOWN = 3
_PIPE_WIDTH = 110


class CodeRow(msgspec.Struct, frozen=True):
    """How many messages ended with a code, in the catalogue's words."""

    ended: str
    code: str
    title: str
    what_to_do: str
    count: int


class CarrierRow(msgspec.Struct, frozen=True):
    """What became of a carrier's texts; `share` is of that carrier's."""

    carrier: str
    status: str
    code: str
    title: str
    count: int
    share: float


def code_rows(result: Result) -> list[CodeRow]:
    """Every code with which messages ended, by state, the most frequent first."""
    messages = result.messages
    groups = (
        ("blocked by a safeguard", messages.blocked),
        ("undelivered", messages.undelivered),
        ("failed", messages.failed),
    )
    return [row for ended, counts in groups for row in _code_rows(ended, counts)]


def _code_rows(ended: str, counts: Counts) -> Iterator[CodeRow]:
    for code, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        follows = consequence(int(code))
        yield CodeRow(ended, code, follows.title, follows.what_to_do, count)


def carrier_rows(ledger: Ledger, end: Ends) -> list[CarrierRow]:
    """What the carriers saw: by carrier, final status and code."""
    carrier = ledger.submissions.columns()["carrier"]
    keys = (carrier.astype(np.int64) * len(STATUSES) + end.status) << 16 | end.code
    kinds, counts = np.unique(keys, return_counts=True)
    parts = ((*divmod(kind >> 16, len(STATUSES)), kind & 0xFFFF) for kind in kinds.tolist())
    totals = np.bincount(carrier, minlength=len(CARRIERS))
    return [
        CarrierRow(
            CARRIER_NAMES[CARRIERS[which]],
            STATUSES[status],
            str(code) if code else "",
            consequence(code).title if code else "",
            count,
            count / int(totals[which]),
        )
        for (which, status, code), count in zip(parts, counts.tolist(), strict=True)
    ]


def headlines(result: Result) -> list[tuple[str, str, str]]:
    """(what, how much, remark): the numbers everybody asks for first."""
    messages = result.messages
    blocked, undelivered, failed = (
        sum(counts.values()) for counts in (messages.blocked, messages.undelivered, messages.failed)
    )
    waiting = messages.queued + messages.sending
    opted_out = result.opt_outs.keyword + result.opt_outs.manual
    out = messages.requested - blocked
    return [
        ("people", f"{result.contacts:,}", ""),
        ("messages asked for", f"{messages.requested:,}", "first texts and answers"),
        ("delivered", f"{messages.delivered:,}", f"{percent(share_of(messages.delivered, out))} of those not blocked"),
        ("no receipt yet", f"{messages.sent:,}", "sent; the carrier has not said more"),
        ("undelivered", f"{undelivered:,}", percent(share_of(undelivered, out))),
        ("failed", f"{failed:,}", percent(share_of(failed, out))),
        ("blocked by safeguards", f"{blocked:,}", "never sent, never billed"),
        ("still waiting", f"{waiting:,}", f"and {messages.unknown:,} with an unknown outcome"),
        ("replies", f"{result.replies:,}", ""),
        ("opt-outs", f"{opted_out:,}", f"{result.opt_outs.keyword:,} by keyword, {result.opt_outs.manual:,} marked by volunteers"),
        ("numbers", f"{result.numbers.in_use:,}", f"{result.numbers.bought:,} bought, {result.numbers.retired:,} retired"),
        ("cost", f"${result.cost_usd:,.2f}", counted(result.segments, "segment")),
    ]  # fmt: skip


def truths(result: Result) -> list[tuple[str, str, str]]:
    """(what, how much, remark): what no gateway's book can show."""
    known = result.ground_truth
    return [
        ("asked to be left alone", f"{known.asked_to_leave:,}", f"{'person' if known.asked_to_leave == 1 else 'people'}, in whatever words"),
        ("opt-outs overlooked", f"{known.opt_outs_overlooked:,}", "of them, not opted out in the books"),
        ("texts after that wish", f"{known.shown_after_leaving:,}", f"of them {known.sent_after_leaving:,} handed over after it"),
        ("never shown", f"{known.never_shown:,}", f"of {counted(known.reported_delivered, 'text')} reported as delivered"),
        ("strays", f"{known.to_reassigned + known.to_unlisted:,}", f"{known.to_reassigned:,} to reassigned numbers, {known.to_unlisted:,} to phones not on the list"),
        ("complaints", f"{known.complaints:,}", "report of junk" if known.complaints == 1 else "reports of junk"),
        ("webhooks lost", f"{known.webhooks_lost:,}", "of the provider's callbacks"),
    ]  # fmt: skip


def run_facts(result: Result) -> list[tuple[str, str]]:
    """What the run took from this machine."""
    requested = max(result.messages.requested, 1)
    return [
        ("virtual time", span(result.virtual_seconds)),
        ("wall time", f"{span(result.wall_seconds)}, of it {span(result.setup_seconds)} to set up"),
        (
            "CPU of this process",
            f"{result.cpu_seconds:,.1f} s, {1e6 * result.cpu_seconds / requested:,.0f} µs a message",
        ),
        ("peak memory", f"{result.peak_rss_bytes / 2**20:,.0f} MiB"),
        ("trace", result.trace_hash),
        *_not_rehearsed(result),
    ]


def _not_rehearsed(result: Result) -> list[tuple[str, str]]:
    """Where a rehearsal of the operator's settings cannot see."""
    return [("not rehearsed", ", ".join(result.not_rehearsed))] if result.not_rehearsed else []


def write_summary(rehearsed: Rehearsed, stream: TextIO) -> None:
    """The readable end of a run: verdict, reasons, numbers, rules."""
    wanted = stream.isatty() or "COLUMNS" in os.environ
    console = Console(file=stream, highlight=False, width=None if wanted else _PIPE_WIDTH)
    result = rehearsed.result
    console.print(Text(f"\n{rehearsed.plan.heading(result.contacts)}", style="bold"))
    console.print(Text(rehearsed.plan.scenario.question, style="dim"))
    console.print(Text(f"\n{result.answer}", style="bold"))
    console.print(Text.assemble("\nVerdict: ", (result.verdict, _STYLES[result.verdict])))
    for reason in result.verdict_reasons:
        console.print(Padding(Text(f"- {reason}"), (0, 0, 0, 2)))
    console.print()
    console.print(_figure_table(headlines(result)))
    console.print(Text("\nWhat only the world knows:", style="dim"))
    console.print(_figure_table(truths(result)))
    rows = code_rows(result)
    if rows:
        console.print(_code_table(rows))
    _print_list(result, console)
    _print_rules(rehearsed, console)
    console.print()
    for what, how_much in run_facts(result):
        console.print(Text(f"{what:>22}  {how_much}", style="dim"))


def _figure_table(rows: list[tuple[str, str, str]]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(justify="right", style="dim", min_width=22)
    table.add_column(justify="right", style="bold")
    table.add_column(style="dim")
    for row in rows:
        table.add_row(*row)
    return table


def _code_table(rows: list[CodeRow]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", title_justify="left")
    table.add_column("\nnot delivered", justify="right", min_width=22)
    table.add_column("\ncode", justify="right")
    table.add_column("\nmessages", justify="right")
    table.add_column("\nwhat it means")
    for row in rows:
        table.add_row(row.ended, row.code, f"{row.count:,}", row.title)
    return table


def column_words(contact_list: ContactList) -> str:
    """Each column and what it was taken for."""
    told = (f"{header} as {words(meaning)}" for header, meaning in contact_list.columns.items())
    return ", ".join(told) or "none"


def _print_list(result: Result, console: Console) -> None:
    if result.list is not None:
        contact_list = result.list
        rejected = ", ".join(f"{count:,} {words(reason)}" for reason, count in contact_list.rejected.items())
        used = f"{contact_list.used:,} of {counted(contact_list.rows, 'row')} used"
        console.print()
        for warning in contact_list.warnings:
            console.print(Text(f"Warning: {warning}", style="bold yellow"))
        console.print(Text(f"List: {used}; rejected: {rejected or 'none'}"))
        console.print(Text(f"Columns: {column_words(contact_list)}"))
        console.print(Text(f"Ignored: {', '.join(contact_list.ignored) or 'none'}"))


def _print_rules(rehearsed: Rehearsed, console: Console) -> None:
    invariants = rehearsed.result.invariants
    broken = {name: count for name, count in invariants.items() if count}
    not_tested = rehearsed.result.not_tested
    if not broken:
        held = len(invariants) - len(not_tested)
        told = f"All {held} rules held." if not not_tested else f"{held} of {len(invariants)} rules held."
        console.print(Text(f"\n{told}", style="green"))
    for name in not_tested:
        console.print(Text(f"Not tested: {INVARIANT_RULES.get(name, name)}.", style="yellow"))
    if not broken:
        return
    console.print(Text(f"\n{len(broken)} of {len(invariants)} rules were broken:", style="bold red"))
    for name, count in broken.items():
        console.print(Text(f"  {INVARIANT_RULES.get(name, name)}: {counted(count, 'time')}"))
    for violation in rehearsed.violations[:_VIOLATIONS_SHOWN]:
        console.print(Text(f"\n{story(violation)}"))


def story(violation: Violation) -> str:
    """A violation with the message's whole life."""
    message = "" if violation.message_id is None else f" (message {violation.message_id})"
    lines = "".join(f"\n    {line}" for line in violation.story)
    return f"{violation.invariant}{message}: {violation.what}{lines}"
