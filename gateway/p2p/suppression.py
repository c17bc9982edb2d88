"""Suppression lists: phones that nobody is to text, brought along from elsewhere (C5, F121)."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from gateway.clock import Clock
from gateway.core.rules.errors import BadInput
from gateway.core.text.phone import PhoneFault
from gateway.p2p.contact_imports import MOST_REJECTS_TOLD, RejectedRow
from gateway.p2p.list_answers import answered
from gateway.p2p.list_cells import fault_text, read_phone
from gateway.p2p.list_consent import Said, Sense, said
from gateway.p2p.list_files import ListFile, Record, open_list
from gateway.p2p.list_mapping import require_columns
from gateway.p2p.list_phones import SeenPhones
from gateway.p2p.list_questions import Survey, UnclearConsent
from gateway.p2p.list_rejects import unescaped
from gateway.pipeline.campaigns import Campaign
from gateway.store import audit_log, conversations, opt_outs
from gateway.store.database import Database
from gateway.store.temporary import TemporaryFolder
from gateway.turns import Floor, Turns

_PHONES_A_STATEMENT: Final = 2_000
_SAYS: Final = (Sense.OPT_OUT, Sense.OPT_IN, Sense.CONSENT)


class Suppressed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a suppression list: `new` phones have opted out now, `known` had before, or stand in it twice.

    `rejected` counts rows by reason, `not_opted_out` being what a column of the list says; `rejects` are the first
    10,000 of them. `columns`: what each header was taken for, `ignored` the others.
    """

    rows: int
    new: int
    known: int
    rejected: dict[str, int]
    rejects: list[RejectedRow] = []
    columns: dict[str, str] = {}
    ignored: list[str] = []
    dry_run: bool = False


class SuppressionLists:
    """Takes them in. `opted_out` is told how many are new; after `settle` these are in force on every worker."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        opted_out: Callable[[int], None],
        settle: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._opted_out = opted_out
        self._settle = settle

    async def from_phones(
        self, campaign: Campaign, given: Sequence[str], who: str, *, dry_run: bool
    ) -> Suppressed:
        """Phones however written, in the campaign's scope: its own, or that of several campaigns (C5)."""
        reading = _Reading()
        for nth, text in enumerate(given, start=1):
            reading.take(nth, [("phone", text)])
        return await self._all(campaign, reading.all_at_once(), reading, who, dry_run=dry_run)

    async def from_csv(
        self,
        campaign: Campaign,
        receive: Callable[[Path], Awaitable[None]],
        floor: Floor,
        who: str,
        *,
        dry_run: bool,
        consents: Mapping[str, str],
        taken_for: Mapping[str, str],
    ) -> Suppressed:
        """Every phone of every row; where a column says who has opted out, those of the rows that say so.

        Broken off, it is repeated as it is. Raises BadInput, and UnclearConsent for a column that can't be read.
        """
        with TemporaryFolder("textbank-list-") as folder:
            path = folder.path / "opt-outs.csv"
            await receive(path)
            try:
                file = await asyncio.to_thread(_opened, path, consents, taken_for)
                await _surveyed(file, floor)
            except BadInput as error:
                raise BadInput(error.what, error.where.replace(str(path), "the list"), error.do) from error
            reading = _Reading(file)
            return await self._all(campaign, reading.batches(floor), reading, who, dry_run=dry_run)

    async def _all(
        self,
        campaign: Campaign,
        batches: AsyncIterator[list[str]],
        reading: "_Reading",
        who: str,
        *,
        dry_run: bool,
    ) -> Suppressed:
        new = known = 0
        async for batch in batches:
            had_left = await self._some(campaign, batch, reading.rows_since(), who, dry_run=dry_run)
            new, known = new + len(batch) - had_left, known + had_left
        if not dry_run:
            if self._settle is not None:  # also for those who had left already: perhaps a moment ago
                await self._settle()
            self._opted_out(new)
        return reading.told(new, known + reading.doubles, dry_run=dry_run)

    async def _some(
        self, campaign: Campaign, phones: list[str], rows: int, who: str, *, dry_run: bool
    ) -> int:
        """Returns how many had opted out before. What was done is in the audit log, wherever it is broken off."""
        scope, now = (campaign.organisation_id, campaign.opt_out_scope), self._clock.now()
        async with self._database.transaction() as transaction:
            had_left = await opt_outs.among(transaction, *scope, phones)
            if not dry_run and had_left < len(phones):
                await conversations.import_opt_outs(transaction, *scope, phones, now)
                after = msgspec.json.encode({"rows": rows, "new": len(phones) - had_left}).decode()
                await audit_log.write(transaction, campaign.key, now, who, "opt-outs imported", after=after)
        return had_left


