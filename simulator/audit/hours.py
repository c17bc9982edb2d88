"""Invariant 2: no text outside the campaign's hours or the recipient's lawful window (C1, F028-F034).

Judged when it was handed over and again when it left the provider for the carrier. The recipient's window must
be open in every zone and by every state's table where area code and address say the person may be:

| text                           | opens                    | shuts                         |
|--------------------------------|--------------------------|-------------------------------|
| any but an answer              | 09:00, or the state's    | 21:00, or the state's, if     |
|                                | later hour               | earlier                       |
| an answer to one who has written | the same               | 21:00: federal law's end, 47  |
|                                |                          | CFR 64.1200(c)(1)             |
"""

from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from simulator.audit.evidence import Booleans, Breaches, Evidence, Judged
from simulator.audit.records import CONFIRMATION, REPLY
from simulator.audit.wall_clock import Floats, Integers
from simulator.model.addresses import Addresses

_OPENS_S, _SHUTS_S = 9 * 3600, 21 * 3600
_EARLY_S = 0.001  # the sum of start and seconds may fall short of the full hour by a rounding
_MINUTE_S = 60.0
_EDGE_MINUTES = 10
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Place(NamedTuple):
    """Where a person may be."""

    states: frozenset[str]
    zones: frozenset[str]


def judge_hours(evidence: Evidence) -> Judged:
    """Handed over, or passed on to the carrier, while a window was shut."""
    groups, places = _groups(evidence, evidence.to)
    nowhere = np.flatnonzero(groups < 0)
    handed = np.arange(len(groups))
    departed = np.flatnonzero(~np.isnan(evidence.departed_at))
    found = [
        Breaches("submission", nowhere, "handed over to a phone of which nobody knows the hours"),
        *_shut(evidence, groups, places, handed, evidence.handed_at, "handed over"),
        *_shut(evidence, groups, places, departed, evidence.departed_at, "passed on to the carrier"),
    ]
    return Judged(found, _near_an_edge(evidence))


def shut_around(
    evidence: Evidence,
    phones: Integers,
    at: Floats,
    is_answer: Booleans | None = None,
    *,
    within_minutes: int = _EDGE_MINUTES,
) -> Booleans:
    """Whether a person's window, or the campaign's, is shut at a moment or within some minutes after: the window for a
    first text, or for an answer where it `is_answer`."""
    groups, places = _groups(evidence, phones)
    first, last = evidence.span
    minutes = np.arange(first, last, _MINUTE_S)
    found = groups < 0
    known = np.flatnonzero(~found)
    if len(known) and len(minutes):
        from_minute, to_minute = _minute(np.array([at[known].min(), at[known].max()]), minutes)
        minutes = minutes[from_minute : to_minute + within_minutes + 1]
        shut_so_far = _shut_minutes(evidence, places, groups[known], minutes)
        now = _minute(at[known], minutes)
        until = np.minimum(now + within_minutes, len(minutes) - 1)
        of_text = groups[known] * 2 + (0 if is_answer is None else is_answer[known])
        found[known] = shut_so_far[of_text, until + 1] > shut_so_far[of_text, now]
    return found


def _near_an_edge(evidence: Evidence) -> int:
    """Texts whose window was shut when the bank began, or at some time from ten minutes before their request to ten
    minutes after their hand-over or end.

    Windows are read minute by minute for each place, once for all its people.
    """
    messages = evidence.messages
    groups, places = _groups(evidence, messages["phone"])
    known = np.flatnonzero(groups >= 0)
    first, last = evidence.span
    if not len(known) or last <= first:
        return 0
    minutes = np.arange(first, last, _MINUTE_S)
    shut_so_far = _shut_minutes(evidence, places, groups[known], minutes)
    of_text = groups[known] * 2 + np.isin(messages["kind"][known], (REPLY, CONFIRMATION))
    asked = _minute(evidence.asked_at[known], minutes)
    left = np.maximum(_minute(evidence.left_at[known], minutes), asked)
    from_minute = np.maximum(asked - _EDGE_MINUTES, 0)
    to_minute = np.minimum(left + _EDGE_MINUTES, len(minutes) - 1)
    met = shut_so_far[of_text, to_minute + 1] > shut_so_far[of_text, from_minute]
    begun = asked.min()
    was_shut = shut_so_far[of_text, begun + 1] > shut_so_far[of_text, begun]
    return int(np.count_nonzero(met | was_shut))


