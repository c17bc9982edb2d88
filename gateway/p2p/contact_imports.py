"""One import of a contact list: batch after batch, each whole or not at all; broken off, it goes on where it stopped."""

import asyncio
import functools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import TextbankError
from gateway.p2p.assignees import Assignees
from gateway.p2p.contact_rows import contact_of
from gateway.p2p.list_rejects import Reject
from gateway.p2p.lists import ListReader, ListRow
from gateway.pipeline.campaigns import Campaign
from gateway.pipeline.changed_hours import shorten_windows
from gateway.pipeline.look_ups import LookUp, with_lines
from gateway.store import audit_log, contact_lists, contacts, conversations, opt_outs
from gateway.store.contact_lists import Import, RejectedLine
from gateway.store.contacts import ContactRow, TakenIn
from gateway.store.database import Database
from gateway.store.ids import Ids
from gateway.turns import Floor, Turns

MOST_REJECTS_TOLD: Final = 10_000
ERASED: Final = "erased"
_ERASED_WORDS: Final = "This person was erased from the campaign and is not stored again."
_MOST_NAMES_TOLD: Final = 100
_ROWS_A_STATEMENT: Final = 2_000


class TakenOver(TextbankError):
    """The same import was asked for once more, and goes on there."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class RejectedRow(Struct, frozen=True, kw_only=True):
    """A row that was not used: its line in the CSV, or its place among the rows of JSON from 1; which column, and why."""

    line: int
    column: str
    reason: str
    text: str


class Contacts(Struct, frozen=True, kw_only=True):
    """What became of an upload: `new` are stored, `known` were there before, and of these `merged` have learnt something.

    `rejected` counts by reason (`landline`, `duplicate`, `opted_out`, …); `rejects` are the first 10,000 of these rows.
    `opted_out`: of the rows that were used, whose phone has opted out before. `joined` are new on the list, `assigned`
    have a person who should text them; `unknown_assignees` are names that nobody in the campaign has, with their rows.
    Rows given as JSON have their contact ids in order, null for a rejected one. `columns`, `ignored` and `warnings` are
    a CSV's: what each header was taken for, which were taken for nothing, and what its owner should know. A dry run
    tells what would become of it; its lists and ids may be null.
    """

    rows: int
    new: int
    known: int
    rejected: dict[str, int]
    merged: int = 0
    joined: int = 0
    opted_out: int = 0
    assigned: int = 0
    unknown_assignees: dict[str, int] = {}
    contact_ids: list[int | None] = []
    rejects: list[RejectedRow] = []
    columns: dict[str, str] = {}
    ignored: list[str] = []
    warnings: list[str] = []
    dry_run: bool = False
    import_id: int | None = None
    list_id: Annotated[int | None, Meta(description="The list that they are on.")] = None
    done_at: Annotated[float | None, Meta(description="In Unix seconds; null: it is not done.")] = None


def result_of(found: Import) -> Contacts:
    """What an import has told so far, without its rejects."""
    told = msgspec.json.decode(found.report, type=Contacts) if found.report != "{}" else _NOTHING
    return replace(told, import_id=found.import_id, list_id=found.list_id, done_at=found.done_at)


_NOTHING: Final = Contacts(rows=0, new=0, known=0, rejected={})


async def keep(
    transaction: Database, key: CampaignKey, rows: Sequence[ContactRow], list_id: int | None
) -> TakenIn:
    """A batch into the campaign and onto the list, if any: what every way in ends with, a rehearsal's too."""
    if not rows:
        return TakenIn()
    taken = await contacts.take_in(transaction, key, rows, list_id)
    if list_id is not None and taken.joined:
        await contact_lists.grow(transaction, key, list_id, taken.joined)
    return taken


async def tell(
    transaction: Database, key: CampaignKey, now: float, who: str, list_id: int | None, **counts: int
) -> None:
    """The audit log's line of contacts that came in."""
    after = msgspec.json.encode({"list_id": list_id, **counts}).decode()
    await audit_log.write(transaction, key, now, who, "contacts imported", after=after)


