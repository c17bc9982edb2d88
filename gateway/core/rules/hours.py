"""When a person may be texted: the campaign's hours AND the recipient's own lawful hours (C1, F028-F034).

The recipient's hours hold in every zone and by every state's table where the person may be: area code, ZIP and
address state narrow each other. A window is open from its first minute up to, not including, its end.

| text | opens | shuts |
|---|---|---|
| initial | 09:00 (platform) or the state's later hour | 21:00 or the state's earlier hour |
| reply to a person who wrote | the same | 21:00: state hours shorten solicitations, not an answer |

Federal law (47 CFR 64.1200(c)(1)) allows 08:00-21:00; the platform starts at 09:00.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

LAW_START_MINUTE: Final = 8 * 60
LAW_END_MINUTE: Final = 21 * 60
PLATFORM_START_MINUTE: Final = 9 * 60
DAY_MINUTES: Final = 24 * 60
DAY_S: Final = 86_400
# State tables differ by weekday, so a week and a day shows every window that there will be.
LOOK_AHEAD_DAYS: Final = 9

Kind = Literal["initial", "reply"]
Span = tuple[int, int]  # [from, to) in Unix seconds
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class CampaignHours(msgspec.Struct, frozen=True):
    """A campaign's daily hours: minutes after midnight in an IANA zone, `end_minute` excluded (F029, C1).

    ValueError ("what: where; do") for hours or a zone that can't be.
    """

    start_minute: int = 9 * 60
    end_minute: int = 17 * 60
    zone: str = "America/New_York"

    def __post_init__(self) -> None:
        if not 0 <= self.start_minute < self.end_minute <= DAY_MINUTES:
            raise ValueError(
                f"texting hours must end after they start: {clock_text(self.start_minute)} to "
                f"{clock_text(self.end_minute)}; give a start and a later end on one day"
            )
        _check_zone(self.zone)

    @classmethod
    def parse(cls, start: str, end: str, zone: str = "America/New_York") -> "CampaignHours":
        """Hours from "09:00" and "17:00"; "24:00" is the end of the day. Raises ValueError."""
        return cls(parse_minute(start), parse_minute(end), zone)

    def __str__(self) -> str:
        return f"{clock_text(self.start_minute)}-{clock_text(self.end_minute)} {self.zone}"


def parse_minute(text: str) -> int:
    """Minutes after midnight of "HH:MM", 00:00 to 24:00. Raises ValueError."""
    hour, colon, minute = text.strip().partition(":")
    digits = hour.isascii() and minute.isascii() and hour.isdigit() and minute.isdigit()
    if colon and digits and len(hour) <= 2 and len(minute) == 2 and int(minute) < 60:
        minutes = int(hour) * 60 + int(minute)
        if minutes <= DAY_MINUTES:
            return minutes
    raise ValueError(f'not a time of day: {text!r}; write it as "09:00"')


def clock_text(minute: int) -> str:
    """ "09:00" """
    return f"{minute // 60:02}:{minute % 60:02}"


def _check_zone(zone: str) -> None:
    # EST and its kin are fixed offsets, an hour wrong for half of the year (C1).
    try:
        if "/" not in zone or zone.startswith("Etc/"):
            raise ZoneInfoNotFoundError(zone)
        _zone(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f'not an IANA time zone: {zone!r}; use a name such as "America/New_York"') from error


class Why(StrEnum):
    """Which window is shut: the sub-reason of 1202 (C1)."""

    CAMPAIGN_HOURS = "campaign_hours"
    RECIPIENT_HOURS = "recipient_hours"


class Open(msgspec.Struct, frozen=True, gc=False):
    """Texting is allowed now, and up to (not including) `until`, in Unix seconds."""

    until: float


class Shut(msgspec.Struct, frozen=True, gc=False):
    """Texting is not allowed; `opens_at` in Unix seconds, infinity when both windows never meet.

    `zone` is the one in which it is too early or too late.
    """

    why: Why
    opens_at: float
    zone: str

    def text(self, now: float) -> str:
        """What the volunteer reads, with local times (F033, C18)."""
        local = datetime.fromtimestamp(now, _zone(self.zone))
        place = f"{self.zone.rpartition('/')[2].replace('_', ' ')} time"
        if self.why is Why.CAMPAIGN_HOURS:
            reason = f"It is {_twelve_hour(local)} {place}, outside this campaign's texting hours."
        else:
            reason = f"It is {_twelve_hour(local)} {place} where this person may be: too early or too late to text."
        if math.isinf(self.opens_at):
            return f"{reason} The campaign's hours never meet this person's: ask an admin to change them."
        opens = datetime.fromtimestamp(self.opens_at, _zone(self.zone))
        return f"{reason} Texting opens {_day(local, opens)} at {_twelve_hour(opens)}."


def _twelve_hour(moment: datetime) -> str:
    return f"{moment:%I:%M %p}".lstrip("0")


def _day(local: datetime, opens: datetime) -> str:
    days = (opens.date() - local.date()).days
    return ("today", "tomorrow")[days] if days < 2 else f"on {opens:%A}"


# ---- where a person may be


def group_key(state: str | None, zones: Iterable[str], *, zip_code: str = "", address_state: str = "") -> str:
    """The key that people with the same lawful hours share, for `verdict`.

    `state` and `zones` are the area code's; the address narrows them: every place must be open (C1).
    A ZIP says more than an address state, which counts only if it is another state than the area code's.
    """
    states = {state} if state else set()
    every_zone = set(zones)
    address = zone_of_zip(zip_code)
    if address is None and address_state != state and address_state in _zones_by_state():
        address = (address_state, _zones_by_state()[address_state])
    if address is not None:
        states.add(address[0])
        every_zone.update(address[1])
    return f"{'+'.join(sorted(states))}@{'+'.join(sorted(every_zone))}"


def zones_of(group: str) -> list[str]:
    """The time zones that a person of a group may be in."""
    return [zone for zone in group.partition("@")[2].split("+") if zone]


@lru_cache(maxsize=4096)  # neighbours stand together in lists; a list may hold any text
def zone_of_zip(zip_code: str) -> tuple[str, tuple[str, ...]] | None:
    """State and possible zones of a ZIP or ZIP+4, None when unknown; a lost leading zero is put back."""
    digits = zip_code.strip().partition("-")[0]
    if not (digits.isascii() and digits.isdigit() and len(digits) in (3, 4, 5, 8, 9)):
        return None
    digits = digits.zfill(9)[:5] if len(digits) > 5 else digits.zfill(5)
    prefixes = _zip_prefixes()
    return prefixes.get(digits) or prefixes.get(digits[:3])


class _ZipFile(msgspec.Struct):
    zones: dict[str, str]
    prefixes: list[tuple[str, str, str]]


def _read(name: str) -> bytes:
    return files("gateway.core").joinpath("data", name).read_bytes()


@cache
def _zip_prefixes() -> Mapping[str, tuple[str, tuple[str, ...]]]:
    table: dict[str, tuple[str, tuple[str, ...]]] = {}
    for span, state, letters in _ZIP_FILE.prefixes:
        first, _, last = span.partition("-")
        place = (state, tuple(_ZIP_FILE.zones[letter] for letter in letters))
        for prefix in range(int(first), int(last or first) + 1):
            table[str(prefix).zfill(len(first))] = place
    return table


@cache
def _zones_by_state() -> Mapping[str, tuple[str, ...]]:
    zones: dict[str, set[str]] = {}
    for state, of_prefix in _zip_prefixes().values():
        zones.setdefault(state, set()).update(of_prefix)
    return {state: tuple(sorted(found)) for state, found in zones.items()}


_ZIP_FILE: Final = msgspec.json.decode(_read("zip-prefixes.json"), type=_ZipFile)


# ---- the recipient's lawful minutes


class Minutes(NamedTuple):
    """A daily window in minutes after local midnight, `end` excluded."""

    start: int
    end: int


class _StateFile(msgspec.Struct):
    states: dict[str, dict[str, tuple[str, str]]]


def _load_states() -> dict[str, tuple[Minutes, ...]]:
    """Seven windows a state, Monday first."""
    loaded = msgspec.json.decode(_read("state-windows.json"), type=_StateFile)
    return {state: _week(by_days) for state, by_days in loaded.states.items()}


def _week(by_days: Mapping[str, tuple[str, str]]) -> tuple[Minutes, ...]:
    week = [Minutes(LAW_START_MINUTE, LAW_END_MINUTE)] * 7
    for days, (start, end) in by_days.items():
        first, _, last = days.partition("-")
        for weekday in range(WEEKDAYS.index(first), WEEKDAYS.index(last) + 1):
            week[weekday] = Minutes(parse_minute(start), parse_minute(end))
    return tuple(week)


STATE_WINDOWS: Final[Mapping[str, tuple[Minutes, ...]]] = _load_states()


def lawful_minutes(states: Iterable[str], weekday: int, kind: Kind = "initial") -> Minutes:
    """The recipient's window on a weekday (Monday is 0): the narrowest of platform, law and the states'."""
    start, end = max(PLATFORM_START_MINUTE, LAW_START_MINUTE), LAW_END_MINUTE
    for state in states:
        if state in STATE_WINDOWS:
            window = STATE_WINDOWS[state][weekday]
            start = max(start, window.start)
            end = end if kind == "reply" else min(end, window.end)
    return Minutes(start, end)


# ---- the verdict


def verdict(now: float, hours: CampaignHours, group: str, kind: Kind = "initial") -> Open | Shut:
    """May this text be handed over at `now` (Unix seconds)? `group` comes from `group_key`.

    The answers of a UTC day are worked out once per group, hours and kind.
    """
    starts, verdicts = _timeline(hours, group, kind, int(now // DAY_S))
    return verdicts[bisect_right(starts, now) - 1]


def open_until(now: float, hours: CampaignHours, group: str, kind: Kind = "initial") -> float:
    """The end of the window that is open at `now`; `now` itself when none is."""
    found = verdict(now, hours, group, kind)
    return found.until if isinstance(found, Open) else now


@lru_cache(maxsize=32_768)
def _timeline(hours: CampaignHours, group: str, kind: Kind, day: int) -> tuple[list[int], list[Open | Shut]]:
    """Where the answer changes within a UTC day, and the answer from there on."""
    begins = day * DAY_S
    spans = _Spans(hours, group, kind, day)
    edges = {begins, *(edge for edge in spans.edges if begins < edge < begins + DAY_S)}
    starts = sorted(edges)
    return starts, [spans.verdict(start) for start in starts]


class _Spans:
    """The open spans of a campaign and of each of a group's zones, from a UTC day on."""

    def __init__(self, hours: CampaignHours, group: str, kind: Kind, day: int) -> None:
        state_part, _, zone_part = group.partition("@")
        if not zone_part:
            raise ValueError(f"not a group of recipients: {group!r}; use group_key")
        states = tuple(filter(None, state_part.split("+")))
        week = tuple(lawful_minutes(states, weekday, kind) for weekday in range(7))
        daily = (Minutes(hours.start_minute, hours.end_minute),) * 7
        self.campaign_zone = hours.zone
        self.campaign = _open_spans(hours.zone, daily, day)
        self.recipient = {zone: _open_spans(zone, week, day) for zone in zone_part.split("+")}
        self.both: Sequence[Span] = self.campaign
        for spans in self.recipient.values():
            self.both = _intersection(self.both, spans)

    @property
    def edges(self) -> set[int]:
        every = (self.campaign, self.both, *self.recipient.values())
        return {edge for spans in every for span in spans for edge in span}

    def verdict(self, at: int) -> Open | Shut:
        for start, end in self.both:
            if start <= at < end:
                return Open(end)
        opens_at = next((start for start, _ in self.both if start > at), math.inf)
        if not _covers(self.campaign, at):
            return Shut(Why.CAMPAIGN_HOURS, opens_at, self.campaign_zone)
        zone = next(zone for zone, spans in self.recipient.items() if not _covers(spans, at))
        return Shut(Why.RECIPIENT_HOURS, opens_at, zone)


def _covers(spans: Sequence[Span], at: int) -> bool:
    return any(start <= at < end for start, end in spans)


def _intersection(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    pairs = ((max(a, c), min(b, d)) for a, b in one for c, d in other)
    return [(start, end) for start, end in pairs if start < end]


@lru_cache(maxsize=4096)
def _open_spans(zone: str, week: tuple[Minutes, ...], day: int) -> tuple[Span, ...]:
    """The instants, from a UTC day on, at which the wall clock stands inside the weekday's window.

    On a night when clocks change, the wall clock is followed on both sides of the change.
    """
    spans: list[Span] = []
    for start, end, offset_s in _constant_offsets(zone, day):
        for local_day in range((start + offset_s) // DAY_S, (end - 1 + offset_s) // DAY_S + 1):
            window = week[(local_day + 3) % 7]  # 1 January 1970 was a Thursday
            midnight = local_day * DAY_S - offset_s
            opens, shuts = max(start, midnight + window.start * 60), min(end, midnight + window.end * 60)
            if opens < shuts and spans and spans[-1][1] == opens:
                spans[-1] = (spans[-1][0], shuts)
            elif opens < shuts:
                spans.append((opens, shuts))
    return tuple(spans)


@lru_cache(maxsize=4096)
def _constant_offsets(zone: str, day: int) -> tuple[tuple[int, int, int], ...]:
    """(from, to, seconds ahead of UTC) over the look-ahead, cut where the zone changes its clocks."""
    pieces: list[tuple[int, int, int]] = []
    for begins, ends in pairwise(range(day * DAY_S, (day + LOOK_AHEAD_DAYS) * DAY_S + 1, DAY_S)):
        change = _clock_change(zone, begins, ends)
        for start, end in ((begins, change), (change, ends)):
            if start < end:
                pieces.append((start, end, _offset_s(zone, start)))
    return tuple(pieces)


def _clock_change(zone: str, begins: int, ends: int) -> int:
    """The first second with the offset of `ends`; `begins` when the clocks do not change."""
    at_end = _offset_s(zone, ends)
    if _offset_s(zone, begins) == at_end:
        return begins
    before, after = begins, ends
    while after - before > 1:
        middle = (before + after) // 2
        if _offset_s(zone, middle) == at_end:
            after = middle
        else:
            before = middle
    return after


def _offset_s(zone: str, at: int) -> int:
    offset = datetime.fromtimestamp(at, _zone(zone)).utcoffset()
    assert offset is not None  # the moment has a zone
    return int(offset.total_seconds())


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
