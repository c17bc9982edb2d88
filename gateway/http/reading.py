"""GET: a message, its story, a campaign's numbers and its registration."""

import math
from http import HTTPStatus
from typing import Final

from aiohttp import web
from msgspec import Struct

from gateway.core.bank.permissions import Act
from gateway.http.access import Grant, no_campaign
from gateway.http.bodies import json_answer, path_id
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.p2p.numbers import NumberList
from gateway.p2p.story import Message, Story
from gateway.pipeline.campaigns import Campaign


class RegistrationView(Struct, frozen=True, kw_only=True):
    """What was registered and what the carriers grant for it, in segments per second; null: no limit."""

    sender: str
    brand_kind: str
    campaign_kind: str
    score: int | None
    verified: bool
    total_per_s: float | None
    number_per_s: float | None
    carrier_per_s: dict[str, float | None]
    small_carrier_number_per_s: float | None
    tmobile_daily_segments: int | None
    most_numbers: int


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/messages/{campaign_id}/{message_id}",
        handler="reading.message",
        summary="A message as it stands.",
        act=Act.READ_MESSAGES,
        tag="messages",
        gives={HTTPStatus.OK: Message},
        refuses=(404, 503),
    ),
    Operation(
        method="GET",
        path="/v1/messages/{campaign_id}/{message_id}/story",
        handler="reading.story",
        summary="A message's life in words: every check, wait, number choice, attempt, receipt and cent.",
        act=Act.READ_MESSAGES,
        tag="messages",
        gives={HTTPStatus.OK: Story},
        refuses=(404, 503),
    ),
    Operation(
        method="GET",
        path="/v1/campaigns/{campaign_id}/numbers",
        handler="reading.numbers",
        summary="The campaign's number pool.",
        act=Act.READ_NUMBERS,
        tag="campaigns",
        gives={HTTPStatus.OK: NumberList},
        refuses=(404, 503),
    ),
    Operation(
        method="GET",
        path="/v1/campaigns/{campaign_id}/registration",
        handler="reading.registration",
        summary="What is registered with the carriers, and the rates they grant for it.",
        act=Act.READ_CAMPAIGN,
        tag="campaigns",
        gives={HTTPStatus.OK: RegistrationView},
        refuses=(404, 503),
    ),
)


class Reading:
    """What the API tells."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._parts = parts
        self._known_campaigns = known

    async def message(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        message_id = _message_id(request, campaign)
        found = await self._parts.messages.find(campaign, message_id)
        if found is None:
            raise _no_message(campaign.campaign_id, message_id)
        return json_answer(found)

    async def story(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        message_id = _message_id(request, campaign)
        found = await self._parts.messages.story(campaign, message_id)
        if found is None:
            raise _no_message(campaign.campaign_id, message_id)
        return json_answer(found)

    async def numbers(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        return json_answer(await self._parts.numbers.of(campaign))

    async def registration(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        registered, limits = campaign.settings.registration, campaign.limits
        view = RegistrationView(
            sender=registered.sender,
            brand_kind=registered.brand_kind,
            campaign_kind=registered.campaign_kind,
            score=registered.score,
            verified=registered.verified,
            total_per_s=_finite(limits.total_per_s),
            number_per_s=_finite(limits.number_per_s),
            carrier_per_s={name: _finite(rate) for name, rate in limits.carrier_per_s.items()},
            small_carrier_number_per_s=_finite(limits.small_carrier_number_per_s),
            tmobile_daily_segments=limits.tmobile_daily_segments,
            most_numbers=limits.max_numbers,
        )
        return json_answer(view)


async def campaign_of(known: KnownCampaigns, request: web.Request, grant: Grant) -> Campaign:
    """The campaign in the path; raises Refusal 404."""
    campaign_id = path_id(request, "campaign_id", no_campaign)
    grant.require(campaign_id)
    return await known.find(campaign_id)


def _message_id(request: web.Request, campaign: Campaign) -> int:
    return path_id(request, "message_id", lambda given: _no_message(campaign.campaign_id, given))


def _no_message(campaign_id: int, message_id: int) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, f"campaign {campaign_id} has no message {message_id}")


def _finite(rate: float) -> float | None:
    return rate if math.isfinite(rate) else None
