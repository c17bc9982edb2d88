"""How an export's rows are written: CSV for spreadsheets, Parquet for analysts. Each gives its bytes as they are ready."""

import asyncio
import csv
import io
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib import import_module
from typing import Any, Final, Protocol

import orjson

from gateway.core.bank.cells import MAY_RUN, escaped
from gateway.core.bank.exports import Column, Form, Kind
from gateway.core.rules.errors import BadInput

Row = Sequence[Any]
BOM: Final = "\ufeff"
"""By it Excel knows that a CSV is UTF-8."""
_ROWS_OF_A_GROUP: Final = 20_000  # of Parquet: what is read, and kept in memory, in one go
MEDIA_TYPES: Final = {Form.CSV: "text/csv", Form.PARQUET: "application/vnd.apache.parquet"}


class ExportFile(Protocol):
    """A file that grows. `ready` and `end` return the bytes that are ready, perhaps none."""

    def add(self, rows: Sequence[Row]) -> None: ...

    async def ready(self) -> bytes: ...

    async def end(self) -> bytes: ...


class CsvFile:
    """UTF-8 with a BOM, a line of names, lines ended by CRLF; a file that goes on with another has neither BOM nor names.

    Times are ISO 8601 in UTC, dollars have five decimals, what is not known is blank.
    """

    def __init__(self, columns: Sequence[Column], *, goes_on: bool) -> None:
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text)
        self._texts = [place for place, each in enumerate(columns) if each.kind is Kind.TEXT]
        self._others = [
            (place, _WRITTEN[each.kind]) for place, each in enumerate(columns) if each.kind in _WRITTEN
        ]
        if not goes_on:
            self._text.write(BOM)
            self._writer.writerow([each.name for each in columns])

    def add(self, rows: Sequence[Row]) -> None:
        columns = list(zip(*rows, strict=True))  # column by column: a third of the time of row by row
        for place in self._texts:
            columns[place] = tuple(
                [  # of almost no cell more than the first letter needs to be looked at
                    escaped(text) if text and text[0] in MAY_RUN else text for text in columns[place]
                ]
            )
        for place, written in self._others:
            columns[place] = tuple([None if cell is None else written(cell) for cell in columns[place]])
        self._writer.writerows(zip(*columns, strict=True))

    async def ready(self) -> bytes:
        return self._taken()

    async def end(self) -> bytes:
        return self._taken()

    def _taken(self) -> bytes:
        text = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return text.encode()


def _time(at: datetime) -> str:
    """ISO 8601 in UTC, to the microsecond: a text bank has many of them, and this is the quickest way."""
    return orjson.dumps(at, option=orjson.OPT_UTC_Z)[1:-1].decode()


# Integers are written as they are, and None as nothing.
_WRITTEN: Final[dict[Kind, Callable[[Any], object]]] = {
    Kind.TIME: _time,
    Kind.DOLLARS: "{:.5f}".format,
    Kind.FLAG: lambda flag: "true" if flag else "false",
}


class ParquetFile:
    """Parquet, Zstandard, groups of 20,000 rows; texts stand as they are. Its end makes it whole: half a file is none."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._pyarrow = _pyarrow()
        self._columns = columns
        self._schema = _schema(self._pyarrow, columns)
        self._buffer = _Growing()
        self._writer = self._pyarrow.parquet.ParquetWriter(self._buffer, self._schema, compression="zstd")
        self._rows: list[Row] = []

    def add(self, rows: Sequence[Row]) -> None:
        self._rows += rows

    async def ready(self) -> bytes:
        if len(self._rows) < _ROWS_OF_A_GROUP:
            return b""
        await self._write_group()
        return self._buffer.taken()

    async def end(self) -> bytes:
        if self._rows:
            await self._write_group()
        await asyncio.to_thread(self._writer.close)
        return self._buffer.taken()

    async def _write_group(self) -> None:
        rows, self._rows = self._rows, []
        await asyncio.to_thread(self._write, rows)  # beside the loop: pyarrow lets others go on

    def _write(self, rows: list[Row]) -> None:
        pyarrow = self._pyarrow
        arrays = [
            pyarrow.array([row[place] for row in rows], type=self._schema.field(place).type)
            for place in range(len(self._columns))
        ]
        self._writer.write_table(pyarrow.Table.from_arrays(arrays, schema=self._schema))


class _Growing(io.RawIOBase):
    """A file that is only written to; what is in it can be taken out at any time."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._length = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._length += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._length

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _pyarrow() -> Any:
    """Raises BadInput where it is not installed: it is large, and few need it."""
    try:
        import_module("pyarrow.parquet")
    except ImportError as error:
        do = "ask for csv, or install textbank[parquet] where textbank runs"
        raise BadInput("Parquet can't be written here", "format", do) from error
    return import_module("pyarrow")


def _schema(pyarrow: Any, columns: Sequence[Column]) -> Any:
    types = {
        Kind.INTEGER: pyarrow.int64(),
        Kind.TEXT: pyarrow.string(),
        Kind.TIME: pyarrow.timestamp("us", tz="UTC"),
        Kind.DOLLARS: pyarrow.float64(),
        Kind.FLAG: pyarrow.bool_(),
    }
    return pyarrow.schema([pyarrow.field(each.name, types[each.kind]) for each in columns])


def file_of(form: Form, columns: Sequence[Column], *, goes_on: bool) -> ExportFile:
    """A file to be filled. Raises BadInput for a form that can't be written here."""
    return CsvFile(columns, goes_on=goes_on) if form is Form.CSV else ParquetFile(columns)
