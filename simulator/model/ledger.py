"""What the carriers saw: the outside witness, from which every invariant is judged.

Append-only tables of packed numbers. A message is known by `n`, its row in `submissions`. Times are seconds
since the world's start; phones are ints; carriers and statuses are indices into CARRIERS and STATUSES.
"""

import copy
import hashlib
import re
import struct
from array import array
from collections import Counter
from collections.abc import Iterator
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from simulator.model.carriers import CARRIERS, CarrierParameters
from simulator.model.messages import Submission

STATUSES = ("queued", "sent", "delivered", "undelivered", "failed")
QUEUED, SENT, DELIVERED, UNDELIVERED, FAILED = range(5)

_TYPES = {
    "d": "<f8",
    "f": "<f4",
    "q": "<i8",
    "Q": "<u8",
    "i": "<i4",
    "I": "<u4",
    "H": "<u2",
    "B": "u1",
    "b": "i1",
}

_SID = re.compile("SM[0-9a-fA-F]{32}")
_INBOUND_SID = 1 << 127
FAILURE_FEE_USD = 0.001  # published price: "Failed message $0.001"
NO_FEE = frozenset({30036})  # expired in the provider's queue costs nothing
_FILTERED = 30007
_WORD = (1 << 64) - 1


def sid_of(n: int) -> str:
    """The provider's id of outbound message `n`: SM and 32 hexadecimal digits, never all of them zeros."""
    return f"SM{n + 1:032x}"


def inbound_sid_of(n: int) -> str:
    """The provider's id of inbound text `n`."""
    return f"SM{_INBOUND_SID + n:032x}"


def inbound_number_of(sid: str) -> int:
    """The number of an inbound text by its sid, as `inbound_sid_of` made it."""
    return int(sid.removeprefix("SM"), base=16) - _INBOUND_SID


def number_of(sid: str) -> int | None:
    """The `n` of an outbound sid; None for anything else."""
    if not _SID.fullmatch(sid):
        return None
    n = int(sid.removeprefix("SM"), base=16) - 1
    return n if 0 <= n < _INBOUND_SID - 1 else None


class Table:
    """Rows of numbers, packed without padding; columns are named `name:type`, e.g. "at:d n:q"."""

    __slots__ = ("_dtype", "_pack", "_rows", "_size")

    def __init__(self, columns: str) -> None:
        named = [column.split(":") for column in columns.split()]
        layout = struct.Struct("<" + "".join(code for _, code in named))
        self._pack = layout.pack
        self._size = layout.size
        self._dtype = np.dtype([(name, _TYPES[code]) for name, code in named])
        self._rows = bytearray()

    def append(self, *row: float) -> None:
        self._rows += self._pack(*row)

    def __len__(self) -> int:
        return len(self._rows) // self._size

    def columns(self) -> NDArray[Any]:
        """A copy as a structured array: `columns()["at"]` is one column."""
        return np.frombuffer(bytes(self._rows), self._dtype)

    def row(self, n: int) -> dict[str, float]:
        """One row by number; IndexError when there is none."""
        if not 0 <= n < len(self):
            raise IndexError(n)
        found = np.frombuffer(bytes(self._rows[n * self._size : (n + 1) * self._size]), self._dtype)[0]
        return {name: found[name].item() for name in self._dtype.names or ()}

    def where(self, **equal: int) -> list[int]:
        """The numbers of the rows whose named columns equal the given values, oldest first."""
        rows = np.frombuffer(self._rows, self._dtype)  # a view: it must not outlive this call
        matches = np.ones(len(rows), np.bool_)
        for name, value in equal.items():
            matches &= rows[name] == value
        found: list[int] = np.flatnonzero(matches).tolist()
        return found

    def of_rows(self, rows: NDArray[Any]) -> "Table":
        """A table of the same columns with these rows."""
        made = copy.copy(self)
        made._rows = bytearray(rows.tobytes())
        return made

    def raw(self) -> bytearray:
        return self._rows


class Column(Protocol):
    """A number for each message, by its `n`."""

    def append(self, number: int, /) -> None: ...

    def __getitem__(self, n: int, /) -> int: ...

    def __setitem__(self, n: int, number: int, /) -> None: ...

    def __len__(self) -> int: ...


