"""An account's messages: the newest in memory, the others in a file that is gone with the process.

A twin may run for weeks. What it holds in memory is bounded; fetch and list answer for every message all the same.
"""

import sqlite3
import weakref
from collections.abc import Callable, Iterator
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, cast

import msgspec

if TYPE_CHECKING:
    from simulator.twin.accounts import Account, Message

KEPT = 20_000  # messages in memory
_AT_ONCE = 250  # messages written together: a few milliseconds
_SCHEDULED = "scheduled"  # will be sent from memory
_TABLE = """
CREATE TABLE messages (place INTEGER PRIMARY KEY, n INTEGER, sid TEXT, direction TEXT, sender INTEGER,
    recipient INTEGER, body TEXT, segments INTEGER, created_at REAL, service TEXT, callback TEXT, media BLOB,
    status TEXT, code INTEGER, changed_at REAL, deleted INTEGER);
CREATE INDEX by_sid ON messages (sid);
CREATE INDEX by_n ON messages (n);
CREATE INDEX by_recipient ON messages (recipient, place);
CREATE INDEX by_sender ON messages (sender, place);
"""
_WRITE = "REPLACE INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

Row = tuple[int, int, str, str, int, int, str, int, float, str, str, bytes, str, int, float, int]


class History:
    """The messages of one account; `filed` hears which have left memory."""

    def __init__(self, account: "Account", kept: int = KEPT) -> None:
        self._account = account
        self._kept = kept
        self._count = 0
        self._live: dict[str, Message] = {}  # by sid, oldest first
        self._with_phone: dict[int, list[Message]] = {}
        self._file: sqlite3.Connection | None = None
        self.filed: Callable[[list[Message]], object] = lambda _: None

    def __len__(self) -> int:
        return self._count

    def add(self, message: "Message") -> None:
        """Enter a message as the newest; `place` is its position."""
        message.place = self._count
        self._count += 1
        self._live[message.sid] = message
        for phone in _phones(message):
            self._with_phone.setdefault(phone, []).append(message)
        if len(self._live) >= self._kept + _AT_ONCE:
            self._put_away()

    def find(self, sid: str) -> "Message | None":
        """The message with this sid; one from the file is a copy, see `keep`."""
        return self._live.get(sid) or self._first("sid = ?", sid)

    def numbered(self, n: int) -> "Message | None":
        """The message with this number in the ledger, if it is in the file."""
        return self._first("n = ?", n)

    def keep(self, message: "Message") -> None:
        """A message was changed: the file, if it is there, has the change as well."""
        if message.sid not in self._live and self._file is not None:
            self._file.execute(_WRITE, _row(message))

    def newest(self, to: int | None, sender: int | None) -> "Iterator[Message]":
        """All messages to and from these phones, and perhaps others, newest first."""
        live = self._live_candidates(to, sender)
        return merge(live, self._filed(to, sender), key=lambda message: -message.place)

    def _live_candidates(self, to: int | None, sender: int | None) -> "Iterator[Message]":
        """Messages to one phone, else from one that is not ours, are known by it."""
        if to is not None:
            return reversed(self._with_phone.get(to, []))
        if sender is not None and sender not in self._account.by_phone:
            return reversed(self._with_phone.get(sender, []))
        return reversed(self._live.values())

    # ------------------------------------------------------------ the file

    def _put_away(self) -> None:
        waiting = (message for message in self._live.values() if message.status != _SCHEDULED)
        oldest = list(islice(waiting, _AT_ONCE))
        self._opened().executemany(_WRITE, [_row(each) for each in oldest])
        for message in oldest:
            del self._live[message.sid]
            for phone in _phones(message):
                known = self._with_phone[phone]
                known.remove(message)
                if not known:
                    del self._with_phone[phone]
        self.filed(oldest)

    def _opened(self) -> sqlite3.Connection:
        """Without a name: SQLite's own temporary file, which nobody else sees."""
        if self._file is None:
            self._file = sqlite3.connect("", isolation_level=None)
            weakref.finalize(self, self._file.close)
            self._file.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_TABLE}")
        return self._file

    def _first(self, where: str, value: object) -> "Message | None":
        return next(self._select(f"WHERE {where}", (value,)), None)

    def _filed(self, to: int | None, sender: int | None) -> "Iterator[Message]":
        wanted = {"recipient": to, "sender": sender}
        phones = {name: phone for name, phone in wanted.items() if phone is not None}
        where = " AND ".join(f"{name} = ?" for name in phones) or "true"
        return self._select(f"WHERE {where} ORDER BY place DESC", tuple(phones.values()))

    def _select(self, rest: str, values: tuple[object, ...]) -> "Iterator[Message]":
        if self._file is not None:
            rows: Iterator[Row] = self._file.execute(f"SELECT * FROM messages {rest}", values)  # noqa: S608 - our own words
            for row in rows:
                yield self._read(row)

    def _read(self, row: Row) -> "Message":
        from simulator.twin.accounts import Message

        place, n, sid, direction, sender, to, body, segments, created_at, service, callback, *more = row
        media, status, code, changed_at, deleted = cast(tuple[bytes, str, int, float, int], tuple(more))
        return Message(
            n, sid, self._account, direction, sender, to, body, segments, created_at, place,
            self._account.services.get(service), callback, tuple(msgspec.json.decode(media)), status, code,
            changed_at, bool(deleted),
        )  # fmt: skip


def _phones(message: "Message") -> tuple[int, ...]:
    """The phones a message is known by: the person's, and ours when the person wrote."""
    return (message.sender, message.to) if message.direction == "inbound" else (message.to,)


def _row(message: "Message") -> Row:
    return (
        message.place, message.n, message.sid, message.direction, message.sender, message.to,
        message.body.encode("utf-8", "replace").decode(), message.segments, message.created_at,
        message.service.sid if message.service is not None else "", message.callback,
        msgspec.json.encode(message.media), message.status, message.code, message.changed_at,
        int(message.deleted),
    )  # fmt: skip
