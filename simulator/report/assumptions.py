"""A scenario's parameters as a page shows them: value, meaning, and whether anybody published the figure.

The meaning is the comment beside the value in the scenario's file, else the one beside its default.
"""

import inspect
import linecache
import re
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import takewhile
from typing import Any

import msgspec

from simulator.model.scenario import Scenario, shipped

_FIELD = re.compile(r"^    (?P<name>\w+): [^#]*#\s*(?P<note>.+)$")
_KEY = re.compile(r"^(?P<name>\w+)\s*=[^#]*#\s*(?P<note>.+)$")
_TABLE = re.compile(r"^\[{1,2}(?P<name>[\w.]+)\]{1,2}\s*(?:#\s*(?P<note>.*))?$")
_ASSUMED = re.compile(r"\bassumption\b|\[A\]")
_PUBLISHED = re.compile(r"\[[SP]\]")
_MARKS = re.compile(r",? but as marked|\s*;?\s*\[(?:A|S|P)\]|;?\s*\bassumption\b(?=[;:,.]|$)")
_LONGEST = 160


class Parameter(msgspec.Struct, frozen=True):
    """One row: `path` within the scenario, its value in words, what it means."""

    path: str
    value: str
    note: str
    assumed: bool


def parameters(scenario: Scenario) -> list[Parameter]:
    """Every parameter, in the order of the record; a value laid over a default keeps the default's note."""
    notes = {**dict(_record_notes(Scenario)), **_file_notes(scenario.name)}
    return [_parameter(path, value, notes) for path, value in _leaves(scenario, "")]


def _parameter(path: str, value: object, notes: dict[str, str]) -> Parameter:
    of_table = notes.get(path.rpartition(".")[0], "")
    note = notes.get(path, of_table)
    assumed = _ASSUMED.search(note) or (_ASSUMED.search(of_table) and not _PUBLISHED.search(note))
    text = str(value)
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return Parameter(path, shown, _MARKS.sub("", note).strip(" ,;:"), bool(assumed))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, object]]:
    """The single values of nested records, tables and lists of records."""
    match value:
        case msgspec.Struct():
            inner = [(name, getattr(value, name)) for name in value.__struct_fields__]
        case dict():
            inner = list(value.items())
        case tuple() if value and isinstance(value[0], msgspec.Struct):
            inner = [(f"{place + 1}", item) for place, item in enumerate(value)]
        case tuple():
            inner = []
            yield path, ", ".join(map(str, value)) or "none"
        case _:
            inner = []
            yield path, "none" if value is None else value
    for name, item in inner:
        yield from _leaves(item, f"{path}.{name}" if path else name)


@lru_cache(maxsize=1)
def _record_notes(record: type[msgspec.Struct]) -> tuple[tuple[str, str], ...]:
    return tuple(_notes_of(record, ""))


def _notes_of(record: type[msgspec.Struct], path: str) -> Iterator[tuple[str, str]]:
    """The comments beside a record's fields, and those of the records in it."""
    for line in _source_of(record):
        if found := _FIELD.match(line):
            yield f"{path}{found['name']}", found["note"]
    for field in msgspec.structs.fields(record):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from _notes_of(field.type, f"{path}{field.name}.")


def _source_of(record: type[msgspec.Struct]) -> Iterator[str]:
    """The lines of its body; none where it is installed without sources. `inspect` would parse the whole file each time."""
    lines = iter(linecache.getlines(inspect.getfile(record)))
    head = f"class {record.__name__}("
    for line in lines:
        if line.startswith(head):
            yield from takewhile(lambda each: not each.strip() or each[0] in " )", lines)


def _file_notes(name: str) -> dict[str, str]:
    """The comments of a shipped scenario's file over those of its base; none for a file of one's own."""
    if name not in shipped():
        return {}
    source = files("simulator") / "scenarios" / f"{name}.toml"
    base = tomllib.loads(source.read_text(encoding="utf-8")).get("base")
    below = _file_notes(base) if isinstance(base, str) else {}
    return {**below, **dict(_notes_in(source))}


def _notes_in(source: Traversable) -> Iterator[tuple[str, str]]:
    table = ""
    for line in source.read_text(encoding="utf-8").splitlines():
        if found := _TABLE.match(line):
            table = f"{found['name']}."
            if found["note"]:
                yield found["name"], found["note"]
        elif found := _KEY.match(line):
            yield f"{table}{found['name']}", found["note"]
