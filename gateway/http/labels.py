"""The catalogue of tags and custom fields over the API."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.labels import LONGEST_LABEL, LONGEST_VALUE, MOST_OPTIONS, MOST_TAGS, FieldKind
from gateway.core.bank.permissions import Act
from gateway.core.text.patterns import whole
from gateway.http.access import Grant
from gateway.http.bodies import asked, decoded, json_answer, json_body, path_id
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.reading import campaign_of
from gateway.http.records import Cursor, Id
from gateway.p2p.cursors import IdPlace, bad_cursor, cursor_of, place_of
from gateway.p2p.labels import (
    CustomField,
    FieldChange,
    Labels,
    NameTaken,
    NewField,
    NewTag,
    NoLabel,
    Tag,
    TagChange,
)

TAGS: Final = "/v1/campaigns/{campaign_id}/tags"
FIELDS: Final = "/v1/campaigns/{campaign_id}/fields"
LabelText = Annotated[str, Meta(min_length=1, max_length=LONGEST_LABEL)]
Place = Annotated[int, Meta(ge=0, le=1_000_000)]
Slug = Annotated[
    str, Meta(pattern=whole("[a-z][a-z0-9_]{0,49}"), description="Its name in scripts and lists, for good.")
]
Options = Annotated[tuple[LabelText, ...], Meta(max_length=MOST_OPTIONS)]
Value = Annotated[str, Meta(max_length=LONGEST_VALUE)]


class WhichLabels(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of the catalogue, in the admin's order."""

    archived: Annotated[bool, Meta(description="Archived ones as well.")] = False
    limit: Annotated[int, Meta(ge=1, le=MOST_TAGS, description="How many.")] = 100
    cursor: Cursor = None


