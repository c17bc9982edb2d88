"""Webhooks that we send: which other systems are told of a campaign, and what came of each delivery."""

from http import HTTPStatus
from typing import Annotated, Final, Literal

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.permissions import Act
from gateway.core.bank.webhooks import LONGEST_URL, TOPICS, Kind, Topic, VanSettings
from gateway.http.access import Grant
from gateway.http.bodies import asked, decoded, json_body, path_id, private_answer
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.reading import campaign_of
from gateway.http.records import Cursor
from gateway.p2p.endpoints import Delivery, Endpoint, TooManyEndpoints, Wanted
from gateway.pipeline.campaigns import Campaign

PATH: Final = "/v1/campaigns/{campaign_id}/endpoints"
_ONE: Final = f"{PATH}/{{endpoint_id}}"
Url = Annotated[str, Meta(min_length=1, max_length=LONGEST_URL)]
Credentials = Annotated[str, Meta(min_length=1, max_length=400)]
Asked = Literal["delivered", "replied", "opted_out", "tagged", "reported", "notice", "limit"]
Topics = Annotated[tuple[Asked, ...], Meta(min_length=1, max_length=len(TOPICS))]
State = Literal["waiting", "delivered", "parked"]


class NewEndpoint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to send what: from now on, everything of these topics.

    `kind`: a `webhook` is a signed POST to an https:// address; `van` writes to the API of VAN (EveryAction) at `url`
    (https://api.securevan.com/v4), as `van` says, with the `credentials` `application:key|mode`, which nobody reads again.
    """

    url: Url
    topics: Topics
    kind: Kind = "webhook"
    van: VanSettings | None = None
    credentials: Credentials | None = None


class EndpointChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another address, other topics, or whether it is told anything; switched on again it goes on where it stopped.
    With another address VAN's `credentials` are given again."""

    url: Url | None = None
    topics: Topics | None = None
    van: VanSettings | None = None
    credentials: Credentials | None = None
    active: bool | None = None


class EndpointView(Struct, frozen=True, kw_only=True):
    """An endpoint. `inactive_because`: why it was switched off by us. `failing_since`: it has taken nothing since then.

    Times are Unix seconds.
    """

    endpoint_id: int
    kind: Kind
    url: str
    topics: list[Topic]
    van: VanSettings | None
    active: bool
    inactive_because: str | None
    failing_since: float | None
    made_at: float


class MadeEndpoint(EndpointView, frozen=True, kw_only=True):
    """A new endpoint, and the secret that signs what it is sent: shown this once; null for VAN, which has credentials."""

    secret: str | None


class EndpointList(Struct, frozen=True):
    """The campaign's endpoints, ten at most."""

    endpoints: list[EndpointView]


class NewSecret(Struct, frozen=True, kw_only=True):
    """The secret that signs from now on, shown this once; the one before signs as well for a day."""

    secret: str


class TestMade(Struct, frozen=True, kw_only=True):
    """A delivery of the topic `test` is on its way: what came of it is in the list of deliveries."""

    delivery_id: int


class WhichDeliveries(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of the list."""

    state: Annotated[State | None, Meta(description="Only those of this state.")] = None
    limit: Annotated[int, Meta(ge=1, le=200, description="At most so many.")] = 50
    cursor: Cursor = None


class DeliveryView(Struct, frozen=True, kw_only=True):
    """A delivery: its topic and body, and what came of the last attempt at it (`tried_at`, `status`, `why`).

    `waiting`: it is tried at `due_at`; `delivered`: taken with a 2xx; `parked`: not taken for 72 hours.
    """

    delivery_id: int
    topic: Topic
    contact_id: int | None
    state: State
    made_at: float
    due_at: float
    attempts: int
    tried_at: float | None
    status: int | None
    why: str | None
    body: msgspec.Raw


class DeliveryList(Struct, frozen=True, kw_only=True):
    """Deliveries, the newest first; delivered ones are kept for a week, parked ones for a month.

    `next`: the cursor of those before; null: there are none.
    """

    deliveries: list[DeliveryView]
    next: str | None


class Replayed(Struct, frozen=True, kw_only=True):
    """How many deliveries are sent again."""

    deliveries: int


_new = msgspec.json.Decoder(NewEndpoint)
_change = msgspec.json.Decoder(EndpointChange)
_TAG: Final = "webhooks that we send"

OPERATIONS: Final = (
    Operation(
        method="POST",
        path=PATH,
        handler="endpoints.create",
        summary="Tell another system what happens in the campaign.",
        act=Act.CHANGE_CAMPAIGN,
        tag=_TAG,
        takes=NewEndpoint,
        gives={HTTPStatus.CREATED: MadeEndpoint},
        refuses=(400, 404, 409, 413, 415, 422, 503),
    ),
    Operation(
        method="GET",
        path=PATH,
        handler="endpoints.show_all",
        summary="The systems that are told.",
        act=Act.CHANGE_CAMPAIGN,
        tag=_TAG,
        gives={HTTPStatus.OK: EndpointList},
        refuses=(404, 503),
    ),
    Operation(
        method="GET",
        path=_ONE,
        handler="endpoints.show",
        summary="One of them, and how it fares.",
        act=Act.CHANGE_CAMPAIGN,
        tag=_TAG,
        gives={HTTPStatus.OK: EndpointView},
        refuses=(404, 503),
    ),
    Operation(
        method="PATCH",
        path=_ONE,
        handler="endpoints.change",
        summary="Another address, other topics, or switched on or off.",
        act=Act.CHANGE_CAMPAIGN,
        tag=_TAG,
        takes=EndpointChange,
        gives={HTTPStatus.OK: EndpointView},
        refuses=(400, 404, 413, 415, 422, 503),
    ),
    Operation(
        method="DELETE",
        path=_ONE,
        handler="endpoints.delete",
        summary="It is told nothing any more, nor what is on its way.",
        act=Act.CHANGE_CAMPAIGN,
        tag=_TAG,
        gives={HTTPStatus.NO_CONTENT: None},
        refuses=(404, 503),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/secret",
        handler="endpoints.new_secret",
        summary="Another secret; for a day what is sent carries signatures of both.",
        act=Act.CHANGE_CAMPAIGN,
        tag=_TAG,
        gives={HTTPStatus.CREATED: NewSecret},
        refuses=(404, 422, 503),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/test",
        handler="endpoints.test",
        summary="Send a delivery that means nothing.",
        act=Act.CHANGE_CAMPAIGN,
        tag=_TAG,
        gives={HTTPStatus.ACCEPTED: TestMade},
        refuses=(404, 503),
    ),
    Operation(
        method="GET",
        path=f"{_ONE}/deliveries",
        handler="endpoints.deliveries",
        summary="What was sent and what came of it, the newest first.",
        act=Act.CHANGE_CAMPAIGN,
        tag=_TAG,
        asks=WhichDeliveries,
        gives={HTTPStatus.OK: DeliveryList},
        refuses=(404, 422, 503),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/replay",
        handler="endpoints.replay_parked",
        summary="Send again all that are parked.",
        act=Act.CHANGE_CAMPAIGN,
        tag=_TAG,
        gives={HTTPStatus.ACCEPTED: Replayed},
        refuses=(404, 503),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/deliveries/{{delivery_id}}/replay",
        handler="endpoints.replay",
        summary="Send one delivery again, whatever came of it.",
        act=Act.CHANGE_CAMPAIGN,
        tag=_TAG,
        gives={HTTPStatus.ACCEPTED: Replayed},
        refuses=(404, 503),
    ),
)


class EndpointDesk:
    """Who is told."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._endpoints = parts.endpoints
        self._known = known

    async def create(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        said = decoded(_new, await json_body(request))
        wanted = Wanted(url=said.url, topics=said.topics, van=said.van, credentials=said.credentials)
        try:
            made = await self._endpoints.create(campaign.key, said.kind, wanted, grant.actor.name)
        except TooManyEndpoints as error:
            raise Refusal(HTTPStatus.CONFLICT, str(error)) from error
        view = MadeEndpoint(
            **msgspec.structs.asdict(_view(made)), secret=None if said.kind == "van" else made.secrets[0]
        )
        return private_answer(view, HTTPStatus.CREATED)

    async def show_all(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        return private_answer(EndpointList([_view(each) for each in await self._endpoints.all(campaign.key)]))

    async def show(self, request: web.Request, grant: Grant) -> web.Response:
        _, endpoint = await self._endpoint(request, grant)
        return private_answer(_view(endpoint))

    async def change(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        endpoint_id = path_id(request, "endpoint_id", _no_endpoint)
        said = decoded(_change, await json_body(request))
        wanted = Wanted(
            url=said.url,
            topics=said.topics,
            van=said.van,
            credentials=said.credentials,
            active=said.active,
        )
        changed = await self._endpoints.change(campaign.key, endpoint_id, wanted, grant.actor.name)
        if changed is None:
            raise _no_endpoint(endpoint_id)
        return private_answer(_view(changed))

    async def delete(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        endpoint_id = path_id(request, "endpoint_id", _no_endpoint)
        if not await self._endpoints.delete(campaign.key, endpoint_id, grant.actor.name):
            raise _no_endpoint(endpoint_id)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def new_secret(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        endpoint_id = path_id(request, "endpoint_id", _no_endpoint)
        secret = await self._endpoints.new_secret(campaign.key, endpoint_id, grant.actor.name)
        if secret is None:
            raise _no_endpoint(endpoint_id)
        return private_answer(NewSecret(secret=secret), HTTPStatus.CREATED)

    async def test(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        endpoint_id = path_id(request, "endpoint_id", _no_endpoint)
        delivery_id = await self._endpoints.test(campaign.key, endpoint_id)
        if delivery_id is None:
            raise _no_endpoint(endpoint_id)
        return private_answer(TestMade(delivery_id=delivery_id), HTTPStatus.ACCEPTED)

    async def deliveries(self, request: web.Request, grant: Grant) -> web.Response:
        campaign, endpoint = await self._endpoint(request, grant)
        which = asked(WhichDeliveries, request)
        page = await self._endpoints.page(
            campaign.key, endpoint.endpoint_id, which.state, which.cursor, which.limit
        )
        return private_answer(DeliveryList(deliveries=[_delivery(row) for row in page.rows], next=page.next))

    async def replay_parked(self, request: web.Request, grant: Grant) -> web.Response:
        campaign, endpoint = await self._endpoint(request, grant)
        count = await self._endpoints.replay(campaign.key, endpoint.endpoint_id, None, grant.actor.name)
        return private_answer(Replayed(deliveries=count), HTTPStatus.ACCEPTED)

    async def replay(self, request: web.Request, grant: Grant) -> web.Response:
        campaign, endpoint = await self._endpoint(request, grant)
        delivery_id = path_id(request, "delivery_id", _no_delivery)
        count = await self._endpoints.replay(
            campaign.key, endpoint.endpoint_id, delivery_id, grant.actor.name
        )
        if not count:
            raise _no_delivery(delivery_id)
        return private_answer(Replayed(deliveries=count), HTTPStatus.ACCEPTED)

    async def _endpoint(self, request: web.Request, grant: Grant) -> tuple[Campaign, Endpoint]:
        campaign = await campaign_of(self._known, request, grant)
        endpoint_id = path_id(request, "endpoint_id", _no_endpoint)
        found = await self._endpoints.find(campaign.key, endpoint_id)
        if found is None:
            raise _no_endpoint(endpoint_id)
        return campaign, found


def _view(row: Endpoint) -> EndpointView:
    return EndpointView(
        endpoint_id=row.endpoint_id,
        kind=msgspec.convert(row.kind, Kind),
        url=row.url,
        topics=msgspec.convert(row.topics, list[Topic]),
        van=None if row.van is None else msgspec.json.decode(row.van, type=VanSettings),
        active=row.active,
        inactive_because=row.inactive_because,
        failing_since=row.failing_since,
        made_at=row.made_at,
    )


def _delivery(row: Delivery) -> DeliveryView:
    return DeliveryView(
        delivery_id=row.delivery_id,
        topic=msgspec.convert(row.topic, Topic),
        contact_id=row.contact_id,
        state=msgspec.convert(row.state, State),
        made_at=row.made_at,
        due_at=row.due_at,
        attempts=row.attempts,
        tried_at=row.tried_at,
        status=row.status,
        why=row.why,
        body=msgspec.Raw(row.body.encode()),
    )


def _no_endpoint(endpoint_id: int) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, f"the campaign has no endpoint {endpoint_id}")


def _no_delivery(delivery_id: int) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, f"the endpoint has no delivery {delivery_id}")
