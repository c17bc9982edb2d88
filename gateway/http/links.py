"""Tracked links over the API, and the address that a person presses: `GET /{token}` leads on, and counts."""

from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.actions import Address
from gateway.core.bank.links import LONGEST_SLUG, SHAPE, read
from gateway.core.bank.permissions import Act
from gateway.http.access import Grant
from gateway.http.bodies import asked, decoded, json_answer, json_body, path_id
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Problem, Refusal, problem_answer, title_of
from gateway.http.reading import campaign_of
from gateway.http.records import Cursor, Id
from gateway.p2p.links import Link, LinkClash, NoLink, SlugTaken

_LINKS: Final = "/v1/campaigns/{campaign_id}/links"
_LINK: Final = f"{_LINKS}/{{link_id}}"
MOST_CLICKS: Final = 200
Slug = Annotated[str, Meta(min_length=1, max_length=LONGEST_SLUG)]


class NewLink(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A link that scripts name as `{{'SLUG'|trackable}}`, and where it leads."""

    slug: Slug
    url: Address


class ChangeOfLink(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where it is to lead, also for what was sent; `archived`: it is no longer offered to scripts.

    `version` is that from which the change was made: another one is answered 409, and nothing is changed.
    """

    url: Address | None = None
    archived: bool | None = None
    version: Id | None = None


class LinkView(Struct, frozen=True, kw_only=True):
    """A link; times are Unix seconds. `clicks`: how often it was pressed, of one person in one text at most 20 times."""

    link_id: int
    slug: str
    url: str
    version: int
    created_at: float
    archived_at: float | None
    clicks: int | None = None


class LinkClashed(Problem, frozen=True, kw_only=True, omit_defaults=False):
    """Somebody else has changed the link meanwhile: `stored` is how it stands; nothing was saved."""

    stored: LinkView


class LinkList(Struct, frozen=True):
    """All the campaign's links, the oldest first."""

    links: list[LinkView]


class ClickView(Struct, frozen=True, kw_only=True):
    """Somebody pressed a link: which, in which text, and who had sent that. `message_id` null: it is deleted."""

    click_id: int
    at: float
    link_id: int
    slug: str
    contact_id: int
    script_id: int
    action_id: int | None
    message_id: int | None
    user_id: int | None


class ClickList(Struct, frozen=True):
    """Presses, the newest first. `next`: the cursor of those before; null: there are none."""

    clicks: list[ClickView]
    next: str | None


class WhichClicks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of them."""

    link_id: Annotated[Id | None, Meta(description="Those on this link.")] = None
    action_id: Annotated[Id | None, Meta(description="Those in texts of this action.")] = None
    limit: Annotated[int, Meta(ge=1, le=MOST_CLICKS, description="At most so many.")] = 50
    cursor: Cursor = None


_new = msgspec.json.Decoder(NewLink)
_change = msgspec.json.Decoder(ChangeOfLink)
_CHANGES: Final = (400, 404, 413, 415, 422, 503)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=_LINKS,
        handler="links.list",
        summary="The campaign's tracked links, and how often each was pressed.",
        act=Act.MANAGE_ACTIONS,
        tag="links",
        gives={HTTPStatus.OK: LinkList},
        refuses=(404, 503),
    ),
    Operation(
        method="POST",
        path=_LINKS,
        handler="links.make",
        summary="Make a tracked link.",
        act=Act.MANAGE_ACTIONS,
        tag="links",
        takes=NewLink,
        gives={HTTPStatus.CREATED: LinkView},
        refuses=(*_CHANGES, 409),
    ),
    Operation(
        method="PATCH",
        path=_LINK,
        handler="links.change",
        summary="Let a link lead elsewhere, or offer it no longer.",
        act=Act.MANAGE_ACTIONS,
        tag="links",
        takes=ChangeOfLink,
        gives={HTTPStatus.OK: LinkView, HTTPStatus.CONFLICT: LinkClashed},
        refuses=_CHANGES,
    ),
    Operation(
        method="GET",
        path=f"{_LINKS}:clicks",
        handler="links.clicks",
        summary="Who pressed which link, in which text.",
        act=Act.READ_MESSAGES,
        tag="links",
        gives={HTTPStatus.OK: ClickList},
        refuses=(404, 422, 503),
        asks=WhichClicks,
    ),
)


class LinkDesk:
    """Links as admins have them, and the door for whoever presses one."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._links = parts.links
        self._known_campaigns = known

    def routes(self) -> list[web.RouteDef]:
        """A token stands at the root of the campaign's own domain, and is longer than any path of ours there."""
        return [web.get(f"/{{token:{SHAPE}}}", self.follow)]

    async def follow(self, request: web.Request) -> web.Response:
        """302 to where the link leads. A look ahead (HEAD, or a browser's prefetch) counts nothing."""
        token = request.match_info["token"]
        pressed = read(token)
        if pressed is None or not await self._known_campaigns.knows(pressed.campaign_id):
            raise _nowhere()
        counts = request.method == "GET" and "prefetch" not in _purpose(request)
        url = await self._links.follow(token, counts=counts)
        if url is None:
            raise _nowhere()
        headers = {"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        return web.Response(status=HTTPStatus.FOUND, headers=headers)

    async def list(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        found = await self._links.every(campaign.campaign_id)
        return json_answer(LinkList([_view(each) for each in found]))

    async def make(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        new = decoded(_new, await json_body(request))
        try:
            row = await self._links.make(grant.actor, campaign.campaign_id, new.slug, new.url)
        except SlugTaken as error:
            raise Refusal(HTTPStatus.CONFLICT, str(error)) from error
        return json_answer(_view(Link(row=row, clicks=0)), HTTPStatus.CREATED)

    async def change(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        link_id = path_id(request, "link_id", lambda given: Refusal(HTTPStatus.NOT_FOUND, str(NoLink(given))))
        wanted = decoded(_change, await json_body(request))
        try:
            row = await self._links.change(
                grant.actor,
                campaign.campaign_id,
                link_id,
                url=wanted.url,
                archived=wanted.archived,
                version=wanted.version,
            )
        except NoLink as error:
            raise Refusal(HTTPStatus.NOT_FOUND, str(error)) from error
        except LinkClash as clash:
            return _clashed(clash)
        return json_answer(LinkView(**msgspec.structs.asdict(row)))

    async def clicks(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        which = asked(WhichClicks, request)
        page = await self._links.clicks(
            campaign.campaign_id, which.link_id, which.action_id, which.cursor, which.limit
        )
        return json_answer(
            ClickList([ClickView(**msgspec.structs.asdict(each)) for each in page.rows], page.next)
        )


def _nowhere() -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, "this link leads nowhere")


def _purpose(request: web.Request) -> str:
    return f"{request.headers.get('Sec-Purpose', '')} {request.headers.get('Purpose', '')}".lower()


def _view(link: Link) -> LinkView:
    fields: dict[str, Any] = msgspec.structs.asdict(link.row)
    return LinkView(**fields, clicks=link.clicks)


def _clashed(clash: LinkClash) -> web.Response:
    status = HTTPStatus.CONFLICT
    stored = LinkView(**msgspec.structs.asdict(clash.stored))
    return problem_answer(
        LinkClashed(title=title_of(status), status=status.value, detail=str(clash), stored=stored)
    )
