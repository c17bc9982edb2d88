"""Reading JSON within bounds and writing answers."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from gateway.http.faults import faults_in
from gateway.http.intake import Intake
from gateway.http.problems import Refusal
from gateway.http.records import LARGEST_ID

Kind = TypeVar("Kind")

MOST_BYTES: Final = 12 * 1024 * 1024
"""Of a body with many rows."""
MOST_BYTES_AT_ONCE: Final = 8 * MOST_BYTES
SMALL_BYTES: Final = 128 * 1024
"""A body that may be decoded in one go; what is larger is read row by row."""
JSON: Final = "application/json"
INTAKE: Final = web.AppKey("intake", Intake)
_encoder = msgspec.json.Encoder()


async def json_body(request: web.Request, most_bytes: int = SMALL_BYTES) -> bytes:
    """The body, which says that it is JSON; a small one is checked. Raises Refusal 400, 408, 413, 415 or 503."""
    if request.content_type != JSON:
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {JSON}, not {request.content_type[:100]}")
    body = await request.app[INTAKE].whole(request, most_bytes)
    if len(body) <= SMALL_BYTES:
        check_text(body)
    return body


def check_text(json: bytes) -> None:
    """Raises Refusal 400 for what is no text, or what PostgreSQL keeps in none; of a large body, row by row."""
    if b"\\u0000" in json:
        raise Refusal(HTTPStatus.BAD_REQUEST, "a text has the character U+0000; leave it out")
    if json.isascii():
        return
    try:
        json.decode()
    except UnicodeDecodeError as error:
        detail = f"the body is not JSON: byte {error.start} is not UTF-8"
        raise Refusal(HTTPStatus.BAD_REQUEST, detail) from error


def decoded(decoder: "msgspec.json.Decoder[Kind]", body: bytes) -> Kind:
    """Raises Refusal: 400 for what is not JSON, 422 for what is not the expected record, with every field's fault."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _unfit(error, body, decoder.type) from error
    except RecursionError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "the body is nested too deeply") from error
    except msgspec.DecodeError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from error


def _unfit(error: msgspec.ValidationError, body: bytes, kind: Any) -> Refusal:
    """What is read whole is looked at whole; of a larger body the first fault is told alone."""
    try:
        found = faults_in(msgspec.json.decode(body), kind) if len(body) <= SMALL_BYTES else []
    except (msgspec.DecodeError, RecursionError):  # beyond the fault it is no JSON either
        found = []
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, fault_in(error), found)


def asked(kind: type[Kind], request: web.Request) -> Kind:
    """What stands in the query, as a record. Raises Refusal 422 for what is not the expected, or no text."""
    try:
        if "\x00" in "".join(request.query.values()).encode().decode():
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "the query has the character U+0000; leave it out")
        return msgspec.convert(dict(request.query), kind, strict=False)
    except UnicodeEncodeError as error:
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "the query is not UTF-8") from error
    except msgspec.ValidationError as error:
        found = faults_in(dict(request.query), kind, strict=False)
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, fault_in(error), found) from error


def fault_in(error: msgspec.DecodeError) -> str:
    """What is wrong with a record, for the client."""
    return str(error).replace("`", "")


def json_answer(record: Any, status: HTTPStatus = HTTPStatus.OK, /, **headers: str) -> web.Response:
    return web.Response(
        status=status.value, body=_encoder.encode(record), content_type=JSON, headers=headers or None
    )


def private_answer(record: Any, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """Of people or secrets: no cache on the way keeps it."""
    return json_answer(record, status, **{"Cache-Control": "no-store"})


def path_id(request: web.Request, name: str, absent: Callable[[int], Refusal]) -> int:
    """An id in the path; the route lets only digits in. Raises `absent` of it when no id is as large."""
    given = int(request.match_info[name])
    if given > LARGEST_ID:
        raise absent(given)
    return given
