"""How near two area codes are, for the choice of a sending number (F017, F018)."""

from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache
from importlib.resources import files
from typing import Final

import msgspec

from gateway.core.text.phone import PLACES


class Nearness(IntEnum):
    """From nearest to farthest."""

    SAME_CODE = 0
    SAME_REGION = 1
    SAME_STATE = 2
    ELSEWHERE = 3


class _Overlays(msgspec.Struct):
    regions: tuple[tuple[str, ...], ...]


def _load_neighbours() -> Mapping[str, frozenset[str]]:
    raw = files("gateway.core").joinpath("data", "overlays.json").read_bytes()
    neighbours: dict[str, frozenset[str]] = {}
    for region in msgspec.json.decode(raw, type=_Overlays).regions:
        for area_code in region:
            neighbours[area_code] = neighbours.get(area_code, frozenset()) | frozenset(region)
    return neighbours


NEIGHBOURS: Final = _load_neighbours()


@lru_cache(maxsize=65_536)
def nearness(area_code: str, other: str) -> Nearness:
    """How near two area codes are; an unknown one is elsewhere."""
    if area_code == other:
        return Nearness.SAME_CODE
    if other in NEIGHBOURS.get(area_code, ()):
        return Nearness.SAME_REGION
    place, other_place = PLACES.get(area_code), PLACES.get(other)
    if place is not None and other_place is not None and place.state == other_place.state:
        return Nearness.SAME_STATE
    return Nearness.ELSEWHERE


def nearest_first(area_codes: tuple[str, ...], to: str) -> tuple[str, ...]:
    """The area codes by nearness, in their own order where equally near."""
    return tuple(sorted(area_codes, key=lambda area_code: nearness(to, area_code)))
