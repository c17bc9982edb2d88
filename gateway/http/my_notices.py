"""What whoever has signed in is told within the application."""

from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.permissions import Act
from gateway.http.access import Grant
from gateway.http.bodies import asked, decoded, json_body, private_answer
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.my_settings import nobody
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.reading import campaign_of
from gateway.http.records import Cursor, Id
from gateway.p2p.preferences import NoPerson
from gateway.p2p.user_notices import UserNotice, UserNotices

PATH: Final = "/v1/campaigns/{campaign_id}/my-notices"


class WhichNotices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of my notices."""

    limit: Annotated[int, Meta(ge=1, le=100, description="How many, 100 at most.")] = 30
    cursor: Cursor = None


class Notice(Struct, frozen=True, kw_only=True):
    """A message to me: of staff (`message`), or of what happened (`handed_over`, `reassigned`, `abuse`); `about` has
    the ids of what it is about. Times are Unix seconds."""

    notice_id: int
    kind: str
    title: str
    body: str
    about: dict[str, int]
    at: float
    read_at: float | None


class NoticeList(Struct, frozen=True, kw_only=True):
    """My notices, the newest first, and how many I have not read. `next`: the cursor of those before; null: none."""

    notices: list[Notice]
    unread: int
    next: str | None


class ReadNotices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """I have read all up to this one."""

    up_to: Id


_read = msgspec.json.Decoder(ReadNotices)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=PATH,
        handler="my_notices.page",
        summary="What I was told in this campaign, the newest first. An API key is nobody: 404.",
        act=Act.READ_CAMPAIGN,
        tag="people",
        asks=WhichNotices,
        gives={HTTPStatus.OK: NoticeList},
        refuses=(404, 422, 503),
    ),
    Operation(
        method="POST",
        path=f"{PATH}:read",
        handler="my_notices.read",
        summary="I have read my notices up to one of them.",
        act=Act.READ_CAMPAIGN,
        tag="people",
        takes=ReadNotices,
        gives={HTTPStatus.NO_CONTENT: None},
        refuses=(400, 404, 413, 415, 422, 503),
    ),
)


class MyNoticesDesk:
    """One's own messages."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._notices: UserNotices = parts.user_notices
        self._known = known

    async def page(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        wanted = asked(WhichNotices, request)
        try:
            page = await self._notices.page(grant.actor, campaign.campaign_id, wanted.cursor, wanted.limit)
        except NoPerson as error:
            raise nobody(error) from error
        notices = [_view(each) for each in page.rows]
        return private_answer(NoticeList(notices=notices, unread=page.unread, next=page.next))

    async def read(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        up_to = decoded(_read, await json_body(request)).up_to
        try:
            await self._notices.mark_read(grant.actor, campaign.campaign_id, up_to)
        except NoPerson as error:
            raise nobody(error) from error
        return web.Response(status=HTTPStatus.NO_CONTENT)


def _view(notice: UserNotice) -> Notice:
    return msgspec.convert(notice, Notice, from_attributes=True)
