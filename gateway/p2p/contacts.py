"""Contacts coming in: a CSV as campaigns have them, or rows; who is new is stored, and opt-outs are in force first."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from gateway.core.rules.errors import BadInput
from gateway.core.text.phone import PhoneFault, parse
from gateway.p2p.contact_rows import contact_of, hours_group_of
from gateway.p2p.lists import ListReader, ListRow
from gateway.pipeline.campaigns import Campaign
from gateway.pipeline.look_ups import LookUp, with_lines
from gateway.store import contacts, conversations, directory
from gateway.store.contacts import ContactRow
from gateway.store.database import Database
from gateway.store.ids import Ids
from gateway.store.temporary import TemporaryFolder
from gateway.turns import Floor, Turns

MOST_REJECTS_TOLD: Final = 10_000
_ROWS_A_STATEMENT: Final = 2_000

Cell = Annotated[str, Meta(max_length=500)]
FieldName = Annotated[str, Meta(min_length=1, max_length=200)]


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
    fields: Annotated[dict[FieldName, Cell], Meta(max_length=100)] = {}


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


class ContactLists:
    """The contacts of campaigns. With `look_up` the provider tells each one's line type and carrier.

    `opted_out` is told how many opt-outs a list brought; `now` tells Unix seconds.
    """

    def __init__(
        self, database: Database, now: Callable[[], float], look_up: LookUp, opted_out: Callable[[int], None]
    ) -> None:
        self._database = database
        self._now = now
        self._look_up = look_up
        self._opted_out = opted_out
        self._ids = Ids(database)

    async def ids_of(self, campaign: Campaign, phones: Sequence[str]) -> dict[str, int]:
        """phone -> contact id, for those of the E.164 phones that are contacts of the campaign."""
        return await directory.contact_ids(self._database, campaign.key, phones)

    async def from_rows(
        self, campaign: Campaign, given: Sequence[NewContact], floor: Floor, *, look_up: bool
    ) -> Contacts:
        """Stores who is new among the rows. Raises ProviderError when a look-up fails."""
        async with Turns(floor) as turns:
            phones, good, rejects = await _judged(given, turns)
        new = await self._keep(campaign, list(good.values()), look_up=look_up)
        ids = await self.ids_of(campaign, list(good))
        return Contacts(
            rows=len(given),
            new=new,
            known=len(given) - len(rejects) - new,
            rejected=dict(sorted(Counter(reject.reason for reject in rejects).items())),
            rejects=rejects[:MOST_REJECTS_TOLD],
            contact_ids=[None if phone is None else ids.get(phone) for phone in phones],
        )

    async def from_csv(
        self,
        campaign: Campaign,
        receive: Callable[[Path], Awaitable[None]],
        floor: Floor,
        *,
        look_up: bool,
        consents: Mapping[str, str],
    ) -> Contacts:
        """Stores who is new in the list that `receive` writes to a path: it may be larger than memory.

        `consents` are its owner's answers about columns that look like consent (list_answers.py). Raises BadInput for
        what is no list or can't be understood, ProviderError when a look-up fails.
        """
        with TemporaryFolder("textbank-list-") as folder:
            path = folder.path / "contacts.csv"
            await receive(path)
            with _called_the_list(path):
                reader = await asyncio.to_thread(
                    ListReader, path, keep_rejects=MOST_REJECTS_TOLD, consents=consents
                )
                new = await self._read(campaign, reader, floor, look_up=look_up)
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

    async def _read(self, campaign: Campaign, reader: ListReader, floor: Floor, *, look_up: bool) -> int:
        """Some rows in turns, then a statement, and so on; returns how many contacts are new."""
        new, steps = 0, reader.steps()
        ends = False
        while not ends:
            batch, ends = await self._some(reader, steps, floor)
            new += await self._store(campaign, reader, batch, look_up=look_up)
        return new

    async def _some(
        self, reader: ListReader, steps: Iterator[ListRow | None], floor: Floor
    ) -> tuple[list[ContactRow], bool]:
        """As many as a statement takes, whatever the rows between them are like; and whether the list ends here."""
        batch: list[ContactRow] = []
        async with Turns(floor) as turns:
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
                self._database,
                campaign.organisation_id,
                campaign.opt_out_scope,
                phones,
                self._now(),
            )
            self._opted_out(len(phones))
        return await self._keep(campaign, batch, look_up=look_up)

    async def _keep(self, campaign: Campaign, rows: Sequence[ContactRow], *, look_up: bool) -> int:
        """Stores who is new; returns how many."""
        if not rows:
            return 0
        known = await with_lines(rows, self._look_up) if look_up else rows
        ids = await self._ids.take(len(known))
        named = [msgspec.structs.replace(row, contact_id=each) for row, each in zip(known, ids, strict=True)]
        return await contacts.add(self._database, campaign.key, named)


@contextlib.contextmanager
def _called_the_list(path: Path) -> Iterator[None]:
    """Where our copy of a list lies is nobody's business: a message about it calls it the list."""
    try:
        yield
    except BadInput as error:
        raise BadInput(error.what, error.where.replace(str(path), "the list"), error.do) from error


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
