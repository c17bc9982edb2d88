"""POST /v1/campaigns/{id}/contacts: a CSV as campaigns have them, or rows of JSON."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final

import msgspec
import structlog
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.permissions import Act
from gateway.core.rules.errors import BadInput
from gateway.core.text.phone import PhoneFault, parse
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
from gateway.http.records import MOST_ROWS, Cell, Name
from gateway.http.rows import Rows
from gateway.http.turns import Floor, Turns
from gateway.p2p.contact_rows import contact_of, hours_group_of
from gateway.p2p.lists import ListReader, ListRow
from gateway.pipeline.campaigns import Campaign
from gateway.pipeline.look_ups import with_lines
from gateway.store import contacts, conversations, directory
from gateway.store.contacts import ContactRow
from gateway.store.ids import Ids
from gateway.store.temporary import TemporaryFolder

CSV: Final = "text/csv"
MOST_CSV_BYTES: Final = 512 * 1024 * 1024
MOST_LISTS_AT_ONCE: Final = 2
SLOWEST_PIECE_S: Final = 30.0
LIST_RETRY_AFTER_S: Final = "10"
MOST_REJECTS_TOLD: Final = 10_000
_ROWS_A_STATEMENT: Final = 2_000
_log = structlog.get_logger("textbank.contacts")


class NewContact(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person; `phone` as typed, `zip` and `state` narrow the lawful hours (C1)."""

    phone: Annotated[str, Meta(max_length=120)]
    first_name: Cell = ""
    last_name: Cell = ""
    email: Cell = ""
    zip: Annotated[str, Meta(max_length=10)] = ""
    state: Annotated[str, Meta(max_length=2)] = ""
    line_type: Cell | None = None
    carrier: Cell | None = None
    fields: Annotated[dict[Name, Cell], Meta(max_length=100)] = {}


class NewContacts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """People of a campaign, one row a person."""

    contacts: Annotated[list[NewContact], Meta(min_length=1, max_length=MOST_ROWS)]


