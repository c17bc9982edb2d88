"""What a look-up says of a phone's line: the truth, but for a small share."""

import numpy as np
from numpy.typing import NDArray

from simulator.model.draws import Draws
from simulator.model.messages import DEAD, LANDLINE, Population

LOOK_UP_LUCK = "market/lookup"


def called_landlines(population: Population, draws: Draws, error_share: float) -> NDArray[np.int64]:
    """The phones that a look-up calls landlines, as `Market.lookup` does one by one, for nothing."""
    wrong = draws.stream(LOOK_UP_LUCK).many(population.phones) < error_share
    is_called_one = (population.line != DEAD) & ((population.line == LANDLINE) != wrong)
    found: NDArray[np.int64] = population.phones[is_called_one]
    return found
