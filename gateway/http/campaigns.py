"""Campaigns over the API: make, list, pause."""

from http import HTTPStatus

import msgspec
from aiohttp import web

from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.errors import BadInput
from gateway.core.rules.registration import limits
from gateway.core.sending.numbers import NumberPool
from gateway.core.sending.pacing import Pacer
from gateway.http.access import Grant
from gateway.http.bodies import decoded, json_answer, json_body
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.reading import campaign_of
from gateway.http.records import CampaignChange, CampaignList, CampaignView, NewCampaign
from gateway.pipeline.campaigns import Campaign
from gateway.store import campaigns, organisations
from gateway.store.campaigns import CampaignRow
from gateway.store.ids import Ids

_new = msgspec.json.Decoder(NewCampaign)
_change = msgspec.json.Decoder(CampaignChange)


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
