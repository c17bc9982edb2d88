"""An action's scripts: what they are called, in which order they are offered, and what may change once people use them."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gateway.core.bank.actions import Address, Ids
from gateway.core.text.liquid_bounds import LONGEST_SCRIPT

MOST_SCRIPTS: Final = 200
LONGEST_NAME: Final = 100
KEYS: Final = "1234567890"
"""The first ten responses are picked by these keys."""

FieldValue = Annotated[str, Meta(max_length=1_000)]


class ScriptKind(StrEnum):
    """A first text, or an answer that a volunteer picks (F085)."""

    INITIAL = "initial"
    RESPONSE = "response"


class ScriptText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A script as an admin writes it. Sending it tags the contact and sets fields, by slug (F112 to F114).

    A blank name becomes `initial-1`, `response-2` and so on. `media`: the address of a picture, below 0.6 MB (F090).
    """

    kind: ScriptKind
    name: Annotated[str, Meta(max_length=LONGEST_NAME)] = ""
    source: Annotated[str, Meta(max_length=LONGEST_SCRIPT)]
    tag_ids: Ids = ()
    fields: Annotated[Mapping[str, FieldValue], Meta(max_length=50)] = {}
    media: Annotated[tuple[Address, ...], Meta(max_length=1)] = ()


def next_name(kind: ScriptKind, taken: Sequence[str]) -> str:
    """What a script is called when nobody says: `initial-1`, `response-3`."""
    number = 1
    while f"{kind}-{number}" in taken:
        number += 1
    return f"{kind}-{number}"


def frozen_fields(before: ScriptText, after: ScriptText) -> list[str]:
    """What may not change of a script whose action is published, and would: people have it under their thumbs, and
    results are counted by its name. Of a response the text, tags, fields and picture may."""
    changed = [name for name in ("kind", "name") if getattr(before, name) != getattr(after, name)]
    if before.kind is ScriptKind.INITIAL:
        changed += [name for name in ("source", "media") if getattr(before, name) != getattr(after, name)]
    return changed


def key_of(index: int) -> str | None:
    """The key that picks the response at this place, from 0; None beyond the tenth."""
    return KEYS[index] if index < len(KEYS) else None
