"""The provider's last word on each message."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from simulator.model.ledger import QUEUED, SENT, Ledger

FILTERED = 30007
BAD_NUMBER = frozenset({30005, 30006})
TMOBILE_CAPPED = 30023
SUSPENDED = 30033
UNREGISTERED = 30034
SETTLING = 30035
EXPIRED = 30036


class Ends(msgspec.Struct, frozen=True):
    """The provider's last word on each message, one element a message: `status` is an index into STATUSES.

    Times are seconds of the world; nan where it never happened.
    """

    status: NDArray[np.uint8]
    code: NDArray[np.uint16]
    departed_at: NDArray[np.float64]
    accepted_at: NDArray[np.float64]
    ended_at: NDArray[np.float64]

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """Which messages a carrier took."""
        return ~np.isnan(self.accepted_at)

    @property
    def left_at(self) -> NDArray[np.float64]:
        """When a message left the provider's queue, to a carrier or for good."""
        return np.where(np.isnan(self.departed_at), self.ended_at, self.departed_at)


def ends(ledger: Ledger) -> Ends:
    """Each message's end, from the tables."""
    count = len(ledger.submissions)
    status, code = np.full(count, QUEUED, np.uint8), np.zeros(count, np.uint16)
    departed_at, accepted_at, ended_at = (np.full(count, np.nan) for _ in range(3))
    accepts, finals = ledger.accepts.columns(), ledger.finals.columns()
    status[accepts["n"]] = SENT
    departed_at[accepts["n"]] = accepts["departed_at"]
    accepted_at[accepts["n"]] = accepts["at"]
    status[finals["n"]] = finals["status"]
    code[finals["n"]] = finals["code"]
    ended_at[finals["n"]] = finals["at"]
    return Ends(status, code, departed_at, accepted_at, ended_at)
