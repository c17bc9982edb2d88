"""Campaigns over the API: make, list, pause."""

from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.permissions import Act
from gateway.core.rules.campaign import DEFAULT_ORGANISATION, CampaignSettings
from gateway.http.access import Grant
from gateway.http.bodies import decoded, json_answer, json_body
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Problem, Refusal, problem_answer, title_of
from gateway.http.reading import campaign_of
from gateway.http.records import Id, Name
from gateway.p2p.campaigns import IdTaken, SettingsClash
from gateway.p2p.opt_out_scopes import ScopeIsChanging
from gateway.pipeline.campaigns import Campaign

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
    `version` is that of the settings from which the change was made: when somebody has saved others meanwhile, nothing is
    changed and the answer is 409. Without it the change is made whatever they are.
    """

    paused: bool | None = None
    settings: CampaignSettings | None = None
    version: Id | None = None


class ChangeOfScope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose opt-outs count (C5): those of the campaign alone (its id), or of its whole organisation (0).

    Whoever has left stays so, whichever way it goes: the opt-outs that counted before are put on the other list. `dry_run`:
    only told what it would do.
    """

    opt_out_scope: Scope
    dry_run: bool = False


class ScopeChanged(Struct, frozen=True, kw_only=True):
    """`ours`: opt-outs that counted before, and count still. `theirs_too`: of these, new on the other list, where they
    count for `campaigns` other campaigns as well. `contacts`: of the campaign, whom it may not text any more since they
    have left the others. `changed`: false after a dry run."""

    opt_out_scope: int
    changed: bool
    ours: int
    theirs_too: int
    campaigns: int
    contacts: int


class CampaignView(Struct, frozen=True, kw_only=True):
    """A campaign and its settings. `version` counts how often they were saved, and goes with a change of them.

    `waits_because`: why no worker could take it up yet; it is tried again.
    """

    campaign_id: int
    organisation_id: int
    name: str
    opt_out_scope: int
    paused: bool
    settings: CampaignSettings
    version: int
    waits_because: str | None = None


class Clash(Problem, frozen=True, kw_only=True, omit_defaults=False):
    """Somebody else has saved settings meanwhile: `stored` are in force, of `version`; `yours` were not saved."""

    version: int
    stored: CampaignSettings
    yours: CampaignSettings | None


class CampaignList(Struct, frozen=True):
    """The campaigns that the key may see."""

    campaigns: list[CampaignView]


_new = msgspec.json.Decoder(NewCampaign)
_change = msgspec.json.Decoder(CampaignChange)
_scope = msgspec.json.Decoder(ChangeOfScope)

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
        gives={HTTPStatus.OK: CampaignView, HTTPStatus.CONFLICT: Clash},
        refuses=(400, 404, 413, 415, 422, 503),
    ),
    Operation(
        method="POST",
        path="/v1/campaigns/{campaign_id}/opt-out-scope",
        handler="campaigns.change_scope",
        summary="Have the campaign's opt-outs count for it alone, or for its whole organisation; counted first if asked.",
        act=Act.CHANGE_CAMPAIGN,
        tag="opt-outs",
        takes=ChangeOfScope,
        gives={HTTPStatus.OK: ScopeChanged},
        refuses=(400, 404, 409, 413, 415, 422, 503),
    ),
)


class CampaignDesk:
    """Who sends, under which settings."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._admin = parts.campaign_admin
        self._scopes = parts.opt_out_scopes
        self._known_campaigns = known

    async def create(self, request: web.Request, grant: Grant) -> web.Response:
        """201 once it is stored; its dispatcher starts at once."""
        if grant.campaign_id is not None:
            raise Refusal(HTTPStatus.FORBIDDEN, "this key is for one campaign only")
        wanted = decoded(_new, await json_body(request))
        try:
            made = await self._admin.create(
                wanted.name,
                organisation_id=wanted.organisation_id,
                campaign_id=wanted.campaign_id,
                opt_out_scope=wanted.opt_out_scope,
                settings=wanted.settings,
                paused=wanted.paused,
                who=grant.actor.name,
            )
        except IdTaken as error:
            raise Refusal(HTTPStatus.CONFLICT, str(error)) from error
        return json_answer(
            _view(made, grant), HTTPStatus.CREATED, Location=f"/v1/campaigns/{made.campaign_id}"
        )

    async def show_all(self, _request: web.Request, grant: Grant) -> web.Response:
        known = await self._known_campaigns.all()
        return json_answer(
            CampaignList([_view(each, grant) for each in known if grant.sees(each.campaign_id)])
        )

    async def show(self, request: web.Request, grant: Grant) -> web.Response:
        return json_answer(_view(await campaign_of(self._known_campaigns, request, grant), grant))

    async def change(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        wanted = decoded(_change, await json_body(request))
        try:
            changed = await self._admin.change(
                campaign,
                settings=wanted.settings,
                paused=wanted.paused,
                version=wanted.version,
                who=grant.actor.name,
            )
        except SettingsClash as clash:
            return problem_answer(_clash(clash, wanted.settings))
        return json_answer(_view(changed, grant))

    async def change_scope(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        wanted = decoded(_scope, await json_body(request))
        if wanted.dry_run:
            counted = await self._scopes.foresee(campaign, wanted.opt_out_scope)
        else:
            try:
                campaign, counted = await self._scopes.change(
                    campaign, wanted.opt_out_scope, grant.actor.name
                )
            except ScopeIsChanging as error:
                raise Refusal(HTTPStatus.CONFLICT, str(error)) from error
        return json_answer(
            ScopeChanged(
                opt_out_scope=campaign.opt_out_scope,
                changed=not wanted.dry_run,
                ours=counted.ours,
                theirs_too=counted.theirs_too,
                campaigns=counted.campaigns,
                contacts=counted.contacts,
            )
        )


def _view(campaign: Campaign, grant: Grant) -> CampaignView:
    """A volunteer is shown nobody's phone, nor the admins'."""
    settings = campaign.settings
    if not grant.sees_phones(campaign.campaign_id):
        settings = msgspec.structs.replace(settings, admin_phones=frozenset())
    return CampaignView(
        campaign_id=campaign.campaign_id,
        organisation_id=campaign.organisation_id,
        name=campaign.name,
        opt_out_scope=campaign.opt_out_scope,
        paused=campaign.paused,
        settings=settings,
        version=campaign.settings_version,
        waits_because=campaign.waits_because,
    )


def _clash(clash: SettingsClash, yours: CampaignSettings | None) -> Clash:
    status = HTTPStatus.CONFLICT
    return Clash(
        title=title_of(status),
        status=status.value,
        detail=str(clash),
        version=clash.version,
        stored=clash.stored,
        yours=yours,
    )
