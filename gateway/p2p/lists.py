"""Contact lists as campaigns have them: one pass over a CSV, good rows in batches, bad rows with their reason."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from gateway.core.rules.errors import BadInput
from gateway.core.text.phone import PhoneFault
from gateway.p2p.list_answers import answered
from gateway.p2p.list_cells import (
    carrier,
    clean,
    clean_lines,
    fault_text,
    is_marked,
    line_type,
    read_phone,
    split_name,
    state_code,
    zip_code,
)
from gateway.p2p.list_columns import NOTHING_SAID, Columns, PhoneColumn, Rank
from gateway.p2p.list_consent import Said, said
from gateway.p2p.list_files import ListFile, Record, open_list
from gateway.p2p.list_mapping import require_columns
from gateway.p2p.list_phones import SeenPhones
from gateway.p2p.list_questions import ListQuestion, Survey, UnclearConsent
from gateway.p2p.list_rejects import WHOLE_ROW, Reject, RejectsFile, unescaped

__all__ = ["ListReader", "ListRow", "ListSummary", "Reject", "read_list"]

LONGEST_ROW = 50_000  # characters
NO_FIELDS: dict[str, str] = {}  # shared by every row without custom fields; never written to


class ListRow(Struct, frozen=True, gc=False):
    """A contact from a list. Text is clean and "" when missing; `fields` are the custom fields by bare slug (F103).

    `phone` is E.164, `zip` "08540" or "08540-1234", `state` a USPS code, `assignee` as typed (C8), `line_type`
    "mobile", "voip" or None, `carrier` a name of the price table or None, `line` the row's 1-based line.
    """

    phone: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    zip: str = ""
    state: str = ""
    assignee: str = ""
    line_type: str | None = None
    carrier: str | None = None
    fields: dict[str, str] = {}
    line: int = 0


class ListSummary(Struct, frozen=True):
    """What became of a list: rows == used + sum(rejected.values()).

    `columns` tells each header that was used and what it was taken for, `ignored` the others; `questions` are about
    columns that look like consent and can't be read: a list with one is not imported.
    """

    rows: int
    used: int
    rejected: dict[str, int]
    encoding: str
    delimiter: str
    columns: dict[str, str]
    ignored: tuple[str, ...]
    warnings: tuple[str, ...]
    questions: tuple[ListQuestion, ...] = ()


class _Tally:
    """The counts of one pass."""

    def __init__(self) -> None:
        self.used = 0
        self.rejected: Counter[str] = Counter()
        self.strange_zips = 0
        self.strange_states = 0
        self.stray_quotes = 0

    def warnings(self, rows: int) -> tuple[str, ...]:
        """What the list's owner should know beside the rejects."""
        told = (
            (
                self.strange_zips,
                "ZIP code is not a US ZIP code and was",
                "ZIP codes are not US ZIP codes and were",
            ),
            (self.strange_states, "state is not a US state and was", "states are not US states and were"),
        )
        counted = [f"{count} {one if count == 1 else many} left blank" for count, one, many in told if count]
        if self.stray_quotes:
            begins = "row begins" if self.stray_quotes == 1 else "rows begin"
            counted.append(
                f"{self.stray_quotes} {begins} a quotation that never ends; the quotation mark was ignored"
            )
        return tuple(counted) if rows else (*counted, "the list has a header but no rows")


