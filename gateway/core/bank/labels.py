"""Tags and custom fields: what a catalogue may hold, what an action's report shows, what a report may say (F131 to F139)."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, Literal, TypeVar

import msgspec

from gateway.core.rules.errors import BadFields, BadInput

FieldKind = Literal["text", "choice"]

MOST_TAGS: Final = 500
"""Of a campaign, archived ones included."""
MOST_FIELDS: Final = 100
MOST_OPTIONS: Final = 100
LONGEST_LABEL: Final = 100
LONGEST_VALUE: Final = 500
MESSAGED_AT: Final = "p2p_messaged_at"
"""F139: the time of a person's last text from us. It is kept by itself and no report sets it."""
RESERVED: Final = frozenset(
    {MESSAGED_AT, "first_name", "last_name", "full_name", "email", "phone", "zip", "state", "state_abbrev"}
)
"""Slugs of what is known of every contact."""
_SLUG: Final = re.compile(r"[a-z][a-z0-9_]{0,49}", re.ASCII)


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """A tag: `name` for admins and exports, `label` for volunteers; `by_default`: on the report of an action that
    chose no tags. Archived (Unix seconds): no longer offered, and whoever has it keeps it."""

    tag_id: int
    name: str
    label: str
    place: int
    by_default: bool = False
    archived_at: float | None = None


class CustomField(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a contact, found by its `slug`; a choice has `options`. `default_value`: what a script says of a
    contact that has none."""

    field_id: int
    slug: str
    label: str
    kind: FieldKind
    options: tuple[str, ...] = ()
    default_value: str | None = None
    place: int
    by_default: bool = False
    archived_at: float | None = None


class Form(msgspec.Struct, frozen=True):
    """What a report shows, in the admin's order."""

    tags: list[Tag]
    fields: list[CustomField]


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """What a report says of a person; what it does not name stays as it is (F132).

    `tags` are given, `removed_tags` taken away; `fields` by slug, None takes the value away.
    """

    tags: tuple[int, ...] = ()
    removed_tags: tuple[int, ...] = ()
    fields: Mapping[str, str | None] = {}

    @property
    def is_empty(self) -> bool:
        return not (self.tags or self.removed_tags or self.fields)


Label = TypeVar("Label", Tag, CustomField)


def clean_label(text: str, where: str) -> str:
    """On one line, spaces made single. Raises BadInput for none, or more than 100 characters."""
    label = " ".join(text.split())
    if not label or len(label) > LONGEST_LABEL or not label.isprintable():
        raise BadInput(f"give 1 to {LONGEST_LABEL} characters", where, "write it on one line")
    return label


def clean_slug(text: str) -> str:
    """Raises BadInput for what no script could name, or what every contact has anyway."""
    if _SLUG.fullmatch(text) is None:
        raise BadInput(
            "a slug has small letters, digits and _ and begins with a letter", "slug", "give another"
        )
    if text in RESERVED:
        raise BadInput(f"{text} is known of every contact", "slug", "give another")
    return text


def check_kind(kind: FieldKind, options: Sequence[str], default_value: str | None) -> None:
    """Raises BadInput for a choice of nothing, a text with options, and a default that is none of the options."""
    if kind == "text" and options:
        raise BadInput("a text has no options", "options", "leave them out, or make it a choice")
    if kind == "choice" and (not options or len(options) != len(set(options))):
        raise BadInput("a choice has options, each once", "options", "give them")
    if kind == "choice" and default_value is not None and default_value not in options:
        raise BadInput("it is none of the options", "default_value", "give one of them")


def form(
    tags: Sequence[Tag],
    fields: Sequence[CustomField],
    tag_ids: Collection[int] = (),
    field_ids: Collection[int] = (),
) -> Form:
    """What an action that chose these shows; where it chose none, those by default, tags and fields apart (F134 to
    F136)."""
    shown_tags = _shown([(each.tag_id, each) for each in tags], tag_ids)
    return Form(shown_tags, _shown([(each.field_id, each) for each in fields], field_ids))


def _shown(catalogue: Sequence[tuple[int, Label]], chosen: Collection[int]) -> list[Label]:
    offered = [(each_id, each) for each_id, each in catalogue if each.archived_at is None]
    wanted = [
        (each.place, each_id, each)
        for each_id, each in offered
        if (each_id in chosen if chosen else each.by_default)
    ]
    return [each for _, _, each in sorted(wanted, key=lambda one: one[:2])]


def check_marks(shown: Form, marks: Marks) -> None:
    """Raises BadFields, which tells of each tag and each field that can't stand."""
    faults = [*_tag_faults(shown.tags, marks), *_field_faults(shown.fields, marks)]
    if faults:
        raise BadFields(faults)


def _tag_faults(tags: Sequence[Tag], marks: Marks) -> Iterator[tuple[str, str]]:
    known = {each.tag_id for each in tags}
    for name, given in (("tags", marks.tags), ("removed_tags", marks.removed_tags)):
        for number, tag_id in enumerate(given):
            if tag_id not in known:
                yield (f"{name}[{number}]", f"there is no tag {tag_id} in this report")
    for tag_id in sorted({*marks.tags} & {*marks.removed_tags}):
        yield ("removed_tags", f"tag {tag_id} is given as well")


def _field_faults(fields: Sequence[CustomField], marks: Marks) -> Iterator[tuple[str, str]]:
    known = {each.slug: each for each in fields}
    for slug, value in marks.fields.items():
        fault = _fault(known.get(slug), slug, value)
        if fault is not None:
            yield (f"fields.{slug}", fault)


def _fault(field: CustomField | None, slug: str, value: str | None) -> str | None:
    if slug == MESSAGED_AT:
        return "this is kept by itself"
    if field is None:
        return "there is no such field in this report"
    if value is None:
        return None
    if field.kind == "choice" and value not in field.options:
        return f"give one of: {', '.join(field.options)}"
    if len(value) > LONGEST_VALUE:
        return f"give at most {LONGEST_VALUE} characters"
    return None
