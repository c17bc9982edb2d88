"""A campaign's tags and custom fields: the catalogue as admins keep it, and what is said of contacts by it (F134 to F139).

The catalogue is read anew each time, so that a new tag is there at once (C20).
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from gateway.clock import Clock
from gateway.core.bank.labels import (
    MOST_FIELDS,
    MOST_OPTIONS,
    MOST_TAGS,
    CustomField,
    FieldKind,
    Form,
    Marks,
    Tag,
    check_kind,
    check_marks,
    clean_label,
    clean_slug,
    form,
)
from gateway.core.rules.errors import BadInput, TextbankError
from gateway.pipeline.campaigns import Campaigns
from gateway.store import audit_log, campaign_actions, labels
from gateway.store.database import Database, Statements
from gateway.store.ids import Ids
from gateway.store.labels import NameTaken
from gateway.store.rows import as_json

__all__ = [
    "CustomField",
    "FieldChange",
    "Labels",
    "NameTaken",
    "NewField",
    "NewTag",
    "NoLabel",
    "Tag",
    "TagChange",
]

Label = TypeVar("Label", Tag, CustomField)
_STEP: Final = 10  # between the places of what is put in order: one more fits in between


class NoLabel(TextbankError):
    """The campaign has no such tag or field."""


class NewTag(msgspec.Struct, frozen=True, kw_only=True):
    """A tag to be made; without a label it reads as it is named, without a place it comes last."""

    name: str
    label: str | None = None
    place: int | None = None
    by_default: bool = False


class TagChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be otherwise; None stays."""

    name: str | None = None
    label: str | None = None
    place: int | None = None
    by_default: bool | None = None
    archived: bool | None = None


class NewField(msgspec.Struct, frozen=True, kw_only=True):
    """A field to be made."""

    slug: str
    label: str
    kind: FieldKind = "text"
    options: tuple[str, ...] = ()
    default_value: str | None = None
    place: int | None = None
    by_default: bool = False


class FieldChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be otherwise; None stays, and `default_value` "" takes it away. Slug and kind are for good."""

    label: str | None = None
    options: tuple[str, ...] | None = None
    default_value: str | None = None
    place: int | None = None
    by_default: bool | None = None
    archived: bool | None = None


class Labels:
    """The catalogue of each campaign, and what it says of a contact."""

    def __init__(self, database: Database, campaigns: Campaigns, clock: Clock) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._ids = Ids(database)

    # ---------------------------------------------------------------- the catalogue

    async def tags(self, campaign_id: int) -> list[Tag]:
        """All tags, archived ones as well, in the admin's order."""
        return await labels.tags(self._database, self._campaigns[campaign_id].key)

    async def fields(self, campaign_id: int) -> list[CustomField]:
        """All fields, archived ones as well, in the admin's order."""
        return await labels.fields(self._database, self._campaigns[campaign_id].key)

    async def form(
        self, campaign_id: int, tag_ids: Sequence[int] = (), field_ids: Sequence[int] = ()
    ) -> Form:
        """What a report shows in an action that chose these, or nothing (F135)."""
        return form(await self.tags(campaign_id), await self.fields(campaign_id), tag_ids, field_ids)

    async def make_tag(self, campaign_id: int, new: NewTag, who: str) -> Tag:
        """It is offered from the answer on (C20). Raises BadInput, NameTaken."""
        key = self._campaigns[campaign_id].key
        name = clean_label(new.name, "name")
        label = clean_label(new.label, "label") if new.label is not None else name
        [tag_id] = await self._ids.take(1)
        async with self._database.transaction() as transaction:
            await labels.lock(transaction, key)
            others = await labels.tags(transaction, key)
            _require_room(others, MOST_TAGS, "tags")
            place = _last(others) if new.place is None else new.place
            tag = Tag(tag_id=tag_id, name=name, label=label, place=place, by_default=new.by_default)
            await labels.put_tag(transaction, key, tag)
            await self._tell(transaction, campaign_id, who, "tag made", None, tag)
        return tag

    async def change_tag(self, campaign_id: int, tag_id: int, change: TagChange, who: str) -> Tag:
        """Raises NoLabel, BadInput, NameTaken."""
        key = self._campaigns[campaign_id].key
        async with self._database.transaction() as transaction:
            await labels.lock(transaction, key)
            before = _one({each.tag_id: each for each in await labels.tags(transaction, key)}, tag_id, "tag")
            after = msgspec.structs.replace(
                before,
                name=before.name if change.name is None else clean_label(change.name, "name"),
                label=before.label if change.label is None else clean_label(change.label, "label"),
                **self._common(before, change),
            )
            await labels.put_tag(transaction, key, after)
            await self._tell(transaction, campaign_id, who, "tag changed", before, after)
        return after

    async def make_field(self, campaign_id: int, new: NewField, who: str) -> CustomField:
        """It is offered from the answer on (C20). Raises BadInput, NameTaken."""
        key = self._campaigns[campaign_id].key
        slug, label = clean_slug(new.slug), clean_label(new.label, "label")
        options = tuple(clean_label(each, "options") for each in new.options)
        check_kind(new.kind, options, new.default_value)
        [field_id] = await self._ids.take(1)
        async with self._database.transaction() as transaction:
            await labels.lock(transaction, key)
            others = await labels.fields(transaction, key)
            _require_room(others, MOST_FIELDS, "fields")
            field = CustomField(
                field_id=field_id,
                slug=slug,
                label=label,
                kind=new.kind,
                options=options,
                default_value=new.default_value,
                place=_last(others) if new.place is None else new.place,
                by_default=new.by_default,
            )
            await labels.put_field(transaction, key, field)
            await campaign_actions.tell_workers(transaction, key)  # scripts may name it
            await self._tell(transaction, campaign_id, who, "field made", None, field)
        await self._campaigns.take_up(campaign_id)
        return field

    async def change_field(
        self, campaign_id: int, field_id: int, change: FieldChange, who: str
    ) -> CustomField:
        """Values that contacts have stay as they are. Raises NoLabel, BadInput."""
        key = self._campaigns[campaign_id].key
        async with self._database.transaction() as transaction:
            await labels.lock(transaction, key)
            known = {each.field_id: each for each in await labels.fields(transaction, key)}
            before = _one(known, field_id, "field")
            after = msgspec.structs.replace(
                before,
                label=before.label if change.label is None else clean_label(change.label, "label"),
                options=_options(before, change),
                default_value=before.default_value
                if change.default_value is None
                else change.default_value or None,
                **self._common(before, change),
            )
            check_kind(after.kind, after.options, after.default_value)
            await labels.put_field(transaction, key, after)
            await campaign_actions.tell_workers(transaction, key)
            await self._tell(transaction, campaign_id, who, "field changed", before, after)
        await self._campaigns.take_up(campaign_id)
        return after

    async def order_tags(self, campaign_id: int, tag_ids: Sequence[int], who: str) -> list[Tag]:
        """These first, as they are named here (F137). Raises NoLabel for one that is not there."""
        key = self._campaigns[campaign_id].key
        async with self._database.transaction() as transaction:
            await labels.lock(transaction, key)
            known = {each.tag_id: each for each in await labels.tags(transaction, key)}
            for tag_id, place in _places(known, tag_ids, "tag"):
                await labels.put_tag(transaction, key, msgspec.structs.replace(known[tag_id], place=place))
            await self._tell(transaction, campaign_id, who, "tags put in order", list(known), list(tag_ids))
        return await self.tags(campaign_id)

    async def order_fields(self, campaign_id: int, field_ids: Sequence[int], who: str) -> list[CustomField]:
        """These first, as they are named here (F137). Raises NoLabel for one that is not there."""
        key = self._campaigns[campaign_id].key
        async with self._database.transaction() as transaction:
            await labels.lock(transaction, key)
            known = {each.field_id: each for each in await labels.fields(transaction, key)}
            for field_id, place in _places(known, field_ids, "field"):
                await labels.put_field(
                    transaction, key, msgspec.structs.replace(known[field_id], place=place)
                )
            await self._tell(
                transaction, campaign_id, who, "fields put in order", list(known), list(field_ids)
            )
        return await self.fields(campaign_id)

    def _common(self, before: Tag | CustomField, change: TagChange | FieldChange) -> dict[str, object]:
        archived_at = before.archived_at
        if change.archived is not None:
            archived_at = (archived_at or self._clock.now()) if change.archived else None
        return {
            "place": before.place if change.place is None else change.place,
            "by_default": before.by_default if change.by_default is None else change.by_default,
            "archived_at": archived_at,
        }

    async def _tell(
        self, transaction: Statements, campaign_id: int, who: str, act: str, before: object, after: object
    ) -> None:
        key, now = self._campaigns[campaign_id].key, self._clock.now()
        told = None if before is None else as_json(before)
        await audit_log.write(transaction, key, now, who, act, before=told, after=as_json(after))

    # ---------------------------------------------------------------- what is said of a contact

    async def apply(
        self,
        campaign_id: int,
        contact_id: int,
        tag_ids: Sequence[int] = (),
        fields: Mapping[str, str] | None = None,
        user_id: int | None = None,
    ) -> bool:
        """Gives a contact these tags and field values, as an answer or a list brings them along; False: no such contact.

        Raises BadFields for a tag or a value that is not in the catalogue, or no longer.
        """
        marks = Marks(tags=tuple(tag_ids), fields=fields or {})
        if marks.is_empty:
            return True
        check_marks(everything(await self.tags(campaign_id), await self.fields(campaign_id)), marks)
        key, now = self._campaigns[campaign_id].key, self._clock.now()
        async with self._database.transaction() as transaction:
            return await labels.apply(transaction, key, contact_id, marks, user_id, now)


def everything(tags: Sequence[Tag], fields: Sequence[CustomField]) -> Form:
    """All that is offered at all: not archived."""
    return form(tags, fields, {each.tag_id for each in tags}, {each.field_id for each in fields})


def _options(before: CustomField, change: FieldChange) -> tuple[str, ...]:
    if change.options is None:
        return before.options
    return tuple(clean_label(each, "options") for each in change.options[:MOST_OPTIONS])


def _one(known: Mapping[int, Label], label_id: int, what: str) -> Label:
    if label_id not in known:
        raise NoLabel(f"the campaign has no {what} {label_id}")
    return known[label_id]


def _places(known: Mapping[int, Tag | CustomField], ids: Sequence[int], what: str) -> list[tuple[int, int]]:
    """The places of all: of the named ones first, then of the others as they stand."""
    for each in ids:
        if each not in known:
            raise NoLabel(f"the campaign has no {what} {each}")
    ordered = list(dict.fromkeys([*ids, *known]))
    return [(each, _STEP * (number + 1)) for number, each in enumerate(ordered)]


def _last(others: Sequence[Tag | CustomField]) -> int:
    return _STEP + max((each.place for each in others), default=0)


def _require_room(others: Sequence[object], most: int, what: str) -> None:
    if len(others) >= most:
        raise BadInput(f"a campaign has at most {most} {what}, archived ones included", what, "change one")
