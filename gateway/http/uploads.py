"""POST /v1/campaigns/{id}/contacts: a CSV as campaigns have them, or rows of JSON."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final

import msgspec
import structlog
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.permissions import Act
from gateway.core.rules.idempotency import Key
from gateway.http.access import Grant
from gateway.http.bodies import (
    JSON,
    MOST_BYTES,
    SMALL_BYTES,
    check_text,
    decoded,
    fault_in,
    json_answer,
    json_body,
)
from gateway.http.intake import Body
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.reading import campaign_of
from gateway.http.records import MOST_ROWS
from gateway.http.rows import Rows
from gateway.http.sending import header_key
from gateway.p2p.contacts import LONGEST_LIST_NAME, Contacts, HowToImport, NewContact, TakenOver
from gateway.p2p.list_answers import read_answers
from gateway.p2p.list_mapping import read_mapping
from gateway.pipeline.campaigns import Campaign
from gateway.turns import Floor, Turns

CSV: Final = "text/csv"
MOST_CSV_BYTES: Final = 512 * 1024 * 1024
MOST_LISTS_AT_ONCE: Final = 2
MOST_ANSWERS: Final = 50
SLOWEST_PIECE_S: Final = 30.0
LIST_RETRY_AFTER_S: Final = "10"
_log = structlog.get_logger("textbank.contacts")


class NewContacts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """People of a campaign, one row a person."""

    contacts: Annotated[list[NewContact], Meta(min_length=1, max_length=MOST_ROWS)]


class ContactsEnvelope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An upload without its rows, which are read one by one, because they are many."""

    contacts: tuple[()]


class HowToRead(Struct, frozen=True):
    """What a CSV doesn't say by itself, and the list that people are put on."""

    list_name: Annotated[
        Annotated[str, Meta(max_length=LONGEST_LIST_NAME)] | None,
        Meta(description="The name of the list that is made or extended; without it they are on none."),
    ] = msgspec.field(name="list", default=None)
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


_rows = msgspec.json.Decoder(NewContacts)
_envelope = msgspec.json.Decoder(ContactsEnvelope)
_row = msgspec.json.Decoder(NewContact)

OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/campaigns/{campaign_id}/contacts",
        handler="uploads.contacts",
        summary="Upload contacts: a CSV with a header row, or rows of JSON. A phone the campaign has keeps its row: empty"
        " cells are filled, custom fields are the upload's.",
        act=Act.IMPORT_CONTACTS,
        tag="campaigns",
        takes=NewContacts,
        asks=HowToRead,
        also_takes=CSV,
        gives={HTTPStatus.OK: Contacts},
        refuses=(400, 404, 409, 413, 415, 422, 502, 503),
        headers={
            "Idempotency-Key": "Of a CSV: a repeat with the same key and the same file goes on with the same import, or is"
            " told what became of it."
        },
        query={
            "look_up": "Ask the provider for each phone's line type and carrier; it bills for that.",
            "dry_run": "Tell all counts, and save nothing.",
        },
    ),
)


class Uploads:
    """Contacts coming in. With `?look_up=true` the provider tells each one's line type and carrier."""

    def __init__(self, parts: Parts, known: KnownCampaigns, floor: Floor) -> None:
        self._parts = parts
        self._known_campaigns = known
        self._floor = floor
        self._lists = 0  # being read now

    async def contacts(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        how = _how(request, grant)
        if request.content_type == CSV:
            async with self._place():
                done = await self._from_csv(request, campaign, how)
        elif request.content_type == JSON:
            given = await _given(await json_body(request, MOST_BYTES), self._floor)
            done = await self._parts.contacts.from_rows(campaign, given, self._floor, how)
        else:
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {CSV} or {JSON}")
        _log.info("contacts", campaign_id=campaign.campaign_id, rows=done.rows, new=done.new)
        return json_answer(done)

    async def _from_csv(self, request: web.Request, campaign: Campaign, how: HowToImport) -> Contacts:
        def receive(path: Path) -> Awaitable[None]:
            return received(request, path, self._floor)

        try:
            return await self._parts.contacts.from_csv(campaign, receive, self._floor, how)
        except TakenOver as error:
            raise Refusal(HTTPStatus.CONFLICT, str(error)) from error

    @contextlib.asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """Raises Refusal 503 when as many lists are being read as may be: each has a file and a share of the loop."""
        if self._lists >= MOST_LISTS_AT_ONCE:
            detail = f"{MOST_LISTS_AT_ONCE} lists are being read; repeat this one"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, Retry_After=LIST_RETRY_AFTER_S)
        self._lists += 1
        try:
            yield
        finally:
            self._lists -= 1


def _how(request: web.Request, grant: Grant) -> HowToImport:
    """Raises Refusal 400 and BadInput."""
    answers, columns = request.query.getall("consent", []), request.query.getall("map", [])
    if max(len(answers), len(columns)) > MOST_ANSWERS:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"consent, map: at most {MOST_ANSWERS} of each")
    word = header_key(request)
    return HowToImport(
        owner=grant.actor.name,
        look_up=flag(request, "look_up"),
        dry_run=flag(request, "dry_run"),
        list_name=request.query.get("list"),
        consents=read_answers(answers),
        taken_for=read_mapping(columns),
        key=None if word is None else Key(grant.actor.name, word),
    )


def flag(request: web.Request, name: str) -> bool:
    """A yes or no in the query. Raises Refusal 400."""
    word = request.query.get(name, "false")
    if word not in ("true", "false"):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{name}: write true or false")
    return word == "true"


async def _given(body: bytes, floor: Floor) -> list[NewContact]:
    """The rows; raises Refusal 400 or 422."""
    if len(body) <= SMALL_BYTES:
        return decoded(_rows, body).contacts
    rows = Rows(body, MOST_ROWS)
    given: list[NewContact] = []
    async with Turns(floor) as turns:
        for raw in rows:
            check_text(raw)
            given.append(_one_row(raw, len(given) + 1))
            if turns.over:
                await turns.rest()
    decoded(_envelope, rows.envelope)
    return given


def _one_row(raw: bytes, nth: int) -> NewContact:
    """Raises Refusal 400 or 422, which says where."""
    try:
        return _row.decode(raw)
    except msgspec.ValidationError as error:
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"{fault_in(error)}, in row {nth}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"the body is not JSON, in row {nth}") from error


async def received(request: web.Request, path: Path, floor: Floor) -> None:
    """The body into a file, since a list may be larger than memory; raises Refusal 408 or 413."""
    body = Body(request, MOST_CSV_BYTES, floor)
    try:
        with path.open("wb") as file:  # a slice at a time, into the page cache
            while part := await asyncio.wait_for(body.read(), SLOWEST_PIECE_S):
                file.write(part)
    except TimeoutError as error:
        raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "the list stopped coming", Connection="close") from error
