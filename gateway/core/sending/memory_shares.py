"""How many of a carrier's first texts are worth having in memory: no more than can go soon.

What memory has no room for waits in the store, and those that may go stand behind those that can't: whoever is slow, or has
used up T-Mobile's day, must not fill it.
"""

from typing import Final

from gateway.core.sending.pacing import Pacer

_SOON_S: Final = 300.0
LEAST_SHARE: Final = 10  # one part of so many, however slow a carrier is
_SLOW: Final = 2.0  # so many times as long as the campaign itself takes for a segment


def most_in_memory(pacer: Pacer, carrier: str | None, now: float, look_ahead: int) -> int:
    """Of `look_ahead` places those for first texts to a carrier. `now`: Unix seconds."""
    least = max(1, look_ahead // LEAST_SHARE)
    if pacer.capped_until(now, carrier) is not None:
        return least
    own_s, campaign_s = pacer.duration_s(1, carrier), pacer.duration_s(1)
    if own_s <= _SLOW * campaign_s:
        return look_ahead
    return min(look_ahead, max(least, int(_SOON_S / own_s)))
