"""The door put together: one aiohttp application from the resources' operations and the providers' webhooks."""

import asyncio
import functools
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from gateway.http import (
    actions,
    announcements,
    audit,
    breakers,
    buckets,
    campaigns,
    company,
    consents,
    contact_lists,
    contacts,
    endpoints,
    exports,
    health,
    inbox,
    labels,
    limits,
    links,
    live,
    my_notices,
    my_settings,
    opt_outs,
    own_texts,
    people,
    pictures,
    publishing,
    reading,
    reassignments,
    received_pictures,
    reports,
    results,
    scripts,
    second_factor,
    sending,
    sends,
    sessions,
    threads,
    uploads,
    user_lists,
    waiting,
)
from gateway.http.access import Grant
from gateway.http.access_log import AccessLog
from gateway.http.actions import ActionDesk
from gateway.http.announcements import AnnouncementDesk
from gateway.http.audit import AuditDesk
from gateway.http.bodies import INTAKE, JSON, MOST_BYTES_AT_ONCE
from gateway.http.breakers import BreakerDesk
from gateway.http.buckets import BucketDesk
from gateway.http.campaigns import CampaignDesk
from gateway.http.company import CompanyDesk
from gateway.http.consents import ConsentDesk
from gateway.http.contact_lists import ContactListDesk
from gateway.http.contacts import ContactDesk
from gateway.http.csv_lists import ListPlaces
from gateway.http.endpoints import EndpointDesk
from gateway.http.exports import ExportDesk
from gateway.http.health import HealthDesk
from gateway.http.inbox import InboxDesk
from gateway.http.intake import Intake, release
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.labels import LabelDesk
from gateway.http.limits import LimitDesk
from gateway.http.links import LinkDesk
from gateway.http.live import LiveDesk
from gateway.http.load import Load
from gateway.http.my_notices import MyNoticesDesk
from gateway.http.my_settings import MySettingsDesk
from gateway.http.openapi import document, page
from gateway.http.operations import EVENT_STREAM, Operation
from gateway.http.opt_outs import OptOutDesk
from gateway.http.own_texts import OwnTextDesk
from gateway.http.parts import Parts, WebhookDoor
from gateway.http.people import PeopleDesk
from gateway.http.pictures import PictureDesk
from gateway.http.problems import CLIENT_GONE, Handler, explained
from gateway.http.publishing import PublishingDesk
from gateway.http.reading import Reading
from gateway.http.reassignments import ReassignmentDesk
from gateway.http.received_pictures import ReceivedPictureDesk
from gateway.http.reports import ReportDesk
from gateway.http.results import ResultDesk
from gateway.http.scripts import ScriptDesk
from gateway.http.second_factor import SecondFactorDesk
from gateway.http.sending import Sending
from gateway.http.sends import SendDesk
from gateway.http.sessions import Guesses, SessionDesk
from gateway.http.shedding import SHEDDING, Connection, Shedding
from gateway.http.threads import ThreadDesk
from gateway.http.uploads import Uploads
from gateway.http.user_lists import UserListDesk
from gateway.http.waiting import WaitingDesk
from gateway.http.webhooks import Webhooks
from gateway.metrics import Metrics
from gateway.turns import Floor

OPERATIONS: Final[tuple[Operation, ...]] = (
    *sending.OPERATIONS,
    *campaigns.OPERATIONS,
    *uploads.OPERATIONS,
    *contacts.OPERATIONS,
    *contact_lists.OPERATIONS,
    *reading.OPERATIONS,
    *sessions.OPERATIONS,
    *second_factor.OPERATIONS,
    *people.OPERATIONS,
    *my_settings.OPERATIONS,
    *my_notices.OPERATIONS,
    *user_lists.OPERATIONS,
    *announcements.OPERATIONS,
    *reassignments.OPERATIONS,
    *inbox.OPERATIONS,
    *threads.OPERATIONS,
    *company.OPERATIONS,
    *reports.OPERATIONS,
    *opt_outs.OPERATIONS,
    *consents.OPERATIONS,
    *live.OPERATIONS,
    *labels.OPERATIONS,
    *results.OPERATIONS,
    *exports.OPERATIONS,
    *buckets.OPERATIONS,
    *sends.OPERATIONS,
    *waiting.OPERATIONS,
    *actions.OPERATIONS,
    *publishing.OPERATIONS,
    *scripts.OPERATIONS,
    *links.OPERATIONS,
    *own_texts.OPERATIONS,
    *pictures.OPERATIONS,
    *received_pictures.OPERATIONS,
    *audit.OPERATIONS,
    *endpoints.OPERATIONS,
    *breakers.OPERATIONS,
    *limits.OPERATIONS,
    *health.OPERATIONS,
)
"""The whole API: what each resource's file declares."""

