"""GET: how full a campaign's limits are."""

from http import HTTPStatus
from typing import Final

from aiohttp import web
from msgspec import Struct

from gateway.core.bank.permissions import Act
from gateway.http.access import Grant
from gateway.http.bodies import json_answer
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.reading import campaign_of
from gateway.p2p.limits import LimitState


class LimitList(Struct, frozen=True):
    """The campaign's limits. One that is missing does not bind it, or texting is shut (`window`)."""

    limits: list[LimitState]


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/campaigns/{campaign_id}/limits",
        handler="limits.show",
        summary="How full the campaign's limits are, and when each will be full at the present pace.",
        act=Act.READ_NUMBERS,
        tag="campaigns",
        gives={HTTPStatus.OK: LimitList},
        refuses=(404, 503),
    ),
)


class LimitDesk:
    """Tells in time."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._limits = parts.limits
        self._known = known

    async def show(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        return json_answer(LimitList(await self._limits.of(campaign)))
