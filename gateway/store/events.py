"""The journal as readers have it: what happened in a campaign, in an order in which nothing is passed over.

Two statements may end in another order than they began. So events are read by the transaction that wrote them, and
only below the oldest one that is still under way: whatever comes later has a later place. A reader keeps the place of
the last event it dealt with, in the transaction in which it dealt with it.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from gateway.core.bank.events import EventKind
from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Statements


class EventPlace(msgspec.Struct, frozen=True, order=True):
    """Where an event stands in its campaign's journal."""

    xid: int
    event_id: int


FIRST: Final = EventPlace(0, 0)
"""Before every event."""


class Item(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One text, contact or report of an event; what its kind does not have is None.

    `id`: of the message, of the person's text, of the report. `user_id`: whose it is, or who did it.
    """

    id: int | None
    contact_id: int | None
    action_id: int | None
    user_id: int | None
    former_user_id: int | None
    kind: str | None
    script: str | None
    segments: int | None
    before: str | None
    state: str | None
    code: int | None


class Event(msgspec.Struct, frozen=True, gc=False):
    """What one statement did, at an instant (Unix seconds). Its arrays stand side by side, or are empty."""

    place: EventPlace
    kind: EventKind
    at: float
    ids: Sequence[int]
    contact_ids: Sequence[int | None]
    action_ids: Sequence[int | None]
    user_ids: Sequence[int | None]
    former_user_ids: Sequence[int | None]
    kinds: Sequence[str]
    scripts: Sequence[str | None]
    segments: Sequence[int]
    befores: Sequence[str]
    states: Sequence[str]
    codes: Sequence[int | None]

    def items(self) -> Iterator[Item]:
        """Each of what the event is about."""
        columns = [getattr(self, name) for name in self.__struct_fields__[3:]]
        count = max(len(column) for column in columns)
        for row in zip(*(column or [None] * count for column in columns), strict=True):
            yield Item(**dict(zip(Item.__struct_fields__, row, strict=True)))


_READ = """
SELECT xid::text::bigint, event_id, kind, extract(epoch FROM at)::float8, ids, contact_ids, action_ids, user_ids,
       former_user_ids, kinds, scripts, segments, befores, states, codes
FROM events
WHERE organisation_id = $1 AND campaign_id = $2 AND (xid, event_id) > ($3::text::xid8, $4::bigint)
  AND xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY xid, event_id LIMIT $5
"""
# Moves of our own texts change nobody's inbox, and are most of the journal.
_TOUCHED = f"""
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, ARRAY(
    SELECT DISTINCT who FROM events e CROSS JOIN LATERAL unnest(e.user_ids || e.former_user_ids) AS who
    WHERE e.organisation_id = $1 AND e.campaign_id = $2 AND (e.xid, e.event_id) > ($3::text::xid8, $4::bigint)
      AND e.xid < pg_snapshot_xmin(pg_current_snapshot()) AND e.kind <> '{EventKind.MOVED}')
"""  # noqa: S608 - fixed texts
_END = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


async def read(statements: Statements, key: CampaignKey, after: EventPlace, limit: int = 500) -> list[Event]:
    """The next `limit` events of a campaign, those after a place. Fewer: there are none that may be read yet."""
    rows = await statements.fetch(_READ, *key, str(after.xid), after.event_id, limit)
    return [_event(*row) for row in rows]


async def end(database: Database) -> EventPlace:
    """The place from which on a reader that begins now reads: what is under way comes after it."""
    oldest: int = await database.fetch_value(_END)
    return EventPlace(oldest - 1, 2**63 - 1)


async def touched(
    database: Database, key: CampaignKey, after: EventPlace
) -> tuple[EventPlace, set[int | None]]:
    """Whose conversations something has happened to since a place, None among them for nobody's; and the place from
    which to go on."""
    [(oldest, users)] = await database.fetch(_TOUCHED, *key, str(after.xid), after.event_id)
    return EventPlace(oldest - 1, 2**63 - 1), set(users)


def _event(xid: int, event_id: int, kind: str, at: float, *columns: Sequence[object] | None) -> Event:
    arrays = [each if each is not None else () for each in columns]
    return Event(EventPlace(xid, event_id), EventKind(kind), at, *arrays)  # type: ignore[arg-type]