def _minute(at: Floats, minutes: Floats) -> Integers:
    """The minute of a moment; what is before or after them all counts to the first or the last."""
    within = np.clip(at, minutes[0], minutes[-1])
    found: Integers = ((within - minutes[0]) // _MINUTE_S).astype(np.int64)
    return found


def _shut_minutes(
    evidence: Evidence, places: list[Place], groups: Integers, minutes: Floats
) -> NDArray[np.int32]:
    """Row `2 x place + is it an answer`: in how many of the minutes before this one its window was shut."""
    at = evidence.world.start_at + minutes
    campaign = _campaign_open(evidence, at)
    shut_so_far = np.zeros((2 * len(places), len(minutes) + 1), np.int32)
    for group in np.unique(groups).tolist():
        for is_answer in (False, True):
            is_open = campaign & _place_open(evidence, places[group], is_answer, at)
            np.cumsum(~is_open, out=shut_so_far[2 * group + is_answer, 1:])
    return shut_so_far


def _shut(
    evidence: Evidence, groups: Integers, places: list[Place], chosen: Integers, times: Floats, done: str
) -> list[Breaches]:
    at = evidence.world.start_at + times[chosen]
    campaign = ~_campaign_open(evidence, at)
    recipient = ~campaign & ~_recipient_open(evidence, groups[chosen], places, evidence.is_answer[chosen], at)
    return [
        Breaches("submission", chosen[campaign], f"{done} outside the campaign's hours"),
        Breaches("submission", chosen[recipient], f"{done} outside the recipient's lawful hours"),
    ]


def _campaign_open(evidence: Evidence, at: Floats) -> Booleans:
    world = evidence.world
    _, second = evidence.wall_clock(world.zone).weekday_and_second(at)
    is_open: Booleans = (second >= world.start_minute * 60 - _EARLY_S) & (second < world.end_minute * 60)
    return is_open


def _recipient_open(
    evidence: Evidence, groups: Integers, places: list[Place], is_answer: Booleans, at: Floats
) -> Booleans:
    """Group by group, as people of one place and one kind of text share their hours."""
    is_open = np.ones(len(at), np.bool_)
    keys = groups * 2 + is_answer
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=-3))
    for members in np.split(order, starts[1:]):
        if len(members) and groups[members[0]] >= 0:
            place = places[groups[members[0]]]
            is_open[members] = _place_open(evidence, place, bool(is_answer[members[0]]), at[members])
    return is_open


def _place_open(evidence: Evidence, place: Place, is_answer: bool, at: Floats) -> Booleans:
    opens_s, shuts_s = _week(place.states, is_answer)
    is_open = np.ones(len(at), np.bool_)
    for zone in sorted(place.zones):
        weekday, second = evidence.wall_clock(zone).weekday_and_second(at)
        is_open &= (second >= opens_s[weekday] - _EARLY_S) & (second < shuts_s[weekday])
    return is_open


@cache
def _week(states: frozenset[str], is_answer: bool) -> tuple[Integers, Integers]:
    """Opening and shutting, in seconds after midnight, Monday first."""
    opens_s, shuts_s = np.full(7, _OPENS_S), np.full(7, _SHUTS_S)
    for state in states:
        for days, (opens, shuts) in _state_windows().get(state, {}).items():
            first, last = (_WEEKDAYS.index(day) for day in days.split("-"))
            span = slice(first, last + 1)
            opens_s[span] = np.maximum(opens_s[span], _seconds(opens))
            if not is_answer:
                shuts_s[span] = np.minimum(shuts_s[span], _seconds(shuts))
    return opens_s, shuts_s