class _Batch:
    """Some rows of the file, and up to which line they reach."""

    def __init__(self) -> None:
        self.rows: list[ContactRow] = []
        self.lines: list[int] = []
        self.unknown: Counter[str] = Counter()
        self.rejects: list[tuple[Reject, list[str]]] = []
        self.rejected_lines: list[RejectedLine] = []
        self.opted_out: list[str] = []
        self.last_line = 0
        self.ends = False

    def take(self, row: ListRow, assignees: Assignees) -> None:
        assignee_id = None
        if row.assignee:
            assignee_id = assignees.id_of(row.assignee)
            if assignee_id is None:
                self.unknown[row.assignee] += 1
        self.rows.append(contact_of(0, row, assignee_id))
        self.lines.append(row.line)


class ListImport:
    """An import under way: `found` is its place in the store; None: it is a dry run, which writes nothing."""

    def __init__(
        self,
        database: Database,
        campaign: Campaign,
        reader: ListReader,
        assignees: Assignees,
        *,
        found: Import | None,
        list_id: int | None,
        look_up: LookUp | None,
        now: Callable[[], float],
        opted_out: Callable[[int], None],
        ids: Ids,
    ) -> None:
        self._database = database
        self._campaign = campaign
        self._reader = reader
        self._assignees = assignees
        self._found = found
        self._list_id = list_id
        self._look_up = look_up
        self._now = now
        self._opted_out = opted_out
        self._ids = ids
        self._told = _NOTHING if found is None else result_of(found)
        self._lines_done = 0 if found is None else found.lines_done
        self.brought_opt_outs = False

    async def run(self, floor: Floor) -> Contacts:
        """Some rows in turns, then a transaction, and so on; the next rows are read while the database stores these.

        Raises TakenOver, ProviderError, DatabaseAway.
        """
        steps = self._reader.steps()
        storing: asyncio.Task[None] | None = None
        ends = False
        try:
            while not ends:
                batch = await self._some(steps, floor)
                ends = batch.ends
                if storing is not None:
                    await storing
                storing = asyncio.create_task(self._taken(batch))
            if storing is not None:
                await storing
        finally:
            if (
                storing is not None
            ):  # where reading failed, or nobody waits for it any more, it is not done yet
                storing.cancel()
                await asyncio.gather(storing, return_exceptions=True)
        return self._told

    async def _taken(self, batch: _Batch) -> None:
        await (self._foresee(batch) if self._found is None else self._store(self._found, batch))

    async def _some(self, steps: Iterator[ListRow | None], floor: Floor) -> _Batch:
        """As many as a transaction takes, whatever the rows between them are like."""
        batch = _Batch()
        reader = self._reader
        async with Turns(floor) as turns:
            for row in steps:
                if row is not None and row.line > self._lines_done:
                    batch.take(row, self._assignees)
                longest = max(len(batch.rows), len(reader.opted_out), len(reader.rejected))
                if longest >= _ROWS_A_STATEMENT:
                    break
                if turns.over:
                    await turns.rest()
            else:
                batch.ends = True
            self._close(batch)
            for each in batch.rejects:  # a row may have thousands of cells
                batch.rejected_lines.append(_rejected_line(each))
                if turns.over:
                    await turns.rest()
        return batch

    def _close(self, batch: _Batch) -> None:
        """With what the reader has put aside meanwhile."""
        reader = self._reader
        batch.opted_out, reader.opted_out = reader.opted_out, []
        rejects, reader.rejected = reader.rejected, []
        batch.rejects = [each for each in rejects if each[0].line > self._lines_done]
        ends = [self._lines_done, *batch.lines[-1:], *(each[0].line for each in batch.rejects[-1:])]
        batch.last_line = max(ends)

    # ------------------------------------------------------------ what would be

    async def _foresee(self, batch: _Batch) -> None:
        taken = await contacts.foresee(self._database, self._campaign.key, batch.rows, self._list_id)
        self._told = self._after(batch, taken, await self._left(self._database, batch))

    # ------------------------------------------------------------ what is

    async def _store(self, found: Import, batch: _Batch) -> None:
        """Opt-outs that the list brings along are in force before the people with them and after them are stored."""
        rows = await self._named(batch.rows)
        key = self._campaign.key
        async with self._database.transaction() as transaction:
            if batch.opted_out:
                await conversations.import_opt_outs(
                    transaction,
                    self._campaign.organisation_id,
                    self._campaign.opt_out_scope,
                    batch.opted_out,
                    self._now(),
                )
            taken = await keep(transaction, key, rows, self._list_id)
            rejects = [*batch.rejected_lines, *_erased_lines(batch, taken)]
            await contact_lists.keep_rejects(transaction, key, found.import_id, rejects)
            told = self._after(batch, taken, await self._left(transaction, batch))
            done_at = round(self._now(), 6) if batch.ends else None  # as the store keeps it
            report = msgspec.json.encode(told).decode()
            if not await contact_lists.go_on(transaction, key, found, batch.last_line, report, done_at):
                raise TakenOver
            if batch.ends:
                await tell(
                    transaction, key, self._now(), found.owner, found.list_id, rows=told.rows, new=told.new
                )
        await shorten_windows(self._database, self._campaign, self._now(), taken.moved_to)
        self._told = replace(told, done_at=done_at)
        if batch.opted_out:
            self.brought_opt_outs = True
            self._opted_out(len(batch.opted_out))

    async def _named(self, rows: Sequence[ContactRow]) -> list[ContactRow]:
        """With fresh ids, and with what a look-up knows of their lines."""
        known = list(rows)
        if self._look_up is not None and known:
            known = await with_lines(known, self._look_up)
        ids = await self._ids.take(len(known))
        return [replace(row, contact_id=each) for row, each in zip(known, ids, strict=True)]

    async def _left(self, statements: Database, batch: _Batch) -> int:
        campaign = self._campaign
        return await opt_outs.among(
            statements, campaign.organisation_id, campaign.opt_out_scope, [row.phone for row in batch.rows]
        )

    # ------------------------------------------------------------ what is told

    def _after(self, batch: _Batch, taken: TakenIn, left: int) -> Contacts:
        """The report with a batch more. What the file says by itself is told anew each time."""
        before, summary = self._told, self._reader.summary
        erased = before.rejected.get(ERASED, 0) + len(taken.erased)
        assigned = sum(row.assignee_id is not None for row in batch.rows)
        return replace(
            before,
            rows=summary.rows,
            new=before.new + taken.new,
            known=before.known + taken.merged + taken.same,
            merged=before.merged + taken.merged,
            joined=before.joined + taken.joined,
            opted_out=before.opted_out + left,
            assigned=before.assigned + assigned,
            unknown_assignees=_first_names(Counter(before.unknown_assignees) + batch.unknown),
            rejected=summary.rejected | ({ERASED: erased} if erased else {}),
            columns=summary.columns,
            ignored=list(summary.ignored),
            warnings=list(summary.warnings),
        )


