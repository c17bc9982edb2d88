"""What the ledger proves about a rehearsal, counted once for the verdict, the summary and the report."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray
from phonenumbers import PhoneNumber
from phonenumbers.timezone import time_zones_for_number

from simulator.audit.breakers import Stopped, stopped
from simulator.audit.ends import (
    BAD_NUMBER,
    EXPIRED,
    FILTERED,
    SETTLING,
    SUSPENDED,
    TMOBILE_CAPPED,
    UNREGISTERED,
    Ends,
    ends,
)
from simulator.audit.evidence import Evidence
from simulator.audit.filter_record import Cause, Record, causes, no_record, noticed
from simulator.audit.records import Books
from simulator.audit.slow_hour import SlowHour, slow_hours
from simulator.audit.throughput import RateUse, busiest
from simulator.audit.timing import Timing, spans, timing
from simulator.audit.waits import Waits, waits
from simulator.model.arrays import distinct, is_among
from simulator.model.carriers import TMOBILE
from simulator.model.ledger import DELIVERED, SENT, Ledger
from simulator.model.messages import DEAD, Population
from simulator.model.scenario import Scenario

_PACIFIC = ZoneInfo("America/Los_Angeles")
_DAY_S = 86_400


class Presses(msgspec.Struct, frozen=True):
    """Presses of Send that were never acknowledged: by nobody at all, or with an error of the gateway's."""

    unanswered: int = 0
    failed: int = 0
    first_error: str = ""