def _seconds(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60


# ---- where people may be


def is_placed(phones: Integers) -> Booleans:
    """Which phones have an area code of which the hours are known."""
    known: Booleans = np.isin(phones // 10_000_000 % 1000, [int(code) for code in _area_codes()])
    return known


class Opening:
    """When people may be answered: the campaign's hours and their own, for any phones at any moments."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence

    def at(self, phones: Integers, at: Floats) -> Booleans:
        """Whether each person may have been answered at its moment (seconds of the world)."""
        groups, places = _groups(self._evidence, phones)
        moments = self._evidence.world.start_at + at
        is_open = _campaign_open(self._evidence, moments)
        answers = np.ones(len(phones), np.bool_)
        return is_open & (groups >= 0) & _recipient_open(self._evidence, groups, places, answers, moments)

    def over(self, phone: int, is_answer: bool, at: Floats) -> Booleans:
        """At which of the moments one person may be texted."""
        groups, places = _groups(self._evidence, np.array([phone], np.int64))
        moments = self._evidence.world.start_at + at
        if groups[0] < 0:
            return np.zeros(len(at), np.bool_)
        place = places[groups[0]]
        return _campaign_open(self._evidence, moments) & _place_open(
            self._evidence, place, is_answer, moments
        )

    def places(self, phones: Integers) -> Integers:
        """For each person the place whose hours hold, as a number; -1 where nobody knows it."""
        return _groups(self._evidence, phones)[0]


def _groups(evidence: Evidence, phones: Integers) -> tuple[Integers, list[Place]]:
    """The place of the person behind every phone, as an index; -1 where no area code says one."""
    by_code, of_codes = _places_by_code()
    places = dict(of_codes)
    groups = by_code[phones // 10_000_000 % 1000]
    _narrow(groups, places, evidence.world.addresses, evidence.world.addresses.places_of(phones))
    return groups, list(places)


@cache
def _places_by_code() -> tuple[Integers, dict[Place, int]]:
    """For each area code the number of its place, -1 where there is none, and the places."""
    places: dict[Place, int] = {}
    by_code = np.full(1000, -1, np.int64)
    for code, (state, zones) in _area_codes().items():
        by_code[int(code)] = places.setdefault(Place(frozenset((state,)), frozenset(zones)), len(places))
    return by_code, places


def _narrow(groups: Integers, places: dict[Place, int], addresses: Addresses, lives: Integers) -> None:
    """People whose address is known: every place that area code and address name must be open."""
    chosen = np.flatnonzero((lives >= 0) & (groups >= 0))
    pairs, whose = np.unique(groups[chosen] * len(addresses.known) + lives[chosen], return_inverse=True)
    by_index = list(places)
    narrowed = np.empty(len(pairs), np.int64)
    for nth, pair in enumerate(pairs.tolist()):
        group, address = divmod(pair, len(addresses.known))
        narrowed[nth] = places.setdefault(_both(by_index[group], *addresses.known[address]), len(places))
    groups[chosen] = narrowed[whose]


def _both(place: Place, zip_code: str, state: str) -> Place:
    address = _address_place(zip_code, "" if state in place.states else state)
    return place if address is None else Place(place.states | address.states, place.zones | address.zones)


@cache
def _address_place(zip_code: str, state: str) -> Place | None:
    """A ZIP says more than a state, which counts only without one; None when neither is known."""
    by_zip = _zip_places()
    digits = _five_digits(zip_code)
    place = by_zip.get(digits) or by_zip.get(digits[:3])
    if place is not None or not state:
        return place
    zones = [each.zones for each in by_zip.values() if state in each.states]
    return Place(frozenset((state,)), frozenset().union(*zones)) if zones else None


def _five_digits(zip_code: str) -> str:
    """A ZIP or ZIP+4 with the leading zeros that spreadsheets eat; "" when it is neither."""
    digits = zip_code.strip().partition("-")[0]
    if not (digits.isascii() and digits.isdigit() and len(digits) in {3, 4, 5, 8, 9}):
        return ""
    return digits.zfill(9)[:5] if len(digits) > 5 else digits.zfill(5)


def _data(name: str) -> Any:
    # the tables are law and geography, not the gateway's judgement: both witnesses read the same
    return msgspec.json.decode(files("gateway.core").joinpath("data", name).read_bytes())


@cache
def _area_codes() -> dict[str, tuple[str, list[str]]]:
    codes: dict[str, tuple[str, list[str]]] = _data("nanp-us.json")["area_codes"]
    return codes


@cache
def _state_windows() -> dict[str, dict[str, tuple[str, str]]]:
    states: dict[str, dict[str, tuple[str, str]]] = _data("state-windows.json")["states"]
    return states


@cache
def _zip_places() -> dict[str, Place]:
    content = _data("zip-prefixes.json")
    places = {}
    for span, state, letters in content["prefixes"]:
        place = Place(frozenset((state,)), frozenset(content["zones"][letter] for letter in letters))
        first, _, last = span.partition("-")
        for prefix in range(int(first), int(last or first) + 1):
            places[str(prefix).zfill(len(first))] = place
    return places
