"""What whoever has signed in chooses for themselves in a campaign."""

from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web
from msgspec import Struct

from gateway.core.bank.permissions import Act
from gateway.http.access import Grant
from gateway.http.bodies import decoded, json_body, private_answer
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.reading import campaign_of
from gateway.p2p.preferences import NoPerson, OwnPreferences

PATH: Final = "/v1/campaigns/{campaign_id}/my-settings"


class MySettings(Struct, frozen=True, kw_only=True):
    """`archive_on_report`: a report of mine archives its conversation; `mails`: the campaign may send me mails."""

    archive_on_report: bool
    mails: bool


class MyChoice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be otherwise."""

    archive_on_report: bool | None = None
    mails: bool | None = None


_choice = msgspec.json.Decoder(MyChoice)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=PATH,
        handler="my_settings.show",
        summary="What I have chosen in this campaign. An API key is nobody: 404.",
        act=Act.READ_CAMPAIGN,
        tag="people",
        gives={HTTPStatus.OK: MySettings},
        refuses=(404, 503),
    ),
    Operation(
        method="PATCH",
        path=PATH,
        handler="my_settings.choose",
        summary="Choose whether my reports archive, and whether the campaign's mails reach me.",
        act=Act.READ_CAMPAIGN,
        tag="people",
        takes=MyChoice,
        gives={HTTPStatus.OK: MySettings},
        refuses=(400, 404, 413, 415, 422, 503),
    ),
)


class MySettingsDesk:
    """One's own choices."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._preferences: OwnPreferences = parts.preferences
        self._known = known

    async def show(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        try:
            found = await self._preferences.show(grant.actor, campaign.campaign_id)
        except NoPerson as error:
            raise nobody(error) from error
        return private_answer(found)

    async def choose(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        wanted = decoded(_choice, await json_body(request))
        try:
            chosen = await self._preferences.choose(
                grant.actor,
                campaign.campaign_id,
                archive_on_report=wanted.archive_on_report,
                mails=wanted.mails,
            )
        except NoPerson as error:
            raise nobody(error) from error
        return private_answer(chosen)


def nobody(error: NoPerson) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, str(error))