class Texts(Protocol):
    """Texts by their number."""

    def append(self, text: str, /) -> None: ...

    def __getitem__(self, n: int, /) -> str: ...

    def __iter__(self) -> Iterator[str]: ...

    def __len__(self) -> int: ...


class Counts(msgspec.Struct, frozen=True):
    """Running totals at one instant; `sent` are accepted messages without a final word."""

    submitted: int
    refused: dict[int, int]
    accepted: int
    sent: int
    delivered: int
    undelivered: dict[int, int]
    failed: dict[int, int]
    filtered: int
    silent: int
    replies: int
    opt_outs: int
    in_queue: dict[str, int]
    webhooks_lost: int
    segments_billed: int
    cost_usd: float


class Ledger:
    """The tables, the running totals and the money of one world."""

    def __init__(self, prices: CarrierParameters | None = None) -> None:
        self.submissions = Table(
            "handed_at:d arrived_at:d to:q sender:q campaign:q carrier:B segments:H body_key:Q "
            "validity_s:f campaign_id:q message_id:q attempt:i"
        )
        self.refusals = Table("at:d to:q sender:q campaign:q code:H")
        self.accepts = Table("n:q departed_at:d at:d")
        self.finals = Table("n:q at:d status:B code:H")
        self.statuses = Table(
            "n:q at:d status:B code:H"
        )  # webhooks that reached the gateway, duplicates included
        self.arrivals = Table("n:q at:d shown:B")  # at the handset; a silently filtered text is not shown
        self.inbound = Table("at:d person:q number:q campaign:q segments:H")
        self.inbound_texts: Texts = []
        self.pictures: dict[int, tuple[str, ...]] = {}  # media types of what came with an inbound text
        self.inbound_deliveries = Table("n:q at:d")
        self.purchases = Table("at:d number:q campaign:q code:H")  # code 0: bought
        self.releases = Table("at:d number:q")
        self.in_queue = [0] * len(CARRIERS)
        self.reached = [0] * len(CARRIERS)  # messages that reached their carrier
        self.opt_outs = 0
        self.webhooks_lost = 0
        self.segments_billed = 0
        self.cost_usd = 0.0
        self._states: Column = bytearray()
        self._codes: Column = array("H")
        self._sent = 0  # messages whose state is SENT
        self._ended: Counter[tuple[int, int]] = Counter()
        self._refused: Counter[int] = Counter()
        self._shown = 0
        prices = prices or CarrierParameters()
        self._price_out = [prices.price_out_usd(name) for name in CARRIERS]
        self._price_in = [prices.price_in_usd(name) for name in CARRIERS]
        self._price_number = prices.number_monthly_usd
        self._price_mms = [prices.price_mms_usd(name) for name in CARRIERS]
        self._fee_waived_out = (prices.base_usd, prices.base_mms_usd)
        self._price_lookup = prices.lookup_usd
        self.lookups = 0

    def submit(self, submission: Submission, arrived_at: float, carrier: int) -> int:
        """One message the provider has taken; returns its `n`."""
        n = len(self._states)
        campaign_id, message_id, attempt = reference_fields(submission.reference)
        self.submissions.append(
            submission.handed_at,
            arrived_at,
            submission.to,
            submission.sender,
            submission.campaign,
            carrier,
            submission.segments,
            submission.body_key & _WORD,
            submission.validity_s,
            campaign_id,
            message_id,
            attempt,
        )
        self._states.append(QUEUED)
        self._codes.append(0)
        return n

    def refuse(self, at: float, to: int, sender: int, campaign: int, code: int) -> None:
        self.refusals.append(at, to, sender, campaign, code)
        self._refused[code] += 1

    def accept(self, n: int, departed_at: float, at: float) -> None:
        """The carrier has taken message `n`, which left the provider's queue at `departed_at`."""
        self.accepts.append(n, departed_at, at)
        self._sent += self._states[n] != SENT
        self._states[n] = SENT

    def final(self, n: int, at: float, status: int, code: int = 0) -> None:
        """The provider's last word about message `n`."""
        self.finals.append(n, at, status, code)
        self._sent -= self._states[n] == SENT
        self._states[n] = status
        self._codes[n] = code
        self._ended[status, code] += 1
        if status == FAILED and code not in NO_FEE:
            self.cost_usd += FAILURE_FEE_USD

    def arrive(self, n: int, at: float, shown: bool) -> None:
        self.arrivals.append(n, at, shown)
        self._shown += shown

    def bill(self, carrier: int, segments: int, *, is_mms: bool = False, fee_waived: bool = False) -> None:
        """Charged when the carrier is reached, whatever becomes of the text; waived: the carrier's fee alone is."""
        self.reached[carrier] += 1
        self.segments_billed += segments
        if fee_waived:
            self.cost_usd += segments * self._fee_waived_out[is_mms]
        else:
            self.cost_usd += segments * (self._price_mms if is_mms else self._price_out)[carrier]

    def look_up(self) -> None:
        """A phone's line type and carrier were asked for."""
        self.lookups += 1
        self.cost_usd += self._price_lookup

    def receive(
        self,
        at: float,
        person: int,
        number: int,
        *,
        campaign: int,
        carrier: int,
        text: str,
        segments: int,
        pictures: tuple[str, ...] = (),
    ) -> int:
        """An inbound text at the provider; returns its own `n`."""
        n = len(self.inbound_texts)
        self.inbound.append(at, person, number, campaign, segments)
        self.inbound_texts.append(text)
        if pictures:
            self.pictures[n] = pictures
        self.cost_usd += segments * self._price_in[carrier]
        return n

    def buy(self, at: float, number: int, campaign: int, code: int = 0) -> None:
        self.purchases.append(at, number, campaign, code)
        if not code:
            self.cost_usd += self._price_number

    def state(self, n: int) -> tuple[int, int]:
        """The provider's present word about message `n`: status, error code."""
        return self._states[n], self._codes[n]

    def counts(self) -> Counts:
        """Totals so far, from running sums: cheap enough for a live display."""
        ended = self._ended
        by_status = {
            status: {code: count for (ends, code), count in sorted(ended.items()) if ends == status}
            for status in (DELIVERED, UNDELIVERED, FAILED)
        }
        accepted = len(self.accepts)
        return Counts(
            submitted=len(self._states),
            refused=dict(sorted(self._refused.items())),
            accepted=accepted,
            sent=self._sent,
            delivered=ended[DELIVERED, 0],
            undelivered=by_status[UNDELIVERED],
            failed=by_status[FAILED],
            filtered=ended[UNDELIVERED, _FILTERED],
            silent=len(self.arrivals) - self._shown,
            replies=len(self.inbound_texts),
            opt_outs=self.opt_outs,
            in_queue=dict(zip(CARRIERS, self.in_queue, strict=True)),
            webhooks_lost=self.webhooks_lost,
            segments_billed=self.segments_billed,
            cost_usd=round(self.cost_usd, 6),
        )

    def latency_s(self, stage: str, carrier: str) -> NDArray[np.float32]:
        """Seconds from the provider's door to "accepted" or "shown", per message of one carrier, for plots."""
        table, column = {"accepted": (self.accepts, "at"), "shown": (self.arrivals, "at")}[stage]
        rows = table.columns()
        asked = self.submissions.columns()[rows["n"]]
        ours = asked["carrier"] == CARRIERS.index(carrier)
        latencies: NDArray[np.float32] = (rows[column] - asked["arrived_at"])[ours].astype(np.float32)
        return latencies

    def trace_hash(self) -> str:
        """SHA-256 over every table in a fixed order: equal for equal worlds, in any process."""
        digest = hashlib.sha256()
        for table in self._tables():
            digest.update(len(table).to_bytes(8, "little"))
            digest.update(table.raw())
        for text in self.inbound_texts:
            digest.update(text.encode() + b"\0")
        return digest.hexdigest()

    def _tables(self) -> tuple[Table, ...]:
        return (
            self.submissions,
            self.refusals,
            self.accepts,
            self.finals,
            self.statuses,
            self.arrivals,
            self.inbound,
            self.inbound_deliveries,
            self.purchases,
            self.releases,
        )


def reference_fields(reference: tuple[int, int, int] | bytes) -> tuple[int, int, int]:
    """(campaign_id, message_id, attempt) of a reference; (-1, -1, -1) when it is opaque bytes."""
    return (-1, -1, -1) if isinstance(reference, bytes) else reference