class MadeTag(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tag to be made. Without `label` volunteers read its name; without `place` it comes last."""

    name: LabelText
    label: LabelText | None = None
    place: Place | None = None
    by_default: bool = False


class ChangedTag(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be otherwise. `archived`: it is no longer offered, and whoever has it keeps it."""

    name: LabelText | None = None
    label: LabelText | None = None
    place: Place | None = None
    by_default: bool | None = None
    archived: bool | None = None


class MadeField(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field to be made; a `choice` has options. `default_value`: what a script says of who has no value."""

    slug: Slug
    label: LabelText
    kind: FieldKind = "text"
    options: Options = ()
    default_value: Value | None = None
    place: Place | None = None
    by_default: bool = False


class ChangedField(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be otherwise; an empty `default_value` takes it away. Values that contacts have stay."""

    label: LabelText | None = None
    options: Options | None = None
    default_value: Value | None = None
    place: Place | None = None
    by_default: bool | None = None
    archived: bool | None = None


class Ordered(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """These come first, in this order; the others follow as they stand."""

    ids: Annotated[tuple[Id, ...], Meta(min_length=1, max_length=MOST_TAGS)]


class TagList(Struct, frozen=True):
    """Tags in the admin's order. `next`: the cursor of the page after; null: this was the last."""

    tags: list[Tag]
    next: str | None


class FieldList(Struct, frozen=True):
    """Custom fields in the admin's order. `next`: the cursor of the page after; null: this was the last."""

    fields: list[CustomField]
    next: str | None


_made_tag = msgspec.json.Decoder(MadeTag)
_changed_tag = msgspec.json.Decoder(ChangedTag)
_made_field = msgspec.json.Decoder(MadeField)
_changed_field = msgspec.json.Decoder(ChangedField)
_ordered = msgspec.json.Decoder(Ordered)
_REFUSES: Final[tuple[int, ...]] = (400, 404, 413, 415, 422, 503)


def _operations(path: str, noun: str, made: Any, changed: Any, one: Any, many: Any) -> list[Operation]:
    """Tags and fields have the same."""
    handler = f"labels.{noun}"
    return [
        Operation(
            method="GET",
            path=path,
            handler=f"{handler}s",
            summary=f"The campaign's {noun}s, in the order of its reports.",
            act=Act.READ_LABELS,
            tag="labels",
            asks=WhichLabels,
            gives={HTTPStatus.OK: many},
            refuses=(404, 422, 503),
        ),
        Operation(
            method="POST",
            path=path,
            handler=f"labels.make_{noun}",
            summary=f"Make a {noun}; reports show it from the answer on.",
            act=Act.CHANGE_LABELS,
            tag="labels",
            takes=made,
            gives={HTTPStatus.CREATED: one},
            refuses=(*_REFUSES, 409),
        ),
        Operation(
            method="PATCH",
            path=f"{path}/{{{noun}_id}}",
            handler=f"labels.change_{noun}",
            summary=f"Change a {noun}, or archive it.",
            act=Act.CHANGE_LABELS,
            tag="labels",
            takes=changed,
            gives={HTTPStatus.OK: one},
            refuses=(*_REFUSES, 409),
        ),
        Operation(
            method="POST",
            path=f"{path}:order",
            handler=f"labels.order_{noun}s",
            summary=f"Put {noun}s in order, for every report.",
            act=Act.CHANGE_LABELS,
            tag="labels",
            takes=Ordered,
            gives={HTTPStatus.OK: many},
            refuses=_REFUSES,
        ),
    ]


OPERATIONS: Final = (
    *_operations(TAGS, "tag", MadeTag, ChangedTag, Tag, TagList),
    *_operations(FIELDS, "field", MadeField, ChangedField, CustomField, FieldList),
)


class LabelDesk:
    """The catalogue."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._labels: Labels = parts.labels
        self._known = known

    async def tags(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        wanted = asked(WhichLabels, request)
        page, end = _page(
            [(each.tag_id, each) for each in await self._labels.tags(campaign.campaign_id)], wanted
        )
        return json_answer(TagList(page, end))

    async def fields(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        wanted = asked(WhichLabels, request)
        known = await self._labels.fields(campaign.campaign_id)
        page, end = _page([(each.field_id, each) for each in known], wanted)
        return json_answer(FieldList(page, end))

    async def make_tag(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        new = msgspec.convert(decoded(_made_tag, await json_body(request)), NewTag, from_attributes=True)
        try:
            tag = await self._labels.make_tag(campaign.campaign_id, new, grant.actor.name)
        except NameTaken as error:
            raise Refusal(HTTPStatus.CONFLICT, str(error)) from error
        return json_answer(tag, HTTPStatus.CREATED)

    async def make_field(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        new = msgspec.convert(decoded(_made_field, await json_body(request)), NewField, from_attributes=True)
        try:
            field = await self._labels.make_field(campaign.campaign_id, new, grant.actor.name)
        except NameTaken as error:
            raise Refusal(HTTPStatus.CONFLICT, str(error)) from error
        return json_answer(field, HTTPStatus.CREATED)

    async def change_tag(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        tag_id = path_id(request, "tag_id", lambda given: _absent(f"the campaign has no tag {given}"))
        change = msgspec.convert(
            decoded(_changed_tag, await json_body(request)), TagChange, from_attributes=True
        )
        try:
            return json_answer(
                await self._labels.change_tag(campaign.campaign_id, tag_id, change, grant.actor.name)
            )
        except NoLabel as error:
            raise _absent(str(error)) from error
        except NameTaken as error:
            raise Refusal(HTTPStatus.CONFLICT, str(error)) from error

    async def change_field(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        field_id = path_id(request, "field_id", lambda given: _absent(f"the campaign has no field {given}"))
        said = decoded(_changed_field, await json_body(request))
        change = msgspec.convert(said, FieldChange, from_attributes=True)
        try:
            return json_answer(
                await self._labels.change_field(campaign.campaign_id, field_id, change, grant.actor.name)
            )
        except NoLabel as error:
            raise _absent(str(error)) from error

    async def order_tags(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        ids = decoded(_ordered, await json_body(request)).ids
        try:
            ordered = await self._labels.order_tags(campaign.campaign_id, ids, grant.actor.name)
        except NoLabel as error:
            raise _absent(str(error)) from error
        return json_answer(TagList(ordered, None))

    async def order_fields(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        ids = decoded(_ordered, await json_body(request)).ids
        try:
            ordered = await self._labels.order_fields(campaign.campaign_id, ids, grant.actor.name)
        except NoLabel as error:
            raise _absent(str(error)) from error
        return json_answer(FieldList(ordered, None))


def _absent(detail: str) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, detail)


def _page(known: Sequence[tuple[int, Any]], wanted: WhichLabels) -> tuple[list[Any], str | None]:
    """The next of them; the cursor is the last one's id, in whatever place it has got meanwhile."""
    listed = [each for each in known if wanted.archived or each[1].archived_at is None]
    begin = 0
    if wanted.cursor is not None:
        after = place_of(wanted.cursor, IdPlace).id
        places = [number for number, (label_id, _) in enumerate(listed) if label_id == after]
        if not places:
            raise bad_cursor()
        begin = places[0] + 1
    page = listed[begin : begin + wanted.limit]
    is_last = begin + wanted.limit >= len(listed)
    return [each for _, each in page], None if is_last else cursor_of(IdPlace(page[-1][0]))
