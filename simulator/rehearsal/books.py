"""The gateway's books at the end of the world: its store's rows, and what its clients were told."""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.core.rules.campaign import CampaignKey
from gateway.store import audit_export as store
from gateway.store.database import Database
from simulator.audit.records import (
    ANSWER,
    CALL,
    CLAIM,
    EMPTY_CLAIM,
    INBOUND,
    KINDS,
    LOOK,
    MARK,
    MESSAGE,
    NUMBER,
    OPT_OUT,
    PAST_ATTEMPT,
    REQUEST,
    SHOWN,
    STATES,
    WAITING,
    Books,
    Rows,
)
from simulator.model.ledger import Table
from simulator.model.population import Population
from simulator.rehearsal.bank import WITNESSED_STATES, ClientLog

Phones = NDArray[np.int64]
Variants = Callable[[NDArray[np.int64]], NDArray[np.int64]]

_STATE = {name: index for index, name in enumerate(STATES)}
_WORDS: Mapping[str, Sequence[str]] = {"state": STATES, "kind": KINDS}  # stored as words, told as numbers


async def read_books(
    database: Database,
    key: CampaignKey,
    population: Population,
    client_log: ClientLog,
    variants: Variants,
    calls_in_vain: Table,
) -> Books:
    """Reads everything the auditor needs; `variants` says which first text each contact's luck gives."""
    phones = population.phones
    answers = client_log.acknowledgements.columns()
    unsure = client_log.unsure_presses.columns()
    return msgspec.structs.replace(
        await stored_books(database, key),
        claims=_told(CLAIM, client_log.claims.columns(), phones),
        empty_claims=_told(EMPTY_CLAIM, client_log.empty_claims.columns(), phones),
        requests=_told(REQUEST, answers, phones, state=_states(answers)),
        answers=_told(ANSWER, answers, phones, drawn=variants(answers["contact"]), state=_states(answers)),
        # they may have been sent all the same
        unsure=_told(
            ANSWER, unsure, phones, message_id=0, took_s=0, drawn=variants(unsure["contact"]), state=0
        ),
        looks=_told(LOOK, client_log.looks.columns(), phones),
        shown=_told(SHOWN, client_log.shown.columns(), phones),
        marks=marks_of(client_log, phones),
        broken_presses=phones[client_log.errors.columns()["contact"] - 1],
        calls_in_vain=calls_in_vain.columns().astype(CALL),
    )


def marks_of(client_log: ClientLog, phones: Phones) -> Rows:
    """Whom volunteers marked as opted out. What had no answer when the day was over may have been carried out."""
    answered = client_log.marks.columns()
    under_way = [(asked_at, inf, contact_id) for asked_at, contact_id in sorted(client_log.marking)]
    return _told(MARK, np.concatenate((answered, np.array(under_way, answered.dtype))), phones)


def _told(dtype: np.dtype[Any], seen: Rows, phones: Phones, **more: Any) -> Rows:
    """Rows of the phones' log as the auditor has them: with the phone for the contact, and what is given besides."""
    if "phone" in (dtype.names or ()):
        more["phone"] = phones[seen["contact"] - 1]
    rows = np.empty(len(seen), dtype)
    for name in dtype.names or ():
        rows[name] = more[name] if name in more else seen[name]
    return rows


def _states(seen: Rows) -> Rows:
    meaning = np.array([_STATE[name] for name in WITNESSED_STATES], np.uint8)
    states: Rows = meaning[seen["state"]]
    return states


async def stored_books(database: Database, key: CampaignKey) -> Books:
    """What the store alone says."""
    return Books(
        campaign_id=key.campaign_id,
        messages=await _table(database, store.MESSAGES, key, MESSAGE),
        past_attempts=await _table(database, store.PAST_ATTEMPTS, key, PAST_ATTEMPT),
        opt_outs=await _table(database, store.OPT_OUTS, key, OPT_OUT),
        inbound=await _table(database, store.INBOUND, key, INBOUND),
        numbers=await _table(database, store.NUMBERS, key, NUMBER),
        waiting=(await _table(database, store.WAITING, key, WAITING))["phone"],
    )


async def _table(database: Database, sql: str, key: CampaignKey, dtype: np.dtype[Any]) -> Rows:
    columns = [_column(name, dtype[name]) for name in dtype.names or ()]
    wanted = ", ".join(column.sql for column in columns)
    rows = _BinaryRows(dtype, columns)
    await database.copy_out(
        f"SELECT {wanted} FROM ({sql}) AS book ({', '.join(dtype.names or ())})",  # noqa: S608 - no input in it
        *key,
        take=rows.take,
    )
    return rows.all()


class _Column(msgspec.Struct, frozen=True):
    """How a column is asked for, so that each of its values has the same length and none is NULL."""

    name: str
    sql: str
    wire: str


def _column(name: str, kind: np.dtype[Any]) -> _Column:
    if kind.kind == "U":
        length = kind.itemsize // 4
        return _Column(name, f"rpad({name}, {length})", f"S{length}")
    if kind.kind == "f":
        return _Column(name, f"coalesce({name}, 'NaN')::float8", ">f8")
    if kind.kind == "b":
        return _Column(name, f"{name}::int::int2", ">i2")
    if kind.kind == "u":
        words = ", ".join(f"'{word}'" for word in _WORDS[name])
        return _Column(name, f"(coalesce(array_position(ARRAY[{words}], {name}), 0) - 1)::int2", ">i2")
    return _Column(name, f"coalesce({name}, 0)::int{kind.itemsize}", f">i{kind.itemsize}")


class _BinaryRows:
    """Rows of a binary COPY, each as long as any other: a length before each value, a count before each row."""

    _HEADER_BYTES = 19
    _TRAILER = b"\xff\xff"
    _PIECE_BYTES = 1 << 20  # converted at once, so that the bytes of a big table never stand beside its rows

    def __init__(self, dtype: np.dtype[Any], columns: Sequence[_Column]) -> None:
        fields = [("count", ">i2")]
        for column in columns:
            fields += [(f"{column.name} length", ">i4"), (column.name, column.wire)]
        self._wire = np.dtype(fields)
        self._dtype = dtype
        self._bytes = bytearray()
        self._pieces: list[Rows] = []

    def take(self, piece: bytes) -> None:
        self._bytes += piece
        if len(self._bytes) >= self._PIECE_BYTES:
            self._convert()

    def _convert(self) -> None:
        """What is there of whole rows; the rest waits for its end."""
        if not self._pieces:
            del self._bytes[: self._HEADER_BYTES]
        size = self._wire.itemsize
        whole = len(self._bytes) // size * size
        read = np.frombuffer(bytes(self._bytes[:whole]), self._wire)
        if np.any(read["count"] != len(self._dtype.names or ())):
            raise ValueError("the store has a row that the auditor cannot read: a value is NULL or too long")
        rows = np.empty(len(read), self._dtype)
        for name in self._dtype.names or ():
            if self._dtype[name].kind == "u" and (read[name] < 0).any():
                raise ValueError(f"the store has a {name} that the auditor does not know")
            rows[name] = (
                np.char.rstrip(read[name].astype("U")) if read[name].dtype.kind == "S" else read[name]
            )
        self._pieces.append(rows)
        del self._bytes[:whole]

    def all(self) -> Rows:
        """Every row; only the trailer is left over."""
        self._convert()
        if self._bytes != self._TRAILER:
            raise ValueError("the store's last row cannot be read: a value is NULL or too long")
        return np.concatenate(self._pieces)
