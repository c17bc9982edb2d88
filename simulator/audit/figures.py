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

from simulator.model.arrays import distinct, is_among
from simulator.model.carriers import TMOBILE
from simulator.model.ledger import DELIVERED, QUEUED, SENT, Ledger
from simulator.model.messages import DEAD, Population
from simulator.model.scenario import Scenario

FILTERED = 30007
BAD_NUMBER = frozenset({30005, 30006})
TMOBILE_CAPPED = 30023
SUSPENDED = 30033
EXPIRED = 30036

_PACIFIC = ZoneInfo("America/Los_Angeles")
_DAY_S = 86_400


class Ends(msgspec.Struct, frozen=True):
    """The provider's last word on each message, one element a message: `status` is an index into STATUSES.

    Times are seconds of the world; nan where it never happened.
    """

    status: NDArray[np.uint8]
    code: NDArray[np.uint16]
    departed_at: NDArray[np.float64]
    accepted_at: NDArray[np.float64]
    ended_at: NDArray[np.float64]

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """Which messages a carrier took."""
        return ~np.isnan(self.accepted_at)

    @property
    def left_at(self) -> NDArray[np.float64]:
        """When a message left the provider's queue, to a carrier or for good."""
        return np.where(np.isnan(self.departed_at), self.ended_at, self.departed_at)


def ends(ledger: Ledger) -> Ends:
    """Each message's end, from the tables."""
    count = len(ledger.submissions)
    status, code = np.full(count, QUEUED, np.uint8), np.zeros(count, np.uint16)
    departed_at, accepted_at, ended_at = (np.full(count, np.nan) for _ in range(3))
    accepts, finals = ledger.accepts.columns(), ledger.finals.columns()
    status[accepts["n"]] = SENT
    departed_at[accepts["n"]] = accepts["departed_at"]
    accepted_at[accepts["n"]] = accepts["at"]
    status[finals["n"]] = finals["status"]
    code[finals["n"]] = finals["code"]
    ended_at[finals["n"]] = finals["at"]
    return Ends(status, code, departed_at, accepted_at, ended_at)


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
    silent: int  # reported as delivered, never shown
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
    unanswered: int = 0  # conversations that still need attention
    presses: Presses = NO_PRESSES
    script_findings: tuple[str, ...] = ()


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
) -> Facts:
    """Count the facts. `excused` are phones rightly never texted, `held_back` one for each text that waited in
    vain; the last three only the gateway and its volunteers know.
    """
    end = ends(ledger)
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
        unanswered=unanswered,
        presses=presses,
        script_findings=script_findings,
    )


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
