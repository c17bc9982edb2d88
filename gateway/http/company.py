"""Who else is at a thread, and abuse, over the API."""

from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.permissions import Act
from gateway.http.access import Grant
from gateway.http.bodies import decoded, json_answer, json_body
from gateway.http.inbox import PATH, contact_of, not_found
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.my_settings import nobody
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.reading import campaign_of
from gateway.p2p.company import LOOK_S, MOST_SHOWN, Company, NobodyToTell, Viewer
from gateway.p2p.preferences import NoPerson
from gateway.p2p.whose import NoConversation

_CONTACT: Final = f"{PATH}/{{contact_id}}"


class Looking(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """I look at this thread; with `here` false no longer. To be said every 15 seconds."""

    here: bool = True


class Viewers(Struct, frozen=True):
    """Who else looks at the thread, the latest first."""

    others: list[Viewer]


class AbuseReport(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happened, for staff."""

    words: Annotated[str, Meta(min_length=1, max_length=2_000)]


_looking = msgspec.json.Decoder(Looking)
_abuse = msgspec.json.Decoder(AbuseReport)

OPERATIONS: Final = (
    Operation(
        method="POST",
        path=f"{_CONTACT}/looking",
        handler="company.look",
        summary=f"Say that I look at a thread, good for {LOOK_S:.0f} seconds, and learn who else does ({MOST_SHOWN} at most).",
        act=Act.READ_CONVERSATIONS,
        tag="inbox",
        takes=Looking,
        gives={HTTPStatus.OK: Viewers},
        refuses=(400, 404, 413, 415, 422, 503),
    ),
    Operation(
        method="POST",
        path=f"{_CONTACT}/abuse",
        handler="company.report_abuse",
        summary="Report a person who harasses me: staff have the conversation from now on, and I never again.",
        act=Act.REPORT,
        tag="inbox",
        takes=AbuseReport,
        gives={HTTPStatus.NO_CONTENT: None},
        refuses=(400, 404, 409, 413, 415, 422, 503),
    ),
)


class CompanyDesk:
    """Other people around a thread."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._company: Company = parts.company
        self._known = known

    async def look(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        here = decoded(_looking, await json_body(request)).here
        try:
            others = await self._company.look(
                grant.actor, campaign.campaign_id, contact_of(request), here=here
            )
        except NoConversation as error:
            raise not_found(error) from error
        return json_answer(Viewers(others))

    async def report_abuse(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        words = decoded(_abuse, await json_body(request)).words
        try:
            await self._company.report_abuse(grant.actor, campaign.campaign_id, contact_of(request), words)
        except NoConversation as error:
            raise not_found(error) from error
        except NoPerson as error:
            raise nobody(error) from error
        except NobodyToTell as error:
            raise Refusal(HTTPStatus.CONFLICT, str(error)) from error
        return web.Response(status=HTTPStatus.NO_CONTENT)
