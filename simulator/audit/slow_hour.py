"""What a slow carrier did to its own texts, and to everybody else's."""

from math import nan

import msgspec
import numpy as np

from simulator.audit.ends import Ends
from simulator.model.carriers import CARRIERS, Carrier
from simulator.model.faults import Brownout, FaultParameters
from simulator.model.ledger import Ledger


class SlowHour(msgspec.Struct, frozen=True):
    """One brownout; moments in seconds of the world, nan where no text was under way."""

    carrier: Carrier
    from_at: float
    to_at: float
    most_waiting: int  # of its texts, in the provider's queue
    gone_at: float  # when the last text that came meanwhile had left that queue
    others_most_s: float  # from the provider's door to another carrier, meanwhile: 99 % within


def slow_hours(ledger: Ledger, end: Ends, faults: FaultParameters) -> tuple[SlowHour, ...]:
    """The scenario's brownouts, in their order; those that a seed strews are not told."""
    return tuple(_slow_hour(ledger, end, brownout) for brownout in faults.brownouts)


def _slow_hour(ledger: Ledger, end: Ends, brownout: Brownout) -> SlowHour:
    asked = ledger.submissions.columns()
    arrived_at, left_at = asked["arrived_at"], end.left_at
    to_at = brownout.from_s + brownout.for_s
    meanwhile = (arrived_at >= brownout.from_s) & (arrived_at < to_at)
    theirs = asked["carrier"] == CARRIERS.index(brownout.carrier)
    came, went = np.sort(arrived_at[theirs]), np.sort(left_at[theirs & ~np.isnan(left_at)])
    at_arrival = np.searchsorted(went, came, side="right")
    waiting = np.arange(1, len(came) + 1) - at_arrival
    left = left_at[meanwhile & theirs]
    latency_s = (end.accepted_at - arrived_at)[meanwhile & ~theirs & end.accepted]
    return SlowHour(
        carrier=brownout.carrier,
        from_at=brownout.from_s,
        to_at=to_at,
        most_waiting=int(waiting[(came >= brownout.from_s) & (came < to_at)].max(initial=0)),
        gone_at=float(np.nanmax(left)) if len(left) and not np.isnan(left).all() else nan,
        others_most_s=float(np.quantile(latency_s, 0.99)) if len(latency_s) else nan,
    )
