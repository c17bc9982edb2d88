"""The fields of `--json`, from the record that is printed."""

import typing
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

import msgspec

from docs.generate.tables import code, table
from simulator.report.result import INVARIANTS, Result

_WAITS = {
    "press_to_wire": "from a first press of Send to the hand-over to the provider",
    "reply_to_screen": "from a reply's webhook to a volunteer's screen",
    "reply_to_answer": "the same to a volunteer's press of the answer",
    "stop_to_effect": "from a STOP at the provider to the gateway's hearing of it, or to the last text to its person",
}
_PARTS = {
    "count": "how many there were",
    "p50_s": "seconds within which half were over",
    "p95_s": "95 % of them",
    "p99_s": "99 % of them",
    "max_s": "the longest",
}
_OF_WAITS = {
    f"waits.{name}.{part}": f"{meaning}: {words}" if part == "count" else words
    for name, meaning in _WAITS.items()
    for part, words in _PARTS.items()
}
MEANINGS: Mapping[str, str] = {
    "scenario": "the scenario's name",
    "seed": "the seed",
    "contacts": "people on the list",
    "virtual_seconds": "seconds of the simulated day",
    "wall_seconds": "seconds on this machine, from start to verdict",
    "peak_rss_bytes": "the most memory that the process held; PostgreSQL's own is not in it",
    "trace_hash": "SHA-256 over everything that the carriers saw; equal runs have equal hashes",
    "messages.requested": "first texts and answers that volunteers asked for; the sum of all below",
    "messages.blocked": "by code: stopped by a safeguard, never sent, never billed",
    "messages.queued": "still waiting when the day ended",
    "messages.sending": "handed over without an answer yet; 0 after an orderly end",
    "messages.sent": "the provider has it, and no receipt came",
    "messages.delivered": "the carrier says that the handset has it",
    "messages.undelivered": "by code: the carrier took it and could not deliver it",
    "messages.failed": "by code: it never left the provider",
    "messages.unknown": "the answer was lost and nobody could be asked; never sent again",
    "segments": "segments handed to carriers, as billed",
    "cost_usd": "US dollars: segments out and in, fees, numbers",
    "replies": "texts from people, opt-outs included",
    "opt_outs.keyword": "people whom the books have as opted out, by a keyword",
    "opt_outs.manual": "people whom the books have as opted out, marked by a volunteer",
    "numbers.bought": "phone numbers bought",
    "numbers.in_use": "of them, those not retired",
    "numbers.retired": "of them, those given up after errors",
    "list.rows": "rows below the header",
    "list.used": "rows that became contacts",
    "list.rejected": "by reason: rows that did not",
    "list.columns": "each column that was used, and what it was taken for",
    "list.ignored": "the other columns",
    "list.warnings": "what the list's owner should know, the gravest first",
    "invariants": f"violations by name: {', '.join(INVARIANTS)}; all 0 in a sound run",
    "chances": "how often each rule could have been broken in this run; 0 means not tested",
    "ground_truth.asked_to_leave": "people whose last wish was to be left alone, in whatever words",
    "ground_truth.opt_outs_overlooked": "of them, those whom the books do not have as opted out",
    "ground_truth.shown_after_leaving": "texts shown to people who had asked to be left alone",
    "ground_truth.sent_after_leaving": "of them, those handed over after the wish; the others were on their way",
    "ground_truth.reported_delivered": "texts of which a carrier says that the phone has them",
    "ground_truth.never_shown": "of them, those that no phone ever showed",
    "ground_truth.to_reassigned": "texts shown to somebody who holds a reassigned number",
    "ground_truth.to_unlisted": "texts to phones that are not on the list",
    "ground_truth.complaints": "reports of junk",
    "ground_truth.webhooks_lost": "the provider's callbacks that never came",
    **_OF_WAITS,
    "texted_s": "by time zone: seconds from the first text of all to the last first text of somebody there",
    "answer": "the answer to the scenario's question, in one sentence",
    "verdict": '"GO", "GO with limits" or "NO-GO"',
    "verdict_reasons": "the reasons in plain words, the gravest first, of them the largest",
    "cpu_seconds": "CPU seconds of the whole process: gateway, model and audit",
    "setup_seconds": "of the wall seconds, those before the day began",
    "not_rehearsed": "with `--config`: capacity, and your settings of it and of the house, which no rehearsal shows",
}
_TYPES = {"int": "integer", "float": "number", "str": "text"}


def fields() -> list[tuple[str, str]]:
    """(path, type) of every field, in the order in which they are printed."""
    return list(_fields(Result, ""))


def json_fields() -> str:
    rows = [(code(path), kind, MEANINGS[path]) for path, kind in fields()]
    return table(("field", "type", "meaning"), rows)


def _fields(record: type[msgspec.Struct], path: str) -> Iterator[tuple[str, str]]:
    for field in msgspec.structs.fields(record):
        kind = field.type
        inner = next((each for each in (kind, *get_args(kind)) if _is_record(each)), None)
        if inner is not None:
            yield from _fields(inner, f"{path}{field.name}.")
        else:
            yield f"{path}{field.name}", _type_name(kind)


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _type_name(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is typing.Literal:
        return "text"
    if origin is tuple:
        return "list of texts"
    return "object" if origin is not None else _TYPES[kind.__name__]
