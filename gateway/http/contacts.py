"""Contacts over the API: found by filters, read, changed, erased."""

from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.core.bank.permissions import Act, Actor, Role
from gateway.core.rules.errors import BadInput
from gateway.core.text.patterns import whole
from gateway.http.access import Grant, no_campaign
from gateway.http.bodies import asked, decoded, json_body, path_id, private_answer
from gateway.http.inbox import Limit
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Problem, Refusal, problem_answer, title_of
from gateway.http.reading import campaign_of
from gateway.http.records import Cursor, Id
from gateway.p2p.contact_book import (
    ContactChange,
    ContactClash,
    Found,
    NoContact,
    Summary,
    Wanted,
    searched,
)
from gateway.p2p.contacts import Cell, FieldName
from gateway.pipeline.campaigns import Campaign

PATH: Final = "/v1/campaigns/{campaign_id}/contacts"
_ONE: Final = f"{PATH}/{{contact_id}}"
_Typed = Annotated[str, Meta(min_length=1, max_length=200)]


class ContactFilters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which contacts; those that every filter lets through."""

    list_id: Annotated[Id | None, Meta(description="On this list.")] = None
    tag_id: Annotated[Id | None, Meta(description="With this tag.")] = None
    assignee_id: Annotated[Id | None, Meta(description="Whom this person should text.")] = None
    state: Annotated[
        Annotated[str, Meta(pattern=whole("[A-Z]{2}"))] | None,
        Meta(description="Of this state, in two letters."),
    ] = None
    zip: Annotated[
        Annotated[str, Meta(pattern=whole("[0-9]{3,5}"))] | None,
        Meta(description="Whose ZIP begins with these three to five digits."),
    ] = None
    field: Annotated[
        Annotated[str, Meta(pattern="^[^=]+=.", max_length=600)] | None,
        Meta(description="SLUG=VALUE: with this value of a custom field."),
    ] = None
    opted_out: Annotated[bool | None, Meta(description="Whether they have opted out.")] = None
    texted: Annotated[bool | None, Meta(description="Whether they were ever texted.")] = None
    replied: Annotated[
        bool | None,
        Meta(
            description="Whether they ever wrote; with `texted=true` false finds those who were texted in vain."
        ),
    ] = None
    needs_attention: Annotated[bool | None, Meta(description="Whether they wait for an answer (C9).")] = None
    error_code: Annotated[
        Annotated[int, Meta(ge=1, le=99_999)] | None,
        Meta(description="The code of our last text to them."),
    ] = None
    q: Annotated[
        _Typed | None,
        Meta(
            description="A phone, at least the last four digits of one, or the beginning of a name, or of both names."
        ),
    ] = None


class AskedContacts(ContactFilters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of them."""

    limit: Limit = 50
    cursor: Cursor = None


class ContactView(Struct, frozen=True, kw_only=True):
    """A contact at a `version`, which travels with a change. `phone`: null to volunteers.

    `assignee_id`: whom a list or an admin named to text them; `volunteer_id`: who has the conversation. Times in Unix
    seconds; `attention_at`: since when they have waited for an answer (C9).
    """

    contact_id: int
    version: int
    phone: str | None
    first_name: str
    last_name: str
    email: str
    zip: str
    state: str
    line_type: str | None
    carrier: str | None
    fields: dict[str, str]
    assignee_id: int | None
    opted_out: bool
    volunteer_id: int | None
    last_outbound_at: float | None
    last_inbound_at: float | None
    attention_at: float | None


class ContactPage(Struct, frozen=True):
    """Contacts in the order of their ids. `next`: the cursor of the page after; null: this was the last.

    Where few pass the filters a page may be short, or empty, though `next` leads to more.
    """

    contacts: list[ContactView]
    next: str | None


class ContactCount(Struct, frozen=True):
    """How many there are; not `is_exact`: at least so many."""

    count: int
    is_exact: bool


class Named(Struct, frozen=True):
    """A list or a tag."""

    id: int
    name: str


class WholeContact(ContactView, frozen=True, kw_only=True):
    """A contact with its texts counted: ours by state with the `code` of the last one, and theirs; its lists and tags."""

    ours: dict[str, int]
    theirs: int
    code: int | None
    lists: list[Named]
    tags: list[Named]