class ListReader:
    """The rows of a list in batches; `summary` counts what was read so far, all of it once the batches end.

    The file is sniffed at once (BadInput when it can't be a list), its rows are read while iterating, in constant
    memory beside 16 to 32 bytes per phone. Iterating again reads again. Before the first row the columns of consent
    are looked through, and UnclearConsent is raised when one can't be read. `opted_out` holds the phones that the
    list itself marks as opted out, for the caller's suppression list; `rejects_kept` the first rows that were not used.
    With `hands_out_rejects` every such row also goes to `rejected`, for the caller to take. `taken_for` is how the
    list's owner wants columns read (list_mapping.py).
    """

    def __init__(
        self,
        path: Path,
        *,
        rejects: Path | None = None,
        batch_size: int = 5_000,
        custom_fields: Collection[str] = (),
        keep_rejects: int = 0,
        consents: Mapping[str, str] | None = None,
        taken_for: Mapping[str, str] = NOTHING_SAID,
        hands_out_rejects: bool = False,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, must be at least 1")
        file = open_list(path, tuple(custom_fields), taken_for)
        require_columns(file, taken_for)
        self.file: ListFile = answered(file, consents or {})
        self.opted_out: list[str] = []
        self.rejected: list[tuple[Reject, list[str]]] = []
        self._hands_out_rejects = hands_out_rejects
        self.rejects_kept: list[Reject] = []
        self._rejects = RejectsFile(rejects, path, self.file.columns.headers)
        self._most_kept = keep_rejects
        self._survey = Survey(self.file)
        self._surveyed = False
        self._batch_size = batch_size
        self._tally = _Tally()

    @property
    def summary(self) -> ListSummary:
        """The counts so far."""
        tally, columns = self._tally, self.file.columns
        rows = tally.used + tally.rejected.total()
        return ListSummary(
            rows=rows,
            used=tally.used,
            rejected=dict(sorted(tally.rejected.items())),
            encoding=self.file.encoding,
            delimiter=self.file.delimiter,
            columns=columns.recognised,
            ignored=columns.ignored,
            warnings=(*self.file.warnings, *tally.warnings(rows)),
            questions=self._survey.questions,
        )

    def __iter__(self) -> Iterator[list[ListRow]]:
        batch: list[ListRow] = []
        for row in self.steps():
            if row is not None:
                batch.append(row)
                if len(batch) == self._batch_size:
                    yield batch
                    batch = []
        if batch:
            yield batch

    def steps(self) -> Iterator[ListRow | None]:
        """Row by row, None for one that was not used: for whoever has other work between any two rows."""
        self._tally, self.opted_out, self.rejects_kept, self.rejected = _Tally(), [], [], []
        try:
            yield from self.survey()
            yield from self._rows()
        except OSError as error:
            where = str(error.filename or self.file.path)
            raise BadInput(
                "the import of the contact list stopped", where, error.strerror or str(error)
            ) from error

    def survey(self) -> Iterator[None]:
        """The look at the columns of consent, once, row by row; ends with UnclearConsent when there is a question."""
        if not self._surveyed:
            yield from self._survey.steps()
            self._surveyed = True
        if self._survey.questions:
            raise UnclearConsent(self.file.path, self._survey.questions)

    def _rows(self) -> Iterator[ListRow | None]:
        columns, tally, seen = self.file.columns, self._tally, SeenPhones()
        with self._rejects as rejects:
            for record in self.file.records():
                tally.stray_quotes += record.repaired
                row = self._read(record, columns, seen)
                if isinstance(row, Reject):
                    tally.rejected[row.reason] += 1
                    if len(self.rejects_kept) < self._most_kept:
                        self.rejects_kept.append(row)
                    if self._hands_out_rejects:
                        self.rejected.append((row, record.cells))
                    rejects.write(row, record.cells)
                    yield None
                else:
                    tally.used += 1
                    yield row

    def _read(self, record: Record, columns: Columns, seen: SeenPhones) -> ListRow | Reject:
        """One row, judged in order: shape, phone, opted out, duplicate."""
        cells, line = record.cells, record.line
        if [cell for cell in cells if cell[:1] == "'"]:  # as in almost no row
            cells = [unescaped(cell) for cell in cells]
        width = len(columns.headers)
        if sum(map(len, cells)) > LONGEST_ROW:
            text = f"The row has more than {LONGEST_ROW} characters: put each person on a line of their own."
            return Reject(line, WHOLE_ROW, cells[0][:40], "row_size", text)
        if len(cells) > width and any(cell.strip() for cell in cells[width:]):
            return _misshapen(record, width)
        row = _fit(cells, width)
        chosen = _choose_phone(row, columns, line)
        if isinstance(chosen, Reject):
            return chosen
        phone, column = chosen
        marked = next(
            (index for index, sense in columns.consents if said(row[index], sense) is Said.OUT), None
        )
        first_line = seen.claim(int(phone[2:]), line)
        if marked is not None:
            self.opted_out.append(phone)
            text = "The list marks this person as opted out."
            return Reject(line, columns.headers[marked], row[marked], "opted_out", text, phone)
        if first_line:
            text = f"{phone} stands on line {first_line} already."
            return Reject(line, column.header, row[column.index], "duplicate", text, phone)
        return self._contact(row, columns, column, phone, line)

    def _contact(
        self, row: list[str], columns: Columns, column: PhoneColumn, phone: str, line: int
    ) -> ListRow:
        first_name, last_name = clean(row[columns.first_name]), clean(row[columns.last_name])
        if columns.full_name >= 0 and not first_name:
            first_name, last_name = _from_full_name(clean(row[columns.full_name]), last_name)
        zip_cell, state_cell = row[columns.zip], row[columns.state]
        zip_read = zip_code(zip_cell) if zip_cell else ""
        state = state_code(state_cell) if state_cell else ""
        if zip_cell and not zip_read:
            self._tally.strange_zips += bool(clean(zip_cell))
        if state_cell and not state:
            self._tally.strange_states += bool(clean(state_cell))
        return ListRow(
            phone,
            first_name,
            last_name,
            clean(row[columns.email]),
            zip_read,
            state,
            clean(row[columns.assignee]),
            line_type(row[column.line_type]),
            carrier(row[column.carrier]),
            _custom_fields(row, columns) if columns.fields else NO_FIELDS,
            line,
        )


def read_list(
    path: Path,
    *,
    rejects: Path | None = None,
    batch_size: int = 5_000,
    custom_fields: Collection[str] = (),
    consents: Mapping[str, str] | None = None,
) -> ListReader:
    """Open a contact list; iterate for batches of ListRow, then ask for `.summary`.

    Bad rows go to the CSV `rejects`. `custom_fields` are slugs that may also stand as bare headers (C21). `consents` are
    its owner's answers about columns that look like consent, by header (gateway/p2p/list_answers.py). BadInput
    when the file can't be read as a list with a phone column, or what it says about consent is not understood.
    """
    reader = ListReader(
        path, rejects=rejects, batch_size=batch_size, custom_fields=custom_fields, consents=consents
    )
    for _ in reader.survey():
        pass
    return reader


def _misshapen(record: Record, width: int) -> Reject:
    text = f"The row has {len(record.cells)} cells and the header {width}: put a cell with a delimiter in quotes."
    value = next(cell for cell in record.cells[width:] if cell.strip())
    return Reject(record.line, WHOLE_ROW, value, "row_shape", text)


def _fit(cells: list[str], width: int) -> list[str]:
    """Exactly the header's width (cells left out at the end are blank), then "" for each column the list lacks (-1)."""
    missing = width - len(cells)
    return [*cells[:width], ""] if missing <= 0 else [*cells, *[""] * (missing + 1)]


def _choose_phone(row: list[str], columns: Columns, line: int) -> tuple[str, PhoneColumn] | Reject:
    """The first good phone: cell, phone, home, work. Else the fault of the first that is not blank."""
    first_bad: Reject | None = None
    for column in columns.phones:
        cell = row[column.index]
        if not cell:
            continue
        found = read_phone(cell)
        if not isinstance(found, PhoneFault):
            bad = _spoken_against(row, column)
            if bad is None:
                return found.e164, column
            first_bad = first_bad or Reject(line, column.header, cell, *bad, found.e164)
        elif found is not PhoneFault.BLANK:
            first_bad = first_bad or Reject(line, column.header, cell, found.value, fault_text(cell, found))
    blank = "There is no phone number." if any(map(str.strip, row)) else "The whole row is blank."
    return first_bad or Reject(
        line, columns.phones[0].header, row[columns.phones[0].index], "blank_phone", blank
    )


def _spoken_against(row: list[str], column: PhoneColumn) -> tuple[str, str] | None:
    """(reason, text) when another column, or this one's header, says that a good number can't be texted."""
    is_landline = line_type(row[column.line_type]) == "landline" or is_marked(row[column.landline_flag])
    if is_landline or column.rank is Rank.LANDLINE:
        return "landline", "The list says that this is a landline, which can't receive texts."
    if column.extension >= 0 and clean(row[column.extension]).strip("0."):
        return PhoneFault.EXTENSION.value, PhoneFault.EXTENSION.reason
    return None


def _from_full_name(full_name: str, last_name: str) -> tuple[str, str]:
    first, last = split_name(full_name)
    return first, last_name or last


def _custom_fields(row: list[str], columns: Columns) -> dict[str, str]:
    """The custom fields that say something; a blank one is left out so that the field's default holds (F101)."""
    return {slug: text for index, slug in columns.fields if (text := clean_lines(row[index]))} or NO_FIELDS