class ContactsEnvelope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An upload without its rows, which are read one by one, because they are many."""

    contacts: tuple[()]


class RejectedRow(Struct, frozen=True, kw_only=True):
    """A row that was not used: its line in the CSV, or its place among the rows of JSON from 1; which column, and why."""

    line: int
    column: str
    reason: str
    text: str


class Contacts(Struct, frozen=True, kw_only=True):
    """What became of an upload: `new` are stored, `known` were there before.

    `rejected` counts by reason, `rejects` are the first 10,000 of these rows. Rows given as JSON have their contact
    ids in order, null for a rejected one. `columns`, `ignored` and `warnings` are a CSV's: what each header was taken
    for, which were taken for nothing, and what its owner should know.
    """

    rows: int
    new: int
    known: int
    rejected: dict[str, int]
    contact_ids: list[int | None] = []
    rejects: list[RejectedRow] = []
    columns: dict[str, str] = {}
    ignored: list[str] = []
    warnings: list[str] = []


_rows = msgspec.json.Decoder(NewContacts)
_envelope = msgspec.json.Decoder(ContactsEnvelope)
_row = msgspec.json.Decoder(NewContact)

OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/campaigns/{campaign_id}/contacts",
        handler="uploads.contacts",
        summary="Upload contacts: a CSV with a header row, or rows of JSON. A phone the campaign has keeps its row.",
        act=Act.IMPORT_CONTACTS,
        tag="campaigns",
        takes=NewContacts,
        also_takes=CSV,
        gives={HTTPStatus.OK: Contacts},
        refuses=(400, 404, 413, 415, 422, 502, 503),
        query={"look_up": "Ask the provider for each phone's line type and carrier; it bills for that."},
    ),
)


class Uploads:
    """Contacts coming in. With `?look_up=true` the provider tells each one's line type and carrier."""

    def __init__(self, parts: Parts, known: KnownCampaigns, floor: Floor) -> None:
        self._parts = parts
        self._known_campaigns = known
        self._ids = Ids(parts.database)
        self._floor = floor
        self._lists = 0  # being read now

    async def contacts(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        look_up = request.query.get("look_up", "false")
        if look_up not in ("true", "false"):
            raise Refusal(HTTPStatus.BAD_REQUEST, "look_up: write true or false")
        if request.content_type == CSV:
            async with self._place():
                done = await self._csv(campaign, request, look_up=look_up == "true")
        elif request.content_type == JSON:
            done = await self._json(campaign, await json_body(request, MOST_BYTES), look_up=look_up == "true")
        else:
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {CSV} or {JSON}")
        _log.info("contacts", campaign_id=campaign.campaign_id, rows=done.rows, new=done.new)
        return json_answer(done)

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

    async def _json(self, campaign: Campaign, body: bytes, *, look_up: bool) -> Contacts:
        async with Turns(self._floor) as turns:
            given = await _given(body, turns)
            phones, good, rejects = await _judged(given, turns)
        new = await self._keep(campaign, list(good.values()), look_up=look_up)
        ids = await directory.contact_ids(self._parts.database, campaign.key, list(good))
        return Contacts(
            rows=len(given),
            new=new,
            known=len(given) - len(rejects) - new,
            rejected=dict(sorted(Counter(reject.reason for reject in rejects).items())),
            rejects=rejects[:MOST_REJECTS_TOLD],
            contact_ids=[None if phone is None else ids.get(phone) for phone in phones],
        )

    async def _csv(self, campaign: Campaign, request: web.Request, *, look_up: bool) -> Contacts:
        with TemporaryFolder("textbank-list-") as folder:
            path = folder.path / "contacts.csv"
            await _received(request, path, self._floor)
            with _called_the_list(path):
                reader = await asyncio.to_thread(ListReader, path, keep_rejects=MOST_REJECTS_TOLD)
                new = await self._read(campaign, reader, look_up=look_up)
            summary = reader.summary
        return Contacts(
            rows=summary.rows,
            new=new,
            known=summary.used - new,
            rejected=summary.rejected,
            rejects=[
                RejectedRow(line=each.line, column=each.column, reason=each.reason, text=each.text)
                for each in reader.rejects_kept
            ],
            columns=summary.columns,
            ignored=list(summary.ignored),
            warnings=list(summary.warnings),
        )

    async def _read(self, campaign: Campaign, reader: ListReader, *, look_up: bool) -> int:
        """Some rows in turns, then a statement, and so on; returns how many contacts are new."""
        new, steps = 0, reader.steps()
        ends = False
        while not ends:
            batch, ends = await self._some(reader, steps)
            new += await self._store(campaign, reader, batch, look_up=look_up)
        return new

    async def _some(
        self, reader: ListReader, steps: Iterator[ListRow | None]
    ) -> tuple[list[ContactRow], bool]:
        """As many as a statement takes, whatever the rows between them are like; and whether the list ends here."""
        batch: list[ContactRow] = []
        async with Turns(self._floor) as turns:
            for row in steps:
                if row is not None:
                    batch.append(contact_of(0, row))
                if len(batch) >= _ROWS_A_STATEMENT or len(reader.opted_out) >= _ROWS_A_STATEMENT:
                    return batch, False
                if turns.over:
                    await turns.rest()
        return batch, True

    async def _store(
        self, campaign: Campaign, reader: ListReader, batch: list[ContactRow], *, look_up: bool
    ) -> int:
        """Opt-outs that the list brings along, in force before the people with them and after them are stored."""
        phones, reader.opted_out = reader.opted_out, []
        if phones:
            await conversations.import_opt_outs(
                self._parts.database,
                campaign.organisation_id,
                campaign.opt_out_scope,
                phones,
                self._parts.clock.now(),
            )
            self._parts.metrics.opt_outs("import", len(phones))
        return await self._keep(campaign, batch, look_up=look_up)

    async def _keep(self, campaign: Campaign, rows: Sequence[ContactRow], *, look_up: bool) -> int:
        """Stores who is new; returns how many."""
        if not rows:
            return 0
        known = await with_lines(rows, self._parts.look_up) if look_up else rows
        ids = await self._ids.take(len(known))
        named = [msgspec.structs.replace(row, contact_id=each) for row, each in zip(known, ids, strict=True)]
        return await contacts.add(self._parts.database, campaign.key, named)


@contextlib.contextmanager
def _called_the_list(path: Path) -> Iterator[None]:
    """Where our copy of a list lies is nobody's business: a message about it calls it the list."""
    try:
        yield
    except BadInput as error:
        raise BadInput(error.what, error.where.replace(str(path), "the list"), error.do) from error


async def _given(body: bytes, turns: Turns) -> list[NewContact]:
    """The rows; raises Refusal 400 or 422."""
    if len(body) <= SMALL_BYTES:
        return decoded(_rows, body).contacts
    rows = Rows(body, MOST_ROWS)
    given: list[NewContact] = []
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


async def _judged(
    given: Sequence[NewContact], turns: Turns
) -> tuple[list[str | None], dict[str, ContactRow], list[RejectedRow]]:
    """Each row's phone or None, who can be texted by phone, and why the others can't."""
    phones: list[str | None] = []
    good: dict[str, ContactRow] = {}
    rejects: list[RejectedRow] = []
    for nth, each in enumerate(given, start=1):
        phone = parse(each.phone)
        if isinstance(phone, PhoneFault):
            rejects.append(RejectedRow(line=nth, column="phone", reason=phone.value, text=phone.reason))
            phones.append(None)
        else:
            phones.append(phone.e164)
            if phone.e164 not in good:
                good[phone.e164] = _of_json(phone.e164, each)
        if turns.over:
            await turns.rest()
    return phones, good, rejects


async def _received(request: web.Request, path: Path, floor: Floor) -> None:
    """The body into a file, since a list may be larger than memory; raises Refusal 408 or 413."""
    body = Body(request, MOST_CSV_BYTES, floor)
    try:
        with path.open("wb") as file:  # a slice at a time, into the page cache
            while part := await asyncio.wait_for(body.read(), SLOWEST_PIECE_S):
                file.write(part)
    except TimeoutError as error:
        raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "the list stopped coming", Connection="close") from error


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
