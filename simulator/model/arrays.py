"""Sets of numbers in arrays, by sorting: NumPy hashes them, which takes ten times as long for a million phones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def distinct(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The different ones of the values, ascending."""
    found: NDArray[np.int64] = np.unique(values, return_counts=True)[0]  # with counts NumPy sorts
    return found


def is_among(values: NDArray[np.int64], chosen: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the values are chosen."""
    known = np.sort(chosen)
    if not len(known):
        return np.zeros(len(values), np.bool_)
    places = np.minimum(np.searchsorted(known, values), len(known) - 1)
    found: NDArray[Any] = known[places] == values
    return found


def places_of(known: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each of `wanted` stands in `known`, which rises; -1 where it is not there."""
    if not len(known):
        return np.full(len(wanted), -1, np.int64)
    places = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    found: NDArray[np.int64] = np.where(known[places] == wanted, places, -1).astype(np.int64)
    return found
