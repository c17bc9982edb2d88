"""Cursors: where a page of a list ended, as an opaque word that its reader gives back for the next page."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Final, TypeVar

import msgspec

from gateway.core.rules.errors import BadInput

Place = TypeVar("Place")
Row = TypeVar("Row")
Instant = Annotated[float, msgspec.Meta(ge=0, le=2.0**40)]
"""Unix seconds that the store can keep."""


class IdPlace(msgspec.Struct, frozen=True, array_like=True):
    """A place in a list that is ordered by one id."""

    id: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class AtPlace(msgspec.Struct, frozen=True, array_like=True):
    """A place in a list that is ordered by instants. Ids come in blocks, a worker's own: they do not rise with time."""

    at: Instant
    id: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


NEWEST: Final = (2.0**40, 2**63 - 1)


def before(cursor: str | None) -> tuple[float, int]:
    """Instant and id of the row before which a list goes on that has the newest first. Raises BadInput."""
    if cursor is None:
        return NEWEST
    place = place_of(cursor, AtPlace)
    return place.at, place.id


def cursor_of(place: object) -> str:
    """The word for a place in a list, a record of plain values."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).rstrip(b"=").decode()


def page_of(rows: Sequence[Row], limit: int, place: Callable[[Row], object]) -> tuple[list[Row], str | None]:
    """Of rows that were asked for with one more than `limit`: those of the page, and the cursor of those after; None: there
    are none."""
    shown = list(rows[:limit])
    return shown, cursor_of(place(shown[-1])) if len(rows) > limit else None


def place_of(cursor: str, kind: type[Place]) -> Place:
    """The place of which `cursor_of` made this word. Raises BadInput for any other word."""
    padded = cursor + "=" * (-len(cursor) % 4)
    try:
        return msgspec.msgpack.decode(base64.b64decode(padded, b"-_", validate=True), type=kind)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise bad_cursor() from error


def bad_cursor() -> BadInput:
    return BadInput("this cursor is none of this list", "cursor", "give the `next` of an earlier page")
