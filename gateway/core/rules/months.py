"""Months, as the ids of what grows carry them: an id given in November 2026 is 2611 and ten digits more.

So a month's rows are a range of ids, and one partition of their table. A month is a number as well: 2611. Months are
UTC's. Ids stay below 2**53, which JavaScript reads exactly.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

IDS_OF_A_MONTH: Final = 10**10
FIRST_WITH_A_MONTH: Final = 10**13
"""Lower ids are of the release before, which put no month into them."""
_CENTURY: Final = 2000
_FIRST_AT: Final = datetime(2010, 1, 1, tzinfo=UTC).timestamp()  # ids of 1001
_MOST: Final = 2**63 - 1
_LATE_S: Final = 86_400.0  # an id is given a little before its row's instant: longer than any batch waits


def month_of(at: float) -> int:
    """The month of an instant (Unix seconds); what is before 2010 is of that year's first."""
    day = datetime.fromtimestamp(max(at, _FIRST_AT), UTC)
    return (day.year - _CENTURY) * 100 + day.month


def after(month: int, count: int = 1) -> int:
    """The month that comes `count` months later."""
    years, past = divmod(month % 100 - 1 + count, 12)
    return (month // 100 + years) * 100 + past + 1


def begins_at(month: int) -> float:
    """Its first instant, in Unix seconds."""
    return datetime(_CENTURY + month // 100, month % 100, 1, tzinfo=UTC).timestamp()


def first_id(month: int) -> int:
    """Below every id of the month, and above those of the months before."""
    return month * IDS_OF_A_MONTH


def ids_since(at: float) -> int:
    """No row of this instant or a later one has a lower id, but those without a month."""
    return first_id(month_of(at - _LATE_S))


def is_past(month: int, before: float) -> bool:
    """Whether every row of the month is of earlier than an instant."""
    return begins_at(after(month)) + _LATE_S <= before


def ids_of(month: int) -> range:
    """Every id of the month."""
    return range(first_id(month), first_id(after(month)))


def ids_outside(months: Sequence[int]) -> list[range]:
    """Every id that is of none of these months, as ranges; the months rise."""
    edges = [0, *(edge for month in months for edge in (first_id(month), first_id(after(month)))), _MOST]
    return [range(low, high) for low, high in zip(edges[::2], edges[1::2], strict=True) if low < high]
