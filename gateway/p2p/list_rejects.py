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


class Reject(Struct, frozen=True, gc=False):
    """A row that was not used (F062, F064): its 1-based line, the column and value at fault, a stable reason slug.

    Reasons: the phone faults (`not_a_number`, `too_short`, `foreign`, …), `blank_phone`, `landline`, `duplicate`,
    `opted_out`, `row_shape`.
    """

    line: int
    column: str
    value: str
    reason: str
    text: str


class RejectsFile:
    """Writes rejects as they come: line, column, reason, text, then the row's own cells under its own headers.

    A context manager. Without a path it writes nothing. Corrected, the file can be imported again as it is.
    """

    def __init__(self, path: Path | None, source: Path, headers: Sequence[str]) -> None:
        if path is not None and path.exists() and path.samefile(source):
            raise BadInput(
                "the rejects would overwrite the contact list", str(path), "choose another file for them"
            )
        self.path = path
        self.headers = [f"original {name}" if name in OWN_COLUMNS else name for name in headers]

    def __enter__(self) -> Self:
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("w", encoding="utf-8", errors="replace", newline="")
            self._writer = csv.writer(self._file)  # CRLF, or a lone CR in a cell would stay unquoted
            self._writer.writerow([*OWN_COLUMNS, *self.headers])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.path is not None:
            self._file.close()

    def write(self, reject: Reject, cells: Sequence[str]) -> None:
        """One row; `cells` as they stood in the list."""
        if self.path is not None:
            self._writer.writerow([reject.line, reject.column, reject.reason, reject.text, *cells])
