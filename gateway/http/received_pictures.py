"""A picture that a person sent, to who presses for it: fetched from the provider only then, and shown as nothing else than
a picture."""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from gateway.core.bank.permissions import Act
from gateway.http.access import Grant
from gateway.http.bodies import path_id
from gateway.http.inbox import PICTURE, contact_of, not_found
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import RETRY_AFTER_S, Refusal
from gateway.http.reading import campaign_of
from gateway.p2p.received_pictures import NoPicture, NotShown, ReceivedPictures
from gateway.p2p.whose import NoConversation
from gateway.pipeline.received_media import MediaAway, MediaGone

_SHOWN_AS: Final = {
    "Cache-Control": "private, no-store",
    "Content-Disposition": "inline",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Whatever a browser takes it for, it runs nothing and knows nobody."""
_KINDS: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=PICTURE,
        handler="received_pictures.show",
        summary="A picture that the person sent. The gateway fetches it now, and notes in the audit log who looked. "
        "422: it is none of these kinds.",
        act=Act.READ_CONVERSATIONS,
        tag="inbox",
        gives={HTTPStatus.OK: _KINDS},
        refuses=(404, 422, 503),
    ),
)


class ReceivedPictureDesk:
    """One picture at a time."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._pictures: ReceivedPictures = parts.received_pictures
        self._known = known

    async def show(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        where = contact_of(request), path_id(request, "text_id", _absent), path_id(request, "place", _absent)
        try:
            shown = await self._pictures.show(grant.actor, campaign.campaign_id, *where)
        except NoConversation as error:
            raise not_found(error) from error
        except (NoPicture, MediaGone) as error:
            raise Refusal(HTTPStatus.NOT_FOUND, str(error)) from error
        except NotShown as error:
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
        except MediaAway as error:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(error), Retry_After=RETRY_AFTER_S) from error
        return web.Response(body=shown.content, content_type=shown.media_type, headers=_SHOWN_AS)


def _absent(_given: int) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, str(NoPicture()))
