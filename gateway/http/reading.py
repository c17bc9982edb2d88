"""GET: a message, its story, a campaign's numbers and its registration."""

import math
from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from aiohttp import web

from gateway.core.sending.numbers import Number, NumberPool
from gateway.core.sending.pacing import Pacer
from gateway.http.access import Grant
from gateway.http.bodies import json_answer, path_id
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.records import NumberList, NumberView, RegistrationView
from gateway.http.story import message_view, story_of
from gateway.pipeline.campaigns import Campaign
from gateway.store import numbers, stories
from gateway.store.numbers import NumberRow

_LARGEST = 2**63 - 1


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
    """The campaign in the path; raises Refusal 403 or 404."""
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
