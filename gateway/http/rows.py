"""A large JSON list, row by row: never are all its rows made before their number is known.

A decoder makes every row before it says that there are too many: a million empty ones stop the loop for seconds. So
the rows of `{"…": 1, "rows": [row, row, …]}` are cut out one after another, and what is left is decoded by itself.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

from gateway.http.problems import Refusal

LARGEST_ROW_BYTES: Final = 128 * 1024
LARGEST_ENVELOPE_BYTES: Final = 4 * 1024
DEEPEST: Final = 32
_IN_LIST: Final = 2  # how deep a row's neighbours are
_TOKEN: Final = re.compile(  # a long stretch of anything else is cut, or it would be looked through in one go
    rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},]|[^"\[\]{},]{64,4096}+', re.DOTALL
)
_OPENING, _CLOSING = (b"[", b"{"), (b"]", b"}")


class Rows:
    """The rows of the first list in an object; `envelope` is the object with an empty list, once all rows are read."""

    def __init__(self, body: bytes, most_rows: int) -> None:
        self._body = body
        self._most_rows = most_rows
        self.envelope = b""

    def __iter__(self) -> Iterator[bytes]:
        """Raises Refusal: 400 for a list without an end, 422 for too many rows or too large ones."""
        count, list_at, row_at = 0, -1, 0
        for mark, begin, end, depth in self._marks():
            if list_at < 0:
                _check_size(end, LARGEST_ENVELOPE_BYTES, "what stands before the rows")
                if depth == _IN_LIST and mark == b"[":
                    list_at, row_at = begin, end
            elif depth < _IN_LIST or (depth == _IN_LIST and mark == b","):
                row = self._body[row_at:begin].strip()
                row_at = end
                if row or count:
                    count += 1
                    yield row
                if depth < _IN_LIST:
                    self.envelope = self._without_rows(list_at, end)
                    return
                if count >= self._most_rows:
                    raise _unprocessable(f"give {self._most_rows} rows at most")
            else:
                _check_size(end - row_at, LARGEST_ROW_BYTES, f"row {count + 1}")
        if list_at >= 0:
            raise Refusal(HTTPStatus.BAD_REQUEST, "the body is not JSON: its rows have no end")
        self.envelope = self._without_rows(len(self._body), len(self._body))

    def _marks(self) -> Iterator[tuple[bytes, int, int, int]]:
        """Each bracket, brace, comma and string, where it is, and how deep it leaves us; raises Refusal 400."""
        depth = 0
        for token in _TOKEN.finditer(self._body):
            mark = token[0]
            if mark in _OPENING:
                depth += 1
                if depth > DEEPEST:
                    raise Refusal(HTTPStatus.BAD_REQUEST, "the body is nested too deeply")
            elif mark in _CLOSING:
                depth -= 1
            yield mark, token.start(), token.end(), depth

    def _without_rows(self, begin: int, end: int) -> bytes:
        rest = self._body[end:]
        _check_size(len(rest), LARGEST_ENVELOPE_BYTES, "what stands after the rows")
        if begin == end:
            _check_size(begin, LARGEST_ENVELOPE_BYTES, "the body without rows")
            return self._body
        return self._body[:begin] + b"[]" + rest


def _check_size(size: int, most: int, what: str) -> None:
    if size > most:
        raise _unprocessable(f"{what} has more than {most} bytes")


def _unprocessable(detail: str) -> Refusal:
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
