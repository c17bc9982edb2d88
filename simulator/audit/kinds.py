"""Whose carrier is which, as far as anybody can know."""

import numpy as np
from numpy.typing import NDArray

from simulator.audit.evidence import Evidence
from simulator.audit.wall_clock import Integers
from simulator.model.arrays import is_among
from simulator.model.carriers import CARRIERS


def kinds_of(evidence: Evidence, phones: Integers) -> Integers:
    """Each person's carrier; one beyond them where no look-up names it, or nobody knows."""
    people, carriers = _carried(evidence)
    kinds = np.full(len(phones), len(CARRIERS), np.int64)
    if len(people):
        place = np.minimum(np.searchsorted(people, phones), len(people) - 1)
        known = (people[place] == phones) & ~is_among(phones, evidence.world.out_of_service)
        kinds[known] = carriers[place[known]]
    return kinds


def _carried(evidence: Evidence) -> tuple[Integers, NDArray[np.uint8]]:
    """People's phones, rising, and their carriers: as the model knows, or as the ledger has them."""
    carried = evidence.world.carried
    if carried is not None:
        return carried.phones, carried.carriers
    people, row = np.unique(evidence.to, return_index=True)
    return people, evidence.submissions["carrier"][row]
