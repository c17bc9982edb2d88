"""A share with how far it may be off: Wilson's interval, which stays honest when there are few, or none, or all.

Source: E. B. Wilson, "Probable Inference", JASA 22 (1927) 209-212; without correction for continuity.
"""

from math import sqrt
from typing import Final

import msgspec

Z_95: Final = 1.959963984540054
"""Of 95 in 100: the normal distribution's 97.5th percentile."""


class Rate(msgspec.Struct, frozen=True):
    """`share` of `of` cases, null when there are none; with 95 % confidence the true one lies in `low` to `high`."""

    number: int
    of: int
    share: float | None
    low: float
    high: float


def rate(number: int, of: int, z: float = Z_95) -> Rate:
    """How many of how many, with Wilson's interval. Without a case anything is possible: 0 to 1."""
    if of <= 0:
        return Rate(number, 0, None, 0.0, 1.0)
    share = number / of
    spread = 1 + z * z / of
    middle = (share + z * z / (2 * of)) / spread
    half = z * sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / spread
    low = 0.0 if number == 0 else max(0.0, middle - half)
    high = 1.0 if number == of else min(1.0, middle + half)
    return Rate(number, of, share, low, high)
