"""A table of the ledger whose rows are in a file, but for the newest: a twin that runs for weeks holds no more."""

import os
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.ledger import Table

_TAIL_BYTES = 64 * 1024


class FiledTable(Table):
    """Takes over a table's columns and rows; the file has no name and is gone with the process."""

    __slots__ = ("__weakref__", "_file", "_filed_bytes")

    def __init__(self, table: Table) -> None:
        self._pack, self._size, self._dtype = table._pack, table._size, table._dtype
        self._rows = bytearray(table.raw())
        self._file: int | None = None  # its descriptor
        self._filed_bytes = 0

    def append(self, *row: float) -> None:
        self._rows += self._pack(*row)
        if len(self._rows) >= _TAIL_BYTES:
            self._filed_bytes += os.write(self._opened(), self._rows)
            self._rows = bytearray()

    def _opened(self) -> int:
        if self._file is None:
            self._file, path = tempfile.mkstemp(prefix="textbank-ledger-")
            Path(path).unlink()
            weakref.finalize(self, os.close, self._file)
        return self._file

    def __len__(self) -> int:
        return (self._filed_bytes + len(self._rows)) // self._size

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
        filed = b"" if self._file is None else os.pread(self._file, self._filed_bytes, 0)
        return bytearray(filed) + self._rows
