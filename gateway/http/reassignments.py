"""Contacts that change hands over the API: counted first, moved, undone."""

from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.permissions import Act
from gateway.http.access import Grant
from gateway.http.bodies import asked, decoded, json_answer, json_body, path_id
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.my_settings import nobody
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.reading import campaign_of
from gateway.http.records import Cursor, Id
from gateway.http.sending import KEY_HEADER, header_key
from gateway.p2p.actions import NoAction
from gateway.p2p.preferences import NoPerson
from gateway.p2p.reassignments import (
    Foreseen,
    NoReassignment,
    Reassigned,
    Reassignments,
    Scope,
    Target,
    TooLate,
    Undone,
)

PATH: Final = "/v1/campaigns/{campaign_id}/reassignments"
_ContactIds = Annotated[tuple[Id, ...], Meta(max_length=5_000)]


class NewReassignment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which contacts, all that is given holding at once, and whose they become.

    `from_user_id`: those that this person has; `action_id`: what is had in this action alone; `needs_attention`: those
    who wait for an answer. To a person, to the active people of a list (split at random, even to within one), or each to
    the creator of its action. With `dry_run` all is counted and nothing moved.
    """

    from_user_id: Id | None = None
    contact_ids: _ContactIds = ()
    list_id: Id | None = None
    tag_id: Id | None = None
    action_id: Id | None = None
    needs_attention: bool = False
    to_user_id: Id | None = None
    to_user_list_id: Id | None = None
    to_creators: bool = False
    dry_run: bool = False


class Share(Struct, frozen=True):
    """How many contacts a person gets."""

    user_id: int
    contacts: int


class ReassignmentResult(Struct, frozen=True, kw_only=True):
    """What is moved, or would be: contacts, of them those that wait for an answer and those whom nobody has texted.

    `left`: contacts that nobody of the target may have. `reassignment`: by which it is undone; null: nothing was done.
    """

    contacts: int
    waiting: int
    untexted: int
    left: int
    shares: list[Share]
    reassignment: Reassigned | None


class WhichReassignments(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of them."""

    limit: Annotated[int, Meta(ge=1, le=100, description="How many, 100 at most.")] = 30
    cursor: Cursor = None


class ReassignmentList(Struct, frozen=True):
    """Reassignments, the newest first. `next`: the cursor of those before; null: there are none."""

    reassignments: list[Reassigned]
    next: str | None


_new = msgspec.json.Decoder(NewReassignment)
_REFUSES: Final[tuple[int, ...]] = (400, 404, 409, 413, 415, 422, 503)
_GIVES: Final[dict[int, Any]] = {HTTPStatus.OK: ReassignmentResult, HTTPStatus.CREATED: ReassignmentResult}

OPERATIONS: Final = (
    Operation(
        method="POST",
        path=PATH,
        handler="reassignments.move",
        summary="Give contacts to other people; whoever had them has them no longer. dry_run counts them first.",
        act=Act.REASSIGN,
        tag="assignment",
        takes=NewReassignment,
        gives=_GIVES,
        refuses=_REFUSES,
        headers=KEY_HEADER,
    ),
    Operation(
        method="GET",
        path=PATH,
        handler="reassignments.page",
        summary="What was reassigned, by whom, and until when it can be undone.",
        act=Act.REASSIGN,
        tag="assignment",
        asks=WhichReassignments,
        gives={HTTPStatus.OK: ReassignmentList},
        refuses=(404, 422, 503),
    ),
    Operation(
        method="POST",
        path=f"{PATH}/{{reassignment_id}}/undo",
        handler="reassignments.undo",
        summary="Undo a reassignment of the last day, but for contacts to which something has happened since.",
        act=Act.REASSIGN,
        tag="assignment",
        gives={HTTPStatus.OK: Undone},
        refuses=(404, 409, 503),
    ),
    Operation(
        method="POST",
        path="/v1/campaigns/{campaign_id}/actions/{action_id}/hand-back",
        handler="reassignments.hand_back",
        summary="Hand all my threads and contacts of an action to its creator. An API key is nobody: 404.",
        act=Act.ANSWER,
        tag="assignment",
        gives={HTTPStatus.OK: Reassigned},
        refuses=(404, 422, 503),
    ),
)


class ReassignmentDesk:
    """Who has whom."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._reassignments: Reassignments = parts.reassignments
        self._known = known

    async def move(self, request: web.Request, grant: Grant) -> web.Response:
        """200 for what would be moved, 201 for what was."""
        campaign = await campaign_of(self._known, request, grant)
        said = decoded(_new, await json_body(request))
        scope, target = _scope(said), _target(said)
        if said.dry_run:
            foreseen = await self._reassignments.foresee(campaign.campaign_id, scope, target)
            return json_answer(_result(foreseen, None))
        done, foreseen = await self._reassignments.move(
            grant.actor, campaign.campaign_id, scope, target, header_key(request)
        )
        return json_answer(_result(foreseen, done), HTTPStatus.CREATED)

    async def page(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        wanted = asked(WhichReassignments, request)
        page = await self._reassignments.page(campaign.campaign_id, wanted.cursor, wanted.limit)
        return json_answer(ReassignmentList(page.rows, page.next))

    async def undo(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        reassignment_id = path_id(request, "reassignment_id", lambda given: _absent(NoReassignment(given)))
        try:
            undone = await self._reassignments.undo(grant.actor, campaign.campaign_id, reassignment_id)
        except NoReassignment as error:
            raise _absent(error) from error
        except TooLate as error:
            raise Refusal(HTTPStatus.CONFLICT, str(error)) from error
        return json_answer(undone)

    async def hand_back(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        action_id = path_id(
            request, "action_id", lambda given: Refusal(HTTPStatus.NOT_FOUND, f"no action {given}")
        )
        try:
            done = await self._reassignments.hand_back(grant.actor, campaign.campaign_id, action_id)
        except NoPerson as error:
            raise nobody(error) from error
        except NoAction as error:
            raise Refusal(HTTPStatus.NOT_FOUND, str(error)) from error
        return json_answer(done)


def _scope(said: NewReassignment) -> Scope:
    return Scope(
        from_id=said.from_user_id,
        contact_ids=tuple(sorted({*said.contact_ids})),
        list_id=said.list_id,
        tag_id=said.tag_id,
        action_id=said.action_id,
        needs_attention=said.needs_attention,
    )


def _target(said: NewReassignment) -> Target:
    return Target(user_id=said.to_user_id, user_list_id=said.to_user_list_id, creators=said.to_creators)


def _result(foreseen: Foreseen, done: Reassigned | None) -> ReassignmentResult:
    return ReassignmentResult(
        contacts=foreseen.contacts,
        waiting=foreseen.waiting,
        untexted=foreseen.untexted,
        left=foreseen.left,
        shares=[Share(user_id, count) for user_id, count in sorted(foreseen.shares.items())],
        reassignment=done,
    )


def _absent(error: NoReassignment) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, str(error))
