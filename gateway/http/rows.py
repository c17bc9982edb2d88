"""A large JSON list, row by row: never are all its rows made before their number is known.

A decoder makes every row before it says that there are too many: a million empty ones stop the loop for seconds.
So a large body's envelope is checked first, which makes nothing, and then the rows are cut out one after another.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

from gateway.http.problems import Refusal

LARGEST_ROW_BYTES: Final = 128 * 1024
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},]', re.DOTALL)
_OPENING, _CLOSING = (b"[", b"{"), (b"]", b"}")


def rows_of(array: bytes, most_rows: int) -> Iterator[bytes]:
    """The rows of a JSON array that is known to be valid JSON; raises Refusal 422 where there are too many."""
    if not array.startswith(b"["):
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "the rows are not a list")
    depth, count, begins_at = 0, 0, 1
    for token in _TOKEN.finditer(array):
        mark = token[0]
        if mark in _OPENING:
            depth += 1
        elif mark in _CLOSING:
            depth -= 1
        if depth == 0 or (depth == 1 and mark == b","):
            row = array[begins_at : token.start()].strip()
            begins_at = token.end()
            if row or count:
                count += 1
                yield row
            if count >= most_rows and depth:
                raise _too_many(most_rows)
        elif token.end() - begins_at > LARGEST_ROW_BYTES:
            raise Refusal(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"row {count + 1} has more than {LARGEST_ROW_BYTES} bytes"
            )


def _too_many(most_rows: int) -> Refusal:
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"give {most_rows} rows at most")
