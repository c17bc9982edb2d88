"""Spans of time as a person writes them: `30d`, `12h`."""

import re
from typing import Final

from gateway.core.rules.errors import BadInput

_SHAPE: Final = re.compile(r"([1-9][0-9]{0,4})([hdw])", re.ASCII)
_UNITS_S: Final = {"h": 3_600.0, "d": 86_400.0, "w": 604_800.0}


def span_s(text: str, where: str) -> float:
    """The span in seconds; raises BadInput, which says `where`, for what is none."""
    shaped = _SHAPE.fullmatch(text)
    if shaped is None:
        raise BadInput(f"'{text}' is no span of time", where, "write it as 12h, 30d or 8w")
    return int(shaped[1]) * _UNITS_S[shaped[2]]
