"""Contacts coming in: a CSV as campaigns have them, or rows; opt-outs that a list brings are in force first."""

import asyncio
import contextlib
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Meta, Struct

from gateway.core.rules.errors import BadInput
from gateway.core.rules.idempotency import Key
from gateway.core.text.phone import PhoneFault, parse
from gateway.p2p.assignees import Assignees
from gateway.p2p.contact_imports import (
    ERASED,
    MOST_REJECTS_TOLD,
    Contacts,
    ListImport,
    RejectedRow,
    TakenOver,
    keep,
    result_of,
    tell,
)
from gateway.p2p.contact_rows import hours_group_of
from gateway.p2p.list_columns import NOTHING_SAID
from gateway.p2p.list_rejects import reject_cells, reject_headers
from gateway.p2p.lists import ListReader
from gateway.pipeline.campaigns import Campaign
from gateway.pipeline.changed_hours import shorten_windows
from gateway.pipeline.look_ups import LookUp, with_lines
from gateway.store import contact_lists, contacts, directory, list_columns, opt_outs
from gateway.store.contact_lists import Import
from gateway.store.contacts import ContactRow, TakenIn
from gateway.store.database import Database
from gateway.store.ids import Ids
from gateway.store.temporary import TemporaryFolder
from gateway.turns import Floor, Turns

__all__ = ["ContactLists", "Contacts", "HowToImport", "NewContact", "RejectedRow", "TakenOver"]
LONGEST_LIST_NAME: Final = 200
_cells = msgspec.json.Decoder(list[str])

Cell = Annotated[str, Meta(max_length=500)]
FieldName = Annotated[str, Meta(min_length=1, max_length=200)]


