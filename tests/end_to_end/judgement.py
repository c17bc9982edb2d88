"""The carrier's ledger against the gateway's books, by the rehearsal's own auditor.

The ledger comes over HTTP; its times, in the market's seconds, become real seconds since the carrier's start. A
webhook counts when the gateway has acknowledged it. The rates are judged from the slots: each obeys the meters to
the microsecond, and no text reaches the carrier before its own.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import inf
from typing import Any

import msgspec
import numpy as np

from gateway.core.rules.campaign import DEFAULT_ORGANISATION, CampaignKey
from simulator.audit.auditor import audit
from simulator.audit.records import REQUEST, STATES, Audit, Books, GroundTruth
from simulator.model.carriers import CARRIERS, CampaignRegistration
from simulator.model.ledger import Ledger
from simulator.rehearsal.books import stored_books
from tests.end_to_end.town import CAMPAIGN, SHIFT_S, Town

ON_THE_WIRE_S = 1.0
"""How long before a STOP was in force a text may have left the gateway and reach the carrier after it."""

_TABLES = {  # the ledger's table: the carrier's
    "submissions": "submissions",
    "refusals": "refusals",
    "accepts": "accepts",
    "finals": "finals",
    "statuses": "acknowledged",
    "arrivals": "arrivals",
    "inbound": "inbound",
    "inbound_deliveries": "inbound_acknowledged",
    "purchases": "purchases",
    "releases": "releases",
}
_MOMENTS = ("at", "handed_at", "arrived_at", "departed_at")
_ROUNDING_S = 2e-6
_CLOCKS_APART_S = 0.25  # two processes read the time of day once each


class Judgement(msgspec.Struct, frozen=True):
    """What the auditor found, and what it found it in."""

    audit: Audit
    ledger: Ledger
    books: Books
    world: GroundTruth


async def judged(town: Town) -> Judgement:
    """Books first, then the ledger: what comes in between is newer than the books, and the auditor knows it."""
    ended_at = (await town.twin("GET", "faults"))["now_s"] / town.speed
    start_at = time.time() + SHIFT_S - ended_at
    books = msgspec.structs.replace(
        await stored_books(town.store, CampaignKey(DEFAULT_ORGANISATION, CAMPAIGN)), requests=_requests(town)
    )
    ledger = await fetched_ledger(town)
    world = GroundTruth(
        start_at=start_at,
        start_minute=9 * 60,
        end_minute=21 * 60,
        zone="America/New_York",
        registration=CampaignRegistration(total_per_s=inf, carrier_per_s=dict.fromkeys(CARRIERS, inf)),
        commit_window_s=ON_THE_WIRE_S,
        ended_at=ended_at,
        carriers_known=False,
    )
    return Judgement(audit(ledger, books, world), ledger, books, world)


async def fetched_ledger(town: Town) -> Ledger:
    """The carrier's tables of one instant, as the auditor reads them."""
    ledger = Ledger()
    snapshot = await town.tables(_TABLES.values())
    for ours, theirs in _TABLES.items():
        table = getattr(ledger, ours)
        names = table.columns().dtype.names
        for row in snapshot[theirs]:
            for name in _MOMENTS:
                if name in row:
                    row[name] /= town.speed
            table.append(*(row[name] for name in names))
            if ours == "inbound":
                ledger.inbound_texts.append(row["text"])
    return ledger


def _requests(town: Town) -> np.ndarray[Any, Any]:
    rows = {message_id: STATES.index(state) for message_id, state in town.answers}
    return np.array(sorted(rows.items()), REQUEST) if rows else np.empty(0, REQUEST)


def assert_held(judgement: Judgement) -> None:
    """Every invariant, each violation told in full."""
    told = "\n".join(f"{each.invariant}: {each.what}\n{each.story}" for each in judgement.audit.violations)
    assert not any(judgement.audit.counts.values()), f"{judgement.audit.counts}\n{told}"


async def assert_judged_well(town: Town) -> Judgement:
    """The ledger and the books agree, nothing is left on its way, and the slots kept the rates."""
    judgement = await judged(town)
    assert_held(judgement)
    texted_once(judgement)
    await slots_kept(town, judgement)
    town.no_traceback()
    return judgement


def texted_once(judgement: Judgement) -> None:
    """No message reached a phone twice, whatever its attempts."""
    ledger = judgement.ledger
    submissions, arrivals = ledger.submissions.columns(), ledger.arrivals.columns()
    messages, counts = np.unique(submissions["message_id"][arrivals["n"]], return_counts=True)
    assert messages[counts > 1].tolist() == []


# ---------------------------------------------------------------- rates

_SLOTS = """
SELECT m.message_id, m.attempt, m.segments, c.carrier, n.phone, extract(epoch FROM m.slot_at)::float8
FROM messages m JOIN contacts c USING (campaign_id, contact_id)
JOIN numbers n ON n.campaign_id = m.campaign_id AND n.number_id = m.number_id
WHERE m.campaign_id = $1 AND m.slot_at IS NOT NULL
UNION ALL
SELECT a.message_id, a.attempt, m.segments, c.carrier, n.phone, extract(epoch FROM a.slot_at)::float8
FROM attempts a JOIN messages m USING (campaign_id, message_id) JOIN contacts c USING (campaign_id, contact_id)
JOIN numbers n ON n.campaign_id = a.campaign_id AND n.number_id = a.number_id
WHERE a.campaign_id = $1 AND a.slot_at IS NOT NULL
ORDER BY 1, 2
"""


async def slots_kept(town: Town, judgement: Judgement) -> None:
    """Each text that the carrier saw had a slot of its own on every meter, and did not come before it."""
    _, limits = await town.call("GET", f"/v1/campaigns/{CAMPAIGN}/registration")
    submissions = judgement.ledger.submissions.columns()
    came_at = {
        (int(row["message_id"]), int(row["attempt"])): judgement.world.start_at + float(row["arrived_at"])
        for row in submissions
    }
    meters: dict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
    early = []
    for row in await town.store.fetch(_SLOTS, CAMPAIGN):
        message_id, attempt, segments, carrier, number, slot_at = row
        at = came_at.get((message_id, attempt))
        if at is None:
            continue
        if at < slot_at - _CLOCKS_APART_S:
            early.append((message_id, slot_at - at))
        for meter in _meters(limits, carrier, number):
            meters[meter].append((slot_at, segments))
    assert early == []
    for meter, slots in meters.items():
        assert_spaced(meter, slots, _rate_per_s(limits, meter))


def _meters(limits: Mapping[str, Any], carrier: str | None, number: str) -> Iterable[tuple[str, str]]:
    yield "total", ""
    yield "number", number
    if carrier in limits["carrier_per_s"]:
        yield "carrier", carrier
    elif carrier is not None:
        yield "small", f"{number} toward {carrier}"


def _rate_per_s(limits: Mapping[str, Any], meter: tuple[str, str]) -> float:
    kind, name = meter
    rate = {
        "total": limits["total_per_s"],
        "number": limits["number_per_s"],
        "small": limits["small_carrier_number_per_s"],
        "carrier": limits["carrier_per_s"].get(name),
    }[kind]
    return inf if rate is None else float(rate)


def assert_spaced(meter: tuple[str, str], slots: list[tuple[float, int]], rate_per_s: float) -> None:
    """A meter without burst: the next slot comes when the one before is used up."""
    slots.sort()
    at = np.array([slot for slot, _ in slots])
    segments = np.array([count for _, count in slots])
    short = np.diff(at) - segments[:-1] / rate_per_s
    assert short.min(initial=0.0) >= -_ROUNDING_S, (meter, rate_per_s, short.min(), len(slots))