class _Reading:
    """The phones of a list, each once, and the rows that have none."""

    def __init__(self, file: ListFile | None = None) -> None:
        self._file = file
        self._marks = [] if file is None else [each for each in file.columns.consents if each[1] in _SAYS]
        self._seen = SeenPhones()
        self._rejected: Counter[str] = Counter()
        self._rejects: list[RejectedRow] = []
        self._rows = self._rows_told = 0
        self.doubles = 0
        self.phones: list[str] = []

    async def batches(self, floor: Floor) -> AsyncIterator[list[str]]:
        """As many as a statement takes, read in turns."""
        assert self._file is not None
        records = iter(self._file.records())
        ends = False
        while not ends:
            ends = await self._some(records, floor)
            batch, self.phones = self.phones, []
            yield batch

    async def _some(self, records: Iterator[Record], floor: Floor) -> bool:
        """Whether the file ends here."""
        async with Turns(floor) as turns:
            for record in records:
                self._record(record)
                if len(self.phones) >= _PHONES_A_STATEMENT:
                    return False
                if turns.over:
                    await turns.rest()
        return True

    async def all_at_once(self) -> AsyncIterator[list[str]]:
        """What was taken, as one batch."""
        yield self.phones

    def _record(self, record: Record) -> None:
        assert self._file is not None
        width = len(self._file.columns.headers)
        cells = [unescaped(cell) for cell in record.cells]
        row = [*cells[:width], *[""] * (width - len(cells))]
        if self._marks and not any(said(row[index], sense) is Said.OUT for index, sense in self._marks):
            self._rows += 1
            self._reject(record.line, self._file.columns.headers[self._marks[0][0]], "not_opted_out", "")
            return
        self.take(record.line, [(each.header, row[each.index]) for each in self._file.columns.phones])

    def take(self, line: int, cells: Sequence[tuple[str, str]]) -> None:
        """The phones of a row, by header."""
        self._rows += 1
        found = [(header, cell, read_phone(cell)) for header, cell in cells]
        phones = [each.e164 for _, _, each in found if not isinstance(each, PhoneFault)]
        for phone in phones:
            if self._seen.claim(int(phone[2:]), line):
                self.doubles += 1
            else:
                self.phones.append(phone)
        if not phones:
            header, cell, fault = next((each for each in found if each[1].strip()), found[0])
            assert isinstance(fault, PhoneFault)
            self._reject(line, header, fault.value, fault_text(cell, fault))

    def _reject(self, line: int, header: str, reason: str, text: str) -> None:
        self._rejected[reason] += 1
        if len(self._rejects) < MOST_REJECTS_TOLD:
            self._rejects.append(RejectedRow(line=line, column=header, reason=reason, text=text))

    def rows_since(self) -> int:
        """How many rows were read since this was asked for last."""
        since, self._rows_told = self._rows - self._rows_told, self._rows
        return since

    def told(self, new: int, known: int, *, dry_run: bool) -> Suppressed:
        columns = None if self._file is None else self._file.columns
        return Suppressed(
            rows=self._rows,
            new=new,
            known=known,
            rejected=dict(sorted(self._rejected.items())),
            rejects=self._rejects,
            columns={} if columns is None else columns.recognised,
            ignored=[] if columns is None else list(columns.ignored),
            dry_run=dry_run,
        )


def _opened(path: Path, consents: Mapping[str, str], taken_for: Mapping[str, str]) -> ListFile:
    file = open_list(path, (), taken_for)
    require_columns(file, taken_for)
    return answered(file, consents)


async def _surveyed(file: ListFile, floor: Floor) -> None:
    """Raises UnclearConsent before anybody is opted out or left out."""
    survey = Survey(file)
    async with Turns(floor) as turns:
        for _ in survey.steps():
            if turns.over:
                await turns.rest()
    if survey.questions:
        raise UnclearConsent(file.path, survey.questions)