Keyed = Callable[[web.Request, Grant], Awaitable[web.StreamResponse]]


def application(
    parts: Parts, doors: Sequence[WebhookDoor], version: str, access_log: AccessLog | None = None
) -> web.Application:
    """What people and providers reach: routes, bodies bounded, every failure a problem."""
    app = _application(parts, access_log)
    floor = Floor()
    app[INTAKE] = Intake(floor, MOST_BYTES_AT_ONCE)
    load = Load()
    parts.metrics.ask_saturation("door", lambda: load.use)
    app[SHEDDING] = Shedding(load, parts.metrics.http_request)
    known = KnownCampaigns(parts.campaigns, parts.clock.now)
    guesses, places = Guesses(), ListPlaces()
    link_desk, picture_desk = LinkDesk(parts, known), PictureDesk(parts, known)
    desks = {
        "announcements": AnnouncementDesk(parts, known),
        "actions": ActionDesk(parts, known),
        "audit": AuditDesk(parts, known),
        "buckets": BucketDesk(parts, known),
        "campaigns": CampaignDesk(parts, known),
        "contact_lists": ContactListDesk(parts, known),
        "contacts": ContactDesk(parts, known),
        "exports": ExportDesk(parts, known, floor),
        "endpoints": EndpointDesk(parts, known),
        "breakers": BreakerDesk(parts, known),
        "limits": LimitDesk(parts, known),
        "company": CompanyDesk(parts, known),
        "consents": ConsentDesk(parts, known),
        "health": HealthDesk(parts),
        "inbox": InboxDesk(parts, known),
        "labels": LabelDesk(parts, known),
        "links": link_desk,
        "own_texts": OwnTextDesk(parts, known),
        "pictures": picture_desk,
        "live": LiveDesk(parts, known),
        "my_notices": MyNoticesDesk(parts, known),
        "my_settings": MySettingsDesk(parts, known),
        "opt_outs": OptOutDesk(parts, known, floor, places),
        "people": PeopleDesk(parts, known, guesses),
        "publishing": PublishingDesk(parts, known),
        "reading": Reading(parts, known),
        "reassignments": ReassignmentDesk(parts, known),
        "received_pictures": ReceivedPictureDesk(parts, known),
        "results": ResultDesk(parts, known),
        "reports": ReportDesk(parts, known),
        "scripts": ScriptDesk(parts, known, floor),
        "sending": Sending(parts, known, floor, load),
        "sends": SendDesk(parts, known, load),
        "second_factor": SecondFactorDesk(parts, guesses),
        "sessions": SessionDesk(parts, guesses),
        "threads": ThreadDesk(parts, known),
        "waiting": WaitingDesk(parts, known),
        "uploads": Uploads(parts, known, floor, places),
        "user_lists": UserListDesk(parts, known),
    }
    for door in doors:
        app.add_routes(Webhooks(parts, known, door, floor).routes())
    _add_operations(app, parts, OPERATIONS, desks)
    app.add_routes(_pages(version))
    app.add_routes([*picture_desk.routes(), *link_desk.routes()])
    _tell_routes(app, parts.metrics)
    return app


