"""Every parameter of a scenario: its unit, its default, where the figure comes from, what it means.

The meaning is the comment beside the field, or stands below where the comment says nothing. The marks in a
comment are [P] primary or vendor documentation, [S] secondary, [A] an assumption of ours. Without a mark a
figure is an assumption, unless it is the author's choice.
"""

import ast
import inspect
import io
import re
import textwrap
import tokenize
import types
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, get_args, get_origin

import msgspec

from simulator.model.scenario import Scenario

# For fields whose comment says nothing yet, or that are told apart by their place.
MEANINGS: Mapping[str, str] = {
    "title": "the report's headline",
    "description": "what is rehearsed, in a sentence",
    "zone": "IANA zone of `start`",
    "name": "taken from the file's name; leave it out",
    "campaign.name": "the organisation; also the brand that shares T-Mobile's cap",
    "campaign.hours_start": "when texting opens, local time in `campaign.zone`",
    "campaign.hours_end": "when texting ends, local time in `campaign.zone`",
    "campaign.responses[].name": "what the reply wants that this text answers, see simulator/model/replies.py",
    "campaign.responses[].text": "the answer, with variables",
    "campaign.brand_kind": "who the organisation is to The Campaign Registry; with `score` it sets the rates",
    "campaign.campaign_kind": "the registered use case",
    "campaign.overrides.max_numbers": "the registered number pool",
    "campaign.overrides.registered": "false: every text ends 30034",
    "population.carriers.att": "share of mobile contacts with AT&T",
    "population.carriers.tmobile": "share of mobile contacts with T-Mobile",
    "population.carriers.verizon": "share of mobile contacts with Verizon",
    "population.carriers.uscellular": "share of mobile contacts with US Cellular",
    "population.carriers.regional": "share of mobile contacts with regional carriers",
    "population.carriers.voip": "share of mobile contacts with Internet telephony",
    "population.states[].state": "USPS code",
    "population.states[].weight": "how many people of the list live there, relative to the others",
    "population.states[].area_codes": "area codes of these people, equally likely",
    "population.states[].zip_prefixes": "first three digits of their ZIP codes",
    "people.reply_median_s": "half reply later",
    "people.reply_within_hour_share": "of replies: come within an hour",
    "people.second_reply_median_s": "half of the further replies come later",
    "people.second_reply_p99_s": "one further reply in a hundred comes later",
    "volunteers.break_every_s": "time between two breaks",
    "volunteers.break_s": "length of a break",
    "volunteers.desk_until_h": "hours since the start when the desk leaves; without it, at the end",
    "campaign.overrides.total_per_s": "the campaign's rate in all",
    "campaign.overrides.carrier_per_s": "the campaign's rate to each carrier",
    "campaign.overrides.tmobile_daily_segments": "T-Mobile's cap in segments per Pacific day",
    "campaign.scripts": "the first texts, with Liquid variables; several are an A/B test (F087)",
    "campaign.preferred_area_codes": "where numbers are bought; without any, anywhere (F027)",
    "campaign.first_name_fallback": "stands in for a missing first name (F100)",
    "contacts": "people on the list, unless a list or a number is given",
    "carriers.queue_s": "how much the provider queues for a campaign, in seconds of its rate: 10 hours",
    "handsets.store_s": "how long a carrier keeps the text, then 30003: 72 hours",
    "filtering.half_life_s": "the time in which a record fades by half",
    "filtering.sender_memory_s": "how long a number counts as used by the campaign",
    "filtering.suspended_s": "how long a suspension lasts",
    "webhooks.twice_s": "time between the two",
    "webhooks.retry_s": "time between two tries; all fit into 15 s",
    "webhooks.overtaken_s": "how long such a webhook is held back",
    "volunteers.inbox_every_s": "how often a texting volunteer looks at the replies",
    "volunteers.tap_median_s": "from one tap to the next; with tap_p99_s 620 taps an hour (200-800 are seen)",
    "volunteers.answer_median_s": "time to read and answer one reply; half take longer",
    "faults.number_bans[].at_s": "when the ban begins",
    "filtering.dead_most_share": "added for a list full of dead numbers",
    "people.against_share": "of conversational replies",
    "people.undecided_share": "of conversational replies",
    "people.question_share": "of conversational replies",
    "people.voted_share": "of conversational replies",
    "people.support_share": "of conversational replies; the five sum to 1",
    "volunteers.shifts[].from_h": "hours since the start",
    "volunteers.shifts[].to_h": "hours since the start",
    "volunteers.shifts[].share": "of the texting volunteers; the shifts sum to 1",
    "faults.brownouts[].carrier": "which carrier is slow",
    "companions[].scripts": "its first texts",
    "companions[].volunteers": "how many text and answer for it",
    "companions[].shifts[].from_h": "hours since the start",
    "companions[].shifts[].to_h": "hours since the start",
    "companions[].shifts[].share": "of its texting volunteers; without shifts they come as the first campaign's do",
    "faults.carrier_failures[].carrier": "which carrier fails",
    "faults.carrier_failures[].code": "how the texts end: unknown error, congestion, or too fast",
    "faults.carrier_failures[].share": "of the texts it takes meanwhile",
    "faults.rushes[].mms_late_s": "how late each MMS comes: 15 to 30 min are seen",
    "faults.rushes[].full_hour_s": "how long after the full hour that takes to fade to slow_factor",
    "faults.chaos.carrier_failures": "how many the seed strews over the day",
    "faults.chaos.webhook_backlogs": "how many the seed strews over the day",
    "handsets.given_up_median_s": "when the carrier gives such a text up, 30003; half are kept longer",
    "handsets.given_up_p95_s": "one in twenty is kept longer",
    "faults.brownouts[].slow_factor": "times slower, in rate and in latency",
    "faults.number_bans[].nth": "which number, counted from 0 in the order of purchase",
    "faults.number_bans[].code": "30007: every text of it is filtered; 21606: it is refused",
    "faults.stop_waves[].share": "of the people texted meanwhile: a further share that answers STOP",
    "faults.gateway_crashes_at_s": "when the gateway is killed; it is started again 20 s later",
    "faults.chaos.brownouts": "how many the seed strews over the day",
    "faults.chaos.outages": "how many the seed strews over the day",
    "faults.chaos.receipt_storms": "how many the seed strews over the day",
    "faults.chaos.number_bans": "how many the seed strews over the day",
    "faults.chaos.gateway_crashes": "how many the seed strews over the day",
    "faults.chaos.longest_s": "the longest of them",
    "verdict.warn_delivered_share": "below this: GO with limits",
    "verdict.min_delivered_share": "below this: NO-GO; of texts a carrier accepted",
    "verdict.warn_filtered_share": "above this: GO with limits",
    "verdict.max_filtered_share": "above this: NO-GO; 30007 of texts a carrier accepted",
    "verdict.warn_opt_out_share": "above this: GO with limits",
    "verdict.max_opt_out_share": "above this: NO-GO; of people texted",
}
_OF_EVERY_WINDOW = {"from_s": "when it begins", "for_s": "how long it lasts", "at_s": "when it begins"}
_PERCENTILES = {
    "_median_s": "half take longer",
    "_p95_s": "one in twenty takes longer",
    "_p99_s": "one in a hundred takes longer",
}
_UNITS = (  # by the end of a name, the longest first
    ("_per_s", "segments/s"),
    ("_share", "share, 0 to 1"),
    ("_usd", "US dollars"),
    ("_h", "hours"),
    ("_s", "seconds"),
)
# What the filter compares are shares as well, whatever they are called.
_RATIOS = re.compile(r"^filtering\.(?!.*_(?:s|texts|factor)$)")
# Choices of whoever writes the scenario: nothing in the world to be right or wrong about.
_CHOICES = frozenset(
    {
        "",
        "campaign",
        "campaign.overrides",
        "campaign.responses[]",
        "companions[]",
        "companions[].shifts[]",
        "population.states[]",
        "volunteers.shifts[]",
    }
)
_CHOSEN = frozenset({"volunteers.count", "volunteers.desk_until_h", "verdict.must_finish"})
_MARK = re.compile(r"\[(P|S|A)\b[^\]]*\]")
_TOLD_MARK = re.compile(r"\s*\[(?:P|S|A)\]")
_REMARK = re.compile(r"\[(?:P|S|A): ([^\]]*)\]")
_TOLD_UNIT = re.compile(r"^(?:seconds|segments/s)\b[,;:]?\s*")


