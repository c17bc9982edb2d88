"""Contact lists over the API: which there are, how they were read, and the rows that were not used, as a file."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.permissions import Act
from gateway.core.rules.errors import NotNow
from gateway.http.access import Grant
from gateway.http.bodies import asked, decoded, json_answer, json_body, path_id
from gateway.http.contacts import ContactFilters, wanted_by, whole_campaign
from gateway.http.csv_lists import CSV, SLOWEST_PIECE_S
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import ClientGone, Refusal
from gateway.http.reading import campaign_of
from gateway.http.records import Cursor, Name
from gateway.p2p.contact_book import ContactList, ListNameTaken, NoList
from gateway.p2p.contact_imports import result_of
from gateway.p2p.contacts import Contacts

PATH: Final = "/v1/campaigns/{campaign_id}/contact-lists"
IMPORT: Final = "/v1/campaigns/{campaign_id}/contact-imports/{import_id}"


class AskedLists(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of the lists."""

    limit: Annotated[int, Meta(ge=1, le=200, description="How many, 200 at most.")] = 50
    cursor: Cursor = None


class ListPageView(Struct, frozen=True):
    """Lists, the newest first. `next`: the cursor of the page after; null: this was the last."""

    lists: list[ContactList]
    next: str | None


class ImportView(Struct, frozen=True, kw_only=True):
    """An import: who made it, when it began and (`result.done_at`) was done, and what became of it so far."""

    who: str
    began_at: float
    result: Contacts


class ContactListView(Struct, frozen=True, kw_only=True):
    """A list with its last imports, the newest first: what each column was taken for, and which rows were not used."""

    list_id: int
    name: str
    made_at: float
    rows: int
    imports: list[ImportView]


class MadeList(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A list of every contact whom the filters let through."""

    name: Name
    filters: ContactFilters = ContactFilters()


_made = msgspec.json.Decoder(MadeList)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=PATH,
        handler="contact_lists.list",
        summary="The campaign's contact lists.",
        act=Act.READ_CONTACTS,
        tag="contacts",
        asks=AskedLists,
        gives={HTTPStatus.OK: ListPageView},
        refuses=(404, 422, 503),
    ),
    Operation(
        method="POST",
        path=PATH,
        handler="contact_lists.make",
        summary="Make a list of every contact whom filters let through, however many they are.",
        act=Act.CHANGE_CONTACTS,
        tag="contacts",
        takes=MadeList,
        gives={HTTPStatus.CREATED: ContactList},
        refuses=(400, 404, 409, 413, 415, 422, 503),
    ),
    Operation(
        method="GET",
        path=f"{PATH}/{{list_id}}",
        handler="contact_lists.one",
        summary="A contact list, and how its last imports were read.",
        act=Act.READ_CONTACTS,
        tag="contacts",
        gives={HTTPStatus.OK: ContactListView},
        refuses=(404, 503),
    ),
    Operation(
        method="GET",
        path=f"{IMPORT}/rejects",
        handler="contact_lists.rejects",
        summary="The rows that an import did not use, with reasons, as a CSV that can be corrected and imported again.",
        act=Act.IMPORT_CONTACTS,
        tag="contacts",
        gives={HTTPStatus.OK: CSV},
        refuses=(404, 503),
    ),
)


def _no_list(list_id: int) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, f"there is no contact list {list_id}")


def _no_import(import_id: int) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, f"there is no import {import_id}")


class ContactListDesk:
    """Lists and imports."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._book = parts.contact_book
        self._contacts = parts.contacts
        self._known_campaigns = known

    async def list(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await whole_campaign(self._known_campaigns, request, grant)
        given = asked(AskedLists, request)
        page = await self._book.lists(campaign.campaign_id, given.cursor, given.limit)
        return json_answer(ListPageView(page.rows, page.next))

    async def make(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        given = decoded(_made, await json_body(request))
        try:
            made = await self._book.make_list(
                grant.actor, campaign.campaign_id, given.name, wanted_by(given.filters)
            )
        except ListNameTaken as error:
            raise Refusal(HTTPStatus.CONFLICT, str(error)) from error
        where = PATH.format(campaign_id=campaign.campaign_id)
        return json_answer(made, HTTPStatus.CREATED, Location=f"{where}/{made.list_id}")

    async def one(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await whole_campaign(self._known_campaigns, request, grant)
        list_id = path_id(request, "list_id", _no_list)
        try:
            found, imports = await self._book.one_list(campaign.campaign_id, list_id)
        except NoList as error:
            raise _no_list(list_id) from error
        return json_answer(
            ContactListView(
                list_id=found.list_id,
                name=found.name,
                made_at=found.made_at,
                rows=found.rows,
                imports=[
                    ImportView(who=each.owner, began_at=each.began_at, result=result_of(each))
                    for each in imports
                ],
            )
        )

    async def rejects(self, request: web.Request, grant: Grant) -> web.StreamResponse:
        """Piece by piece: a list may have no good row at all."""
        campaign = await campaign_of(self._known_campaigns, request, grant)
        import_id = path_id(request, "import_id", _no_import)
        rows = await self._contacts.rejects(campaign, import_id)
        if rows is None:
            raise _no_import(import_id)
        headers = {"Content-Disposition": f'attachment; filename="rejects-{import_id}.csv"'}
        response = web.StreamResponse(
            headers={"Content-Type": f"{CSV}; charset=utf-8", "Cache-Control": "no-store", **headers}
        )
        await response.prepare(request)
        if request.method != "HEAD":
            await _write(request, response, rows)
        return response


async def _write(
    request: web.Request, response: web.StreamResponse, rows: AsyncIterator[list[list[object]]]
) -> None:
    """A file that can't be finished ends without its end, so that nobody takes it for whole. Raises ClientGone."""
    encoding = "utf-8-sig"  # without the mark Excel guesses another encoding
    try:
        async for piece in rows:
            text = io.StringIO()
            csv.writer(text).writerows(piece)
            async with asyncio.timeout(SLOWEST_PIECE_S):
                await response.write(text.getvalue().encode(encoding, "replace"))
            encoding = "utf-8"
        await response.write_eof()
    except (OSError, TimeoutError, NotNow) as error:
        if request.transport is not None:
            request.transport.abort()
        raise ClientGone from error
