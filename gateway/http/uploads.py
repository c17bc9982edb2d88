"""POST /v1/campaigns/{id}/contacts: a CSV as campaigns have them, or rows of JSON."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final

import msgspec
import structlog
from aiohttp import web

from gateway.core.text.phone import PhoneFault, parse
from gateway.http.access import Grant
from gateway.http.bodies import JSON, decoded, json_answer, json_body
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.reading import campaign_of
from gateway.http.records import Contacts, NewContact, NewContacts
from gateway.p2p.contact_rows import contact_of, hours_group_of
from gateway.p2p.lists import ListReader
from gateway.pipeline.campaigns import Campaign
from gateway.pipeline.look_ups import with_lines
from gateway.store import contacts, conversations, directory
from gateway.store.contacts import ContactRow
from gateway.store.ids import Ids

CSV: Final = "text/csv"
MOST_CSV_BYTES: Final = 512 * 1024 * 1024
_CHUNK = 1024 * 1024
_rows = msgspec.json.Decoder(NewContacts)
_log = structlog.get_logger("textbank.contacts")


class Uploads:
    """Contacts coming in. With `?look_up=true` the provider tells each one's line type and carrier."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._parts = parts
        self._known_campaigns = known
        self._ids = Ids(parts.database)

    async def contacts(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        look_up = request.query.get("look_up", "false")
        if look_up not in ("true", "false"):
            raise Refusal(HTTPStatus.BAD_REQUEST, "look_up: write true or false")
        if request.content_type == CSV:
            done = await self._csv(campaign, request, look_up=look_up == "true")
        elif request.content_type == JSON:
            done = await self._json(campaign, await json_body(request), look_up=look_up == "true")
        else:
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {CSV} or {JSON}")
        _log.info("contacts", campaign_id=campaign.campaign_id, rows=done.rows, new=done.new)
        return json_answer(done)

    async def _json(self, campaign: Campaign, body: bytes, *, look_up: bool) -> Contacts:
        given = decoded(_rows, body).contacts
        rejected: Counter[str] = Counter()
        good: dict[str, ContactRow] = {}
        phones: list[str | None] = []
        for each in given:
            phone = parse(each.phone)
            if isinstance(phone, PhoneFault):
                rejected[phone.value] += 1
                phones.append(None)
            else:
                phones.append(phone.e164)
                good.setdefault(phone.e164, _of_json(phone.e164, each))
        new = await self._keep(campaign, list(good.values()), look_up=look_up)
        ids = await directory.contact_ids(self._parts.database, campaign.campaign_id, list(good))
        return Contacts(
            rows=len(given),
            new=new,
            known=len(given) - rejected.total() - new,
            rejected=dict(sorted(rejected.items())),
            contact_ids=[None if phone is None else ids.get(phone) for phone in phones],
        )

    async def _csv(self, campaign: Campaign, request: web.Request, *, look_up: bool) -> Contacts:
        with tempfile.TemporaryDirectory(prefix="textbank-list-") as folder:
            path = Path(folder) / "contacts.csv"
            await _received(request, path)
            reader = await asyncio.to_thread(ListReader, path)
            new, honoured, batches = 0, 0, iter(reader)
            while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                honoured = await self._honour(campaign, reader, honoured)
                new += await self._keep(campaign, [contact_of(0, row) for row in batch], look_up=look_up)
            await self._honour(campaign, reader, honoured)
            summary = reader.summary
        return Contacts(
            rows=summary.rows,
            new=new,
            known=summary.used - new,
            rejected=summary.rejected,
            columns=summary.columns,
            warnings=list(summary.warnings),
        )

    async def _honour(self, campaign: Campaign, reader: ListReader, already: int) -> int:
        """Opt-outs that the list brings along, in force before the people after them are stored."""
        phones = reader.opted_out[already:]
        if phones:
            await conversations.import_opt_outs(
                self._parts.database, campaign.opt_out_scope, phones, self._parts.clock.now()
            )
            self._parts.metrics.opt_outs("import", len(phones))
        return already + len(phones)

    async def _keep(self, campaign: Campaign, rows: Sequence[ContactRow], *, look_up: bool) -> int:
        """Stores who is new; returns how many."""
        if not rows:
            return 0
        known = await with_lines(rows, self._parts.look_up) if look_up else rows
        ids = await self._ids.take(len(known))
        named = [msgspec.structs.replace(row, contact_id=each) for row, each in zip(known, ids, strict=True)]
        return await contacts.add(self._parts.database, campaign.campaign_id, named)


async def _received(request: web.Request, path: Path) -> None:
    """The body into a file, since a list may be larger than memory; raises Refusal 413."""
    received = 0
    with path.open("wb") as file:  # a megabyte at a time, into the page cache
        async for chunk in request.content.iter_chunked(_CHUNK):
            received += len(chunk)
            if received > MOST_CSV_BYTES:
                raise Refusal(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a list may have {MOST_CSV_BYTES} bytes at most"
                )
            file.write(chunk)


def _of_json(phone: str, given: NewContact) -> ContactRow:
    return ContactRow(
        contact_id=0,
        phone=phone,
        hours_group=hours_group_of(phone, given.zip, given.state.upper()),
        first_name=given.first_name,
        last_name=given.last_name,
        email=given.email,
        zip=given.zip,
        state=given.state.upper(),
        line_type=given.line_type,
        carrier=given.carrier,
        fields=msgspec.json.encode(given.fields).decode() if given.fields else None,
    )
