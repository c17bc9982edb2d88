"""What goes wrong at the door, as RFC 9457 says it: `application/problem+json`, never a traceback."""

import re
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

import msgspec
import structlog
from aiohttp import ClientConnectionResetError, web

from gateway.core.rules.errors import BadFields, BadInput, NotNow
from gateway.p2p.second_factor import SecondFactorNeeded
from gateway.pipeline.idempotency import KeyReused, KeyUnderWay
from gateway.providers.base import ProviderError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BEARER = 'Bearer realm="textbank"'
RETRY_AFTER_S = "2"
CLIENT_GONE = 499  # nginx's number for it: for the log and the metrics, nobody reads it
_log = structlog.get_logger("textbank.http")


_RENAMED = {413: "Content Too Large", 422: "Unprocessable Content"}  # RFC 9110; Python has them since 3.13


def title_of(status: HTTPStatus) -> str:
    """The status in words, the same from every Python."""
    return _RENAMED.get(status.value, status.phrase)


class FieldFault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a field; `field` is its path, as `settings.hours.zone` or `contacts[3].phone`."""

    field: str
    detail: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An RFC 9457 body: `title` is the status in words, `detail` what, where, and what to do.

    `errors`: every field that is wrong, where it is fields.
    """

    title: str
    status: int
    detail: str = ""
    type: str = "about:blank"
    errors: tuple[FieldFault, ...] = ()


class ClientGone(Exception):
    """The client hung up in the middle of its request: nobody is there to be told anything."""


class Refusal(Exception):
    """Ends a request with a problem."""

    def __init__(
        self, status: HTTPStatus, detail: str, errors: Sequence[FieldFault] = (), **headers: str
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def response(self) -> web.Response:
        return answer(self.status, self.detail, self.headers, self.errors)


def answer(
    status: HTTPStatus,
    detail: str,
    headers: dict[str, str] | None = None,
    errors: Sequence[FieldFault] = (),
) -> web.Response:
    return problem_answer(Problem(title_of(status), status.value, detail, errors=tuple(errors)), headers)


def faults_of(error: Exception) -> list[FieldFault]:
    """The fields that an error names; none where it is about something else than fields."""
    if not isinstance(error, BadInput):
        return []
    if isinstance(error, BadFields):
        return [FieldFault(field=field, detail=detail) for field, detail in error.faults]
    if _FIELD.fullmatch(error.where) is None:
        return []
    return [FieldFault(field=error.where, detail="; ".join(filter(None, (error.what, error.do))))]


_FIELD = re.compile(r"[a-z_]+([.][a-z_]+|\[[0-9]+\])*", re.ASCII)


def problem_answer(problem: Problem, headers: dict[str, str] | None = None) -> web.Response:
    """A problem that may tell more than its detail."""
    return web.Response(
        status=problem.status,
        body=msgspec.json.encode(problem),
        content_type="application/problem+json",
        headers=headers,
    )


@web.middleware
async def explained(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every failure becomes a problem; only a defect is logged with its traceback."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return refusal.response()
    except (ClientGone, ClientConnectionResetError):  # the latter: nobody takes an answer that just begins
        return web.Response(status=CLIENT_GONE, reason="Client Closed Request")
    except web.HTTPException as error:
        return _of_aiohttp(error)
    except KeyUnderWay as error:
        return answer(HTTPStatus.CONFLICT, str(error), {"Retry-After": RETRY_AFTER_S})
    except (BadInput, KeyReused) as error:
        return answer(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), errors=faults_of(error))
    except SecondFactorNeeded as error:
        asked = [FieldFault(field="second_factor", detail=str(error))]
        return answer(HTTPStatus.UNAUTHORIZED, str(error), {"WWW-Authenticate": BEARER}, asked)
    except NotNow as error:
        return answer(HTTPStatus.SERVICE_UNAVAILABLE, error.told, {"Retry-After": RETRY_AFTER_S})
    except ProviderError as error:
        return answer(HTTPStatus.BAD_GATEWAY, f"the provider did not do it: {error}")
    except Exception:  # noqa: BLE001 - a defect: logged whole, told in one line
        resource = request.match_info.route.resource
        route = None if resource is None else resource.canonical  # a path may hold anything
        _log.exception("a request met a defect", method=request.method, route=route)
        return answer(HTTPStatus.INTERNAL_SERVER_ERROR, "this is a defect of ours; it is in the log")


def _of_aiohttp(error: web.HTTPException) -> web.Response:
    status = HTTPStatus(error.status)
    if status < HTTPStatus.BAD_REQUEST:
        raise error
    allow = error.headers.get("Allow")
    detail = f"allowed are {allow}" if allow else error.reason
    return answer(status, detail, {"Allow": allow} if allow else None)