class ChangedContact(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be otherwise in the contact as it stood at `version`; a custom field that is null is taken away."""

    version: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    first_name: Cell | UnsetType = UNSET
    last_name: Cell | UnsetType = UNSET
    email: Cell | UnsetType = UNSET
    zip: Annotated[str, Meta(max_length=10)] | UnsetType = UNSET
    state: Annotated[str, Meta(max_length=2)] | UnsetType = UNSET
    fields: Annotated[dict[FieldName, Cell | None], Meta(max_length=100)] | UnsetType = UNSET
    assignee_id: Id | UnsetType | None = UNSET


class ContactConflict(Problem, frozen=True, kw_only=True, omit_defaults=False):
    """Somebody else has changed the contact meanwhile: `stored` is how it stands; nothing of yours was saved."""

    stored: ContactView


_changed = msgspec.json.Decoder(ChangedContact)
_fields = msgspec.json.Decoder(dict[str, str])

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=PATH,
        handler="contacts.list",
        summary="Contacts by list, tag, field, place, assignee, and by what became of texting them.",
        act=Act.READ_CONTACTS,
        tag="contacts",
        asks=AskedContacts,
        gives={HTTPStatus.OK: ContactPage},
        refuses=(404, 422, 503),
    ),
    Operation(
        method="GET",
        path=f"{PATH}:count",
        handler="contacts.count",
        summary="How many contacts the filters let through, up to 10,000.",
        act=Act.READ_CONTACTS,
        tag="contacts",
        asks=ContactFilters,
        gives={HTTPStatus.OK: ContactCount},
        refuses=(404, 422, 503),
    ),
    Operation(
        method="GET",
        path=_ONE,
        handler="contacts.read",
        summary="A contact, its texts counted, its lists and tags.",
        act=Act.READ_CONTACTS,
        tag="contacts",
        gives={HTTPStatus.OK: WholeContact},
        refuses=(404, 503),
    ),
    Operation(
        method="PATCH",
        path=_ONE,
        handler="contacts.change",
        summary="Change a contact's names, address, custom fields and assignee.",
        act=Act.CHANGE_CONTACTS,
        tag="contacts",
        takes=ChangedContact,
        gives={HTTPStatus.OK: ContactView, HTTPStatus.CONFLICT: ContactConflict},
        refuses=(400, 404, 413, 415, 422, 503),
    ),
    Operation(
        method="DELETE",
        path=_ONE,
        handler="contacts.erase",
        summary="Forget a person: opted out for good, names, fields and all words gone. Only the phone is kept, so that"
        " no list brings them back.",
        act=Act.ERASE_CONTACTS,
        tag="contacts",
        gives={HTTPStatus.NO_CONTENT: None},
        refuses=(404, 503),
    ),
)


def no_contact(contact_id: int) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, f"there is no contact {contact_id}")


class ContactDesk:
    """The people on a campaign's lists."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._book = parts.contact_book
        self._known_campaigns = known

    async def list(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await whole_campaign(self._known_campaigns, request, grant)
        given = asked(AskedContacts, request)
        page = await self._book.page(campaign.campaign_id, wanted_by(given), given.cursor, given.limit)
        return private_answer(ContactPage([_view(each, grant.actor) for each in page.rows], page.next))

    async def count(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await whole_campaign(self._known_campaigns, request, grant)
        wanted = wanted_by(asked(ContactFilters, request))
        return private_answer(ContactCount(*await self._book.count(campaign.campaign_id, wanted)))

    async def read(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        contact_id = path_id(request, "contact_id", no_contact)
        try:
            found, summary = await self._book.read(grant.actor, campaign.campaign_id, contact_id)
        except NoContact as error:
            raise no_contact(contact_id) from error
        return private_answer(_whole(found, summary, grant.actor))

    async def change(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        contact_id = path_id(request, "contact_id", no_contact)
        given = decoded(_changed, await json_body(request))
        change = ContactChange(
            **{name: getattr(given, name) for name in given.__struct_fields__ if name != "version"}
        )
        try:
            found = await self._book.change(
                grant.actor, campaign.campaign_id, contact_id, given.version, change
            )
        except NoContact as error:
            raise no_contact(contact_id) from error
        except ContactClash as clash:
            return _conflict(clash, grant.actor)
        return private_answer(_view(found, grant.actor))

    async def erase(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        contact_id = path_id(request, "contact_id", no_contact)
        try:
            await self._book.erase(grant.actor, campaign.campaign_id, contact_id)
        except NoContact as error:
            raise no_contact(contact_id) from error
        return web.Response(status=HTTPStatus.NO_CONTENT.value)


async def whole_campaign(known: KnownCampaigns, request: web.Request, grant: Grant) -> Campaign:
    """Raises Refusal 404 also for whoever may read only some of the contacts."""
    campaign = await campaign_of(known, request, grant)
    if not grant.actor.may(Act.READ_CONTACTS):
        raise no_campaign(campaign.campaign_id)
    return campaign


def wanted_by(given: ContactFilters) -> Wanted:
    """Raises BadInput for a search that finds too many."""
    slug, separator, value = (given.field or "").partition("=")
    wanted = Wanted(
        list_id=given.list_id,
        tag_id=given.tag_id,
        assignee_id=given.assignee_id,
        state=given.state,
        zip_prefix=given.zip,
        field=(slug, value) if separator else None,
        opted_out=given.opted_out,
        texted=given.texted,
        replied=given.replied,
        needs_attention=given.needs_attention,
        error_code=given.error_code,
    )
    if "\0" in f"{given.field}{given.q}":
        raise BadInput("this has the character U+0000", "field, q", "leave it out")
    return searched(wanted, given.q)


def _view(found: Found, actor: Actor) -> ContactView:
    return ContactView(**_told(found, actor))


def _told(found: Found, actor: Actor) -> dict[str, Any]:
    told: dict[str, Any] = {name: getattr(found, name) for name in found.__struct_fields__}
    told["fields"] = _fields.decode(found.fields) if found.fields else {}
    if actor.role is Role.VOLUNTEER:
        told["phone"] = None
    return told


def _whole(found: Found, summary: Summary, actor: Actor) -> WholeContact:
    return WholeContact(
        **_told(found, actor),
        ours=summary.ours,
        theirs=summary.theirs,
        code=summary.code,
        lists=[Named(*each) for each in summary.lists],
        tags=[Named(*each) for each in summary.tags],
    )


def _conflict(clash: ContactClash, actor: Actor) -> web.Response:
    status = HTTPStatus.CONFLICT
    return problem_answer(
        ContactConflict(
            title=title_of(status), status=status.value, detail=str(clash), stored=_view(clash.stored, actor)
        )
    )
