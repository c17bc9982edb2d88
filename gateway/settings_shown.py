"""Settings as people see them: of a secret no more than its scheme."""

from typing import Any, get_args

import msgspec
from msgspec import Meta


class Shown:
    """Text that prints as itself."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def shown(section: msgspec.Struct, name: str) -> str:
    """A setting's value for people; of a secret no more than its scheme."""
    value = getattr(section, name)
    kind = next(item.type for item in msgspec.structs.fields(type(section)) if item.name == name)
    if value is None or not (meta_of(kind).extra or {}).get("secret"):
        return repr(value)
    scheme, separator, _ = str(value).partition("://")
    return repr(f"{scheme}://…" if separator else "…")


def meta_of(kind: Any) -> Meta:
    """The Meta of an Annotated type; an empty one for a section's own type."""
    return next((each for each in get_args(kind)[1:] if isinstance(each, Meta)), Meta())
