"""Figures as people read them: shares, spans, moments."""

from datetime import datetime
from math import isnan
from zoneinfo import ZoneInfo

from simulator.model.carriers import Carrier
from simulator.model.scenario import Scenario

CARRIER_NAMES: dict[Carrier, str] = {
    "att": "AT&T",
    "tmobile": "T-Mobile",
    "verizon": "Verizon",
    "uscellular": "UScellular",
    "regional": "Regional",
    "voip": "VoIP",
}


def words(key: str) -> str:
    """A reason's key as words."""
    return key.replace("_", " ").replace("opt out", "opt-out")


def percent(share: float) -> str:
    """0.0123 -> "1.2%"; small ones keep a digit that counts."""
    return f"{share:.2%}" if 0 < share < 0.001 else f"{share:.1%}"


def share_of(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def counted(count: int, one: str, many: str = "") -> str:
    """1 text; 2 texts."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def span(seconds: float) -> str:
    """1.2 s; 3 min 20 s; 12 h 30 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def roughly(seconds: float) -> str:
    """4 s; 21 min; 2.5 h."""
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def clock(scenario: Scenario, at: float, *, seconds: bool = False) -> str:
    """A moment of the world on the campaign's clock: 20:14, and the day when it is not the first."""
    if isnan(at):
        return "never"
    zone = ZoneInfo(scenario.campaign.zone)
    local = datetime.fromtimestamp(scenario.start_at + at, zone)
    first = datetime.fromtimestamp(scenario.start_at, zone)
    hour = f"{local:%H:%M:%S}" if seconds else f"{local:%H:%M}"
    return hour if local.date() == first.date() else f"{local:%a} {hour}"


def closing_at(scenario: Scenario) -> float:
    """When the campaign's hours end on the world's first day; seconds of the world."""
    zone = ZoneInfo(scenario.campaign.zone)
    first = datetime.fromtimestamp(scenario.start_at, zone)
    shut = scenario.campaign.hours_end
    closing = first.replace(hour=shut.hour, minute=shut.minute, second=0, microsecond=0)
    return closing.timestamp() - scenario.start_at
