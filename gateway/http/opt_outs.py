"""Opt-outs over the API: look a phone up, list them, count them. A phone is in no address."""

from http import HTTPStatus
from typing import Annotated, Final, Literal

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.permissions import Act
from gateway.http.access import Grant, no_campaign
from gateway.http.bodies import MOST_BYTES, asked, decoded, json_answer, json_body
from gateway.http.csv_lists import CSV, HowToReadColumns, ListPlaces, columns_read, flag, received
from gateway.http.inbox import Limit
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.reading import campaign_of
from gateway.http.records import MOST_ROWS, Cursor
from gateway.p2p.opt_outs import OptOut, OptOutCounts
from gateway.p2p.suppression import Suppressed
from gateway.pipeline.campaigns import Campaign
from gateway.turns import Floor

_PATH: Final = "/v1/campaigns/{campaign_id}/opt-outs"


class WhichOptOuts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of the list."""

    source: Annotated[
        Literal["keyword", "manual", "provider", "import", "erasure"] | None,
        Meta(description="Only those of this source."),
    ] = None
    limit: Limit = 100
    cursor: Cursor = None


class OptOutView(Struct, frozen=True, kw_only=True):
    """An opt-out in force. `source`: keyword (the person's own text, its `words`), manual (`noted_by` a volunteer),
    provider (it refused a text to them), import (a list brought it along), erasure (the person was forgotten)."""

    phone: str
    source: str
    words: str
    at: float
    noted_by: int | None
    contact_id: int | None
    name: str


class OptOutList(Struct, frozen=True):
    """Opt-outs in the order of their phones. `next`: the cursor of the page after; null: this was the last."""

    opt_outs: list[OptOutView]
    next: str | None


class PhoneAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A phone, however it is written."""

    phone: Annotated[str, Meta(min_length=1, max_length=40)]


class LookedUp(Struct, frozen=True):
    """Whether a phone has opted out; null: it has not."""

    opt_out: OptOutView | None


class SuppressedPhones(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Phones that nobody is to text, however they are written."""

    phones: Annotated[list[Annotated[str, Meta(max_length=120)]], Meta(min_length=1, max_length=MOST_ROWS)]


_phone = msgspec.json.Decoder(PhoneAsked)
_phones = msgspec.json.Decoder(SuppressedPhones)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=_PATH,
        handler="opt_outs.list",
        summary="Who has opted out of the campaign's texts.",
        act=Act.READ_CONTACTS,
        tag="opt-outs",
        gives={HTTPStatus.OK: OptOutList},
        refuses=(404, 422, 503),
        asks=WhichOptOuts,
    ),
    Operation(
        method="POST",
        path=_PATH,
        handler="opt_outs.bring",
        summary="Bring in a suppression list: a CSV with a header row, or phones. In force at its answer, in the campaign's"
        " scope.",
        act=Act.IMPORT_CONTACTS,
        tag="opt-outs",
        takes=SuppressedPhones,
        also_takes=CSV,
        asks=HowToReadColumns,
        gives={HTTPStatus.OK: Suppressed},
        refuses=(400, 404, 413, 415, 422, 503),
        query={"dry_run": "Tell all counts, and save nothing."},
    ),
    Operation(
        method="GET",
        path=f"{_PATH}:count",
        handler="opt_outs.count",
        summary="How many have opted out, automatic ones and those that volunteers noted apart.",
        act=Act.READ_CONTACTS,
        tag="opt-outs",
        gives={HTTPStatus.OK: OptOutCounts},
        refuses=(404, 503),
    ),
    Operation(
        method="POST",
        path=f"{_PATH}:look-up",
        handler="opt_outs.look_up",
        summary="Whether a phone has opted out: when, how, and in which words.",
        act=Act.READ_CONTACTS,
        tag="opt-outs",
        takes=PhoneAsked,
        gives={HTTPStatus.OK: LookedUp},
        refuses=(400, 404, 413, 415, 422, 503),
    ),
)


class OptOutDesk:
    """The list that decides."""

    def __init__(self, parts: Parts, known: KnownCampaigns, floor: Floor, places: ListPlaces) -> None:
        self._opt_outs = parts.opt_outs
        self._suppression = parts.suppression
        self._known_campaigns = known
        self._floor = floor
        self._places = places

    async def list(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await self._campaign(request, grant)
        wanted = asked(WhichOptOuts, request)
        page = await self._opt_outs.page(campaign.campaign_id, wanted.source, wanted.cursor, wanted.limit)
        return json_answer(OptOutList([_view(each) for each in page.opt_outs], page.next))

    async def bring(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        dry_run = flag(request, "dry_run")
        consents, taken_for = columns_read(request)
        if request.content_type == CSV:
            async with self._places.one():
                done = await self._suppression.from_csv(
                    campaign,
                    lambda path: received(request, path, self._floor),
                    self._floor,
                    grant.actor.name,
                    dry_run=dry_run,
                    consents=consents,
                    taken_for=taken_for,
                )
        else:
            given = decoded(_phones, await json_body(request, MOST_BYTES))
            done = await self._suppression.from_phones(
                campaign, given.phones, grant.actor.name, dry_run=dry_run
            )
        return json_answer(done)

    async def count(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await self._campaign(request, grant)
        return json_answer(await self._opt_outs.counts(campaign.campaign_id))

    async def look_up(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await self._campaign(request, grant)
        wanted = decoded(_phone, await json_body(request))
        found = await self._opt_outs.look_up(campaign.campaign_id, wanted.phone)
        return json_answer(LookedUp(None if found is None else _view(found)))

    async def _campaign(self, request: web.Request, grant: Grant) -> Campaign:
        """Raises Refusal 404 also for whoever may read only some of the contacts."""
        campaign = await campaign_of(self._known_campaigns, request, grant)
        if not self._opt_outs.may_read(grant.actor):
            raise no_campaign(campaign.campaign_id)
        return campaign


def _view(found: OptOut) -> OptOutView:
    return OptOutView(
        phone=found.phone,
        source=found.source,
        words=found.words,
        at=found.at,
        noted_by=found.volunteer_id,
        contact_id=found.contact_id,
        name=f"{found.first_name} {found.last_name}".strip(),
    )