class Parameter(msgspec.Struct, frozen=True):
    """A row: `path` as in a file, with [] for each of a list."""

    path: str
    unit: str
    default: str
    source: str
    meaning: str


def parameters() -> list[Parameter]:
    """Every parameter, in the order of the records."""
    return list(_of(Scenario, "", None))


def _of(record: type[msgspec.Struct], path: str, given: Any) -> Iterator[Parameter]:
    comments = comments_of(record)
    for field in msgspec.structs.fields(record):
        name = f"{path}.{field.name}" if path else field.name
        default = getattr(given, field.name) if isinstance(given, record) else _default(field)
        inner, listed = _record_in(field.type)
        if inner is not None and listed:
            yield from _of(inner, f"{name}[]", None)
        elif inner is not None:
            yield from _of(inner, name, default)
        else:
            yield _parameter(path, name, field.type, default, comments.get(field.name, ""))


def _parameter(path: str, name: str, kind: Any, default: Any, comment: str) -> Parameter:
    return Parameter(
        name, _unit(name, kind), shown(default), _source(path, name, comment), _meaning(name, comment)
    )


def _meaning(name: str, comment: str) -> str:
    """By hand, or what the comment says beside marks and units."""
    last = name.rpartition(".")[2]
    told = _TOLD_UNIT.sub("", _TOLD_MARK.sub("", _REMARK.sub(r"(\1)", comment))).strip(" ;:")
    return MEANINGS.get(name) or _OF_EVERY_WINDOW.get(last) or told or _percentile(last)


