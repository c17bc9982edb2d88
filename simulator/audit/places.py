"""Where a phone is at home by its area code: state and time zone, in words."""

from functools import cache
from importlib.resources import files

import msgspec
import numpy as np
from numpy.typing import NDArray

from simulator.model.ledger import Ledger

_ZONES = {
    "America/New_York": "Eastern",
    "America/Detroit": "Eastern",
    "America/Chicago": "Central",
    "America/Denver": "Mountain",
    "America/Phoenix": "Arizona",
    "America/Los_Angeles": "Pacific",
    "America/Anchorage": "Alaska",
    "Pacific/Honolulu": "Hawaii",
}
_UNKNOWN = "an unknown state"


def places_of(phones: NDArray[np.int64]) -> tuple[list[str], NDArray[np.int64]]:
    """Names such as "PA, Eastern", and for each phone the place of its own among them."""
    codes, whose = np.unique(phones // 10_000_000 % 1000, return_inverse=True)
    told = [place_of(code) for code in codes.tolist()]
    names = sorted(set(told))
    place = np.array([names.index(name) for name in told], np.int64)
    return names, place[whose] if len(phones) else np.empty(0, np.int64)


def texted_s(ledger: Ledger) -> dict[str, float]:
    """By time zone: seconds from the first text of all to the last first text of somebody there."""
    asked = ledger.submissions.columns()
    people, first = np.unique(asked["to"], return_index=True)
    if not len(people):
        return {}
    at = asked["handed_at"][first]
    names, place = places_of(people)
    last: dict[str, float] = {}
    for nth, name in enumerate(names):
        zone = name.partition(", ")[2] or _UNKNOWN
        latest = round(float(at[place == nth].max() - at.min()), 3)
        last[zone] = max(latest, last.get(zone, 0.0))
    return dict(sorted(last.items()))


def place_of(area_code: int) -> str:
    """An area code's state and zone; both zones when it lies in two."""
    found = _area_codes().get(str(area_code))
    if found is None:
        return _UNKNOWN
    state, zones = found
    named = dict.fromkeys(_ZONES.get(zone, zone.rpartition("/")[2].replace("_", " ")) for zone in zones)
    return f"{state}, {'/'.join(named)}"


@cache
def _area_codes() -> dict[str, tuple[str, list[str]]]:
    content = msgspec.json.decode(files("gateway.core").joinpath("data", "nanp-us.json").read_bytes())
    codes: dict[str, tuple[str, list[str]]] = content["area_codes"]
    return codes
