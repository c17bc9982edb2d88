"""Publishing over the API: what is to be mended first, now or at a time, to whom, and back again."""

from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.actions import State
from gateway.core.bank.permissions import Act
from gateway.core.bank.publishing import Reason
from gateway.http.access import Grant
from gateway.http.actions import (
    CHANGES,
    ONE,
    ActionClashed,
    ActionView,
    Version,
    action_of,
    action_view,
    clashed,
    no_action,
)
from gateway.http.bodies import decoded, json_answer, json_body
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Problem, problem_answer, title_of
from gateway.http.reading import campaign_of
from gateway.p2p.actions import ActionClash, NoAction
from gateway.p2p.publishing import NotReady

Time = Annotated[float, Meta(ge=0, le=2.0**33)]


class Publish(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Before whom the action comes: all whom it is for (`public`), or who is invited (`private`).

    `at`: in Unix seconds, when; it can be given anew until then (F142). Without it now.
    """

    to: Literal["public", "private"] = "public"
    at: Time | None = None
    version: Version = None


class Unschedule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The version of which the action is known."""

    version: Version = None


class ReadinessView(Struct, frozen=True, kw_only=True):
    """What is to be mended before the action can be published; nothing: it can. `people`: its contacts. `consented`: of
    a broadcast, those of them who have agreed to it; the others are blocked (1301)."""

    reasons: list[Reason]
    people: int
    consented: int | None


class NotPublished(Problem, frozen=True, kw_only=True, omit_defaults=False):
    """It was not published, because somebody has changed it (`stored` is how it stands), or because something is to be
    mended first (`reasons`, all of them)."""

    reasons: tuple[Reason, ...] = ()
    stored: ActionView | None = None


_publish = msgspec.json.Decoder(Publish)
_unschedule = msgspec.json.Decoder(Unschedule)
_GIVES: Final[dict[int, Any]] = {HTTPStatus.OK: ActionView}

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=f"{ONE}/readiness",
        handler="publishing.readiness",
        summary="Whether an action can be published, and everything that is to be mended first.",
        act=Act.MANAGE_ACTIONS,
        tag="actions",
        gives={HTTPStatus.OK: ReadinessView},
        refuses=(404, 503),
    ),
    Operation(
        method="POST",
        path=f"{ONE}/publish",
        handler="publishing.publish",
        summary="Publish an action now or at a time, or make a private one public.",
        act=Act.MANAGE_ACTIONS,
        tag="actions",
        takes=Publish,
        gives={**_GIVES, HTTPStatus.CONFLICT: NotPublished},
        refuses=CHANGES,
    ),
    Operation(
        method="POST",
        path=f"{ONE}/unschedule",
        handler="publishing.unschedule",
        summary="A scheduled action is a draft again.",
        act=Act.MANAGE_ACTIONS,
        tag="actions",
        takes=Unschedule,
        gives={**_GIVES, HTTPStatus.CONFLICT: ActionClashed},
        refuses=CHANGES,
    ),
)


class PublishingDesk:
    """From draft to public."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._publishing = parts.publishing
        self._known_campaigns = known

    async def readiness(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        try:
            found = await self._publishing.readiness(grant.actor, campaign.campaign_id, action_of(request))
        except NoAction as error:
            raise no_action(error) from error
        return json_answer(
            ReadinessView(reasons=found.reasons, people=found.people, consented=found.consented)
        )

    async def publish(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        wanted, action_id = decoded(_publish, await json_body(request)), action_of(request)
        try:
            action = await self._publishing.publish(
                grant.actor, campaign.campaign_id, action_id, State(wanted.to), wanted.at, wanted.version
            )
        except NoAction as error:
            raise no_action(error) from error
        except NotReady as error:
            return _not_published(str(error), reasons=tuple(error.reasons))
        except ActionClash as clash:
            return _not_published(str(clash), stored=action_view(clash.stored, grant))
        return json_answer(action_view(action, grant))

    async def unschedule(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        wanted, action_id = decoded(_unschedule, await json_body(request)), action_of(request)
        try:
            action = await self._publishing.unschedule(
                grant.actor, campaign.campaign_id, action_id, wanted.version
            )
        except NoAction as error:
            raise no_action(error) from error
        except ActionClash as clash:
            return clashed(clash, grant, None)
        return json_answer(action_view(action, grant))


def _not_published(detail: str, **more: Any) -> web.Response:
    status = HTTPStatus.CONFLICT
    return problem_answer(
        NotPublished(title=title_of(status), status=status.value, detail=detail[:1000], **more)
    )
