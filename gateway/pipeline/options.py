"""How a worker dispatches: what every road of it goes by."""

import msgspec

from gateway.pipeline.lease import LOOK_VALID_S, lease_s


class DispatchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How the road works; all in seconds but `look_ahead` (messages in memory) and `concurrency` (calls)."""

    horizon_s: float = 2.0
    look_ahead: int = 5000
    poll_s: float = 1.0  # while the store is known to hold more than memory
    idle_poll_s: float = 10.0  # how late another worker's messages may be seen when its word was lost
    concurrency: int = 100
    closing_margin_s: float = 60.0
    on_the_wire_s: float = 30.0
    look_valid_s: float = LOOK_VALID_S

    @property
    def lease_s(self) -> float:
        """From the decision to claim until no call may begin any more."""
        return lease_s(self.horizon_s)

    @property
    def settled_s(self) -> float:
        """From the decision to claim until a text in nobody's hands can't be on its way to the provider any more."""
        return self.lease_s + self.on_the_wire_s
