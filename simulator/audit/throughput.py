"""How much of its granted rates a campaign used: segments per second at the hand-over, by meter."""

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from simulator.model.carriers import INDEX, CampaignRegistration
from simulator.model.ledger import Ledger

ALL = "all"
_MINUTE_S = 60.0

Floats = NDArray[np.float64]


class RateUse(msgspec.Struct, frozen=True):
    """The busiest minute of a meter: `name` a carrier or ALL, segments/s used and granted."""

    name: str
    used_per_s: float
    granted_per_s: float

    @property
    def share(self) -> float:
        return self.used_per_s / self.granted_per_s


def used_per_s(
    ledger: Ledger, registration: CampaignRegistration, edges: Floats
) -> Iterator[tuple[str, Floats, float]]:
    """(meter, segments/s in each bin, granted): of the campaign and of each carrier that has a rate of its own."""
    asked = ledger.submissions.columns()
    meters: list[tuple[str, float]] = [(ALL, registration.total_per_s), *registration.carrier_per_s.items()]
    widths = np.diff(edges)
    for name, granted_per_s in meters:
        ours = np.full(len(asked), True) if name == ALL else asked["carrier"] == INDEX[name]
        segments = asked["segments"][ours].astype(np.float64)
        yield name, np.histogram(asked["handed_at"][ours], edges, weights=segments)[0] / widths, granted_per_s


def busiest(ledger: Ledger, registration: CampaignRegistration) -> tuple[RateUse, ...]:
    """Each meter's busiest minute, the fullest first."""
    asked = ledger.submissions.columns()
    if not len(asked):
        return ()
    last = float(asked["handed_at"].max())
    edges = np.arange(0.0, last + 2 * _MINUTE_S, _MINUTE_S)
    uses = [
        RateUse(name, float(per_s.max()), granted)
        for name, per_s, granted in used_per_s(ledger, registration, edges)
    ]
    return tuple(sorted(uses, key=lambda use: -use.share))
