"""GET: a message, its story, a campaign's numbers and its registration."""

import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web
from msgspec import Struct

from gateway.core.bank.permissions import Act
from gateway.core.sending.numbers import Number, NumberPool
from gateway.core.sending.pacing import Pacer
from gateway.http.access import Grant
from gateway.http.bodies import json_answer, path_id
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.story import Message, Story, message_view, story_of
from gateway.pipeline.campaigns import Campaign
from gateway.store import numbers, stories
from gateway.store.numbers import NumberRow

_LARGEST = 2**63 - 1


class NumberView(Struct, frozen=True, kw_only=True):
    """A number of the pool (C7); `conversations` is how many people know us by it.

    `provisioning`: it waits until `settles_at`, and is tried again then. `is_proved`: carriers know it.
    `refused_with`: the code with which they last refused it as unknown (30034, 30035).
    """

    number_id: int
    phone: str
    area_code: str
    state: str
    bought_because: str
    provider_sid: str
    conversations: int
    new_conversations_in_turn: int
    errors: int
    quarantines: int
    bought_at: float | None
    settles_at: float | None
    is_proved: bool
    refused_with: int | None
    last_used_at: float | None
    moved_to: int | None


class NumberList(Struct, frozen=True, kw_only=True):
    """A campaign's number pool, and how many numbers its registration allows.

    Retired numbers count, since they stay in the registered campaign. `nothing_bought_because`: `unregistered`
    (carriers say 30034), `budget` (`bought_lately`, within 24 hours, of `purchases_per_day`), `pool_is_full`; null:
    numbers are bought as they are needed.
    """

    most_numbers: int
    bought_lately: int
    purchases_per_day: int
    nothing_bought_because: str | None
    numbers: list[NumberView]


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
        campaign, message_id = await self._asked(request, grant)
        found = await stories.message(self._parts.database, campaign.key, message_id)
        if found is None:
            raise _no_message(campaign.campaign_id, message_id)
        return json_answer(message_view(found, campaign.limits))

    async def story(self, request: web.Request, grant: Grant) -> web.Response:
        campaign, message_id = await self._asked(request, grant)
        found = await stories.facts(self._parts.database, campaign.key, campaign.opt_out_scope, message_id)
        if found is None:
            raise _no_message(campaign.campaign_id, message_id)
        return json_answer(
            story_of(found, campaign.limits, self._parts.clock.now(), self._parts.held_because())
        )

    async def numbers(self, request: web.Request, grant: Grant) -> web.Response:
        """The live pool where this worker dispatches the campaign, else what was last saved of it."""
        campaign = await campaign_of(self._known_campaigns, request, grant)
        rows = await numbers.load(self._parts.database, campaign.key)
        pool = self._parts.pool(campaign.campaign_id) or _saved_pool(campaign, rows)
        now = self._parts.clock.now()
        view = NumberList(
            most_numbers=pool.max_numbers,
            bought_lately=pool.bought_lately(now),
            purchases_per_day=pool.policy.purchases_per_day(pool.max_numbers),
            nothing_bought_because=pool.no_purchase(now),
            numbers=[_number(row, pool.numbers.get(row.number_id)) for row in rows],
        )
        return json_answer(view)

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

    async def _asked(self, request: web.Request, grant: Grant) -> tuple[Campaign, int]:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        message_id = path_id(request, "message_id")
        if message_id > _LARGEST:
            raise _no_message(campaign.campaign_id, message_id)
        return campaign, message_id


async def campaign_of(known: KnownCampaigns, request: web.Request, grant: Grant) -> Campaign:
    """The campaign in the path; raises Refusal 404."""
    campaign_id = path_id(request, "campaign_id")
    grant.require(campaign_id)
    return await known.find(campaign_id)


def _no_message(campaign_id: int, message_id: int) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, f"campaign {campaign_id} has no message {message_id}")


def _saved_pool(campaign: Campaign, rows: Sequence[NumberRow]) -> NumberPool:
    """The pool as its owner, another worker, last saved it."""
    saved = [msgspec.json.decode(row.details, type=Number) for row in rows]
    return NumberPool(campaign.settings.pool, campaign.limits, saved, Pacer(campaign.limits))


def _number(row: NumberRow, live: Number | None) -> NumberView:
    number = live or msgspec.json.decode(row.details, type=Number)
    return NumberView(
        number_id=number.number_id,
        phone=number.phone,
        area_code=number.area_code,
        state=number.state,
        bought_because=row.bought_because,
        provider_sid=row.provider_sid,
        conversations=number.conversations,
        new_conversations_in_turn=number.new_conversations_in_turn,
        errors=number.errors,
        quarantines=number.quarantines,
        bought_at=number.bought_at,
        settles_at=number.settles_at,
        is_proved=number.proved_at is not None,
        refused_with=number.refused_with,
        last_used_at=number.last_used_at,
        moved_to=number.moved_to,
    )


def _finite(rate: float) -> float | None:
    return rate if math.isfinite(rate) else None
