"""The rows a list could not give, and the CSV that tells its owner why."""

import csv
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct

from gateway.core.rules.errors import BadInput

OWN_COLUMNS = ("line", "column", "reason", "text")
WHOLE_ROW = "(row)"
FORMULA_SIGNS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""A cell that begins so is run by a spreadsheet as a formula, full-width signs included (OWASP, CSV injection)."""


def escaped(cell: str) -> str:
    """The cell as every CSV of ours has it: what would be a formula, a phone in E.164 too, gets an apostrophe."""
    return f"'{cell}" if cell.startswith(FORMULA_SIGNS) else cell


def unescaped(cell: str) -> str:
    """The cell without the apostrophe that keeps a spreadsheet from running it."""
    return cell[1:] if cell.startswith("'") and cell.startswith(FORMULA_SIGNS, 1) else cell


class Reject(Struct, frozen=True, gc=False):
    """A row that was not used (F062, F064): its 1-based line, the column and value at fault, a stable reason slug.

    Reasons: the phone faults (`not_a_number`, `too_short`, `foreign`, …), `blank_phone`, `landline`, `duplicate`,
    `opted_out`, `row_shape`, `row_size`. `phone` is E.164, where the row had a good one.
    """

    line: int
    column: str
    value: str
    reason: str
    text: str
    phone: str = ""


class RejectsFile:
    """Writes rejects as they come, in UTF-8 with a byte-order mark, without which Excel guesses another encoding: line, column, reason, text, then the row's own cells under its own headers.

    A context manager. Without a path it writes nothing. Corrected, the file can be imported again as it is.
    """

    def __init__(self, path: Path | None, source: Path, headers: Sequence[str]) -> None:
        if path is not None and path.exists() and path.samefile(source):
            raise BadInput(
                "the rejects would overwrite the contact list", str(path), "choose another file for them"
            )
        self.path = path
        self.headers = reject_headers(headers)

    def __enter__(self) -> Self:
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("w", encoding="utf-8-sig", errors="replace", newline="")
            self._writer = csv.writer(self._file)  # CRLF, or a lone CR in a cell would stay unquoted
            self._writer.writerow(self.headers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.path is not None:
            self._file.close()

    def write(self, reject: Reject, cells: Sequence[str]) -> None:
        """One row; `cells` as they stood in the list."""
        if self.path is not None:
            self._writer.writerow(reject_cells(reject.line, reject.column, reject.reason, reject.text, cells))


def reject_headers(headers: Sequence[str]) -> list[str]:
    """The header row of a rejects file for a list with these headers."""
    own = [f"original {name}" if name in OWN_COLUMNS else name for name in headers]
    return [*OWN_COLUMNS, *map(escaped, own)]


def reject_cells(line: int, column: str, reason: str, text: str, cells: Sequence[str]) -> list[object]:
    """A row of a rejects file."""
    return [line, *map(escaped, (column, reason, text, *cells))]
