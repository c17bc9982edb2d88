"""Reading bodies within bounds and writing answers."""

from http import HTTPStatus
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from gateway.http.problems import Refusal

Kind = TypeVar("Kind")

MOST_BYTES: Final = 16 * 1024 * 1024
JSON: Final = "application/json"
_encoder = msgspec.json.Encoder()


async def json_body(request: web.Request) -> bytes:
    """The body, which says that it is JSON; raises Refusal 413 or 415."""
    if request.content_type != JSON:
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {JSON}, not {request.content_type}")
    body = await request.read()
    if b"\\u0000" in body:  # PostgreSQL keeps no NUL in a text
        raise Refusal(HTTPStatus.BAD_REQUEST, "a text has the character U+0000; leave it out")
    return body


def decoded(decoder: "msgspec.json.Decoder[Kind]", body: bytes) -> Kind:
    """Raises Refusal: 400 for what is not JSON, 422 for what is not the expected record."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, str(error).replace("`", "")) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from error


async def bounded(request: web.Request, most_bytes: int) -> bytes:
    """A body of at most so many bytes; raises Refusal 413."""
    length = request.content_length
    if length is not None and length > most_bytes:
        raise _too_large(most_bytes)
    if length is not None and "Content-Encoding" not in request.headers:  # no more than was announced
        return await request.read()
    parts: list[bytes] = []
    left = most_bytes
    async for part in request.content.iter_any():
        left -= len(part)
        if left < 0:
            raise _too_large(most_bytes)
        parts.append(part)
    return b"".join(parts)


def _too_large(most_bytes: int) -> Refusal:
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body may have {most_bytes} bytes at most")


def json_answer(record: Any, status: HTTPStatus = HTTPStatus.OK, **headers: str) -> web.Response:
    return web.Response(
        status=status.value, body=_encoder.encode(record), content_type=JSON, headers=headers or None
    )


def path_id(request: web.Request, name: str) -> int:
    """An id in the path; the route lets only digits in."""
    return int(request.match_info[name])
