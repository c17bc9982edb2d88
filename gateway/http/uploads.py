"""POST /v1/campaigns/{id}/contacts: a CSV as campaigns have them, or rows of JSON."""

from collections.abc import Awaitable
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
from gateway.http.csv_lists import CSV, HowToReadColumns, ListPlaces, columns_read, flag, received
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.reading import campaign_of
from gateway.http.records import MOST_ROWS
from gateway.http.rows import Rows
from gateway.http.sending import header_key
from gateway.p2p.contacts import LONGEST_LIST_NAME, Contacts, HowToImport, NewContact, TakenOver
from gateway.pipeline.campaigns import Campaign
from gateway.turns import Floor, Turns

_log = structlog.get_logger("textbank.contacts")


class NewContacts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """People of a campaign, one row a person."""

    contacts: Annotated[list[NewContact], Meta(min_length=1, max_length=MOST_ROWS)]


class ContactsEnvelope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An upload without its rows, which are read one by one, because they are many."""

    contacts: tuple[()]


class HowToImportLists(HowToReadColumns, frozen=True):
    """How to read it, and the list that people are put on."""

    list_name: Annotated[
        Annotated[str, Meta(max_length=LONGEST_LIST_NAME)] | None,
        Meta(description="The name of the list that is made or extended; without it they are on none."),
    ] = msgspec.field(name="list", default=None)


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
        asks=HowToImportLists,
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

    def __init__(self, parts: Parts, known: KnownCampaigns, floor: Floor, places: ListPlaces) -> None:
        self._parts = parts
        self._known_campaigns = known
        self._floor = floor
        self._places = places

    async def contacts(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        how = _how(request, grant)
        if request.content_type == CSV:
            async with self._places.one():
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


def _how(request: web.Request, grant: Grant) -> HowToImport:
    """Raises Refusal 400 and BadInput."""
    consents, taken_for = columns_read(request)
    word = header_key(request)
    return HowToImport(
        owner=grant.actor.name,
        look_up=flag(request, "look_up"),
        dry_run=flag(request, "dry_run"),
        list_name=request.query.get("list"),
        consents=consents,
        taken_for=taken_for,
        key=None if word is None else Key(grant.actor.name, word),
    )


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
