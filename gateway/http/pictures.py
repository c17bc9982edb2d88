"""Pictures over the API, and the address from which the provider fetches them."""

from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web
from msgspec import Struct

from gateway.core.bank.permissions import Act
from gateway.core.bank.pictures import MOST_BYTES
from gateway.http.access import Grant
from gateway.http.bodies import decoded, json_answer, json_body
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.reading import campaign_of
from gateway.http.records import LARGEST_ID
from gateway.p2p.pictures import Picture

_PATH: Final = "/v1/campaigns/{campaign_id}/pictures"
_MOST_BODY: Final = 2 * MOST_BYTES  # in base64, and spaces
_SENT_AS: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}


class NewPicture(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JPEG, PNG or GIF below 0.6 MB, in base64."""

    image: bytes


class PictureView(Struct, frozen=True, kw_only=True):
    """A picture; `url` is what a script's `media` names. `made_at`: Unix seconds."""

    picture_id: int
    url: str
    content_type: str
    bytes: int
    made_at: float


class PictureList(Struct, frozen=True):
    """All the campaign's pictures, the newest first."""

    pictures: list[PictureView]


_new = msgspec.json.Decoder(NewPicture)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=_PATH,
        handler="pictures.list",
        summary="The pictures that the campaign's scripts may carry.",
        act=Act.MANAGE_ACTIONS,
        tag="scripts",
        gives={HTTPStatus.OK: PictureList},
        refuses=(404, 503),
    ),
    Operation(
        method="POST",
        path=_PATH,
        handler="pictures.add",
        summary="Add a picture, for scripts to carry: its address goes into their media.",
        act=Act.MANAGE_ACTIONS,
        tag="scripts",
        takes=NewPicture,
        gives={HTTPStatus.CREATED: PictureView},
        refuses=(400, 404, 413, 415, 422, 503),
    ),
)


class PictureDesk:
    """For admins, and for the provider."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._pictures = parts.pictures
        self._known_campaigns = known

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/pictures/{campaign_id:[0-9]{1,19}}/{word:[0-9a-f]{32}}", self.show)]

    async def show(self, request: web.Request) -> web.Response:
        """The picture, to whoever has its address: the provider has no key of ours."""
        campaign_id, found = int(request.match_info["campaign_id"]), None
        if campaign_id <= LARGEST_ID and await self._known_campaigns.knows(campaign_id):
            found = await self._pictures.content(campaign_id, request.match_info["word"])
        if found is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "there is no such picture")
        content_type, content = found
        return web.Response(body=content, content_type=content_type, headers=_SENT_AS)

    async def list(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        found = await self._pictures.every(campaign.campaign_id)
        return json_answer(PictureList([_view(each) for each in found]))

    async def add(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        new = decoded(_new, await json_body(request, _MOST_BODY))
        made = await self._pictures.keep(grant.actor, campaign.campaign_id, new.image)
        return json_answer(_view(made), HTTPStatus.CREATED)


def _view(picture: Picture) -> PictureView:
    row = picture.row
    return PictureView(
        picture_id=row.picture_id,
        url=picture.url,
        content_type=row.content_type,
        bytes=row.size,
        made_at=row.made_at,
    )
