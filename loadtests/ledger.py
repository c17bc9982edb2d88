"""The verdict on a load test's texts, from the carrier's ledger: lost, twice, after STOP, outside lawful hours.

The ledger is the carrier's own (`/twin/ledger`), so nothing is judged by the gateway's word; only of an acknowledged text
that the carrier never saw is the gateway asked what became of it. What each of the four means is in `judged`.
"""

from collections import Counter
from collections.abc import Callable, Container, Iterable
from datetime import datetime
from math import inf
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from loadtests.door import Door
from loadtests.people import zone_of

STOP_WORDS: Final = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START_WORDS: Final = frozenset({"START", "UNSTOP"})
ON_THE_WIRE_S: Final = 1.0
"""How long before a STOP was acknowledged a text may have left the gateway and reach the carrier after it."""

FIRST_HOUR, LAST_HOUR = 9, 21
_TABLES: Final = ("submissions", "arrivals", "inbound", "inbound_acknowledged", "finals")
_ROWS_AT_ONCE: Final = 50_000
_MOST_POINTS: Final = 80
_UNSENT: Final = frozenset({"blocked", "failed"})
_WAITING: Final = frozenset({"queued", "sending", "unknown"})

Rows = list[dict[str, Any]]


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """The tables of one instant; times in the market's seconds, which began at the Unix second `start_at`."""

    start_at: float
    submissions: Rows
    arrivals: Rows
    inbound: Rows
    inbound_acknowledged: Rows
    finals: Rows
    cost_usd: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What was wrong with any text. `unsent`: acknowledged, then not sent, and the gateway says why. `waiting`: not yet."""

    acknowledged: int
    handed_over: int
    delivered: int
    opt_outs: int
    cents: float
    unsent: int
    waiting: int
    lost: int
    twice: int
    after_stop: int
    outside_hours: int

    @property
    def held(self) -> bool:
        return not (self.lost or self.twice or self.after_stop or self.outside_hours)


def opened_at(state: dict[str, Any]) -> float:
    """The Unix second at which the market opened, by its `/twin/state`."""
    return datetime.fromisoformat(state["time"]).timestamp() - float(state["now_s"])


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    """Who was texted where: `finished_s` from the campaign's first text to the last first text of the zone.

    `curve`: seconds, and how many had had their first text by then.
    """

    zone: str
    people: int
    finished_s: float
    curve: list[tuple[float, int]]


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What the carrier saw of one campaign: its people by zone; `began_at`, in Unix seconds by its clock: the first text."""

    began_at: float
    zones: list[Zone]
    finished_s: float


def fetched(carrier: Door) -> Ledger:
    """All tables as of one answer of `/twin/ledger`; raises Unanswered."""
    start_at = opened_at(carrier.call("GET", "/twin/state"))
    told = carrier.call("GET", "/twin/ledger")
    tables = {name: _table(carrier, name, told["rows"][name]) for name in _TABLES}
    return Ledger(start_at=start_at, cost_usd=told["counts"]["cost_usd"], **tables)


def _table(carrier: Door, name: str, upto: int) -> Rows:
    rows: Rows = []
    after: int | None = 0
    while after is not None:
        page = carrier.call("GET", f"/twin/ledger/{name}?after={after}&upto={upto}&limit={_ROWS_AT_ONCE}")
        rows += page["rows"]
        after = page["next"]
    return rows


