"""Every setting with its default and its one line, for the reference page; and those in force, for `textbank settings`."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from gateway.config import SECTIONS, Section, Settings, variable_of
from gateway.settings_shown import meta_of, shown


class SettingDoc(Struct, frozen=True):
    """One line of the settings' reference page."""

    name: str
    variable: str
    type: str
    default: str
    description: str
    secret: bool


def reference() -> Iterator[SettingDoc]:
    """Every setting with its default and its one line, in the order of the classes above."""
    for section, kind in SECTIONS.items():
        for item in msgspec.structs.fields(kind):
            meta = meta_of(item.type)
            yield SettingDoc(
                name=f"{section}.{item.name}",
                variable=variable_of(f"{section}.{item.name}"),
                type=_type_name(get_args(item.type)[0]),
                default="" if item.default is None else str(item.default),
                description=meta.description or "",
                secret=bool((meta.extra or {}).get("secret")),
            )


def in_force(settings: Settings, sources: Mapping[str, str]) -> Iterator[str]:
    """The settings as a TOML file would have them, each with its source behind it; secrets hidden."""
    for section in SECTIONS:
        table = getattr(settings, section)
        yield f"[{section}]"
        for name in table.__struct_fields__:
            line = (
                f"# {name} is not given" if getattr(table, name) is None else f"{name} = {_toml(table, name)}"
            )
            yield f"{line:<44}  # {sources[f'{section}.{name}']}"
        yield ""


def _toml(table: Section, name: str) -> str:
    value = getattr(table, name)
    return str(value).lower() if isinstance(value, bool) else shown(table, name).replace("'", '"')


def _type_name(kind: Any) -> str:
    if get_origin(kind) is Annotated:
        return _type_name(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return ", ".join(get_args(kind))
    names = [_type_name(each) for each in get_args(kind) if each is not type(None)]
    return names[0] if names else str(kind.__name__)
