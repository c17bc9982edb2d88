"""The handsets: on, or off and back later; reached after a while.

A handset's luck is keyed by the phone and the hour of the send, so it is the same in any order of events.
"""

import msgspec

from simulator.model.carriers import Percentiles, Positive, Share
from simulator.model.draws import Draws

_BUCKET_S = 3600.0
_TO_UNIT = 2.0**-32
_LOW = (1 << 32) - 1


class HandsetParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How soon a handset has the text; no published percentiles exist, all are assumptions [A]."""

    off_share: Share = 0.015  # share of sends that meet a handset off or out of coverage [A]
    off_median_s: Positive = 2_400.0  # seconds until it is back: 40 minutes [A]
    off_p95_s: Positive = 72_000.0  # seconds: 20 hours [A]
    store_s: Positive = 259_200.0  # seconds a carrier keeps the text, then 30003: 72 hours [S]
    given_up_share: Share = (
        0.5  # of texts that meet a handset off: the carrier does not wait as long as that [A]
    )
    given_up_median_s: Positive = 600.0  # seconds until it gives such a text up, 30003 [A]
    given_up_p95_s: Positive = 3_600.0  # seconds [A]
    arrival_median_s: Positive = 2.5  # seconds, carrier to a handset that is on [A]
    arrival_p95_s: Positive = 9.0  # seconds [A]
    arrival_p99_s: Positive = 45.0  # seconds; beyond it minutes, for about one in 200 [A]


class Handsets:
    """Which handsets are off, and until when."""

    def __init__(self, parameters: HandsetParameters, draws: Draws) -> None:
        self.store_s = parameters.store_s
        self._off_below = parameters.off_share
        self._off_s = Percentiles((0.5, parameters.off_median_s), (0.95, parameters.off_p95_s))
        self._luck = draws.stream("handsets/off")
        self._given_up_below = parameters.given_up_share
        self._given_up_s = Percentiles((0.5, parameters.given_up_median_s), (0.95, parameters.given_up_p95_s))
        self._patience = draws.stream("handsets/patience")
        self._back_at: dict[int, float] = {}
        self.arrival = (
            (0.5, parameters.arrival_median_s),
            (0.95, parameters.arrival_p95_s),
            (0.99, parameters.arrival_p99_s),
        )

    def back_at(self, phone: int, now: float) -> float:
        """When the handset can be reached: `now` itself if it is on. What is off stays off until then."""
        back_at = self._back_at.get(phone, 0.0)
        if back_at > now:
            return back_at
        word = self._luck.word(phone, int(now // _BUCKET_S))
        if (word & _LOW) * _TO_UNIT >= self._off_below:
            return now
        back_at = now + self._off_s.at_bits(word >> 32)
        self._back_at[phone] = back_at
        return back_at

    def kept_s(self, phone: int, now: float) -> float:
        """How long the carrier keeps a text for this handset, which is off: most for days, some give up soon."""
        word = self._patience.word(phone, int(now // _BUCKET_S))
        if (word & _LOW) * _TO_UNIT >= self._given_up_below:
            return self.store_s
        return min(self.store_s, self._given_up_s.at_bits(word >> 32))
