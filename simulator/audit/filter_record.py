"""What the carriers' filter held against a campaign, and from when: its record, looked at again and again."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from simulator.audit.ends import FILTERED, Ends
from simulator.audit.ground_truth import never_shown
from simulator.model.filtering import Held, Standing
from simulator.model.ledger import Ledger

CAUSES = Held.__struct_fields__
RECORD = np.dtype([("at", "<f8"), *((cause, "<f8") for cause in CAUSES), ("suspended", "?")])
_WORTH_SAYING = 0.005  # added chance of being filtered from which a cause is told
_WINDOW = 100  # texts: so many show a share

Record = NDArray[Any]


class Cause(msgspec.Struct, frozen=True):
    """One cause: when it began to count (seconds of the world), and the most that it added."""

    name: str
    from_at: float
    most_share: float


def no_record() -> Record:
    """Nobody looked."""
    return np.empty(0, RECORD)


class FilterWatch:
    """Notes a campaign's standing; `record()` gives all that was noted."""

    def __init__(self) -> None:
        self._rows: list[tuple[float | bool, ...]] = []

    def note(self, at: float, standing: Standing) -> None:
        held = standing.held
        self._rows.append((at, *(getattr(held, cause) for cause in CAUSES), standing.suspended))

    def record(self) -> Record:
        return np.array(self._rows, RECORD)


def causes(record: Record) -> tuple[Cause, ...]:
    """What was held against the campaign, the worst first."""
    found = []
    for name in CAUSES:
        counts = np.flatnonzero(record[name] >= _WORTH_SAYING)
        if len(counts):
            found.append(Cause(name, float(record["at"][counts[0]]), float(record[name].max())))
    return tuple(sorted(found, key=lambda cause: -cause.most_share))


def noticed(ledger: Ledger, end: Ends, share: float) -> tuple[float, int] | None:
    """When, and after how many texts, more than `share` of a hundred in a row were lost to the filter.

    Of a shorter bank all texts are the hundred. None when that never happened.
    """
    handed = np.argsort(ledger.submissions.columns()["arrived_at"], kind="stable")
    taken = handed[end.accepted[handed]]
    lost = end.code == FILTERED
    lost[never_shown(ledger)] = True
    if not len(taken):
        return None
    window = min(_WINDOW, len(taken))
    counted = np.concatenate(([0], np.cumsum(lost[taken])))
    over = np.flatnonzero(counted[window:] - counted[:-window] > share * window)
    if not len(over):
        return None
    # the text in that window at which the share was passed
    within = np.flatnonzero(counted[over[0] : over[0] + window + 1] - counted[over[0]] > share * window)
    last = int(over[0] + within[0]) - 1
    return float(end.ended_at[taken[last]]), last + 1
