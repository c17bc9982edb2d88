"""Everything that is wrong with what a client sent, field by field: msgspec itself stops at the first."""

import types
import typing
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any, Final, Union

import msgspec

from gateway.http.problems import FieldFault

MOST_FAULTS: Final = 50
"""In one answer: a list of five thousand bad rows is told by its first fifty."""


def faults_in(value: Any, kind: Any, *, strict: bool = True) -> list[FieldFault]:
    """What is wrong with plain values that should be a record of this kind, in the record's order; at most fifty."""
    return list(islice(_faults(value, kind, "", strict), MOST_FAULTS))


def _faults(value: Any, kind: Any, path: str, strict: bool) -> Iterator[FieldFault]:
    try:
        msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        inner = list(islice(_inside(value, _bare(kind), path, strict), MOST_FAULTS))
        yield from inner or [FieldFault(field=path or "body", detail=_words(error))]


def _inside(value: Any, kind: Any, path: str, strict: bool) -> Iterator[FieldFault]:
    """The faults of the parts; none when it is the whole that is wrong."""
    if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield from _of_record(value, kind, path, strict)
    elif isinstance(value, list) and (each := _of_items(kind)) is not None:
        for nth, item in enumerate(value):
            yield from _faults(item, each, f"{path}[{nth}]", strict)


def _of_record(
    value: dict[str, Any], kind: type[msgspec.Struct], path: str, strict: bool
) -> Iterator[FieldFault]:
    known = {each.encode_name: each for each in msgspec.structs.fields(kind)}
    for name, field in known.items():
        where = f"{path}.{name}" if path else name
        if name in value:
            yield from _faults(value[name], field.type, where, strict)
        elif field.required:
            yield FieldFault(field=where, detail="this is required")
    if kind.__struct_config__.forbid_unknown_fields:
        for name in value:
            if name not in known:
                shown = name[:100]
                where = f"{path}.{shown}" if path else shown
                yield FieldFault(field=where, detail="there is no such field")


def _bare(kind: Any) -> Any:
    """The type without its bounds; of one that may be null or another, the other."""
    if typing.get_origin(kind) is Annotated:
        return _bare(typing.get_args(kind)[0])
    if typing.get_origin(kind) in (Union, types.UnionType):
        others = [each for each in typing.get_args(kind) if each is not types.NoneType]
        return _bare(others[0]) if len(others) == 1 else kind
    return kind


def _of_items(kind: Any) -> Any:
    """The type of a list's items; None when it is no list of one type."""
    inside = typing.get_args(kind)
    if typing.get_origin(kind) in (list, set, frozenset) or (len(inside) == 2 and inside[1] is ...):
        return inside[0]
    return None


def _words(error: msgspec.ValidationError) -> str:
    """What msgspec says, without the place: that stands beside it."""
    return str(error).partition(" - at `")[0].replace("`", "")
