"""What an action is: its settings, whom it is for, who may see it, and how it moves from draft to public (F075 to F084)."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from gateway.core.bank.people import Language
from gateway.core.text.patterns import URL, whole

LONGEST_TITLE: Final = 200
LONGEST_TEXT: Final = 4_000
MOST_FOLDERS: Final = 20
MOST_LISTS: Final = 100

Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Ids = Annotated[tuple[Id, ...], Meta(max_length=MOST_LISTS)]
Word = Annotated[str, Meta(min_length=1, max_length=100)]
AreaCode = Annotated[str, Meta(pattern=whole("[2-9][0-9]{2}"))]
ZipPrefix = Annotated[
    str, Meta(pattern=whole("[0-9]{3,5}"), description="The first three to five digits of a ZIP.")
]
Address = Annotated[str, Meta(pattern=whole(URL), max_length=2_000)]


class State(StrEnum):
    """Nobody but an admin sees a draft or what is scheduled; private: who is invited; public: all whom it is for."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    PRIVATE = "private"
    PUBLIC = "public"


PUBLISHED: Final = frozenset({State.PRIVATE, State.PUBLIC})

MOVES: Final[Mapping[State, frozenset[State]]] = MappingProxyType(
    {
        State.DRAFT: frozenset({State.SCHEDULED, State.PRIVATE, State.PUBLIC}),
        State.SCHEDULED: frozenset({State.DRAFT, State.SCHEDULED, State.PRIVATE, State.PUBLIC}),
        State.PRIVATE: frozenset({State.PUBLIC}),
        State.PUBLIC: frozenset(),
    }
)
"""Make Public at any time (F143), another time until it is live (F142), and never back: its people are at work."""


class Audience(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom an action texts and who texts them.

    `contact_list_ids`: the lists whose contacts it has; none: all contacts of the campaign (F076). `user_list_ids`:
    lists of people who may see it while it is private, besides those who are invited (F144, F145). `languages` and
    `zips` limit who may see it at all, by what they chose at sign-up; none: everybody (F147, F148, C15).
    """

    contact_list_ids: Ids = ()
    user_list_ids: Ids = ()
    languages: Annotated[tuple[Language, ...], Meta(max_length=2)] = ()
    zips: Annotated[tuple[ZipPrefix, ...], Meta(max_length=1_000)] = ()


class ReportSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a report about one of its contacts offers; null: what the campaign offers by default (F135)."""

    tag_ids: Ids | None = None
    field_ids: Ids | None = None


class ActionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an admin sets of an action; volunteers read it, contacts never do (F077 to F084).

    `kind`: first texts of a `p2p` action are pressed by volunteers; those of a `broadcast` go by themselves, to contacts
    who have agreed to broadcasts in writing, and volunteers answer the replies (F043, F052, F057).
    `area_codes`: of the campaign's, those that this action's first texts prefer (F026); none: all of them. Who has texts
    from a number already keeps it, and no text waits because the pool has none there.
    `overflow`: first texts that still wait when the window ends are held until the next one of their person, for a
    week at most, or are blocked with it (1202); replies always are. `bucket_size`,
    `opt_out_suffix`, `contact_fallback` and `sender_fallback`: null is what the campaign says (C13, F012, F100).
    """

    kind: Literal["p2p", "broadcast"] = "p2p"
    description: Annotated[str, Meta(max_length=LONGEST_TEXT)] = ""
    image_url: Address | None = None
    folders: Annotated[tuple[Word, ...], Meta(max_length=MOST_FOLDERS)] = ()
    disclaimer: Annotated[str, Meta(max_length=LONGEST_TEXT)] = ""
    button_label: Word = "Start Texting"
    language: Language = "en"
    area_codes: Annotated[tuple[AreaCode, ...], Meta(max_length=400)] = ()
    keep_assignments: bool = False
    bucket_size: Annotated[int, Meta(ge=1, le=500)] | None = None
    report: ReportSettings = ReportSettings()
    audience: Audience = Audience()
    overflow: Literal["next_day", "end"] = "next_day"
    opt_out_suffix: bool | None = None
    contact_fallback: Annotated[str, Meta(max_length=100)] | None = None
    sender_fallback: Annotated[str, Meta(max_length=100)] | None = None


class Viewer(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody of the campaign who looks at an action. `invited`: hand-picked, or let in by its link."""

    is_staff: bool
    language: Language = "en"
    zip: str | None = None
    user_list_ids: frozenset[int] = frozenset()
    invited: bool = False


def may_see(state: State, audience: Audience, viewer: Viewer, *, archived: bool = False) -> bool:
    """Whether the action is there for whoever looks: staff see all of them; a volunteer what is published, is for
    people of their language and place, and, while it is private, what they were invited to (F140, F144 to F150)."""
    if viewer.is_staff:
        return True
    if archived or state not in PUBLISHED:
        return False
    if state is State.PRIVATE:
        return viewer.invited or not viewer.user_list_ids.isdisjoint(audience.user_list_ids)
    return viewer.invited or _is_for(audience, viewer)


def _is_for(audience: Audience, viewer: Viewer) -> bool:
    if audience.languages and viewer.language not in audience.languages:
        return False
    return not audience.zips or (viewer.zip or "").startswith(audience.zips)


def frozen_after_publishing(before: ActionSettings, after: ActionSettings) -> list[str]:
    """The settings that may not change any more once it is published, and would (F149)."""
    frozen = ("contact_list_ids", "languages", "zips")
    changed = [
        f"audience.{name}"
        for name in frozen
        if getattr(before.audience, name) != getattr(after.audience, name)
    ]
    return changed + [
        name for name in ("keep_assignments", "kind") if getattr(before, name) != getattr(after, name)
    ]
