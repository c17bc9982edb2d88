"""A contact list as a file: its encoding, its delimiter, its header, and its records with their line numbers."""

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from io import TextIOWrapper
from itertools import islice
from pathlib import Path

from msgspec import Struct

from gateway.core.rules.errors import BadInput
from gateway.core.text.phone import Phone, parse
from gateway.p2p.list_columns import NOTHING_SAID, Columns, read_header

DELIMITERS = ",;\t|"
SNIFF_BYTES = 65_536
SNIFF_CHARACTERS = 262_144
HEADER_WITHIN_RECORDS = 10
MOST_LINES_PER_RECORD = 100
LONGEST_LINE = 100_000  # characters; what stands behind them on a line is not read
MOST_COLUMNS = 2_000
SAVE_AS_CSV = "open it in a spreadsheet and save it as CSV (UTF-8)"

# What a file that is not text begins with.
SIGNATURES = {
    b"PK\x03\x04": "a spreadsheet or a ZIP archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "a gzip archive",
    b"{\\rtf": "a rich-text document",
}
BYTE_ORDER_MARKS = (  # UTF-32 first: its little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
STRAY_BYTES = "textbank-stray-bytes"
# Bytes that text hardly has: more than one in twenty, and the file is something else.
CONTROLS = bytes(byte for byte in range(32) if byte not in b"\t\n\v\f\r")


def _decode_stray(error: UnicodeError) -> tuple[str, int]:
    """Bytes that are not the file's encoding, read as Windows-1252, else as Latin-1: no row is lost to a byte."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    stray = (error.object[place : place + 1] for place in range(error.start, error.end))
    return "".join(_one_byte(byte) for byte in stray), error.end


def _one_byte(byte: bytes) -> str:
    try:
        return byte.decode("cp1252")
    except UnicodeDecodeError:
        return byte.decode("latin-1")


codecs.register_error(STRAY_BYTES, _decode_stray)


class ListFile(Struct, frozen=True):
    """A list that can be read: how to decode it, where its header is (1-based line), what its columns hold."""

    path: Path
    encoding: str
    delimiter: str
    columns: Columns
    header_line: int
    lines_before_rows: int
    warnings: tuple[str, ...] = ()

    def records(self) -> "Records":
        """The rows below the header, one pass."""
        return Records(self)


class Record(Struct, frozen=True, gc=False):
    """One row as it stands in the file: the line it starts at, its cells, whether a stray quote was undone."""

    line: int
    cells: list[str]
    repaired: bool = False


def open_list(
    path: Path, known_fields: Sequence[str] = (), taken_for: Mapping[str, str] = NOTHING_SAID
) -> ListFile:
    """Sniff a list. Reads the whole file once for its encoding, its first lines for the rest; BadInput says why not.

    `taken_for`: how its owner wants columns read (list_columns.read_header).
    """
    try:
        encoding, warnings = detect_encoding(path)
        with open_text(path, encoding) as text:
            start = text.read(SNIFF_CHARACTERS)
    except OSError as error:
        raise BadInput("can't read the contact list", str(path), error.strerror or str(error)) from error
    whole = len(start) < SNIFF_CHARACTERS
    lines = _lines(start)
    if not whole and len(lines) > 1:
        lines.pop()
    if not start.strip() or (not whole and len(lines) == 1):
        fault = "has no line breaks" if start.strip() else "is empty"
        raise BadInput(
            f"the contact list {fault}", str(path), "give a CSV with a header row and a row per contact"
        )
    read = partial(read_header, known_fields=known_fields, taken_for=taken_for)
    return _with_header(path, encoding, lines, warnings, read)


def _lines(text: str) -> list[str]:
    """Split as a text file is: at CRLF, LF and CR only (`splitlines` has eight more, which names may contain)."""
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z", text)


def open_text(path: Path, encoding: str) -> TextIOWrapper:
    """The file as text with its own line breaks; bytes that can't be decoded never raise."""
    errors = "replace" if encoding.startswith(("utf-16", "utf-32")) else STRAY_BYTES
    return path.open(encoding=encoding, errors=errors, newline="")


def detect_encoding(path: Path) -> tuple[str, tuple[str, ...]]:
    """(encoding, warnings): a byte-order mark, else UTF-8 if the whole file is, else Windows-1252 (holds Latin-1).

    A UTF-8 file with a few wrong bytes (two exports glued together) stays UTF-8. BadInput when it is not text.
    """
    if not path.exists():
        raise BadInput("there is no such contact list", str(path), "check the name")
    if not path.is_file():
        raise BadInput("the contact list is not a file", str(path), "give the path of a CSV file")
    with path.open("rb") as file:
        start = file.read(SNIFF_BYTES)
    _refuse_other_formats(path, start)
    marked = next((encoding for mark, encoding in BYTE_ORDER_MARKS if start.startswith(mark)), None)
    if marked not in (None, "utf-8-sig"):
        return str(marked), ()
    unmarked = _unmarked_utf16(start)
    if unmarked is not None:
        return unmarked, ()
    if 20 * (len(start) - len(start.translate(None, CONTROLS))) > len(start):
        raise BadInput("the contact list is not text", str(path), SAVE_AS_CSV)
    right, wrong = _count_utf8(path)
    if wrong and right < wrong and marked is None:
        return "cp1252", ()
    which = "1 byte is not UTF-8 and was" if wrong == 1 else f"{wrong} bytes are not UTF-8 and were"
    note = f"{which} read as Windows-1252"
    return marked or "utf-8", (note,) if wrong else ()


def _refuse_other_formats(path: Path, start: bytes) -> None:
    kind = next((kind for mark, kind in SIGNATURES.items() if start.startswith(mark)), None)
    if kind is None and re.match(rb"\s*<(?:!doctype|html|\?xml|table)", start, re.IGNORECASE):
        kind = "a web page or XML"
    if kind is not None:
        raise BadInput(f"the contact list is {kind}, not a CSV", str(path), SAVE_AS_CSV)


def _unmarked_utf16(start: bytes) -> str | None:
    """UTF-16 that lost its mark: every other byte of Western text is NUL."""
    pairs = len(start) // 2
    high, low = start[1::2].count(0), start[0::2].count(0)
    if pairs and max(high, low) > 0.7 * pairs and min(high, low) == 0:
        return "utf-16-le" if high else "utf-16-be"
    return None


def _count_utf8(path: Path) -> tuple[int, int]:
    """(characters beyond ASCII that are right UTF-8, bytes that are not), over the whole file in chunks."""
    right = wrong = 0
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        while text := file.read(SNIFF_CHARACTERS):
            if not text.isascii():
                strays = len(re.findall("[\udc80-\udcff]", text))
                right += len(re.findall("[^\0-\x7f]", text)) - strays
                wrong += strays
    return right, wrong


ReadHeader = Callable[[list[str]], Columns]


class _Guess(Struct, frozen=True):
    """A header read with one delimiter."""

    delimiter: str
    columns: Columns
    line: int
    last_line: int

    @property
    def score(self) -> tuple[int, int]:
        return len(self.columns.recognised), len(self.columns.headers)


def _with_header(
    path: Path, encoding: str, lines: list[str], warnings: tuple[str, ...], read: ReadHeader
) -> ListFile:
    told = re.fullmatch(r'"?sep=(.)"?\s*', lines[0])  # Excel's own hint line
    delimiters = told[1] if told else DELIMITERS
    guesses = [guess for mark in delimiters for guess in _headers(lines, mark, read, skip=1 if told else 0)]
    best = max(
        (guess for guess in guesses if guess.columns.phones), key=lambda guess: guess.score, default=None
    )
    if best is None:
        nearest = max(guesses, key=lambda guess: guess.score, default=None)
        raise _no_phone_column(path, nearest or _Guess(",", read_header(()), 1, 1))
    above = sum(1 for line in lines[1 if told else 0 : best.line - 1] if line.strip())
    note = f"{above} {'line' if above == 1 else 'lines'} above the header (line {best.line}) skipped"
    return ListFile(
        path=path,
        encoding=encoding,
        delimiter=best.delimiter,
        columns=best.columns,
        header_line=best.line,
        lines_before_rows=best.last_line,
        warnings=(*warnings, note) if above else warnings,
    )


def _headers(lines: list[str], delimiter: str, read: ReadHeader, skip: int) -> Iterator[_Guess]:
    """Each of the first records read as if it were the header."""
    reader = csv.reader(lines[skip:], delimiter=delimiter)
    before = skip
    for cells in islice(_until_error(reader), HEADER_WITHIN_RECORDS):
        last = skip + reader.line_num
        if 0 < len(cells) <= MOST_COLUMNS:
            yield _Guess(delimiter, read(cells), before + 1, last)
        before = last


def _until_error(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error:
        return


def _no_phone_column(path: Path, best: _Guess) -> BadInput:
    seen = [header[:40] for header in best.columns.headers if header]
    shown = ", ".join(seen[:12]) + (", …" if len(seen) > 12 else "")
    if any(isinstance(parse(header), Phone) for header in seen):
        return BadInput(
            "the contact list has no header row",
            f"{path}, line {best.line}",
            "add one: phone,first_name,last_name,zip,…",
        )
    return BadInput(
        "the contact list has no phone column",
        f"{path}, line {best.line} has the headers {shown or 'nothing'}",
        "name one of them phone, cell, mobile, cell_phone, phone_number or home_phone",
    )


class _RunawayQuote(Exception):
    """A record is still inside quotes after MOST_LINES_PER_RECORD lines."""


def _bounded(text: TextIOWrapper) -> Iterator[str]:
    """The file's lines, each cut at LONGEST_LINE: a file of one line must not fill the memory."""
    while line := text.readline(LONGEST_LINE):
        yield line
        while len(line) == LONGEST_LINE and not line.endswith(("\n", "\r")):
            line = text.readline(LONGEST_LINE)


class _Lines:
    """The file's lines, with those of the current record at hand, to be given back when a quote ran away."""

    def __init__(self, source: Iterator[str]) -> None:
        self.source = source
        self.taken: list[str] = []
        self.given_back: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= MOST_LINES_PER_RECORD:
            raise _RunawayQuote
        line = self.given_back.pop() if self.given_back else next(self.source)
        self.taken.append(line)
        return line

    def keep_first(self) -> str:
        """Give back all lines of the record but its first, which is returned."""
        first, *others = self.taken
        self.given_back.extend(reversed(others))
        del self.taken[1:]
        return first


class Records:
    """The rows of a list. A stray quotation mark costs its own row at most, never the rows it would swallow."""

    def __init__(self, file: ListFile) -> None:
        self.file = file
        self.width = len(file.columns.headers)

    def __iter__(self) -> Iterator[Record]:
        with open_text(self.file.path, self.file.encoding) as text:
            lines = _Lines(islice(_bounded(text), self.file.lines_before_rows, None))
            reader = csv.reader(lines, delimiter=self.file.delimiter)
            line = self.file.lines_before_rows + 1
            while (cells := self._next(reader, lines)) is not None:
                repaired = not cells and bool(lines.taken[0].strip())
                if cells or repaired:
                    yield Record(line, cells or self._split(lines.taken[0]), repaired)
                line += len(lines.taken)

    def _next(self, reader: Iterator[list[str]], lines: _Lines) -> list[str] | None:
        """The next record's cells; [] for a blank line and for a first line left alone by a stray quote; None: end."""
        lines.taken.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return None
        except (csv.Error, _RunawayQuote):
            lines.keep_first()
            return []
        if len(lines.taken) > 1 and self._swallowed_rows(lines.taken):
            lines.keep_first()
            return []
        return cells

    def _split(self, line: str) -> list[str]:
        """A line cut at its delimiters, quotation marks meaning nothing."""
        return [cell.strip().strip('"') for cell in line.rstrip("\r\n").split(self.file.delimiter)]

    def _swallowed_rows(self, taken: list[str]) -> bool:
        """Whether a record of several lines is several rows around a stray quote.

        A line inside it is then a row by itself, and so is its first line; or else its quotes don't pair up.
        """
        if not any(map(self._is_row, taken[1:])):
            return False
        return self._is_row(taken[0]) or not self._is_well_quoted(taken)

    def _is_row(self, line: str) -> bool:
        """Whether a line alone is as wide as the header and has a phone where the phones are."""
        cells = self._split(line)
        if len(cells) < self.width:
            return False
        return any(isinstance(parse(cells[phone.index]), Phone) for phone in self.file.columns.phones)

    def _is_well_quoted(self, taken: list[str]) -> bool:
        try:
            records = list(csv.reader(taken, delimiter=self.file.delimiter, strict=True))
        except csv.Error:
            return False
        return len(records) == 1