def judged(
    ledger: Ledger,
    campaign_id: int,
    acknowledged: Iterable[int],
    state_of: Callable[[int], str],
    *,
    shuts_at: float = inf,
) -> Verdict:
    """The verdict on one campaign's texts.

    Lost: the API acknowledged it, the carrier never saw it, and the gateway says neither that it ended unsent nor that it
    waits (`state_of` a message, "" when the gateway has none). Twice: one message that reached a phone more than once. After STOP: it came to the carrier more than
    ON_THE_WIRE_S after the gateway had acknowledged the person's STOP. Outside hours: by the clock where the person is, and
    when the campaign's own hours ended, `shuts_at` in Unix seconds.
    """
    taken = {row["n"]: row for row in ledger.submissions if row["campaign_id"] == campaign_id}
    shown = Counter(taken[row["n"]]["message_id"] for row in ledger.arrivals if row["n"] in taken)
    promised = set(acknowledged)
    missing = promised - {row["message_id"] for row in taken.values()}
    states = Counter(map(state_of, sorted(missing)))
    unsent, waiting = (sum(states[each] for each in kind) for kind in (_UNSENT, _WAITING))
    left = _left(ledger, {row["sender"] for row in taken.values()})
    return Verdict(
        acknowledged=len(promised),
        handed_over=len(taken),
        delivered=len(shown),
        opt_outs=len(left),
        cents=round(ledger.cost_usd * 100, 2),
        unsent=unsent,
        waiting=waiting,
        lost=len(missing) - unsent - waiting,
        twice=sum(count > 1 for count in shown.values()),
        after_stop=sum(_after_stop(row, left) for row in taken.values()),
        outside_hours=sum(_outside_hours(row, ledger.start_at, shuts_at) for row in taken.values()),
    )


def seen(ledger: Ledger, campaign_id: int, among: Container[int] | None = None) -> Seen | None:
    """Who had their first text when, of those `among` whom it is asked; None when nobody had one."""
    firsts: dict[int, float] = {}
    for row in ledger.submissions:
        person, at = row["to"], row["arrived_at"]
        if row["campaign_id"] == campaign_id and (among is None or person in among):
            firsts[person] = min(at, firsts.get(person, at))
    if not firsts:
        return None
    began = min(firsts.values())
    by_zone: dict[str, list[float]] = {}
    for person, at in firsts.items():
        by_zone.setdefault(zone_of(person) or "elsewhere", []).append(at - began)
    zones = [_zone(name, sorted(times)) for name, times in sorted(by_zone.items())]
    return Seen(
        began_at=ledger.start_at + began, zones=zones, finished_s=max(zone.finished_s for zone in zones)
    )


def _zone(name: str, times: list[float]) -> Zone:
    last = len(times) - 1
    nths = sorted({round(nth * last / _MOST_POINTS) for nth in range(_MOST_POINTS + 1)})
    curve = [(round(times[nth], 3), nth + 1) for nth in nths]
    return Zone(zone=name, people=len(times), finished_s=round(times[-1], 3), curve=curve)


def _left(ledger: Ledger, numbers: Container[int]) -> dict[int, list[tuple[float, float]]]:
    """By person: the spans, in the market's seconds, in which a STOP to one of these numbers was in force.

    What they said to another campaign, as to that of a calibration just before, is none of this one's.
    """
    heard_at: dict[int, float] = {}
    for row in ledger.inbound_acknowledged:
        heard_at.setdefault(row["n"], row["at"])
    spans: dict[int, list[tuple[float, float]]] = {}
    for n, row in enumerate(ledger.inbound):
        if row["number"] not in numbers:
            continue
        word, of_person = row["text"].strip().upper(), spans.get(row["person"], [])
        if word in STOP_WORDS and n in heard_at:
            spans.setdefault(row["person"], []).append((heard_at[n], inf))
        elif word in START_WORDS and of_person:
            of_person[-1] = (of_person[-1][0], row["at"])
    return spans


def _after_stop(row: dict[str, Any], left: dict[int, list[tuple[float, float]]]) -> bool:
    spans = left.get(row["to"], [])
    return any(
        stopped_at + ON_THE_WIRE_S < row["arrived_at"] < started_at for stopped_at, started_at in spans
    )


def _outside_hours(row: dict[str, Any], start_at: float, shuts_at: float) -> bool:
    zone = zone_of(row["to"])
    if zone is None or start_at + row["arrived_at"] >= shuts_at:
        return True  # nobody of this test, or too late
    return (
        not FIRST_HOUR
        <= datetime.fromtimestamp(start_at + row["arrived_at"], ZoneInfo(zone)).hour
        < LAST_HOUR
    )
