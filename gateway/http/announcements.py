"""Staff reach the campaign's people over the API."""

from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.permissions import Act
from gateway.core.text.patterns import whole
from gateway.http.access import Grant
from gateway.http.bodies import asked, decoded, json_answer, json_body
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.people import MemberWish, member_filter
from gateway.http.reading import campaign_of
from gateway.http.records import Cursor, Id
from gateway.http.sending import KEY_HEADER, header_key
from gateway.p2p.announcements import (
    LONGEST_BODY,
    LONGEST_TITLE,
    Announcement,
    Announcements,
    Reached,
    Words,
)

PATH: Final = "/v1/campaigns/{campaign_id}/announcements"


class NewAnnouncement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to tell whom: the active people that `whom` has (as of the list of members), or those named.

    `mail`: by e-mail as well, to those who want mails; answers to it are read by nobody. With `dry_run` people are
    counted and nobody is told.
    """

    title: Annotated[str, Meta(min_length=1, max_length=LONGEST_TITLE, pattern=whole(r"[^\x00-\x1f\x7f]+"))]
    body: Annotated[str, Meta(min_length=1, max_length=LONGEST_BODY)]
    whom: MemberWish = MemberWish()
    user_ids: Annotated[tuple[Id, ...], Meta(max_length=5_000)] = ()
    mail: bool = False
    dry_run: bool = False


class AnnouncementView(Struct, frozen=True, kw_only=True):
    """An announcement: told to `people`, to `mails` of them by mail as well. `at` in Unix seconds."""

    announcement_id: int
    at: float
    who: str
    title: str
    body: str
    people: int
    mails: int


class Announced(Struct, frozen=True, kw_only=True):
    """Whom it reaches, or would; `announcement` null: nobody was told."""

    people: int
    mails: int
    no_mail: int
    announcement: AnnouncementView | None


class WhichAnnouncements(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of them."""

    limit: Annotated[int, Meta(ge=1, le=100, description="How many, 100 at most.")] = 30
    cursor: Cursor = None


class AnnouncementList(Struct, frozen=True):
    """Announcements, the newest first. `next`: the cursor of those before; null: there are none."""

    announcements: list[AnnouncementView]
    next: str | None


_new = msgspec.json.Decoder(NewAnnouncement)

OPERATIONS: Final = (
    Operation(
        method="POST",
        path=PATH,
        handler="announcements.tell",
        summary="Tell people something, within the application and by mail. dry_run counts them first.",
        act=Act.REACH_PEOPLE,
        tag="people",
        takes=NewAnnouncement,
        gives={HTTPStatus.OK: Announced, HTTPStatus.CREATED: Announced},
        refuses=(400, 404, 413, 415, 422, 503),
        headers=KEY_HEADER,
    ),
    Operation(
        method="GET",
        path=PATH,
        handler="announcements.page",
        summary="What people were told, by whom, the newest first.",
        act=Act.REACH_PEOPLE,
        tag="people",
        asks=WhichAnnouncements,
        gives={HTTPStatus.OK: AnnouncementList},
        refuses=(404, 422, 503),
    ),
)


class AnnouncementDesk:
    """Reaching people."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._announcements: Announcements = parts.announcements
        self._known = known

    async def tell(self, request: web.Request, grant: Grant) -> web.Response:
        """200 for whom it would reach, 201 once they are told."""
        campaign = await campaign_of(self._known, request, grant)
        said = decoded(_new, await json_body(request))
        whom, words = member_filter(said.whom), Words(title=said.title, body=said.body, mail=said.mail)
        if said.dry_run:
            reached = await self._announcements.foresee(campaign.campaign_id, whom, said.user_ids, words)
            return json_answer(_announced(reached, None))
        made, reached = await self._announcements.tell(
            grant.actor, campaign.campaign_id, whom, said.user_ids, words, header_key(request)
        )
        return json_answer(_announced(reached, made), HTTPStatus.CREATED)

    async def page(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        wanted = asked(WhichAnnouncements, request)
        page = await self._announcements.page(campaign.campaign_id, wanted.cursor, wanted.limit)
        return json_answer(AnnouncementList([_view(each) for each in page.rows], page.next))


def _announced(reached: Reached, made: Announcement | None) -> Announced:
    return Announced(
        people=reached.people,
        mails=reached.mails,
        no_mail=reached.no_mail,
        announcement=None if made is None else _view(made),
    )


def _view(made: Announcement) -> AnnouncementView:
    return msgspec.convert(made, AnnouncementView, from_attributes=True)