def _percentile(last: str) -> str:
    return next((words for end, words in _PERCENTILES.items() if last.endswith(end)), "")


def _default(field: Any) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return msgspec.NODEFAULT


def _record_in(kind: Any) -> tuple[type[msgspec.Struct] | None, bool]:
    """The record that a field is, or is a list of."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind, False
    if get_origin(kind) is typing.Annotated:
        return _record_in(get_args(kind)[0])
    if get_origin(kind) is tuple:
        return _record_in(get_args(kind)[0])[0], True
    return None, False


def _unit(name: str, kind: Any) -> str:
    last = name.rpartition(".")[2]
    if _RATIOS.match(name) or last.startswith("stock") or name.startswith("population.carriers."):
        return "numbers" if last.startswith("stock") else "share, 0 to 1"
    if last in {"share", "receipt_missing", "unknown_error", "dead_by_carrier"}:
        return "share, 0 to 1"
    if last.endswith("_factor") and last not in {"further_reply_factor", "cold_factor"}:
        return "times by carrier" if _base(kind) is dict else "times"
    if name.startswith("faults.webhook_backlogs") and last.endswith("per_s"):
        return "webhooks/s"
    per = " by carrier" if _base(kind) is dict else ""
    found = next((unit for end, unit in _UNITS if last.endswith((end, f"{end}_at_s"))), "")
    if last == "carrier_per_s":
        return "segments/s by carrier"
    return f"{found}{per}" if found else _type_name(kind)


def _base(kind: Any) -> Any:
    """The bare type: without annotations, without None."""
    if get_origin(kind) is typing.Annotated:
        return _base(get_args(kind)[0])
    if get_origin(kind) in (typing.Union, types.UnionType):
        return _base(next(each for each in get_args(kind) if each is not type(None)))
    return get_origin(kind) or kind


def _type_name(kind: Any) -> str:
    base = _base(kind)
    if base is typing.Literal:
        return ", ".join(f"`{each}`" for each in get_args(kind))
    if isinstance(base, type) and hasattr(base, "__members__"):
        return ", ".join(f"`{each.value}`" for each in base.__members__.values())
    names = {str: "text", int: "count", float: "number", bool: "true or false", tuple: "list", dict: "table"}
    return names.get(base, str(base.__name__))


def shown(default: Any) -> str:
    match default:
        case msgspec.NODEFAULT:
            return "required"
        case None | "" | ():
            return "none"
        case bool():
            return str(default).lower()
        case float():
            return f"{default:,g}" if default < 1e6 else f"{default:,.0f}"
        case tuple():
            return ", ".join(map(shown, default))
        case dict():
            return ", ".join(f"{key} {shown(value)}" for key, value in default.items()) or "none"
        case _:
            return str(default)


def _source(path: str, name: str, comment: str) -> str:
    if path == "verdict" and name not in _CHOSEN:
        return "A"  # a mark in its comment is of what it is compared with
    if marks := dict.fromkeys(_MARK.findall(comment)):
        return ", ".join(marks)
    return "choice" if path in _CHOICES or path.startswith("faults") or name in _CHOSEN else "A"


@cache
def comments_of(record: type[msgspec.Struct]) -> dict[str, str]:
    """The comment beside each field, also of a base and of a field on several lines."""
    found: dict[str, str] = {}
    for base in reversed(record.__mro__):
        if issubclass(base, msgspec.Struct) and base is not msgspec.Struct and "simulator" in base.__module__:
            found |= _comments_in(textwrap.dedent(inspect.getsource(base)))
    return found


def _comments_in(source: str) -> dict[str, str]:
    by_line = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: " ".join(
            by_line[line]
            for line in range(field.lineno, (field.end_lineno or field.lineno) + 1)
            if line in by_line
        )
        for field in body.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }
