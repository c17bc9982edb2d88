"""A scenario: one text bank and the world around it, read from TOML and validated once.

A file may name a `base`, another scenario, and then says only what differs: tables are merged key by key,
arrays are replaced as a whole.
"""

import re
import tomllib
from collections.abc import Iterator
from datetime import datetime, time
from difflib import get_close_matches
from importlib.resources import files
from importlib.resources.abc import Traversable
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from simulator.model.blocking import BlockScope
from simulator.model.carriers import (
    BrandKind,
    CampaignKind,
    CampaignRegistration,
    Carrier,
    CarrierParameters,
    Positive,
    Seconds,
    Share,
    registration_of,
)
from simulator.model.faults import FaultParameters
from simulator.model.filtering import FilteringParameters
from simulator.model.handsets import HandsetParameters
from simulator.model.inventory import InventoryParameters
from simulator.model.market import MarketParameters
from simulator.model.people import PeopleParameters
from simulator.model.population import PopulationParameters
from simulator.model.volunteers import Shift, VolunteerParameters
from simulator.model.webhooks import WebhookParameters

Text = Annotated[str, Meta(min_length=1)]
LocalTime = Annotated[time, Meta(tz=False)]
_LONGEST_S = 31 * 86_400.0
_FIRST_YEAR, _LAST_YEAR = 2000, 2099  # what clocks, time zones and the database agree about
# What a scenario's question is about, so that the verdict can answer it (simulator/report/answers.py).
Question = Literal[
    "finish", "filtering", "closing", "cap", "brownout", "opt_outs", "rates", "faults", "breakers"
]
# Whose opt-outs hold for whom among a world's campaigns.
OptOutScope = Literal["campaign", "brand", "organisation"]
AreaCode = Annotated[str, Meta(pattern="^[2-9][0-9]{2}$")]


class BadScenario(ValueError):
    """A scenario that cannot be run: what is wrong, where (file and key), what to do."""

    textbank_exit_status = 2

    def __init__(self, what: str, where: str, do: str) -> None:
        super().__init__(f"{what}: {where}; {do}")
        self.what = what
        self.where = where
        self.do = do


class Response(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A canned reply (F110); one named after an intent (simulator/model/replies.py) answers that intent."""

    name: Text
    text: Text


class Overrides(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the carriers granted something else than the brand's kind and score say."""

    total_per_s: Positive | None = None  # segments/s
    carrier_per_s: dict[Carrier, Positive] | None = None  # segments/s
    tmobile_daily_segments: Annotated[int, Meta(ge=0)] | None = None  # segments per Pacific day
    max_numbers: Annotated[int, Meta(ge=1)] | None = None
    registered: bool | None = None


class BreakerParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the gateway holds a script's first texts to a carrier that filters it (docs/how-to/stop-a-filtered-script.md)."""

    opens: bool = True  # without a person's word
    filtered_share: Share = 0.05  # of the texts that have ended; surely more than this
    least_texts: Annotated[int, Meta(ge=20)] = 200  # of fewer nothing is said


class CampaignParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The campaign: who sends what, when, and under which registration."""

    name: Text
    zone: str  # IANA, of the hours below
    hours_start: LocalTime
    hours_end: LocalTime
    scripts: Annotated[tuple[Text, ...], Meta(min_length=1)]  # Liquid; several are an A/B test (F087)
    responses: Annotated[tuple[Response, ...], Meta(min_length=1)]
    brand_kind: BrandKind = "political_527"
    score: Annotated[int, Meta(ge=0, le=100)] = 0  # vetting score; a 527 has none
    campaign_kind: CampaignKind = "political"
    brand: str = ""  # campaigns of one brand share T-Mobile's day; none: the campaign's name
    overrides: Overrides = Overrides()
    preferred_area_codes: tuple[AreaCode, ...] = ()  # none: any (F027)
    rotate_after: Annotated[int, Meta(ge=1)] = 300  # new conversations per number (F016, C7)
    settle_s: Seconds = 30.0  # a bought number's first wait before its first text; 0: believed at once
    opt_out_suffix: bool = False  # append "Reply STOP to unsubscribe." (F012)
    first_name_fallback: str = "friend"  # for a contact without a first name (F100)
    breaker: BreakerParameters = BreakerParameters()

    def __post_init__(self) -> None:
        _zone(self.zone)
        for name, moment in (("hours_start", self.hours_start), ("hours_end", self.hours_end)):
            if moment.second or moment.microsecond:
                raise ValueError(f"{name} {moment} is not a whole minute")
        if self.hours_end <= self.hours_start:
            raise ValueError("hours_end is not after hours_start")

    @property
    def start_minute(self) -> int:
        """The hours' start in minutes after midnight."""
        return self.hours_start.hour * 60 + self.hours_start.minute

    @property
    def end_minute(self) -> int:
        """The hours' end in minutes after midnight, excluded."""
        return self.hours_end.hour * 60 + self.hours_end.minute

    def registration(self) -> CampaignRegistration:
        """What the carriers grant: by brand kind and score, then as overridden."""
        granted = registration_of(
            self.brand_kind, self.score, self.campaign_kind, brand=self.brand or self.name
        )
        overrides = {
            name: value
            for name in self.overrides.__struct_fields__
            if (value := getattr(self.overrides, name)) is not None
        }
        return msgspec.structs.replace(granted, **overrides)


class Companion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another campaign of the same brand that texts the same list; the rest is as the first campaign has it."""

    name: Text  # of the campaign
    scripts: Annotated[tuple[Text, ...], Meta(min_length=1)]  # its first texts
    volunteers: Annotated[int, Meta(ge=1)]  # how many text and answer for it
    shifts: tuple[Shift, ...] = ()  # when they come; none: as the first's
    brand: str = ""  # another brand than the first campaign's; none: the same, which shares T-Mobile's day

    def over(self, scenario: "Scenario") -> "Scenario":
        """The scenario as this campaign has it."""
        first = scenario.campaign
        campaign = msgspec.structs.replace(
            first, name=self.name, scripts=self.scripts, brand=self.brand or first.brand or first.name
        )
        volunteers = msgspec.structs.replace(
            scenario.volunteers, count=self.volunteers, shifts=self.shifts or scenario.volunteers.shifts
        )
        return msgspec.structs.replace(scenario, campaign=campaign, volunteers=volunteers)


class VerdictParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Beyond these the verdict is NO-GO; beyond the `warn` ones "GO with limits". All [A] but as marked."""

    min_delivered_share: Share = 0.85  # of texts a carrier accepted; a good list has 93-97 % [S]
    warn_delivered_share: Share = 0.92
    max_filtered_share: Share = 0.03  # 30007 of texts a carrier accepted
    warn_filtered_share: Share = 0.01
    max_opt_out_share: Share = 0.07  # of people texted; a number is flagged at 5 % a day [S]
    warn_opt_out_share: Share = 0.05
    warn_wire_s: Positive = 600.0  # from a press of Send to the hand-over: 99 % within
    warn_answer_s: Positive = 3600.0  # from a person's text to a volunteer's answer: 90 % within
    warn_screen_s: Positive = 1800.0  # from a reply's webhook to a volunteer's screen: 95 % within
    warn_stop_s: Positive = 120.0  # from a STOP at the provider to its effect: 99 % within
    warn_margin_s: Seconds = 900.0  # from the last first text to the end of the hours
    must_finish: bool = False  # contacts not texted at the end: NO-GO, else "GO with limits"

    def __post_init__(self) -> None:
        if self.warn_delivered_share < self.min_delivered_share:
            raise ValueError("warn_delivered_share is below min_delivered_share: nothing would ever warn")
        if self.warn_filtered_share > self.max_filtered_share:
            raise ValueError("warn_filtered_share is above max_filtered_share: nothing would ever warn")
        if self.warn_opt_out_share > self.max_opt_out_share:
            raise ValueError("warn_opt_out_share is above max_opt_out_share: nothing would ever warn")


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything a rehearsal needs but the seed."""

    title: Text
    description: Text
    question: Text  # what the rehearsal is to answer
    zone: str  # IANA, of `start`
    start: Annotated[datetime, Meta(tz=False)]  # local time at which the world starts
    duration_s: Annotated[float, Meta(gt=0, le=_LONGEST_S)]  # how long the world lasts
    contacts: Annotated[int, Meta(ge=1, le=5_000_000)]  # unless a list or a number is given
    campaign: CampaignParameters
    asks: Question = "finish"  # what the question is about: the verdict's first sentence answers that
    name: str = ""
    companions: tuple[Companion, ...] = ()
    opt_out_scope: OptOutScope = "campaign"  # an opt-out holds for that campaign, its brand's, or all of them
    population: PopulationParameters = PopulationParameters()
    people: PeopleParameters = PeopleParameters()
    volunteers: VolunteerParameters = VolunteerParameters()
    carriers: CarrierParameters = msgspec.field(default_factory=CarrierParameters)
    webhooks: WebhookParameters = WebhookParameters()
    handsets: HandsetParameters = HandsetParameters()
    filtering: FilteringParameters = FilteringParameters()
    inventory: InventoryParameters = msgspec.field(default_factory=InventoryParameters)
    block_scope: BlockScope = BlockScope.PAIR  # what a STOP blocks at the provider
    faults: FaultParameters = FaultParameters()
    verdict: VerdictParameters = VerdictParameters()

    _LATEST_H: ClassVar[float] = 1 / 3600  # a second of rounding

    def __post_init__(self) -> None:
        if not _FIRST_YEAR <= self.start.year <= _LAST_YEAR:
            raise ValueError(f"start {self.start} is not in the years {_FIRST_YEAR} to {_LAST_YEAR}")
        local = self.start.replace(tzinfo=_zone(self.zone))
        if datetime.fromtimestamp(local.timestamp(), local.tzinfo).replace(tzinfo=None) != self.start:
            raise ValueError(f"start {self.start} does not exist in {self.zone}: the clocks go forward then")
        latest_h = max(shift.to_h for shift in self.volunteers.shifts)
        if latest_h > self.duration_s / 3600 + self._LATEST_H:
            raise ValueError(
                f"volunteers.shifts end {latest_h:g} h after the start, duration_s at {self.duration_s / 3600:g} h"
            )

    @property
    def start_at(self) -> float:
        """The start of the world in Unix seconds."""
        return self.start.replace(tzinfo=_zone(self.zone)).timestamp()

    def market(self) -> MarketParameters:
        """What the market is built from."""
        return MarketParameters(
            carriers=self.carriers,
            handsets=self.handsets,
            filtering=self.filtering,
            inventory=self.inventory,
            webhooks=self.webhooks,
            block_scope=self.block_scope,
        )


def shipped() -> tuple[str, ...]:
    """The names of the scenarios that come with Textbank."""
    names = (entry.name for entry in _shelf().iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def load(name_or_path: str | Path) -> Scenario:
    """A shipped scenario by name, or any by the path of its TOML file. Raises BadScenario."""
    source = _find(str(name_or_path), None)
    content = {**_read_with_base(source, ()), "name": source.name.removesuffix(".toml")}
    for key, value in _figures(content):
        if not isfinite(value):
            raise BadScenario(f"{value} is no figure", f"{source}: {key}", "give a number")
    try:
        return msgspec.convert(content, Scenario)
    except msgspec.ValidationError as error:
        raise _explained(error, str(source)) from error


def _shelf() -> Traversable:
    return files("simulator") / "scenarios"


def _find(name: str, beside: Traversable | None) -> Traversable:
    """The file of a scenario: a path if it looks like one (from `beside`, a file, if relative), else shipped."""
    if name.endswith(".toml") or "/" in name:
        folder = beside.parent if isinstance(beside, Path) else Path()
        path = folder / name
        if not path.is_file():
            what = "not a scenario file" if path.exists() else "no such scenario file"
            raise BadScenario(what, str(path), "give the path of a TOML file")
        return path
    if name not in shipped():
        nearest = get_close_matches(name, shipped(), n=1)
        hint = f"did you mean {nearest[0]}? " if nearest else ""
        raise BadScenario(
            "unknown scenario", name, f"{hint}there are {', '.join(shipped())}, or give a .toml path"
        )
    return _shelf() / f"{name}.toml"


def _read_with_base(source: Traversable, above: tuple[str, ...]) -> dict[str, Any]:
    """The content of a file laid over that of its base, if it has one."""
    if str(source) in above:
        raise BadScenario(
            "a scenario is its own base", f"{source}: base", "remove one of the bases in the circle"
        )
    content = _read(source)
    base = content.pop("base", None)
    if base is None:
        return content
    if not isinstance(base, str):
        raise BadScenario("expected the name of a scenario", f"{source}: base", f"give a text, not {base!r}")
    return _merged(_read_with_base(_find(base, source), (*above, str(source))), content)


def _read(source: Traversable) -> dict[str, Any]:
    try:
        return tomllib.loads(
            source.read_text(encoding="utf-8-sig")
        )  # some editors put a byte-order mark first
    except tomllib.TOMLDecodeError as error:
        raise BadScenario("not valid TOML", f"{source}: {error}", "correct that line") from error
    except UnicodeDecodeError as error:
        raise BadScenario("the scenario is not UTF-8 text", str(source), "save it as UTF-8") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadScenario(
            "can't read the scenario", f"{source} ({reason})", "name a readable TOML file"
        ) from error


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Tables are merged, everything else is replaced."""
    both = dict(base)
    for key, value in over.items():
        below = both.get(key)
        both[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return both


def _figures(content: object, key: str = "") -> Iterator[tuple[str, float]]:
    """Every fraction of a file with its key: TOML has inf and nan, a world has not."""
    if isinstance(content, dict):
        for name, value in content.items():
            yield from _figures(value, _path(key, name))
    elif isinstance(content, list):
        for position, value in enumerate(content):
            yield from _figures(value, f"{key}[{position}]")
    elif isinstance(content, float):
        yield key, content


_PLACE = re.compile(r"(?P<what>.*?)(?: - at `(?:key in )?\$\.?(?P<key>.*)`)?", re.DOTALL)
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`")
_MISSING_FIELD = re.compile(r"Object missing required field `(.*)`")


def _explained(error: msgspec.ValidationError, source: str) -> BadScenario:
    """msgspec's message as what, where and what to do."""
    place = _PLACE.fullmatch(str(error))
    what, key = (place["what"], place["key"] or "") if place else (str(error), "")
    if unknown := _UNKNOWN_FIELD.fullmatch(what):
        nearest = get_close_matches(unknown[1], sorted(set(_field_names(Scenario))), n=1)
        do = f"did you mean {nearest[0]}?" if nearest else "remove it"
        return BadScenario("unknown key", f"{source}: {_path(key, unknown[1])}", do)
    if missing := _MISSING_FIELD.fullmatch(what):
        return BadScenario(
            "missing key", f"{source}: {_path(key, missing[1])}", "add it, or name a base that has it"
        )
    return BadScenario(what, f"{source}: {key or 'the whole file'}", "correct it")


def _path(*keys: str) -> str:
    return ".".join(key for key in keys if key)


def _field_names(record: type[msgspec.Struct]) -> Iterator[str]:
    """The names of a record's fields and of those of the records in it."""
    for field in msgspec.structs.fields(record):
        yield field.name
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from _field_names(field.type)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f'"{name}" is no IANA time zone; one is "America/New_York"') from error
