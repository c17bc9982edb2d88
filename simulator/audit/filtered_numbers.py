"""A number from which carriers filter everything, while the campaign's others are well, begins no more conversations.

All from what the carriers did and the gateway was told of it. Who is to blame is plain only when others were used in the
same time; conversations under way may go on from the number, and a text that had been begun with it too (F023).
"""

import numpy as np

from simulator.audit.ends import FILTERED
from simulator.audit.evidence import Booleans, Evidence
from simulator.audit.wall_clock import Floats, Integers

_IN_A_ROW = 15  # texts of the number that ended filtered, and none otherwise
_ITS_SHARE, _WINDOW_S = 0.25, 3600.0  # of all the number's texts that ended within so long, at least
_OTHERS = 120  # texts of the other numbers that ended meanwhile or lately
_LATELY_S = 1500.0  # a gateway that forgets by halves of an hour knows of so long
_OTHERS_FILTERED = 0.02  # of them at most
_STOPPED_WITHIN_S = 120.0  # what is claimed is handed over
_RESTS_S = 4 * 3600.0  # then the number may be tried again


def begun_in_vain(evidence: Evidence) -> tuple[Integers, int]:
    """First texts that were handed over from a number though it was plainly filtered, and how many numbers were."""
    n, at = (np.ascontiguousarray(evidence.told_ends[name]) for name in ("n", "at"))
    sender, filtered = evidence.submissions["sender"][n], evidence.final_code[n] == FILTERED
    begun = evidence.is_first & (evidence.attempt == 1) & (evidence.row_of >= 0)
    found, plain = [np.empty(0, np.int64)], 0
    for number in np.unique(sender[filtered]).tolist():
        plain_at = _plainly_filtered_at(evidence, at, sender == number, filtered)
        if plain_at is None:
            continue
        plain += 1
        since = evidence.handed_at - plain_at
        is_late = (since > _STOPPED_WITHIN_S) & (since < _RESTS_S)
        found.append(np.flatnonzero(begun & (evidence.submissions["sender"] == number) & is_late))
    return np.concatenate(found), plain


def _plainly_filtered_at(
    evidence: Evidence, at: Floats, is_its: Booleans, filtered: Booleans
) -> float | None:
    """When nobody could overlook it any more; None: never. A gateway that was away meanwhile has counted anew."""
    its = np.flatnonzero(is_its)
    of_others, filtered_of_others = _counted(~is_its), _counted(~is_its & filtered)
    last_well = -1
    for place, row in enumerate(its.tolist()):
        if not filtered[row]:
            last_well = place
            continue
        in_a_row = place - last_well
        lately = place + 1 - int(np.searchsorted(at[its], at[row] - _WINDOW_S))
        if in_a_row < max(_IN_A_ROW, _ITS_SHARE * lately):
            continue
        since = int(np.searchsorted(at, at[row] - _LATELY_S))
        others = of_others[row] - of_others[since]
        are_well = filtered_of_others[row] - filtered_of_others[since] <= _OTHERS_FILTERED * others
        was_there = all(end < at[since] or at[row] < begin for begin, end in evidence.world.away)
        if others >= _OTHERS and are_well and was_there:
            return float(at[row])
    return None


def _counted(chosen: Booleans) -> Integers:
    """How many were chosen before each place."""
    return np.concatenate(([0], np.cumsum(chosen)))
