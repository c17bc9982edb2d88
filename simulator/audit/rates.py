"""Invariant 7: no number, carrier or campaign above its rate in any window; no daily cap passed.

A rate of r segments a second without bursts lets at most r x W segments and one message more pass in any window
of W seconds; windows of 1 and of 60 seconds are judged, at the moments of handing over.

No lookup names a carrier for a number out of service, and no small carrier's switch ever sees a text to it: such
texts count in the total, toward the big three and in the daily cap, where the gateway counts every text of
unknown carrier, and not toward small carriers.
"""

from collections.abc import Iterator

import numpy as np

from simulator.audit.evidence import Booleans, Breaches, Evidence, Judged
from simulator.audit.wall_clock import Floats, Integers
from simulator.model.arrays import distinct, is_among
from simulator.model.carriers import CARRIERS, TMOBILE

_WINDOWS_S = (1.0, 60.0)
_ROUNDING_S = 1e-6
_BIG = frozenset({"att", "tmobile", "verizon"})
_NEARLY = 0.9  # of a day's cap
_CAP_ZONE = "America/Los_Angeles"


def judge_rates(evidence: Evidence) -> Judged:
    """Handed over faster than the campaign's registration allows, in total, by carrier or by number.

    A chance is a text that was asked for while more were than a meter lets pass, or late in a capped day.
    """
    order = np.argsort(evidence.handed_at, kind="stable")
    asked_at = _asked_at(evidence)
    is_chance = np.zeros(len(order), np.bool_)
    found = []
    for name, rate_per_s, members in _meters(evidence, order):
        full = members[_finds_full(evidence, evidence.handed_at[members], rate_per_s, members)]
        found.append(Breaches("submission", full, f"{name}: more than {rate_per_s:g} segments a second"))
        asked = members[np.argsort(asked_at[members], kind="stable")]
        is_chance[asked[_finds_full(evidence, asked_at[asked], rate_per_s, asked)]] = True
    is_beyond, is_late = _of_capped_day(evidence, order)
    is_chance |= is_late
    cap = evidence.world.registration.tmobile_daily_segments or 0
    beyond = order[is_beyond[order]]
    found.append(Breaches("submission", beyond, f"more than T-Mobile's {cap:,} segments this Pacific day"))
    return Judged(found, int(np.count_nonzero(is_chance)))


def _asked_at(evidence: Evidence) -> Floats:
    """When each text was asked for; a text of no message counts from its hand-over."""
    asked_at = evidence.handed_at.copy()
    first = (evidence.row_of >= 0) & (evidence.attempt == 1)  # a further attempt is not asked for again
    asked_at[first] = evidence.asked_at[evidence.row_of[first]]
    return asked_at


def _meters(evidence: Evidence, order: Integers) -> Iterator[tuple[str, float, Integers]]:
    """Name, rate in segments/s, and the submissions that a meter counts, in time order."""
    world, submissions = evidence.world, evidence.submissions
    yield "the campaign", world.registration.total_per_s, order
    carriers = submissions["carrier"][order]
    is_served = ~is_among(evidence.to[order], world.out_of_service)
    for index, name in enumerate(CARRIERS):
        rate_per_s = world.registration.carrier_per_s.get(name)
        is_small = name not in _BIG or rate_per_s is None
        members = order[(carriers == index) & is_served if is_small else carriers == index]
        if not world.carriers_known and name not in _BIG:
            continue
        if rate_per_s is not None:
            yield f"all numbers toward {name}", rate_per_s, members
            continue
        senders = submissions["sender"][members]
        for number in distinct(senders).tolist():
            yield f"+{number} toward {name}", world.other_per_number_per_s, members[senders == number]


def _finds_full(evidence: Evidence, at: Floats, rate_per_s: float, members: Integers) -> Booleans:
    """The texts before which a window was full; `at` is sorted."""
    before = np.concatenate(([0], np.cumsum(evidence.submissions["segments"][members], dtype=np.int64)))
    is_full: Booleans = np.zeros(len(members), np.bool_)
    for window_s in _WINDOWS_S:
        first = np.searchsorted(at, at - window_s + _ROUNDING_S, side="right")
        in_window = before[:-1] - before[first]
        is_full |= in_window > rate_per_s * window_s + _ROUNDING_S
    return is_full


def _of_capped_day(evidence: Evidence, order: Integers) -> tuple[Booleans, Booleans]:
    """Texts beyond T-Mobile's segments of their Pacific day, and those that found it nearly used; DST included."""
    beyond, late = np.zeros(len(order), np.bool_), np.zeros(len(order), np.bool_)
    cap = evidence.world.registration.tmobile_daily_segments
    members = order[evidence.submissions["carrier"][order] == TMOBILE]
    if cap is None or not len(members):
        return beyond, late
    clock = evidence.wall_clock(_CAP_ZONE)
    days = clock.day(evidence.world.start_at + evidence.handed_at[members])
    used = np.cumsum(evidence.submissions["segments"][members], dtype=np.int64)
    _, first = np.unique(days, return_index=True)  # time order: days come one after the other
    used_before = np.concatenate(([0], used))[first]
    of_day = used - np.repeat(used_before, np.diff(first, append=len(days)))
    beyond[members] = of_day > cap
    late[members] = of_day > cap * _NEARLY
    return beyond, late
