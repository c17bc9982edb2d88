"""Who waits for a volunteer's answer: their own people, and those whom others have left unanswered for too long."""

import math
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.permissions import Act
from gateway.http.access import Grant
from gateway.http.bodies import decoded, json_answer, json_body
from gateway.http.buckets import ACTION, Whose, action_of
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.reading import campaign_of
from gateway.p2p.actions import NoAction
from gateway.p2p.bank import TextBank
from gateway.pipeline.campaigns import Campaign

_MOST: Final = 50


class Look(Whose, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A look into the inbox, by a volunteer who has time for so many."""

    limit: Annotated[int, Meta(ge=1, le=_MOST)] = 20


class WaitingView(Struct, frozen=True, kw_only=True):
    """A person who waits since `attention_at`, their last text, and what it may mean. `revision`: of the conversation,
    for the answer."""

    contact_id: int
    attention_at: float
    text: str
    suggests_opt_out: bool
    wrong_number: bool
    revision: int


class WaitingList(Struct, frozen=True):
    """Those who have waited longest come first. They are this volunteer's from now on."""

    waiting: list[WaitingView]


_look = msgspec.json.Decoder(Look)

OPERATIONS: Final = (
    Operation(
        method="POST",
        path=f"{ACTION}/waiting",
        handler="waiting.look",
        summary="Who waits for this volunteer, of the action, in lawful hours; whom another has left unanswered for an "
        "hour, or what the campaign says, changes hands.",
        act=Act.ANSWER,
        tag="buckets",
        takes=Look,
        gives={HTTPStatus.OK: WaitingList},
        refuses=(400, 404, 413, 415, 422, 503),
    ),
)


class WaitingDesk:
    """A volunteer's look at who waits."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._parts = parts
        self._bank: TextBank = parts.bank
        self._known = known

    async def look(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        action_id = await action_of(self._parts.buckets, request, campaign)
        wanted = decoded(_look, await json_body(request))
        volunteer = await self._parts.volunteers.acting(grant.actor, campaign, wanted.volunteer_id)
        found = await self._bank.inbox(
            campaign.campaign_id,
            action_id,
            volunteer.volunteer_id,
            take_over_s=await self._take_over_s(grant, campaign, action_id),
            limit=wanted.limit,
        )
        return json_answer(
            WaitingList(
                [
                    WaitingView(
                        contact_id=each.contact_id,
                        attention_at=each.attention_at,
                        text=each.body,
                        suggests_opt_out=each.suggests_opt_out,
                        wrong_number=each.wrong_number,
                        revision=each.known.revision,
                    )
                    for each in found
                ]
            )
        )

    async def _take_over_s(self, grant: Grant, campaign: Campaign, action_id: int) -> float | None:
        """None: what the campaign says. Never, where the action is not for whoever looks: their own people are all that
        they answer in it."""
        try:
            await self._parts.actions.read(grant.actor, campaign.campaign_id, action_id)
        except NoAction:
            return math.inf
        return None
