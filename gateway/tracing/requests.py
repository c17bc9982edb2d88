"""A request at the public door as a span, told when it is answered. Its caller's own span is linked, never continued: what
outsiders send decides neither our ids nor what is kept."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from gateway.http.access_log import TRACED
from gateway.tracing import spans
from gateway.tracing.ids import SpanPlace, callers_place
from gateway.tracing.spans import Span
from gateway.tracing.stations import CURRENT, Tracing

CLIENT_GONE = 499  # as the access log has it
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def traced(tracing: Tracing) -> Middleware:
    """The outermost: around counting, shedding and explaining."""

    @web.middleware
    async def request_span(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked, came_at, status = tracing.asked(), tracing.now(), CLIENT_GONE
        token = CURRENT.set(asked)
        request[TRACED] = asked
        try:
            response = await handler(request)
            status = response.status
        finally:
            CURRENT.reset(token)
            if asked.is_kept:
                tracing.tell(_span(request, asked.place, status, came_at, tracing.now()))
        return response

    return request_span


def _span(request: web.Request, place: SpanPlace, status: int, came_at: float, ended_at: float) -> Span:
    resource = request.match_info.route.resource
    route = "other" if resource is None else resource.canonical
    method = request.method if request.method in _METHODS else "_OTHER"
    caller = callers_place(request.headers.get("traceparent", ""))
    return Span(
        name=f"{method} {route}",
        kind="server",
        place=place,
        began_at=came_at,
        ended_at=ended_at,
        attributes={spans.METHOD: method, spans.ROUTE: route, spans.STATUS: status},
        links=() if caller is None else (caller,),
        failed=status >= 500,
    )