def _first_names(unknown: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(unknown.items(), key=lambda each: (-each[1], each[0]))[:_MOST_NAMES_TOLD])


def _rejected_line(rejected: tuple[Reject, list[str]]) -> RejectedLine:
    reject, cells = rejected
    return RejectedLine(
        line=reject.line,
        header=_storable(reject.column),
        reason=reject.reason,
        words=_storable(reject.text),
        phone=reject.phone or None,
        cells=_cells(cells),
    )


def _erased_lines(batch: _Batch, taken: TakenIn) -> Iterator[RejectedLine]:
    """Nothing of the row is kept: it is about somebody of whom nothing is to be kept."""
    erased = set(taken.erased)
    for row, line in zip(batch.rows, batch.lines, strict=True) if erased else ():
        if row.phone in erased:
            yield RejectedLine(line, "", ERASED, _ERASED_WORDS, None, "[]")


@functools.lru_cache(maxsize=1024)
def _storable(text: str) -> str:
    """PostgreSQL keeps no U+0000."""
    return text.replace("\0", "")


def _cells(cells: Sequence[str]) -> str:
    whole = "".join(cells)
    if whole.isascii() and "\0" not in whole:  # as nearly all are
        return msgspec.json.encode(cells).decode()
    return msgspec.json.encode(
        [_storable(cell.encode("utf-8", "replace").decode()) for cell in cells]
    ).decode()
