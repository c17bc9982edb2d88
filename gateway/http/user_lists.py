"""Lists of people and teams over the API."""

from collections.abc import Awaitable
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.permissions import Act
from gateway.http.access import Grant
from gateway.http.bodies import asked, decoded, json_answer, json_body, path_id
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.labels import LabelText
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.reading import campaign_of
from gateway.http.records import Cursor, Id
from gateway.p2p.user_lists import ListNameTaken, NoUserList, UserListRow, UserLists

PATH: Final = "/v1/campaigns/{campaign_id}/user-lists"
_LIST: Final = f"{PATH}/{{user_list_id}}"
MOST_AT_ONCE: Final = 5_000
_UserIds = Annotated[tuple[Id, ...], Meta(max_length=MOST_AT_ONCE)]


class WhichLists(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of lists, or of a list's members."""

    limit: Annotated[int, Meta(ge=1, le=1_000, description="How many, 1000 at most.")] = 100
    cursor: Cursor = None


class NewUserList(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A list or a team, of people who are active in the campaign."""

    name: LabelText
    user_ids: _UserIds = ()


class UserListChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another name, people who join the list and people who leave it."""

    name: LabelText | None = None
    add: _UserIds = ()
    remove: _UserIds = ()


class UserListList(Struct, frozen=True):
    """Lists of people. `next`: the cursor of the page after; null: this was the last."""

    user_lists: list[UserListRow]
    next: str | None


class ListedUsers(Struct, frozen=True):
    """Active members of a list, by user id. `next`: the cursor of the page after; null: this was the last."""

    user_ids: list[int]
    next: str | None


_new = msgspec.json.Decoder(NewUserList)
_change = msgspec.json.Decoder(UserListChange)
_REFUSES: Final[tuple[int, ...]] = (400, 404, 409, 413, 415, 422, 503)
_ONE: Final[dict[int, Any]] = {HTTPStatus.OK: UserListRow}

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=PATH,
        handler="user_lists.page",
        summary="The campaign's lists of people and teams, and how many are in each.",
        act=Act.USE_LISTS,
        tag="people",
        asks=WhichLists,
        gives={HTTPStatus.OK: UserListList},
        refuses=(404, 422, 503),
    ),
    Operation(
        method="POST",
        path=PATH,
        handler="user_lists.make",
        summary="Make a list of people, or a team.",
        act=Act.USE_LISTS,
        tag="people",
        takes=NewUserList,
        gives={HTTPStatus.CREATED: UserListRow},
        refuses=_REFUSES,
    ),
    Operation(
        method="PATCH",
        path=_LIST,
        handler="user_lists.change",
        summary="Another name, or other members.",
        act=Act.USE_LISTS,
        tag="people",
        takes=UserListChange,
        gives=_ONE,
        refuses=_REFUSES,
    ),
    Operation(
        method="DELETE",
        path=_LIST,
        handler="user_lists.drop",
        summary="Delete a list; its people stay.",
        act=Act.USE_LISTS,
        tag="people",
        gives={HTTPStatus.NO_CONTENT: None},
        refuses=(404, 503),
    ),
    Operation(
        method="GET",
        path=f"{_LIST}/members",
        handler="user_lists.members",
        summary="Who is in a list and active in the campaign.",
        act=Act.USE_LISTS,
        tag="people",
        asks=WhichLists,
        gives={HTTPStatus.OK: ListedUsers},
        refuses=(404, 422, 503),
    ),
)


class UserListDesk:
    """People under a name."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._lists: UserLists = parts.user_lists
        self._known = known

    async def page(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        wanted = asked(WhichLists, request)
        page = await self._lists.page(campaign.campaign_id, wanted.cursor, wanted.limit)
        return json_answer(UserListList(page.rows, page.next))

    async def members(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        wanted = asked(WhichLists, request)
        list_id = _list_id(request)
        try:
            page = await self._lists.members(campaign.campaign_id, list_id, wanted.cursor, wanted.limit)
        except NoUserList as error:
            raise no_list(error) from error
        return json_answer(ListedUsers(page.user_ids, page.next))

    async def make(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        new = decoded(_new, await json_body(request))
        making = self._lists.make(campaign.campaign_id, new.name, new.user_ids, grant.actor.name)
        return json_answer(await _done(making), HTTPStatus.CREATED)

    async def change(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        wanted = decoded(_change, await json_body(request))
        changing = self._lists.change(
            campaign.campaign_id,
            _list_id(request),
            grant.actor.name,
            name=wanted.name,
            add=wanted.add,
            remove=wanted.remove,
        )
        return json_answer(await _done(changing))

    async def drop(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        try:
            await self._lists.drop(campaign.campaign_id, _list_id(request), grant.actor.name)
        except NoUserList as error:
            raise no_list(error) from error
        return web.Response(status=HTTPStatus.NO_CONTENT)


async def _done(doing: Awaitable[UserListRow]) -> UserListRow:
    try:
        return await doing
    except NoUserList as error:
        raise no_list(error) from error
    except ListNameTaken as error:
        raise Refusal(HTTPStatus.CONFLICT, str(error)) from error


def _list_id(request: web.Request) -> int:
    return path_id(request, "user_list_id", lambda given: no_list(NoUserList(given)))


def no_list(error: NoUserList) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, str(error))