NO_PRESSES = Presses()


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the verdict rests on besides the result; counts of texts unless said otherwise."""

    people_texted: int
    accepted: int  # by a carrier
    delivered: int
    filtered: int  # 30007
    silent: int  # taken by a carrier, never shown, whatever was reported
    bad_numbers: int  # landlines and numbers not in service
    expired: int  # in the provider's queue
    suspended: int  # 30033: the campaign was suspended
    capped: int  # turned away by T-Mobile's daily cap
    tmobile_cap: int | None = None  # segments per Pacific day
    tmobile_busiest_day: int = 0  # segments
    tmobile_counted: int = 0  # segments of the busiest day, those to numbers out of service included
    tmobile_held_back: int = 0  # texts that wait at the end, or met the end of the hours; likewise
    untexted: int = 0  # people
    untexted_by_zone: Mapping[str, int] = {}  # people by IANA zone
    purchases_failed: int = 0
    unknown_numbers: int = 0  # texts refused because carriers did not know our number yet
    unanswered: int = 0  # conversations that still need attention
    presses: Presses = NO_PRESSES
    script_findings: tuple[str, ...] = ()
    lost: Mapping[str, int] = {}  # accepted and not delivered, by what became of them, the most first
    timing: Timing = Timing()
    waits: Waits = Waits()
    held: tuple[Cause, ...] = ()  # what the filter held against the campaign, the worst first
    noticed: tuple[float, int] | None = None  # when the filter bit, and after how many texts
    busiest: tuple[RateUse, ...] = ()  # the meters' busiest minutes, the fullest first
    slow_hours: tuple[SlowHour, ...] = ()
    stopped: tuple[Stopped, ...] = ()  # scripts that breakers held from carriers, the earliest first


def gather(
    ledger: Ledger,
    population: Population,
    scenario: Scenario,
    *,
    excused: NDArray[np.int64] | None = None,
    held_back: NDArray[np.int64] | None = None,
    unanswered: int = 0,
    presses: Presses = NO_PRESSES,
    script_findings: tuple[str, ...] = (),
    books: Books | None = None,
    filter_record: Record | None = None,
    evidence: Evidence | None = None,
) -> Facts:
    """Count the facts. `excused` are phones rightly never texted, `held_back` one for each text that waited in
    vain; `unanswered`, `presses` and `script_findings` only the gateway and its volunteers know.
    """
    end = ends(ledger)
    took = None if books is None else spans(ledger, books, scenario.start_at)
    accepted = end.accepted
    codes = Counter(end.code[end.code > 0].tolist())
    asked = ledger.submissions.columns()
    untexted = _untexted(population, asked, excused)
    totals = ledger.counts()
    to_tmobile = asked["carrier"] == TMOBILE
    out_of_service = is_among(asked["to"], population.phones[np.flatnonzero(population.line == DEAD)])
    return Facts(
        people_texted=len(distinct(asked["to"])),
        accepted=int(accepted.sum()),
        delivered=int(((end.status == DELIVERED) & accepted).sum()),
        filtered=codes[FILTERED],
        silent=totals.silent,
        bad_numbers=sum(codes[code] for code in BAD_NUMBER),
        expired=codes[EXPIRED],
        suspended=codes[SUSPENDED],
        capped=codes[TMOBILE_CAPPED],
        tmobile_cap=scenario.campaign.registration().tmobile_daily_segments,
        tmobile_busiest_day=_busiest_day(asked, end, scenario.start_at, to_tmobile),
        tmobile_counted=_busiest_day(asked, end, scenario.start_at, to_tmobile | out_of_service),
        tmobile_held_back=0 if held_back is None else int(is_among(held_back, _counted(population)).sum()),
        untexted=len(untexted),
        untexted_by_zone=_by_zone(untexted),
        purchases_failed=int((ledger.purchases.columns()["code"] > 0).sum()),
        unknown_numbers=codes[UNREGISTERED] + codes[SETTLING],
        unanswered=unanswered,
        presses=presses,
        script_findings=script_findings,
        lost=_lost(end),
        timing=Timing() if took is None else timing(ledger, took),
        waits=Waits() if books is None or took is None else waits(ledger, books, took),
        held=causes(no_record() if filter_record is None else filter_record),
        noticed=noticed(ledger, end, scenario.verdict.max_filtered_share),
        busiest=busiest(ledger, scenario.campaign.registration()),
        slow_hours=slow_hours(ledger, end, scenario.faults),
        stopped=() if evidence is None else stopped(evidence),
    )


_LOSSES = {
    "were filtered": {FILTERED},
    "went to landlines or numbers not in service": BAD_NUMBER,
    "met a phone that stayed off": {30003},
    "ended with an unknown error": {30008},
}


def _lost(end: Ends) -> dict[str, int]:
    """Texts that a carrier took and nobody calls delivered, by cause."""
    lost = end.accepted & (end.status != DELIVERED)
    codes = Counter(end.code[lost & (end.status != SENT)].tolist())
    counted = {words: sum(codes.pop(code, 0) for code in known) for words, known in _LOSSES.items()}
    counted["have no receipt"] = int((lost & (end.status == SENT)).sum())
    counted["ended otherwise"] = codes.total()
    return {words: count for words, count in sorted(counted.items(), key=lambda item: -item[1]) if count}


def _untexted(
    population: Population, asked: NDArray[Any], excused: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    people = distinct(population.phones)
    done = is_among(people, asked["to"])
    if excused is not None:
        done |= is_among(people, excused)
    return people[~done]


def _by_zone(phones: NDArray[np.int64]) -> dict[str, int]:
    """People by the zone of their area code; of several, the last that is named."""
    codes, counts = np.unique(phones // 10_000_000, return_counts=True)
    zones: Counter[str] = Counter()
    for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
        zones[_zone_of(code % 1000)] += count
    return dict(zones.most_common())


def _zone_of(area_code: int) -> str:
    number = PhoneNumber(country_code=1, national_number=area_code * 10_000_000 + 5_550_123)
    return str(time_zones_for_number(number)[-1])


def _counted(population: Population) -> NDArray[np.int64]:
    """Whose texts the gateway counts in T-Mobile's cap: its people's, and those of whom no carrier is known."""
    phones: NDArray[np.int64] = population.phones[(population.carrier == TMOBILE) | (population.line == DEAD)]
    return phones


def _busiest_day(asked: NDArray[Any], end: Ends, start_at: float, chosen: NDArray[np.bool_]) -> int:
    """The most segments of the chosen texts that were taken in one Pacific day."""
    taken = end.accepted & chosen
    if not taken.any():
        return 0
    local = datetime.fromtimestamp(start_at, _PACIFIC)
    since_midnight_s = (local - local.replace(hour=0, minute=0, second=0)).total_seconds()
    days = ((end.departed_at[taken] + since_midnight_s) // _DAY_S).astype(np.int64)
    return int(np.bincount(days, weights=asked["segments"][taken]).max())
