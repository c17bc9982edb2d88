"""What is in a file but for its newest part: a twin that runs for weeks holds no more.

A table's rows, a column's numbers, a list's texts. The files have no names and are gone with the process.
"""

import os
import tempfile
import weakref
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from simulator.model.ledger import Table

_TAIL_BYTES = 16 * 1024  # a dozen tables and more: a megabyte would come and go
KEPT = 24_000  # numbers of a column in memory: those of all messages that are in memory, and more
_AT_ONCE = 4_000  # numbers that leave it together

Number = TypeVar("Number", int, float)


class _File:
    """A file without a name; `size` is what has been added to it, in bytes."""

    __slots__ = ("__weakref__", "_descriptor", "size")

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self.size = 0

    def add(self, content: bytes | bytearray) -> None:
        self.change(self.size, content)
        self.size += len(content)

    def change(self, at: int, content: bytes | bytearray) -> None:
        os.pwrite(self._opened(), content, at)

    def read(self, at: int, count: int) -> bytes:
        return os.pread(self._opened(), count, at) if count else b""

    def _opened(self) -> int:
        if self._descriptor is None:
            self._descriptor, path = tempfile.mkstemp(prefix="textbank-ledger-")
            Path(path).unlink()
            weakref.finalize(self, os.close, self._descriptor)
        return self._descriptor


class FiledTable(Table):
    """Takes over a table's columns and rows."""

    __slots__ = ("_file",)

    def __init__(self, table: Table) -> None:
        self._pack, self._size, self._dtype = table._pack, table._size, table._dtype
        self._rows = bytearray(table.raw())
        self._file = _File()

    def append(self, *row: float) -> None:
        self._rows += self._pack(*row)
        if len(self._rows) >= _TAIL_BYTES:
            self._file.add(self._rows)
            self._rows = bytearray()

    def __len__(self) -> int:
        return (self._file.size + len(self._rows)) // self._size

    def columns(self) -> NDArray[Any]:
        return np.frombuffer(self.raw(), self._dtype)

    def row(self, n: int) -> dict[str, float]:
        if not 0 <= n < len(self):
            raise IndexError(n)
        found = self.columns()[n]
        return {name: found[name].item() for name in self._dtype.names or ()}

    def where(self, **equal: int) -> list[int]:
        rows = self.columns()
        matches = np.ones(len(rows), np.bool_)
        for name, value in equal.items():
            matches &= rows[name] == value
        found: list[int] = np.flatnonzero(matches).tolist()
        return found

    def raw(self) -> bytearray:
        """All rows, read back."""
        return bytearray(self._file.read(0, self._file.size)) + self._rows


class FiledColumn(Generic[Number]):
    """Numbers by their place, which can be changed; `code` is the array module's for their type."""

    __slots__ = ("_file", "_filed", "_newest")

    def __init__(self, code: str) -> None:
        self._newest: array[Number] = array(code)
        self._file = _File()
        self._filed = 0  # how many are in the file

    def append(self, number: Number) -> None:
        self._newest.append(number)
        if len(self._newest) >= KEPT + _AT_ONCE:
            self._file.add(self._newest[:_AT_ONCE].tobytes())
            del self._newest[:_AT_ONCE]
            self._filed += _AT_ONCE

    def __len__(self) -> int:
        return self._filed + len(self._newest)

    def __getitem__(self, n: int) -> Number:
        if n >= self._filed:
            return self._newest[n - self._filed]
        found: array[Number] = array(self._newest.typecode)
        found.frombytes(self._file.read(self._place(n), found.itemsize))
        return found[0]

    def __setitem__(self, n: int, number: Number) -> None:
        if n >= self._filed:
            self._newest[n - self._filed] = number
        else:
            self._file.change(self._place(n), array(self._newest.typecode, [number]).tobytes())

    def _place(self, n: int) -> int:
        if n < 0:
            raise IndexError(n)
        return n * self._newest.itemsize


class FiledTexts:
    """Texts by their place."""

    __slots__ = ("_ends", "_file", "_newest")

    def __init__(self) -> None:
        self._ends = FiledColumn[int]("Q")  # where each ends, in bytes from the first one's start
        self._file = _File()
        self._newest = bytearray()

    def append(self, text: str) -> None:
        self._newest += text.encode("utf-8", "surrogatepass")
        self._ends.append(self._file.size + len(self._newest))
        if len(self._newest) >= _TAIL_BYTES:
            self._file.add(self._newest)
            self._newest = bytearray()

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, n: int) -> str:
        ends_at = self._ends[n]
        starts_at = self._ends[n - 1] if n else 0
        filed = self._file.size
        if starts_at < filed:
            found = self._file.read(starts_at, ends_at - starts_at)
        else:
            found = bytes(self._newest[starts_at - filed : ends_at - filed])
        return found.decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return (self[n] for n in range(len(self)))
