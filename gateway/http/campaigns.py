"""Campaigns over the API: make, list, pause."""

from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.permissions import Act
from gateway.core.rules.campaign import DEFAULT_ORGANISATION, CampaignSettings
from gateway.core.rules.errors import BadInput
from gateway.core.rules.registration import limits
from gateway.core.sending.numbers import NumberPool
from gateway.core.sending.pacing import Pacer
from gateway.http.access import Grant
from gateway.http.bodies import decoded, json_answer, json_body
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.reading import campaign_of
from gateway.http.records import Id, Name
from gateway.pipeline.campaigns import Campaign
from gateway.store import campaigns, organisations
from gateway.store.campaigns import CampaignRow
from gateway.store.ids import Ids

Scope = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class NewCampaign(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A campaign; without an id it gets one.

    `opt_out_scope`: campaigns of one organisation with the same number honour each other's opt-outs (C5); without
    it the campaign's are its own, 0 is the whole organisation.
    """

    name: Name
    campaign_id: Id | None = None
    organisation_id: Id = DEFAULT_ORGANISATION
    opt_out_scope: Scope | None = None
    settings: CampaignSettings = CampaignSettings()
    paused: bool = False


class CampaignChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pauses a campaign or lets it go on: while paused nothing is admitted and nothing handed over.

    `settings` take the place of all that were there; they are in force within two seconds, also for what waits.
    """

    paused: bool | None = None
    settings: CampaignSettings | None = None


class CampaignView(Struct, frozen=True, kw_only=True):
    """A campaign and its settings. `waits_because`: why no worker could take it up yet; it is tried again."""

    campaign_id: int
    organisation_id: int
    name: str
    opt_out_scope: int
    paused: bool
    settings: CampaignSettings
    waits_because: str | None = None


class CampaignList(Struct, frozen=True):
    """The campaigns that the key may see."""

    campaigns: list[CampaignView]


_new = msgspec.json.Decoder(NewCampaign)
_change = msgspec.json.Decoder(CampaignChange)

OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/campaigns",
        handler="campaigns.create",
        summary="Make a campaign.",
        act=Act.CHANGE_CAMPAIGN,
        tag="campaigns",
        takes=NewCampaign,
        gives={HTTPStatus.CREATED: CampaignView},
        refuses=(400, 409, 413, 415, 422, 503),
    ),
    Operation(
        method="GET",
        path="/v1/campaigns",
        handler="campaigns.show_all",
        summary="The campaigns that the key may see.",
        act=Act.READ_CAMPAIGN,
        tag="campaigns",
        gives={HTTPStatus.OK: CampaignList},
        refuses=(503,),
    ),
    Operation(
        method="GET",
        path="/v1/campaigns/{campaign_id}",
        handler="campaigns.show",
        summary="A campaign and its settings.",
        act=Act.READ_CAMPAIGN,
        tag="campaigns",
        gives={HTTPStatus.OK: CampaignView},
        refuses=(404, 503),
    ),
    Operation(
        method="PATCH",
        path="/v1/campaigns/{campaign_id}",
        handler="campaigns.change",
        summary="Pause a campaign, let it go on, or give it other settings.",
        act=Act.CHANGE_CAMPAIGN,
        tag="campaigns",
        takes=CampaignChange,
        gives={HTTPStatus.OK: CampaignView},
        refuses=(400, 404, 413, 415, 422, 503),
    ),
)


class CampaignDesk:
    """Who sends, under which settings."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._parts = parts
        self._known_campaigns = known
        self._ids = Ids(parts.database)

    async def create(self, request: web.Request, grant: Grant) -> web.Response:
        """201 once it is stored; its dispatcher starts at once."""
        if grant.campaign_id is not None:
            raise Refusal(HTTPStatus.FORBIDDEN, "this key is for one campaign only")
        wanted = decoded(_new, await json_body(request))
        _workable(wanted.settings)
        if not await organisations.exists(self._parts.database, wanted.organisation_id):
            raise Refusal(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"organisation_id: there is no organisation {wanted.organisation_id}",
            )
        await self._parts.campaigns.load()
        if wanted.campaign_id is not None and self._parts.campaigns.has(wanted.campaign_id):
            raise Refusal(HTTPStatus.CONFLICT, f"there is a campaign {wanted.campaign_id} already")
        campaign_id = wanted.campaign_id or await self._free_id()
        row = CampaignRow(
            campaign_id,
            campaign_id if wanted.opt_out_scope is None else wanted.opt_out_scope,
            wanted.name,
            wanted.settings.to_json(),
            wanted.paused,
            wanted.organisation_id,
        )
        await campaigns.create(self._parts.database, row, self._parts.clock.now())
        await self._parts.campaigns.load()
        await self._parts.adopt(campaign_id)
        return json_answer(
            _view(self._parts.campaigns[campaign_id]),
            HTTPStatus.CREATED,
            Location=f"/v1/campaigns/{campaign_id}",
        )

    async def _free_id(self) -> int:
        while True:
            campaign_id = (await self._ids.take(1))[0]
            if not self._parts.campaigns.has(campaign_id):
                return campaign_id

    async def show_all(self, _request: web.Request, grant: Grant) -> web.Response:
        known = await self._known_campaigns.all()
        return json_answer(CampaignList([_view(each) for each in known if grant.sees(each.campaign_id)]))

    async def show(self, request: web.Request, grant: Grant) -> web.Response:
        return json_answer(_view(await campaign_of(self._known_campaigns, request, grant)))

    async def change(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        wanted = decoded(_change, await json_body(request))
        if wanted.settings is None and wanted.paused is None:
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "give paused or settings, or both")
        if wanted.settings is not None:
            _workable(wanted.settings)
            await self._parts.campaigns.save_settings(campaign.campaign_id, wanted.settings)
        if wanted.paused is not None:
            await self._parts.campaigns.pause(campaign.campaign_id, wanted.paused)
        return json_answer(_view(self._parts.campaigns[campaign.campaign_id]))


def _workable(settings: CampaignSettings) -> None:
    """Raises BadInput for settings that no pacer or pool can work with: stored, they would harm every start."""
    try:
        granted = limits(settings.registration)
        NumberPool(settings.pool, granted, [], Pacer(granted))
    except (ValueError, ArithmeticError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(str(error), "settings", "correct it") from error


def _view(campaign: Campaign) -> CampaignView:
    return CampaignView(
        campaign_id=campaign.campaign_id,
        organisation_id=campaign.organisation_id,
        name=campaign.name,
        opt_out_scope=campaign.opt_out_scope,
        paused=campaign.paused,
        settings=campaign.settings,
        waits_because=campaign.waits_because,
    )
