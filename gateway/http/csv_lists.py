"""Lists as files: how their bodies are received, how many at once, and what the query says about their columns."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final

from aiohttp import web
from msgspec import Meta, Struct

from gateway.http.intake import Body
from gateway.http.problems import Refusal
from gateway.p2p.list_answers import read_answers
from gateway.p2p.list_mapping import read_mapping
from gateway.turns import Floor

CSV: Final = "text/csv"
MOST_CSV_BYTES: Final = 512 * 1024 * 1024
MOST_LISTS_AT_ONCE: Final = 2
MOST_ANSWERS: Final = 50
SLOWEST_PIECE_S: Final = 30.0
LIST_RETRY_AFTER_S: Final = "10"


class HowToReadColumns(Struct, frozen=True):
    """What a CSV doesn't say by itself."""

    map: Annotated[
        list[str],
        Meta(
            max_length=MOST_ANSWERS,
            description="HEADER=FIELD: a CSV's column that holds something else than its header says. FIELD is phone,"
            " first_name, last_name, full_name, email, zip, state, assignee, line_type, carrier, opt_out, opt_in,"
            " custom_field_… or ignore; may be repeated.",
        ),
    ] = []
    consent: Annotated[
        list[str],
        Meta(
            max_length=MOST_ANSWERS,
            description="COLUMN=opt-out, COLUMN=opt-in or COLUMN=nothing: how a CSV's column that looks like consent is"
            " to be read; may be repeated.",
        ),
    ] = []


def columns_read(request: web.Request) -> tuple[dict[str, str], dict[str, str]]:
    """What the query says of consent, and which headers it maps. Raises Refusal 400 and BadInput."""
    answers, columns = request.query.getall("consent", []), request.query.getall("map", [])
    if max(len(answers), len(columns)) > MOST_ANSWERS:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"consent, map: at most {MOST_ANSWERS} of each")
    return read_answers(answers), read_mapping(columns)


def flag(request: web.Request, name: str) -> bool:
    """A yes or no in the query. Raises Refusal 400."""
    word = request.query.get(name, "false")
    if word not in ("true", "false"):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{name}: write true or false")
    return word == "true"


class ListPlaces:
    """How many lists are read at once: each has a file and a share of the loop."""

    def __init__(self) -> None:
        self._taken = 0

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Raises Refusal 503 when there is none left."""
        if self._taken >= MOST_LISTS_AT_ONCE:
            detail = f"{MOST_LISTS_AT_ONCE} lists are being read; repeat this one"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, Retry_After=LIST_RETRY_AFTER_S)
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


async def received(request: web.Request, path: Path, floor: Floor) -> None:
    """The body into a file, since a list may be larger than memory; raises Refusal 408 or 413."""
    body = Body(request, MOST_CSV_BYTES, floor)
    try:
        with path.open("wb") as file:  # a slice at a time, into the page cache
            while part := await asyncio.wait_for(body.read(), SLOWEST_PIECE_S):
                file.write(part)
    except TimeoutError as error:
        raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "the list stopped coming", Connection="close") from error