def internal_application(parts: Parts) -> web.Application:
    """What only the house reaches: health in detail and metrics. It is no part of the access log."""
    app = _application(parts, None)
    _add_operations(app, parts, health.INTERNAL, {"health": HealthDesk(parts)})
    _tell_routes(app, parts.metrics)
    return app


def _application(parts: Parts, access_log: AccessLog | None) -> web.Application:
    app = web.Application(middlewares=[_counted(parts.metrics, access_log), explained])
    app.on_response_prepare.append(_without_versions)
    app.router.add_get("/healthz", HealthDesk(parts).alive)
    return app


def _tell_routes(app: web.Application, metrics: Metrics) -> None:
    """Every address has its series before its first request."""
    for route in app.router.routes():
        if route.resource is not None:
            metrics.serves(route.resource.canonical, route.method)


def _add_operations(
    app: web.Application, parts: Parts, operations: Sequence[Operation], desks: Mapping[str, object]
) -> None:
    for operation in operations:
        desk, _, method = operation.handler.partition(".")
        handler = getattr(desks[desk], method)
        served = handler if operation.act is None else _keyed(parts, operation, handler)
        if operation.method == "GET":
            app.router.add_get(_pattern(operation), served)  # HEAD as well
        else:
            app.router.add_route(operation.method, _pattern(operation), served)


async def _without_versions(_request: web.Request, response: web.StreamResponse) -> None:
    """What runs here in which version is nobody's business."""
    response.headers["Server"] = "textbank"


def _counted(metrics: Metrics, access_log: AccessLog | None) -> Middleware:
    """Every request by its route's template, also one that leads nowhere."""

    @web.middleware
    async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
        time = asyncio.get_running_loop().time
        began_at = time()
        status = CLIENT_GONE
        try:
            response = await handler(request)
            status = response.status
        finally:
            release(request)
            if isinstance(request.protocol, Connection):
                request.protocol.leave(status)
        resource = request.match_info.route.resource
        route = "other" if resource is None else resource.canonical
        duration_s = time() - began_at
        is_stream = response.content_type == EVENT_STREAM  # answered at once, however long it goes on
        metrics.http_request(route, request.method, response.status, 0.0 if is_stream else duration_s)
        if access_log is not None:
            access_log.request(request, route, response, duration_s)
        return response

    return counted


def _pattern(operation: Operation) -> str:
    """Only digits are an id: another path leads nowhere."""
    pattern = operation.path
    for name in operation.ids:
        pattern = pattern.replace(f"{{{name}}}", f"{{{name}:[0-9]{{1,19}}}}")
    return pattern


def _keyed(parts: Parts, operation: Operation, handler: Keyed) -> Handler:
    act = operation.act
    assert act is not None

    async def guarded(request: web.Request) -> web.StreamResponse:
        response = await handler(request, await parts.keys.grant(request, act))
        return _unless_known(request, response) if operation.method == "GET" else response

    return guarded


def _unless_known(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """With its ETag; 304 without the body for a client that has it already (RFC 9110, 13.1.2)."""
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return response
    tag = hashlib.blake2b(response.body, digest_size=16).hexdigest()
    response.etag = tag
    known = request.if_none_match or ()
    if response.status == HTTPStatus.OK and any(each.value in (tag, "*") for each in known):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers={"ETag": f'"{tag}"'})
    return response


def _pages(version: str) -> list[web.RouteDef]:
    """What describes the API: made when it is first asked for, beside the loop, since it takes some tenths of a second."""

    async def openapi(_request: web.Request) -> web.Response:
        described = await asyncio.to_thread(_described, version)
        return web.Response(body=described.encoded, content_type=JSON)

    async def docs(_request: web.Request) -> web.Response:
        described = await asyncio.to_thread(_described, version)
        return web.Response(text=described.page, content_type="text/html")

    return [web.get("/openapi.json", openapi), web.get("/docs", docs)]


class _Described(NamedTuple):
    encoded: bytes
    page: str


@functools.cache
def _described(version: str) -> _Described:
    described = document(version, OPERATIONS)
    return _Described(msgspec.json.encode(described), page(described))