class NewContact(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person; `phone` as typed, `zip` and `state` narrow the lawful hours (C1). `assignee`: the e-mail address or the
    name of the person of the campaign who should text them (C8)."""

    phone: Annotated[str, Meta(max_length=120)]
    first_name: Cell = ""
    last_name: Cell = ""
    email: Cell = ""
    zip: Annotated[str, Meta(max_length=10)] = ""
    state: Annotated[str, Meta(max_length=2)] = ""
    line_type: Cell | None = None
    carrier: Cell | None = None
    fields: Annotated[dict[FieldName, Cell], Meta(max_length=100)] = {}
    assignee: Cell = ""


class HowToImport(Struct, frozen=True, kw_only=True):
    """What a file doesn't say by itself.

    `consents`: answers about columns that look like consent (list_answers.py). `taken_for`: how columns are to be read
    (list_mapping.py). `list_name`: the list that is made or extended. `key`: whoever repeats it goes on with the same
    import, or is told what became of it; of the word SAME_FILE it is whoever imports the same file in the same way.
    `rejects`: where a dry run writes the rows that are not used.
    """

    SAME_FILE: ClassVar = "the same file"

    owner: str
    look_up: bool = False
    dry_run: bool = False
    list_name: str | None = None
    consents: Mapping[str, str] = NOTHING_SAID
    taken_for: Mapping[str, str] = NOTHING_SAID
    key: Key | None = None
    rejects: Path | None = None


class ContactLists:
    """The contacts of campaigns. With `look_up` the provider tells each one's line type and carrier.

    `opted_out` is told how many opt-outs a list brought, and after `settle` these are in force on every worker; `now`
    tells Unix seconds.
    """

    def __init__(
        self,
        database: Database,
        now: Callable[[], float],
        look_up: LookUp,
        opted_out: Callable[[int], None],
        settle: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._database = database
        self._now = now
        self._look_up = look_up
        self._opted_out = opted_out
        self._settle = settle
        self._ids = Ids(database)

    async def ids_of(self, campaign: Campaign, phones: Sequence[str]) -> dict[str, int]:
        """phone -> contact id, for those of the E.164 phones that are contacts of the campaign."""
        return await directory.contact_ids(self._database, campaign.key, phones)

    # ---------------------------------------------------------------- rows

    async def from_rows(
        self, campaign: Campaign, given: Sequence[NewContact], floor: Floor, how: HowToImport
    ) -> Contacts:
        """Stores who is new among the rows, and merges the others. Raises ProviderError when a look-up fails."""
        list_name = _checked(how)
        people = Assignees(await list_columns.active(self._database, campaign.key))
        async with Turns(floor) as turns:
            phones, good, rejects, unknown = await _judged(given, people, turns)
        rows = list(good.values())
        taken, list_id = await self._taken(campaign, rows, list_name, how)
        ids = await self.ids_of(campaign, list(good))
        erased = set(taken.erased)
        rejected = Counter(reject.reason for reject in rejects) + Counter({ERASED: len(erased)})
        left = await opt_outs.among(
            self._database, campaign.organisation_id, campaign.opt_out_scope, list(good)
        )
        return Contacts(
            rows=len(given),
            new=taken.new,
            known=len(given) - len(rejects) - len(erased) - taken.new,
            merged=taken.merged,
            joined=taken.joined,
            opted_out=left,
            assigned=sum(row.assignee_id is not None for row in rows),
            unknown_assignees=dict(unknown),
            rejected=dict(sorted(rejected.items())),
            rejects=rejects[:MOST_REJECTS_TOLD],
            contact_ids=[None if phone is None or phone in erased else ids.get(phone) for phone in phones],
            dry_run=how.dry_run,
            list_id=list_id,
        )

    async def _taken(
        self, campaign: Campaign, rows: Sequence[ContactRow], list_name: str | None, how: HowToImport
    ) -> tuple[TakenIn, int | None]:
        if how.dry_run:
            list_id = await self._list_id(campaign, list_name)
            return await contacts.foresee(self._database, campaign.key, rows, list_id), list_id
        known = await with_lines(rows, self._look_up) if how.look_up and rows else rows
        ids = await self._ids.take(len(known))
        named = [msgspec.structs.replace(row, contact_id=each) for row, each in zip(known, ids, strict=True)]
        list_id = await self._made(campaign, list_name)
        async with self._database.transaction() as transaction:
            taken = await keep(transaction, campaign.key, named, list_id)
            counts = {"rows": len(named), "new": taken.new}
            await tell(transaction, campaign.key, self._now(), how.owner, list_id, **counts)
        await shorten_windows(self._database, campaign, self._now(), taken.moved_to)
        return taken, list_id

    # ---------------------------------------------------------------- a file

    async def from_csv(
        self,
        campaign: Campaign,
        receive: Callable[[Path], Awaitable[None]],
        floor: Floor,
        how: HowToImport,
    ) -> Contacts:
        """Stores the list that `receive` writes to a path: it may be larger than memory.

        Raises BadInput for what is no list or can't be understood, and for a key of another import; ProviderError when
        a look-up fails, TakenOver when the same import goes on elsewhere.
        """
        list_name = _checked(how)
        slugs = await list_columns.custom_fields(self._database, campaign.key)
        with TemporaryFolder("textbank-list-") as folder:
            path = folder.path / "contacts.csv"
            await receive(path)
            with _called_the_list(path):
                reader = await asyncio.to_thread(
                    ListReader,
                    path,
                    rejects=how.rejects if how.dry_run else None,
                    keep_rejects=MOST_REJECTS_TOLD,
                    consents=how.consents,
                    custom_fields=slugs,
                    taken_for=how.taken_for,
                    hands_out_rejects=True,
                )
                await _surveyed(reader, floor)
                return await self._imported(campaign, path, reader, floor, how, list_name)

    async def _imported(
        self,
        campaign: Campaign,
        path: Path,
        reader: ListReader,
        floor: Floor,
        how: HowToImport,
        list_name: str | None,
    ) -> Contacts:
        found = None
        if how.dry_run:
            list_id = await self._list_id(campaign, list_name)
        else:
            asked = await asyncio.to_thread(_hash_of, path, how)
            list_id = await self._made(campaign, list_name)
            found = await self._begun(campaign, reader, how, asked, list_id)
            if found.done_at is not None:
                return await self.result(campaign, found)
        under_way = ListImport(
            self._database,
            campaign,
            reader,
            Assignees(await list_columns.active(self._database, campaign.key)),
            found=found,
            list_id=list_id,
            look_up=self._look_up if how.look_up else None,
            now=self._now,
            opted_out=self._opted_out,
            ids=self._ids,
        )
        told = await under_way.run(floor)
        if under_way.brought_opt_outs and self._settle is not None:
            await self._settle()
        if found is not None:
            return await self.result(campaign, found, told)
        rejects = [_told(each.line, each.column, each.reason, each.text) for each in reader.rejects_kept]
        return msgspec.structs.replace(told, rejects=rejects, dry_run=True, list_id=list_id)

    async def _begun(
        self, campaign: Campaign, reader: ListReader, how: HowToImport, request: int, list_id: int | None
    ) -> Import:
        """Raises BadInput for a key that was used for another import."""
        found = await contact_lists.begin_import(
            self._database,
            campaign.key,
            import_id=(await self._ids.take(1))[0],
            list_id=list_id,
            owner=how.owner,
            word=_word(how, request),
            request_hash=request,
            headers=msgspec.json.encode(reader.file.columns.headers).decode(),
            now=self._now(),
        )
        if found.request_hash != request:
            raise BadInput(
                "this key was used for another import", "Idempotency-Key", "give each import a key of its own"
            )
        return found

    async def result(self, campaign: Campaign, found: Import, told: Contacts | None = None) -> Contacts:
        """What an import told, with the first of the rows that it could not use."""
        rows = await contact_lists.rejects(
            self._database, campaign.key, found.import_id, 0, MOST_REJECTS_TOLD
        )
        rejects = [_told(each.line, each.header, each.reason, each.words) for each in rows]
        return msgspec.structs.replace(told or result_of(found), rejects=rejects)

    async def rejects(self, campaign: Campaign, import_id: int) -> AsyncIterator[list[list[object]]] | None:
        """The rows of an import's rejects file, its header first, in pieces; None: there is no such import."""
        found = await contact_lists.import_by_id(self._database, campaign.key, import_id)
        return None if found is None else self._rejects_file(campaign, found)

    async def _rejects_file(self, campaign: Campaign, found: Import) -> AsyncIterator[list[list[object]]]:
        yield [list(reject_headers(_cells.decode(found.headers)))]
        async for piece in contact_lists.every_reject(self._database, campaign.key, found.import_id):
            yield [
                reject_cells(each.line, each.header, each.reason, each.words, _cells.decode(each.cells))
                for each in piece
            ]

    # ---------------------------------------------------------------- lists

    async def _list_id(self, campaign: Campaign, name: str | None) -> int | None:
        found = None if name is None else await contact_lists.by_name(self._database, campaign.key, name)
        return None if found is None else found.list_id

    async def _made(self, campaign: Campaign, name: str | None) -> int | None:
        """The list of this name, which is made where there is none; None for no name."""
        if name is None:
            return None
        list_id = await self._list_id(campaign, name)
        if list_id is not None:
            return list_id
        fresh = (await self._ids.take(1))[0]
        await contact_lists.make(self._database, campaign.key, fresh, name, self._now())
        return await self._list_id(campaign, name)


def clean_list_name(name: str) -> str:
    """A list's name on one line. Raises BadInput for none, or one of more than 200 characters."""
    cleaned = " ".join(name.split())
    if not cleaned or len(cleaned) > LONGEST_LIST_NAME or not cleaned.isprintable():
        raise BadInput("this is no name of a list", "list", f"name it in 1 to {LONGEST_LIST_NAME} characters")
    return cleaned


def _checked(how: HowToImport) -> str | None:
    """The list's name. Raises BadInput."""
    if how.dry_run and how.look_up:
        raise BadInput("a dry run asks the provider nothing", "look_up", "leave one of the two out")
    return None if how.list_name is None else clean_list_name(how.list_name)


async def _surveyed(reader: ListReader, floor: Floor) -> None:
    """Raises UnclearConsent before anything is stored."""
    async with Turns(floor) as turns:
        for _ in reader.survey():
            if turns.over:
                await turns.rest()


def _word(how: HowToImport, request: int) -> str | None:
    """By which the same import is known when it comes again."""
    if how.key is None:
        return None
    return f"file {request}" if how.key.word == how.SAME_FILE else how.key.word


def _hash_of(path: Path, how: HowToImport) -> int:
    """A signed 64-bit hash of the file and of how it is to be read."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8))
    ways = (how.look_up, how.list_name, sorted(how.consents.items()), sorted(how.taken_for.items()))
    digest.update(msgspec.msgpack.encode(ways))
    return int.from_bytes(digest.digest(), "big", signed=True)


@contextlib.contextmanager
def _called_the_list(path: Path) -> Iterator[None]:
    """Where our copy of a list lies is nobody's business: a message about it calls it the list."""
    try:
        yield
    except BadInput as error:
        raise BadInput(error.what, error.where.replace(str(path), "the list"), error.do) from error


def _told(line: int, column: str, reason: str, text: str) -> RejectedRow:
    return RejectedRow(line=line, column=column, reason=reason, text=text)


async def _judged(
    given: Sequence[NewContact], people: Assignees, turns: Turns
) -> tuple[list[str | None], dict[str, ContactRow], list[RejectedRow], Counter[str]]:
    """Each row's phone or None, who can be texted by phone, why the others can't, and assignees nobody knows."""
    phones: list[str | None] = []
    good: dict[str, ContactRow] = {}
    rejects: list[RejectedRow] = []
    unknown: Counter[str] = Counter()
    for nth, each in enumerate(given, start=1):
        phone = parse(each.phone)
        if isinstance(phone, PhoneFault):
            rejects.append(_told(nth, "phone", phone.value, phone.reason))
            phones.append(None)
        else:
            phones.append(phone.e164)
            assignee_id = people.id_of(each.assignee) if each.assignee else None
            if each.assignee and assignee_id is None:
                unknown[each.assignee] += 1
            if phone.e164 not in good:
                good[phone.e164] = _of_json(phone.e164, each, assignee_id)
        if turns.over:
            await turns.rest()
    return phones, good, rejects, unknown


def _of_json(phone: str, given: NewContact, assignee_id: int | None) -> ContactRow:
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
        assignee_id=assignee_id,
    )
